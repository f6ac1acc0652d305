//! Real input, where it is given: every row of a public police log goes through a node's API and arrives at headquarters.
//!
//! `AINCIDENT_REAL_DATA` names the folder with `police-log-incidents.csv.gz`. Nothing of it is part of the project.

mod occurred;
mod rows;

use aincident_tests::agree::same;
use aincident_tests::compare::{by_id, lacks};
use aincident_tests::load::{Promised, post_all};
use aincident_tests::{Hub, Node, Rng, Scratch, figures, tell, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CLIENTS: usize = 32;
/// How many incidents are compared field for field.
const SAMPLE: usize = 300;

fn by_category(incidents: &Promised) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for incident in incidents.values() {
        *counts.entry(incident["category"].as_str().unwrap_or("other").to_owned()).or_insert(0) += 1;
    }
    counts
}

fn counted(stats: &Value) -> BTreeMap<String, u64> {
    let rows = stats["by_category"].as_array().unwrap().iter();
    rows.map(|row| (row["category"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_a_real_log_is_recorded_and_arrives() {
    let Some(folder) = std::env::var_os("AINCIDENT_REAL_DATA") else {
        tell("left out: the real police log (AINCIDENT_REAL_DATA is not set)");
        return;
    };
    let rows = rows::read(&PathBuf::from(folder).join("police-log-incidents.csv.gz"));
    let mapped = rows::map(&rows);
    tell(&format!("corpus: {} rows: {}", rows.len(), mapped.told()));
    assert_eq!(mapped.bodies.len(), rows.len(), "a row was left out");

    let scratch = Scratch::new("corpus");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let clients = vec![manager.clone(); CLIENTS];
    let before = node.link().traffic();
    let started = Instant::now();
    let promised = post_all(&clients, mapped.bodies).await;
    let posted = started.elapsed();
    assert_eq!(promised.len(), rows.len(), "two rows got one id");
    let rate = rows.len() as f64 / posted.as_secs_f64();
    tell(&format!(
        "corpus: {} acknowledged by the node in {}, {rate:.0}/s",
        rows.len(),
        figures::time(posted)
    ));

    let all = rows.len() as u64;
    wait_until("every row at headquarters", Duration::from_secs(300), async || harriet.total().await == all).await;
    node.drained(&manager, Duration::from_secs(60)).await;
    let traffic = node.link().traffic();
    let each = (traffic.up - before.up) / all;
    tell(&format!(
        "corpus: all at headquarters {} after the first one; {each} bytes up each",
        figures::time(started.elapsed())
    ));

    // Totals by category, then every id, then a sample of whole incidents.
    let sent = by_category(&promised);
    for client in [&manager, &harriet] {
        assert_eq!(counted(&client.get("/api/v1/stats").await.expect(200)), sent);
    }
    let at_hub = by_id(harriet.list("").await);
    assert!(promised.keys().all(|id| at_hub.contains_key(id)), "an id is missing at headquarters");
    assert_eq!(at_hub.len(), promised.len());
    let mut rng = Rng::announced("corpus");
    let ids: Vec<&String> = promised.keys().collect();
    for _ in 0..SAMPLE {
        let id = *rng.pick(&ids);
        let path = format!("/api/v1/incidents/{id}");
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await.expect(200));
        same(id, &here, &there);
        let mut told = promised[id].clone();
        told.as_object_mut().unwrap().remove("severity");
        let missing = lacks(&told, &there);
        assert!(missing.is_empty(), "{id}: {}", missing.join("; "));
    }
    let started = Instant::now();
    hub.audit().await;
    tell(&format!("corpus: audit verify over {all} incidents in {}", figures::time(started.elapsed())));
}
