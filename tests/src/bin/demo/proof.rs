//! The proof: what the stores were told, what the stores hold and what headquarters holds are the same.

use crate::screen;
use aincident_tests::Hub;
use aincident_tests::agree::{Agreed, store_and_headquarters};
use aincident_tests::figures::count;
use aincident_tests::http::Client;
use aincident_tests::load::Promised;

/// A store as it is asked for its part.
pub struct Witness {
    /// The store's code.
    pub store: String,
    /// Its manager, at its node.
    pub manager: Client,
    /// What its node acknowledged.
    pub acknowledged: Promised,
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
    hub.audit().await;
    screen::check("aincident-hub audit verify: every hash chain holds", "ok");
}
