//! The proof: what the stores were told, what the stores hold and what headquarters holds are the same.

use crate::darkroom::Taken;
use crate::screen;
use aincident_tests::Hub;
use aincident_tests::agree::{Agreed, store_and_headquarters};
use aincident_tests::figures::{bytes, count};
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use chassis::blobs::Sha256;

/// A store as it is asked for its part.
pub struct Witness {
    /// The store's code.
    pub store: String,
    /// Its manager, at its node.
    pub manager: Client,
    /// What its node acknowledged.
    pub acknowledged: Promised,
    /// The photos among it.
    pub taken: Vec<Taken>,
}

/// Compares everything, incident by incident.
///
/// # Panics
/// At the first thing that is not as it should be, naming it.
pub async fn all(hub: &Hub, headquarters: &Client, witnesses: &[Witness]) {
    let mut all = Agreed::default();
    for witness in witnesses {
        let (store, told) = (&witness.store, &witness.acknowledged);
        let agreed = store_and_headquarters(store, &witness.manager, headquarters, told, &["status"]).await;
        assert_eq!(agreed.incidents, told.len() as u64, "store {store} holds another number than it acknowledged");
        all.incidents += agreed.incidents;
        all.fields += agreed.fields;
    }
    let every = format!("{0} of {0}", all.incidents);
    screen::check("at headquarters exactly once, each with its reference", &every);
    screen::check("field for field as the store holds it and was told", &format!("{} fields", count(all.fields)));
    screen::check("the same version at both sites", &every);
    let shown = photos(headquarters, witnesses).await;
    screen::check("photos at both sites byte for byte, by their SHA-256", &shown.originals);
    screen::check("what is shown of them is the same at both sites", &shown.pictures);
    screen::check("photos that tell where they were taken, shown without", &shown.located);
    hub.audit().await;
    screen::check("aincident-hub audit verify: every hash chain holds", "ok");
}

/// What was compared of photos.
struct Shown {
    originals: String,
    pictures: String,
    located: String,
}

/// Compares every content of every photo at both sites with what was sent, by digest.
async fn photos(headquarters: &Client, witnesses: &[Witness]) -> Shown {
    let (mut originals, mut size, mut pictures, mut located) = (0, 0, 0, 0);
    for (witness, taken) in witnesses.iter().flat_map(|witness| witness.taken.iter().map(move |taken| (witness, taken)))
    {
        let path = |variant: &str| format!("/api/v1/photos/{}/{variant}", taken.photo);
        for client in [&witness.manager, headquarters] {
            let original = client.get(&path("original")).await;
            let digest = Sha256::of(&original.body).to_string();
            assert!(original.status == 200 && digest == taken.sha256, "{} is not what was sent", path("original"));
            assert_eq!(tells_where(&original.body), taken.located, "{}", path("original"));
        }
        (originals, size, located) = (originals + 1, size + taken.size_bytes, located + u64::from(taken.located));
        for variant in ["display", "thumbnail"] {
            let (here, there) = (witness.manager.get(&path(variant)).await, headquarters.get(&path(variant)).await);
            assert!(here.status == 200 && here.body == there.body, "{} differs between the sites", path(variant));
            assert!(here.body.starts_with(&[0xff, 0xd8]) && !tells_where(&here.body), "{}", path(variant));
            pictures += 1;
        }
    }
    Shown {
        originals: format!("{originals} of {originals}, {}", bytes(size)),
        pictures: format!("{pictures} of {pictures}"),
        located: format!("{located} of {located}"),
    }
}

/// Whether a picture has the reference to a place that the demo's cameras write.
fn tells_where(jpeg: &[u8]) -> bool {
    // Tag 0x8825, a long, one of it.
    jpeg.windows(8).any(|bytes| bytes == [0x25, 0x88, 4, 0, 1, 0, 0, 0])
}
