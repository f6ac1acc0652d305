//! A node's folder goes back in time: put back from a copy that was made earlier, with or without what lies beside the
//! database. What anybody was promised is at both sites afterwards, once, and nobody had to do anything.

use aincident_tests::agree::same;
use aincident_tests::compare::by_id;
use aincident_tests::http::Client;
use aincident_tests::wait::wait_until;
use aincident_tests::{Hub, Node, Scratch};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const HEALED: Duration = Duration::from_secs(60);

fn run(program: &str, words: &[&str]) {
    assert!(Command::new(program).args(words).status().unwrap().success(), "{program} {words:?}");
}

/// Copies a node's folder while its process stands still, as a snapshot of its disk would.
fn snapshot(node: &Node, to: &Path) {
    let pid = node.daemon().pid().to_string();
    run("kill", &["-STOP", &pid]);
    run("cp", &["-a", node.folder().to_str().unwrap(), to.to_str().unwrap()]);
    run("kill", &["-CONT", &pid]);
}

/// Puts the copy back in place of the folder; `keeping`: the witness stays as it is.
fn put_back(node: &Node, copy: &Path, keeping: bool) {
    let folder = node.folder().to_str().unwrap();
    let witness = node.folder().join("witness");
    let kept = keeping.then(|| std::fs::read(&witness).unwrap());
    run("rm", &["-rf", folder]);
    run("cp", &["-a", copy.to_str().unwrap(), folder]);
    if let Some(kept) = kept {
        std::fs::write(witness, kept).unwrap();
    }
}

async fn record(client: &Client, description: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": description })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// Both sites show just `promised`, alike.
async fn agree(manager: &Client, harriet: &Client, promised: &BTreeSet<String>) {
    let ids = |list| by_id(list).into_keys().collect::<BTreeSet<String>>();
    assert_eq!(&ids(manager.list("").await), promised);
    assert_eq!(&ids(harriet.list("store=042").await), promised);
    for id in promised {
        let path = format!("/api/v1/incidents/{id}");
        same(id, &manager.get(&path).await.expect(200), &harriet.get(&path).await.expect(200));
    }
}

/// A folder goes back to a copy, people record while headquarters is away, and the line comes back.
async fn restored(name: &str, keeping_the_witness: bool) {
    let scratch = Scratch::new(name);
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let mut promised = BTreeSet::new();
    for n in 0..3 {
        promised.insert(record(&manager, &format!("before the copy {n}")).await);
    }
    node.drained(&manager, HEALED).await;
    let copy = scratch.join("copy");
    snapshot(&node, &copy);
    for n in 0..4 {
        promised.insert(record(&manager, &format!("after the copy {n}")).await);
    }
    node.drained(&manager, HEALED).await;
    wait_until("headquarters to have them", HEALED, async || harriet.total().await == 7).await;
    // Ended in order, the witness is as far as the ledger.
    node.stop().await;
    put_back(&node, &copy, keeping_the_witness);

    node.link().go_down();
    node.start().await;
    let manager = node.manager().await;
    assert_eq!(manager.total().await, 3, "it is the copy");
    // The witness knows at once; without it only headquarters can tell.
    assert_eq!(node.status().await["notice"].is_string(), keeping_the_witness);
    let mut first = String::new();
    for n in 0..6 {
        first = record(&manager, &format!("with headquarters away {n}")).await;
        promised.insert(first.clone());
    }
    let edit = json!({ "title": "edited with headquarters away" });
    let _ = manager.patch(&format!("/api/v1/incidents/{first}"), &edit).await.expect(200);
    node.link().heal();

    wait_until("everything to be at both sites", HEALED, async || {
        manager.total().await == 13 && harriet.total().await == 13
    })
    .await;
    node.drained(&manager, HEALED).await;
    agree(&manager, &harriet, &promised).await;
    let status = node.status().await;
    let notice = status["notice"].as_str().unwrap();
    assert!(notice.contains("backup") && notice.contains("4 came back"), "{notice}");
    assert_eq!(status["quarantined"], 0);
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_put_back_from_a_backup_is_found_out_before_anything_is_recorded_in_it() {
    restored("witness", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_folder_put_back_from_a_backup_heals_when_headquarters_is_back() {
    restored("folder", false).await;
}
