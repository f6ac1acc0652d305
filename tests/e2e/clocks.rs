//! Clocks that are years off: what is recorded is taken, marked and wins nothing by it, both sites agree, the three times stay
//! apart, and nobody is let in for years or locked out for years.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::load::Promised;
use aincident_tests::{Hub, Node, Scratch, wait_until};
use chassis::clock::{Clock as _, SystemClock, parse_rfc3339};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);
const MOVED: &str = "AINCIDENT_TEST_CLOCK_OFFSET_MS";
const DAY_MS: i64 = 86_400_000;
/// 2031-07-01T00:00:00Z.
const IN_2031_MS: i64 = 1_940_630_400_000;
/// 1970-01-02T00:00:00Z.
const IN_1970_MS: i64 = DAY_MS;

/// What to move a clock by so that it stands at `at_ms` now.
fn offset_to(at_ms: i64) -> i64 {
    at_ms - SystemClock.now_ms()
}

fn time(value: &Value) -> i64 {
    parse_rfc3339(value.as_str().unwrap_or_default()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// A store whose PC is `offset_ms` off reports, headquarters edits, and both agree; then the clock is set right.
async fn a_store_whose_clock_is_off(name: &str, offset_ms: i64) {
    let scratch = Scratch::new(name);
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.env(MOVED, &offset_ms.to_string());
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    assert!(node.daemon().log_tail(200).contains("CLOCK IS MOVED"), "it is not said aloud");
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let occurred = "2026-10-05T12:00:00Z";
    let report = json!({ "description": "a wrong clock", "zone": "office", "occurred_at": occurred });
    let before_ms = SystemClock.now_ms();
    let made = manager.post("/api/v1/incidents", &report).await.expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the report at headquarters", PATIENCE, async || harriet.get(&path).await.status == 200).await;

    // Three times: the person's, the PC's, headquarters'.
    let there = harriet.get(&path).await.expect(200);
    assert_eq!(there["occurred_at"], occurred);
    assert!((time(&there["recorded_at"]) - before_ms - offset_ms).abs() < DAY_MS, "{there}");
    assert!((time(&there["received_at"]) - before_ms).abs() < DAY_MS, "{there}");
    assert_eq!(there["clock_off"], true, "{there}");

    // It wins nothing: headquarters edits what it has seen, and keeps it.
    let _ = harriet.patch(&path, &json!({ "zone": "parking" })).await.expect(200);
    wait_until("headquarters' edit in the store", PATIENCE, async || {
        manager.get(&path).await.json()["zone"] == "parking"
    })
    .await;
    let _ = manager.patch(&path, &json!({ "title": "from the store" })).await.expect(200);
    node.drained(&manager, PATIENCE).await;
    let history = harriet.get(&format!("{path}/history")).await.expect(200);
    let marked = |site: &str| {
        let items = history["items"].as_array().unwrap().iter().filter(|line| line["site"] == site);
        items.map(|line| line["clock_off"] == true).collect::<Vec<_>>()
    };
    assert!(marked("042").iter().all(|off| *off) && marked("hub").iter().all(|off| !off), "{history}");

    // Measured, and shown on both sides.
    let sync = manager.get("/api/v1/sync").await.expect(200);
    let measured = sync["clock_offset_ms"].as_i64().unwrap();
    assert!((measured - offset_ms).abs() < 60_000, "{sync}");
    let way = if offset_ms > 0 { "ahead" } else { "behind" };
    assert!(sync["state"].as_str().is_some_and(|state| state.contains(way) && state.contains("clock")), "{sync}");
    assert!((node.status().await["clock_offset_ms"].as_i64().unwrap() - offset_ms).abs() < 60_000);
    wait_until("the offset in the fleet list", PATIENCE, async || {
        let fleet = harriet.get("/api/v1/nodes").await.expect(200);
        (fleet["items"][0]["clock_offset_ms"].as_i64().unwrap() - offset_ms).abs() < 60_000
    })
    .await;
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;

    // Somebody sets the clock right. Old sessions end or have ended, everybody gets in, and the store's edits are edits like
    // any other.
    let _ = node
        .client()
        .post("/api/v1/login", &json!({ "username": "employee-042", "password": "wrong" }))
        .await;
    node.stop().await;
    node.env(MOVED, "0");
    node.start().await;
    let old = manager.at(node.url());
    assert_eq!(old.get("/api/v1/me").await.status, 401, "a session of a clock that was years off");
    let (manager, _) = (node.manager().await, node.employee().await);
    let _ = manager.patch(&path, &json!({ "zone": "aisle" })).await.expect(200);
    node.drained(&manager, PATIENCE).await;
    let _ = harriet.patch(&path, &json!({ "zone": "checkout" })).await.expect(200);
    wait_until("the later edit at both", PATIENCE, async || {
        manager.get(&path).await.json()["zone"] == "checkout" && harriet.get(&path).await.json()["zone"] == "checkout"
    })
    .await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "by a right clock" })).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let newest = harriet.list("q=right").await.remove(0);
    assert!(newest["clock_off"].is_null(), "{newest}");
    assert_eq!(manager.get("/api/v1/sync").await.expect(200)["state"], "in step with headquarters");
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pc_in_2031_reports_is_marked_and_wins_no_edit_by_it() {
    a_store_whose_clock_is_off("in-2031", offset_to(IN_2031_MS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pc_in_1970_reports_is_marked_and_loses_nothing_by_it() {
    a_store_whose_clock_is_off("in-1970", offset_to(IN_1970_MS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pc_two_hours_ahead_that_was_cut_off_is_marked_at_once_and_wins_no_edit_of_those_two_hours() {
    let scratch = Scratch::new("two-hours");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    let ahead = (2 * 3_600_000).to_string();
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.env(MOVED, &ahead);
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let record = async |client: &Client, text: &str| -> Value {
        client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201)
    };
    let made = record(&manager, "before").await;
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    node.drained(&manager, PATIENCE).await;

    // Headquarters is gone, and the PC knows what time it is there: before and after the program is started again, and when
    // somebody has set its clock right.
    hub.stop().await;
    let _ = manager.patch(&path, &json!({ "zone": "office" })).await.expect(200);
    assert_eq!(record(&manager, "cut off").await["clock_off"], true);
    node.stop().await;
    node.start().await;
    assert_eq!(record(&node.manager().await, "started again").await["clock_off"], true);
    node.stop().await;
    node.env(MOVED, "0");
    node.start().await;
    assert!(record(&node.manager().await, "set right").await["clock_off"].is_null());
    node.stop().await;
    node.env(MOVED, &ahead);

    // Headquarters edits after the store did, and does not know of it yet: the later edit stays.
    hub.start().await;
    let harriet = hub.harriet().await;
    let _ = harriet.patch(&path, &json!({ "zone": "parking" })).await.expect(200);
    node.follow(&hub);
    node.start().await;
    let manager = node.manager().await;
    node.drained(&manager, PATIENCE).await;
    wait_until("the later edit in the store", PATIENCE, async || {
        manager.get(&path).await.json()["zone"] == "parking"
    })
    .await;
    assert_eq!(harriet.get(&path).await.expect(200)["zone"], "parking");
    for (text, is_off) in [("started", Value::Bool(true)), ("right", Value::Null)] {
        assert_eq!(harriet.list(&format!("q={text}")).await.remove(0)["clock_off"], is_off, "{text}");
    }
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_clock_jumps_back_from_2031_shuts_nobody_out_and_lets_nobody_stay_in() {
    let scratch = Scratch::new("hub-2031");
    let mut hub = Hub::new(&scratch);
    hub.env(MOVED, &offset_to(IN_2031_MS).to_string());
    hub.user_add("ada", "admin", None, PASSWORD).await;
    hub.user_add("harriet", "hq", None, PASSWORD).await;
    hub.store_add("042", "Downtown", "America/Chicago").await;
    hub.user_add("manager-042", "manager", Some("042"), PASSWORD).await;
    hub.start().await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let made = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    node.drained(&manager, PATIENCE).await;
    let _ = harriet.patch(&path, &json!({ "zone": "parking" })).await.expect(200);
    wait_until("the edit in the store", PATIENCE, async || manager.get(&path).await.json()["zone"] == "parking").await;
    let stale = hub.node_code("042").await;
    for _ in 0..6 {
        let wrong = json!({ "username": "ada", "password": "wrong" });
        let _ = hub.client().post("/api/v1/login", &wrong).await;
    }

    hub.stop().await;
    hub.env(MOVED, "0");
    hub.start().await;
    node.follow(&hub);
    assert_eq!(harriet.at(hub.url()).get("/api/v1/me").await.status, 401, "a session until 2031");
    let (harriet, _ada) = (hub.harriet().await, hub.login("ada", PASSWORD).await);
    let late = Node::new(&scratch, &hub, "042", "late").await;
    let line = late.enroll(&stale).await.refused(1, "a code until 2031");
    assert!(line.contains("too old"), "{line}");
    late.enroll(&hub.node_code("042").await).await.ok("enroll with a fresh code");
    // Replication goes on, in both directions.
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "after" })).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let _ = harriet.patch(&path, &json!({ "location": "aisle 7" })).await.expect(200);
    wait_until("an edit since, in the store", PATIENCE, async || {
        manager.get(&path).await.json()["location"] == "aisle 7"
    })
    .await;
    // What headquarters wrote in 2031 does not stand until 2031.
    let _ = manager.patch(&path, &json!({ "zone": "checkout" })).await.expect(200);
    node.drained(&manager, PATIENCE).await;
    for client in [&manager, &harriet] {
        assert_eq!(client.get(&path).await.expect(200)["zone"], "checkout");
    }
    let fleet = harriet.get("/api/v1/nodes").await.expect(200);
    let first = fleet["items"].as_array().unwrap().iter().find(|item| item["name"] != "late").unwrap().clone();
    assert_eq!(first["online"], true, "{fleet}");
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leap_days_and_the_hour_that_comes_twice_are_kept_as_they_were_and_days_that_there_are_not_are_refused() {
    let scratch = Scratch::new("calendar");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    // The store is in Chicago: on 2026-11-01 half past one comes twice, on 2026-03-08 half past two does not come.
    let given = [
        ("2024-02-29T23:59:59-06:00", "2024-03-01T05:59:59Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
        ("2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00Z"),
        ("2026-11-01T01:30:00-06:00", "2026-11-01T07:30:00Z"),
        ("2026-03-08T02:30:00-06:00", "2026-03-08T08:30:00Z"),
    ];
    for (typed, kept) in given {
        let report = json!({ "description": typed, "occurred_at": typed });
        let made = manager.post("/api/v1/incidents", &report).await.expect(201);
        assert_eq!(time(&made["occurred_at"]), time(&kept.into()), "{typed}: {made}");
    }
    for none in ["2026-02-29T12:00:00Z", "1900-02-29T12:00:00Z", "2026-02-30T12:00:00Z", "2026-11-01T24:30:00Z"] {
        let report = json!({ "description": none, "occurred_at": none });
        let refused = manager.post("/api/v1/incidents", &report).await;
        assert!((400..500).contains(&refused.status), "{none}: {}", refused.status);
    }
    // A PC on a leap day to come, and one whose clock goes through the hour that comes twice.
    for at in ["2028-02-29T23:59:58Z", "2026-11-01T06:59:58Z"] {
        node.stop().await;
        node.env(MOVED, &offset_to(time(&at.into())).to_string());
        node.start().await;
        let manager = node.manager().await;
        let before = manager.post("/api/v1/incidents", &json!({ "description": "before the turn" })).await.expect(201);
        assert_eq!(before["recorded_at"].as_str().unwrap()[..10], at[..10], "{before}");
        wait_until("the hour to turn", PATIENCE, async || {
            let made = manager.post("/api/v1/incidents", &json!({ "description": "turning" })).await.expect(201);
            made["recorded_at"].as_str().unwrap()[11..13] != at[11..13]
        })
        .await;
        node.drained(&manager, PATIENCE).await;
    }
    node.stop().await;
    node.env(MOVED, "0");
    node.start().await;
    let manager = node.manager().await;
    node.drained(&manager, PATIENCE).await;
    let order = async |client: &Client| -> Vec<String> {
        let list = client.list("category=other").await;
        list.iter().map(|incident| incident["occurred_at"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(order(&manager).await, order(&harriet).await);
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}
