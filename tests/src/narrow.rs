//! What a store gets over a narrow, long line that loses: records and thumbnails within a minute, and then the line full.

use crate::hub::Hub;
use crate::link::Weather;
use crate::node::Node;
use crate::pictures::{add_photo, camera_jpeg};
use crate::random::Rng;
use crate::scratch::Scratch;
use crate::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The line, in kilobits per second.
pub const KBPS: u32 = 256;
/// One way.
pub const LATENCY: Duration = Duration::from_millis(300);
/// Share of segments that are lost.
pub const LOSS: f64 = 0.02;
/// However much there is, it is there by then.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What is recorded while the line is down.
#[derive(Clone, Debug)]
pub struct Cargo {
    /// Incidents, each with a photo.
    pub incidents: usize,
    /// Pixels of each photo: more than a thumbnail has, or that is its display image, too.
    pub pixels: (u16, u16),
    /// Further files of the first incident that nobody can show: their lengths in bytes.
    pub files: Vec<usize>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// From the line's return to the last record at headquarters.
    pub records: Duration,
    /// … to the last thumbnail that can be looked at there.
    pub thumbnails: Duration,
    /// … to the last content verified there.
    pub all: Duration,
    /// Bytes over the line since the last thumbnail was there.
    pub bytes: u64,
    /// Of the line's width, how much these took, 0.0 to 1.0.
    pub share: f64,
    /// Bytes over the line in all, by those of the contents: what is sent twice would show here.
    pub sent: f64,
}

/// Records `cargo` at a store that is cut off, gives it the narrow line, and watches.
///
/// # Panics
/// When anything is not taken, or does not arrive.
pub async fn run(cargo: &Cargo, rng: &mut Rng) -> Found {
    let scratch = Scratch::new("narrow");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (kim, harriet) = (node.employee().await, hub.harriet().await);
    node.link().seed(rng.fork());
    node.link().go_down();
    let mut incidents = Vec::new();
    for n in 0..cargo.incidents {
        let text = format!("{n}: a shelf fell over next to the entrance, nobody was hurt and nothing is missing");
        let made = kim.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        let photo = camera_jpeg(rng, cargo.pixels.0, cargo.pixels.1);
        let _ = add_photo(&kim, &id, "shelf.jpg", photo).await.expect(201);
        incidents.push(id);
    }
    for length in &cargo.files {
        let bytes = (0..*length).map(|_| rng.below(256) as u8).collect();
        let _ = add_photo(&kim, &incidents[0], "recording.bin", bytes).await.expect(201);
    }
    let waiting = async || {
        let sync = kim.get("/api/v1/sync").await.expect(200);
        let number = |name: &str| sync[name].as_u64().expect("a number");
        (number("pending_blobs"), number("pending_blob_bytes"))
    };
    wait_until("what is shown of the photos to be made", PATIENCE, async || {
        let mut photos = Vec::new();
        for id in &incidents {
            let incident = kim.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
            photos.extend(incident["photos"].as_array().cloned().unwrap_or_default());
        }
        photos.len() == cargo.incidents + cargo.files.len() && photos.iter().all(|photo| photo["state"] != "processing")
    })
    .await;

    let (contents, before) = (waiting().await.1, node.link().traffic().up);
    node.link().set(Weather { kbps: KBPS, latency: LATENCY, loss: LOSS, ..Weather::default() });
    let begun = Instant::now();
    let all = cargo.incidents as u64;
    wait_until("the records at headquarters", PATIENCE, async || harriet.total().await == all).await;
    let records = begun.elapsed();
    let mut seen = BTreeSet::new();
    let (thumbnails, then) = wait_for("the thumbnails at headquarters", PATIENCE, async || {
        for item in harriet.list("").await {
            let Some(path) = item["thumbnail_url"].as_str().filter(|_| !seen.contains(&item["id"].to_string())) else {
                continue;
            };
            if harriet.get(path).await.status == 200 {
                seen.insert(item["id"].to_string());
            }
        }
        if seen.len() < cargo.incidents {
            return None;
        }
        Some((begun.elapsed(), node.link().traffic().up))
    })
    .await;
    wait_until("all contents at headquarters", PATIENCE, async || waiting().await.0 == 0).await;
    let (took, up) = (begun.elapsed(), node.link().traffic().up);
    for id in &incidents {
        let incident: Value = harriet.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
        let photos = incident["photos"].as_array().expect("photos");
        assert!(!photos.is_empty() && photos.iter().all(|photo| photo["at_hub"] == "verified"), "{incident}");
    }
    let (bytes, sent) = (up - then, (up - before) as f64 / contents as f64);
    let share = bytes as f64 / (took - thumbnails).as_secs_f64() / (f64::from(KBPS) * 125.0);
    Found { records, thumbnails, all: took, bytes, share, sent }
}
