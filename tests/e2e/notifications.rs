//! Headquarters is told: at once, once, signed; again and again where nobody is there; and nobody who records waits for it.

use aincident_tests::hooks::{Hook, Hooks, SILENCE};
use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::smtp::Smtp;
use aincident_tests::{Hub, Node, Scratch, tell, wait_for, wait_until};
use chassis::clock::{Clock as _, SystemClock, format_rfc3339};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RULES: &str = "/api/v1/notifications";
const LIMIT: Duration = Duration::from_secs(30);
/// Retries have pauses that grow, and a breaker holds back.
const PATIENT: Duration = Duration::from_secs(120);

/// A hub with one store, whose configuration file has `settings`.
async fn hub(scratch: &Scratch, settings: &str) -> Hub {
    let mut hub = Hub::with_stores(scratch, &["042"]).await;
    hub.stop().await;
    let file = scratch.join("hub.toml");
    std::fs::write(&file, settings).unwrap();
    hub.env("AINCIDENT_HUB_CONFIG", file.to_str().unwrap());
    hub.start().await;
    hub
}

async fn ada(hub: &Hub) -> Client {
    hub.login("ada", PASSWORD).await
}

async fn rule(ada: &Client, body: &Value) -> (String, String) {
    let made = ada.post(RULES, body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("secret"))
}

/// Base64, by the book.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number = part.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for at in 0..4 {
            let letter = char::from(LETTERS[(number >> (18 - 6 * at)) as usize & 63]);
            text.push(if at <= part.len() { letter } else { '=' });
        }
    }
    text
}

fn bytes_of(secret: &str) -> Vec<u8> {
    let text = secret.strip_prefix("whsec_").unwrap();
    // A secret of 32 bytes: found by its own spelling, letter by letter.
    let value = |letter: u8| (0..64_u8).find(|at| base64(&[at << 2]).as_bytes()[0] == letter);
    let bits: Vec<u8> = text.bytes().filter_map(value).collect();
    let mut bytes: Vec<u8> = bits
        .chunks(4)
        .flat_map(|four| {
            let number = four.iter().fold(0_u32, |all, six| all << 6 | u32::from(*six)) << (6 * (4 - four.len()));
            number.to_be_bytes()[1..].to_vec()
        })
        .collect();
    bytes.truncate(32);
    assert_eq!(base64(&bytes), text);
    bytes
}

async fn came(hooks: &Hooks, count: usize) -> Vec<Hook> {
    wait_for(&format!("{count} webhooks"), PATIENT, async || {
        Some(hooks.came()).filter(|came| came.len() >= count)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grave_incident_of_a_store_is_told_at_once_and_once_and_signed() {
    let scratch = Scratch::new("notified");
    let hooks = Hooks::start().await;
    let hub = hub(&scratch, &format!("[webhooks]\nallow = ['{}']\n", hooks.url())).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (ada, employee, manager) = (ada(&hub).await, node.employee().await, node.manager().await);
    let url = format!("{}/hook", hooks.url());
    let (id, secret) = rule(&ada, &json!({"name": "grave", "severity_min": 4, "channel": "webhook", "url": url})).await;
    assert_eq!(
        ada.post(RULES, &json!({"name": "x", "channel": "webhook", "url": "http://127.0.0.1:1"}))
            .await
            .status,
        422
    );

    let test = ada.post(&format!("{RULES}/{id}/test"), &json!({})).await.expect(202);
    let first = came(&hooks, 1).await.remove(0);
    assert_eq!((first.id.as_str(), first.path.as_str()), (test["message_id"].as_str().unwrap(), "/hook"));
    assert_eq!(first.json()["type"], "test");

    let body = json!({"description": "Ana Lopez was hit", "category": "assault", "severity": 4});
    let made = employee.post("/api/v1/incidents", &body).await.expect(201);
    let recorded = Instant::now();
    let second = came(&hooks, 2).await.remove(1);
    tell(&format!(
        "notifications: a store's incident is at the receiver after {:.1} s",
        recorded.elapsed().as_secs_f64()
    ));
    let told = second.json();
    assert_eq!((told["type"].as_str(), &told["data"]["incident"]["id"]), (Some("incident.reported"), &made["id"]));
    assert_eq!(told["data"]["incident"]["reference"], made["reference"]);
    assert!(!told.to_string().contains("Lopez"), "{told}");
    let key = bytes_of(&secret);
    assert!(first.is_signed_with(&key, base64) && second.is_signed_with(&key, base64));
    assert!(!Hook { body: b"{}".to_vec(), ..second.clone() }.is_signed_with(&key, base64));
    assert!(!Hook { timestamp: "1".to_owned(), ..second.clone() }.is_signed_with(&key, base64));

    // An edit says nothing again; another incident does.
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let _ = manager.patch(&path, &json!({"severity": 5})).await.expect(200);
    let _ = employee.post("/api/v1/incidents", &json!({"description": "mild", "severity": 1})).await.expect(201);
    let other = employee
        .post("/api/v1/incidents", &json!({"description": "a fire", "severity": 5}))
        .await
        .expect(201);
    let third = came(&hooks, 3).await.remove(2);
    assert_eq!(third.json()["data"]["incident"]["id"], other["id"]);
    let fares = ada.get(RULES).await.expect(200);
    assert!(fares["items"][0]["last_error"].is_null() && fares["items"][0]["last_at"].is_string(), "{fares}");
    assert_eq!(hooks.came().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_while_it_sends_sends_again_under_the_same_id() {
    let scratch = Scratch::new("notified-killed");
    let hooks = Hooks::start().await;
    let mut hub = hub(&scratch, &format!("[webhooks]\nallow = ['{}']\n", hooks.url())).await;
    let mut sender = ada(&hub).await;
    rule(&sender, &json!({"name": "all", "channel": "webhook", "url": hooks.url()})).await;
    let manager = hub.login("manager-042", PASSWORD).await;
    hooks.answer(SILENCE);
    let mut ids = Vec::new();
    for number in 0..3 {
        let body = json!({"description": format!("the {number}th")});
        ids.push(manager.post("/api/v1/incidents", &body).await.expect(201)["id"].clone());
    }
    let before = came(&hooks, 3).await;
    hub.kill();
    hooks.answer(204);
    hub.start().await;
    sender = sender.at(hub.url());
    wait_until("nothing to wait", PATIENT, async || sender.get(RULES).await.expect(200)["items"][0]["waiting"] == 0)
        .await;
    let all = hooks.came();
    for id in &ids {
        let of_it: Vec<&Hook> = all.iter().filter(|hook| hook.json()["data"]["incident"]["id"] == *id).collect();
        assert_eq!(of_it.len(), 2, "before the kill and after it");
        assert_eq!(of_it[0].id, of_it[1].id);
    }
    assert_eq!((before.len(), all.len()), (3, 6));

    // A receiver that sends somewhere else is not followed; one that wants no more is left alone, and a person decides.
    hooks.answer(302);
    let _ = manager.at(hub.url()).post("/api/v1/incidents", &json!({"description": "moved"})).await.expect(201);
    let moved = came(&hooks, 7).await.remove(6);
    wait_until("the reason", LIMIT, async || {
        let fares = sender.get(RULES).await.expect(200);
        fares["items"][0]["last_error"].as_str().is_some_and(|why| why.contains("not followed"))
    })
    .await;
    hooks.answer(410);
    let dead = wait_for("the message to be set aside", PATIENT, async || {
        Some(sender.get(RULES).await.expect(200)["dead"][0].clone()).filter(|dead| dead.is_object())
    })
    .await;
    assert_eq!((dead["id"].as_str(), dead["about"].as_str()), (Some(moved.id.as_str()), Some("incident")));
    assert!(dead["error"].as_str().unwrap().contains("410"), "{dead}");
    hooks.answer(204);
    let _ = sender.post(&format!("/api/v1/jobs/{}/retry", dead["no"]), &json!({})).await.expect(204);
    wait_until("it to arrive", LIMIT, async || {
        let fares = sender.get(RULES).await.expect(200);
        fares["items"][0]["waiting"] == 0 && fares["dead"] == json!([])
    })
    .await;
    let all = hooks.came();
    assert!(all.iter().all(|hook| hook.path == "/") && all.last().unwrap().id == moved.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_away_holds_up_nobody_and_gets_everything_once_it_is_back() {
    let scratch = Scratch::new("notified-mail");
    let mail = Smtp::start().await;
    let port = mail.port();
    let settings = format!(
        "public_url = 'https://incidents.example.com'\n[mail]\nhost = '127.0.0.1'\nport = {port}\ntls = 'none'\nfrom = 'Incidents <incidents@example.com>'\n"
    );
    let hub = hub(&scratch, &settings).await;
    let ada = ada(&hub).await;
    let manager = hub.login("manager-042", PASSWORD).await;
    rule(
        &ada,
        &json!({"name": "Grave", "severity_min": 4, "addresses": ["kim@example.com", "lee@example.com"]}),
    )
    .await;
    let record = async |text: &str| {
        let begun = Instant::now();
        let body = json!({"description": text, "severity": 4, "category": "theft"});
        let made = manager.post("/api/v1/incidents", &body).await.expect(201);
        (made["reference"].as_str().unwrap().to_owned(), begun.elapsed())
    };
    let (reference, _) = record("the first").await;
    let letter = wait_for("a letter", LIMIT, async || mail.came().first().cloned()).await;
    assert_eq!((letter.from.as_str(), letter.to.len()), ("incidents@example.com", 2));
    assert_eq!(letter.header("Subject"), format!("[042] {reference}: Theft, severity 4"));
    assert!(letter.header("Message-ID").starts_with("<msg_"), "{}", letter.text);
    assert!(letter.text.contains("https://incidents.example.com/incidents/"), "{}", letter.text);
    assert!(!letter.text.contains("the first"), "{}", letter.text);

    // Away: recording does not notice.
    drop(mail);
    let (mut references, mut slowest) = (Vec::new(), Duration::ZERO);
    for number in 0..8 {
        let (reference, took) = record(&format!("the {number}th while it is away")).await;
        references.push(reference);
        slowest = slowest.max(took);
    }
    tell(&format!(
        "notifications: with the mail server away, the slowest of 8 incidents took {} ms",
        slowest.as_millis()
    ));
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    wait_until("the breaker to open", PATIENT, async || {
        let figures = String::from_utf8(hub.client().get("/metrics").await.body).unwrap();
        figures.contains("outbound_breaker_open{service=\"smtp\"} 1")
    })
    .await;
    let fares = ada.get(RULES).await.expect(200);
    assert!(fares["items"][0]["last_error"].is_string() && fares["items"][0]["waiting"] == 8, "{fares}");

    let mail = Smtp::at(port).await;
    wait_until("everything to arrive", PATIENT, async || mail.came().len() >= references.len()).await;
    let subjects: Vec<String> = mail.came().iter().map(|letter| letter.header("Subject")).collect();
    for reference in &references {
        assert_eq!(subjects.iter().filter(|subject| subject.contains(reference)).count(), 1, "{subjects:?}");
    }

    // A server that refuses for good is believed, and a person decides.
    mail.refuse(true);
    let (refused, _) = record("refused").await;
    let dead = wait_for("the message to be set aside", LIMIT, async || {
        Some(ada.get(RULES).await.expect(200)["dead"][0].clone()).filter(|dead| dead.is_object())
    })
    .await;
    assert!(dead["error"].as_str().unwrap().contains("no such mailbox"), "{dead}");
    mail.refuse(false);
    let _ = ada.post(&format!("/api/v1/jobs/{}/retry", dead["no"]), &json!({})).await.expect(204);
    wait_until("it to arrive", LIMIT, async || {
        mail.came().iter().any(|letter| letter.header("Subject").contains(&refused))
    })
    .await;

    // One address that is gone keeps the message from nobody else.
    let two = json!({"name": "Two", "categories": ["hazard"], "addresses": ["max@example.com", "gone@example.com"]});
    rule(&ada, &two).await;
    let body = json!({"description": "a puddle", "severity": 1, "category": "hazard"});
    let _ = manager.post("/api/v1/incidents", &body).await.expect(201);
    wait_until("the other one's letter", LIMIT, async || {
        mail.came().iter().any(|letter| letter.to == ["max@example.com"])
    })
    .await;
    wait_until("who has not got it to be named", LIMIT, async || {
        let dead = ada.get(RULES).await.expect(200)["dead"][0].clone();
        dead["error"].as_str().is_some_and(|error| error.contains("all have it but gone@example.com"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stores_own_manager_is_told_of_a_follow_up_whose_time_is_over() {
    let scratch = Scratch::new("notified-store");
    let hooks = Hooks::start().await;
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node-042").await;
    let file = scratch.join("node.toml");
    std::fs::write(&file, format!("[webhooks]\nallow = ['{}']\n", hooks.url())).unwrap();
    node.env("AINCIDENT_NODE_CONFIG", file.to_str().unwrap());
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    rule(&manager, &json!({"name": "late", "about": "overdue", "channel": "webhook", "url": hooks.url()})).await;
    let made = manager.post("/api/v1/incidents", &json!({"description": "call them back"})).await.expect(201);
    let due = format_rfc3339(SystemClock.now_ms() + 3000);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let _ = manager.patch(&path, &json!({"due_at": due})).await.expect(200);
    let told = came(&hooks, 1).await.remove(0).json();
    assert_eq!((told["type"].as_str(), &told["data"]["incident"]["id"]), (Some("incident.overdue"), &made["id"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stores_manager_gets_mail_of_a_grave_incident_though_headquarters_is_gone() {
    let scratch = Scratch::new("notified-store-mail");
    let mail = Smtp::start().await;
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node-042").await;
    let file = scratch.join("node.toml");
    let settings = format!(
        "[mail]\nhost = '127.0.0.1'\nport = {}\ntls = 'none'\nfrom = 'Store 042 <042@example.com>'\n",
        mail.port()
    );
    std::fs::write(&file, settings).unwrap();
    node.env("AINCIDENT_NODE_CONFIG", file.to_str().unwrap());
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, employee) = (node.manager().await, node.employee().await);
    rule(&manager, &json!({"name": "Grave", "severity_min": 4, "addresses": ["mia@example.com"]})).await;
    hub.stop().await;

    let body = json!({"description": "Ana Lopez was hit", "category": "assault", "severity": 4});
    let made = employee.post("/api/v1/incidents", &body).await.expect(201);
    let _ = employee.post("/api/v1/incidents", &json!({"description": "mild", "severity": 1})).await.expect(201);
    let letter = wait_for("a letter", LIMIT, async || mail.came().first().cloned()).await;
    assert_eq!(
        (letter.from.as_str(), letter.to.as_slice()),
        ("042@example.com", &["mia@example.com".to_owned()][..])
    );
    let reference = made["reference"].as_str().unwrap();
    assert!(letter.header("Subject").starts_with(&format!("[042] {reference}: ")), "{}", letter.text);
    assert!(!letter.text.contains("Lopez"), "{}", letter.text);
    wait_until("nothing to wait", LIMIT, async || manager.get(RULES).await.expect(200)["items"][0]["waiting"] == 0)
        .await;
    assert_eq!(mail.came().len(), 1, "once, and of nothing else");
}
