//! Whether a store and headquarters agree on what was reported in that store.

use crate::compare::{by_id, differences, lacks};
use crate::http::Client;
use crate::load::Promised;
use futures::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many incidents are compared at a time.
const LANES: usize = 8;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Incidents.
    pub incidents: u64,
    /// Their fields.
    pub fields: u64,
}

/// Compares what `store` was told (`promised`), what its node holds (`here`) and what headquarters holds (`there`):
/// every promise is kept at both sites, nothing is at one site only, nothing is anywhere twice, and every incident is the
/// same in every field. `changed`: members that were changed since they were sent.
///
/// Incidents that were recorded without their client hearing of it are right, as long as both sites have them.
///
/// # Panics
/// At the first thing that is not so, naming it.
pub async fn store_and_headquarters(
    store: &str,
    here: &Client,
    there: &Client,
    promised: &Promised,
    changed: &[&str],
) -> Agreed {
    // `by_id` refuses an id that is there twice.
    let at_store: BTreeSet<String> = by_id(here.list("").await).into_keys().collect();
    let at_hub: BTreeSet<String> = by_id(there.list(&format!("store={store}")).await).into_keys().collect();
    let lost: Vec<&String> = promised.keys().filter(|id| !at_store.contains(*id)).collect();
    assert!(lost.is_empty(), "store {store} lost {} of {} acknowledged: {lost:?}", lost.len(), promised.len());
    let one_sided: Vec<&String> = at_store.symmetric_difference(&at_hub).collect();
    assert!(one_sided.is_empty(), "{} incidents are at one site only: {one_sided:?}", one_sided.len());

    let pairs = at_store.iter().map(async |id| {
        let path = format!("/api/v1/incidents/{id}");
        (id, here.get(&path).await.expect(200), there.get(&path).await.expect(200))
    });
    let mut pairs = futures::stream::iter(pairs).buffer_unordered(LANES);
    let mut agreed = Agreed::default();
    let mut references = BTreeSet::new();
    while let Some((id, at_store, at_hub)) = pairs.next().await {
        same(id, &at_store, &at_hub);
        if let Some(sent) = promised.get(id) {
            let missing = lacks(&without(sent, changed), &at_hub);
            assert!(missing.is_empty(), "{id} is not what was reported: {}", missing.join("; "));
        }
        let reference = at_hub["reference"].as_str().unwrap_or_default().to_owned();
        assert!(!reference.is_empty() && references.insert(reference), "{id}: its reference is not its own");
        agreed.incidents += 1;
        agreed.fields += at_hub.as_object().map_or(0, |members| members.len() as u64);
    }
    agreed
}

/// Compares one incident as both sites show it.
///
/// # Panics
/// When it differs, naming the fields.
pub fn same(id: &str, at_store: &Value, at_hub: &Value) {
    let different = differences(at_store, at_hub);
    assert!(different.is_empty(), "{id} differs between store and headquarters: {}", different.join("; "));
    assert!(at_store["version"].is_string() && at_store["version"] == at_hub["version"], "{id}: another version");
    assert!(at_hub["received_at"].is_string(), "{id}: headquarters does not say when it came");
}

fn without(sent: &Value, changed: &[&str]) -> Value {
    let mut sent = sent.clone();
    if let Some(members) = sent.as_object_mut() {
        members.retain(|name, _| !changed.contains(&name.as_str()));
        // A rule of the house may have raised it.
        members.remove("severity");
    }
    sent
}
