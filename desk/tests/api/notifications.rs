//! Whom a site tells of what: rules, and what there is to tell. How it is sent is in `receivers.rs` and in
//! `tests/e2e/notifications.rs`.

use super::site::{Site, T0};
use chassis::mail::MailLayer;
use chassis::webhooks::WebhookLayer;
use desk::ledger::{NewCode, NewMessage, NewNode, Noted};
use desk::notifications::follow::{DEAD_MS, Follower, MOST_PER_HOUR};
use desk::notifications::letter::Wording;
use desk::notifications::rule::{Language, What};
use desk::notifications::{MOST_TESTS_PER_HOUR, Notifier, letter};
use serde_json::{Value, json};
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::message::Limits;
use sync_protocol::scope::Scope;
use uuid::Uuid;

const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
pub const RULES: &str = "/api/v1/notifications";

async fn hub() -> Site {
    let site = Site::hub().await;
    able(&site);
    site
}

/// The site may send mail and webhooks; it sends none, because nothing runs its jobs.
fn able(site: &Site) {
    let mail = MailLayer {
        host: Some("smtp.example.com".to_owned()),
        from: Some("incidents@example.com".to_owned()),
        ..MailLayer::default()
    };
    let webhooks = WebhookLayer::default().settle().unwrap();
    site.desk.set_notifier(Notifier::new(mail.settle().unwrap(), webhooks, Box::new(Bare)).unwrap());
}

/// Keys and what is put in, without any language: how messages are worded is for `pages`.
#[derive(Debug)]
pub struct Bare;

impl Wording for Bare {
    fn with(&self, _: Language, key: &str, values: &[&str]) -> String {
        format!("{key} {}", values.join(" "))
    }

    fn of(&self, _: Language, _: &str, name: &str) -> String {
        name.to_owned()
    }
}

fn mail(about: &str) -> Value {
    json!({"name": "grave", "about": about, "addresses": ["kim@example.com"]})
}

pub async fn rule(site: &Site, token: &str, body: &Value) -> Value {
    site.post(token, RULES, body).await.expect(201)
}

/// Looks until nothing is left to be looked at.
pub async fn look(site: &Site, follower: &mut Follower) {
    while follower.look(&site.desk, true).await.unwrap() {}
}

/// How many messages of the only rule wait to be sent, and how many things for its digest.
pub async fn waiting(site: &Site) -> (u64, u64) {
    let rows = site.desk.ledger().notification_rules(true).await.unwrap();
    assert_eq!(rows.len(), 1);
    (rows[0].waiting, rows[0].gathered)
}

#[tokio::test]
async fn rules_are_kept_by_administrators_at_headquarters_and_by_managers_at_a_store() {
    let hub = hub().await;
    let node = Site::node(&hub).await;
    able(&node);
    let ada = hub.login("ada").await;
    for (site, username, status) in [(&hub, "hana", 403), (&hub, "mia", 403), (&node, "kim", 403)] {
        let token = site.login(username).await;
        site.get(&token, RULES).await.problem(status);
        site.post(&token, RULES, &mail("incident")).await.problem(status);
        let one = format!("{RULES}/{}", Uuid::nil());
        site.patch(&token, &one, &json!({"enabled": false})).await.problem(status);
        site.ask("DELETE", &one).token(&token).send().await.problem(status);
        site.ask("POST", &format!("{one}/test")).token(&token).send().await.problem(status);
        site.ask("POST", &format!("{one}/secret")).token(&token).send().await.problem(status);
    }
    hub.ask("GET", RULES).send().await.problem(401);
    rule(&hub, &ada, &mail("silent")).await;
    let mia = node.login("mia").await;
    rule(&node, &mia, &mail("incident")).await;
    assert_eq!(node.post(&mia, RULES, &mail("silent")).await.fields(), ["about"]);
    // What one site tells is no other site's business.
    assert_eq!(node.get(&mia, RULES).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_webhooks_secret_is_told_once_and_addresses_are_looked_at() {
    let hub = hub().await;
    let ada = hub.login("ada").await;
    let hook = json!({"name": "hook", "channel": "webhook", "url": "https://example.com/hook", "severity_min": 4});
    let made = rule(&hub, &ada, &hook).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let listed = hub.get(&ada, RULES).await.expect(200);
    assert_eq!(listed["items"][0]["url"], "https://example.com/hook");
    assert!(!listed.to_string().contains(secret) && listed["items"][0].get("secret").is_none());
    let one = format!("{RULES}/{}", made["id"].as_str().unwrap());
    let renewed = hub.ask("POST", &format!("{one}/secret")).token(&ada).send().await.expect(200);
    assert_ne!(renewed["secret"].as_str().unwrap(), secret);
    let changed = hub.patch(&ada, &one, &json!({"severity_min": 5, "enabled": false})).await.expect(200);
    assert_eq!((changed["severity_min"].as_u64(), changed["enabled"].as_bool()), (Some(5), Some(false)));
    assert!(changed.get("secret").is_none() && changed["name"] == "hook");
    for (wrong, field) in [
        (json!({"url": "http://example.com/hook"}), "url"),
        (json!({"url": "https://169.254.169.254/"}), "url"),
        (json!({"channel": "mail"}), "url"),
        (json!({"severity_min": 6}), "severity_min"),
        (json!({"severity": 5}), "severity"),
    ] {
        assert!(hub.patch(&ada, &one, &wrong).await.fields().contains(&field.to_owned()), "{wrong}");
    }
    assert_eq!(hub.post(&ada, RULES, &json!({"name": "x", "addresses": ["nobody"]})).await.fields(), ["addresses"]);
    assert_eq!(hub.post(&ada, RULES, &json!({"name": "x", "colour": 1})).await.fields(), ["colour"]);
    let mail = rule(&hub, &ada, &mail("incident")).await;
    let mail = format!("{RULES}/{}", mail["id"].as_str().unwrap());
    hub.ask("POST", &format!("{mail}/secret")).token(&ada).send().await.problem(409);
    hub.ask("DELETE", &one).token(&ada).send().await.expect(204);
    hub.ask("DELETE", &one).token(&ada).send().await.problem(404);
    for _ in 1..50 {
        rule(&hub, &ada, &hook).await;
    }
    hub.post(&ada, RULES, &hook).await.problem(409);
}

#[tokio::test]
async fn tests_of_all_rules_together_are_so_many_an_hour() {
    let hub = hub().await;
    let ada = hub.login("ada").await;
    let mut path = String::new();
    for at in 0..MOST_TESTS_PER_HOUR {
        if at % 5 == 0 {
            // A rule that is made anew begins no new count.
            if at > 0 {
                hub.ask("DELETE", path.trim_end_matches("/test")).token(&ada).send().await.expect(204);
            }
            let made = rule(&hub, &ada, &mail("incident")).await;
            path = format!("{RULES}/{}/test", made["id"].as_str().unwrap());
        }
        hub.ask("POST", &path).token(&ada).send().await.expect(202);
        hub.clock.advance(1000);
    }
    let refused = hub.ask("POST", &path).token(&ada).send().await;
    let wait_s = HOUR / 1000 - MOST_TESTS_PER_HOUR as i64;
    assert_eq!(refused.header("retry-after"), wait_s.to_string());
    refused.problem(429);
    hub.clock.advance(wait_s * 1000);
    hub.ask("POST", &path).token(&ada).send().await.expect(202);
    hub.ask("POST", &path).token(&ada).send().await.problem(429);
}

#[tokio::test]
async fn an_incident_is_told_once_when_it_is_submitted_or_becomes_grave_enough() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    hub.incident(&mia, json!({"description": "before there was a rule", "severity": 5})).await;
    let made = rule(&hub, &ada, &json!({"name": "grave", "severity_min": 4, "addresses": ["kim@example.com"]})).await;
    let mut follower = Follower::new(T0);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (0, 0));

    let (grave, _) = hub.incident(&mia, json!({"description": "a robbery", "severity": 4})).await;
    let (mild, _) = hub.incident(&mia, json!({"description": "a nuisance", "severity": 1})).await;
    let (draft, _) = hub.incident(&mia, json!({"description": "half", "severity": 5, "status": "draft"})).await;
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (1, 0));
    hub.patch(&mia, &grave, &json!({"severity": 5})).await.expect(200);
    look(&hub, &mut follower).await;
    // Another process that begins from the start tells nothing again.
    look(&hub, &mut Follower::new(T0)).await;
    assert_eq!(waiting(&hub).await, (1, 0));
    hub.patch(&mia, &mild, &json!({"severity": 4})).await.expect(200);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (2, 0));
    hub.patch(&mia, &draft, &json!({"status": "submitted"})).await.expect(200);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (3, 0));

    // Disabled, and enabled again: what happened in between is not told.
    let one = format!("{RULES}/{}", made["id"].as_str().unwrap());
    hub.patch(&ada, &one, &json!({"enabled": false})).await.expect(200);
    hub.incident(&mia, json!({"description": "in between", "severity": 5})).await;
    look(&hub, &mut follower).await;
    hub.patch(&ada, &one, &json!({"enabled": true})).await.expect(200);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (3, 0));
    hub.incident(&mia, json!({"description": "after", "severity": 5})).await;
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (4, 0));
    // A rule that is deleted takes along what it had to tell.
    hub.ask("DELETE", &one).token(&ada).send().await.expect(204);
    assert!(hub.desk.jobs().counts().await.unwrap().iter().all(|count| count.kind != "notify"));
}

#[tokio::test]
async fn many_incidents_at_once_and_old_ones_come_in_a_digest() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let made = rule(&hub, &ada, &mail("incident")).await;
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let mut follower = Follower::new(T0);
    let most = u64::from(MOST_PER_HOUR);
    for number in 0..most + 8 {
        hub.incident(&mia, json!({"description": format!("the {number}th")})).await;
    }
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (most, 8));
    hub.clock.advance(HOUR - 1);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (most, 8));
    hub.clock.advance(1);
    look(&hub, &mut follower).await;
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (most + 1, 0));

    // One that was recorded a week ago is no news.
    hub.incident(&mia, json!({"description": "late"})).await;
    hub.clock.advance(8 * DAY);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (most + 1, 1));
    hub.clock.advance(HOUR);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (most + 2, 0));

    // What the digest says is read when it is sent.
    let rows = hub.desk.ledger().notification_rules(false).await.unwrap();
    let digest = What::Digest { after: 0, to: most as i64 + 8, count: 8 };
    let message = hub.desk.ledger().waiting_message(&digest.id(id)).await.unwrap().unwrap();
    let told = letter::write(&hub.desk, &Bare, &rows[0], &message).await.unwrap().unwrap();
    assert_eq!(told.subject, "letter.digest grave 8");
    assert_eq!(told.body["data"]["items"].as_array().unwrap().len(), 8);
    assert_eq!(told.text.matches("[042] 042-2026-5").count(), 8, "{}", told.text);
}

#[tokio::test]
async fn a_daily_rule_gathers_until_its_hour() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let daily = json!({"name": "day", "delivery": "daily", "digest_hour": 6, "addresses": ["kim@example.com"]});
    rule(&hub, &ada, &daily).await;
    let mut follower = Follower::new(T0);
    hub.incident(&mia, json!({"description": "one"})).await;
    hub.incident(&mia, json!({"description": "two"})).await;
    hub.clock.advance(5 * HOUR);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (0, 2));
    hub.clock.advance(HOUR);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (1, 0));
}

#[tokio::test]
async fn a_follow_up_that_is_overdue_is_told_unless_somebody_was_faster() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let mut follower = Follower::new(T0);
    // Also of incidents from before the first rule.
    let (early, _) = hub.incident(&mia, json!({"description": "early"})).await;
    hub.patch(&mia, &early, &json!({"due_at": "2026-11-21T00:00:00Z"})).await.expect(200);
    rule(&hub, &ada, &mail("overdue")).await;
    let (closed, _) = hub.incident(&mia, json!({"description": "closed in time"})).await;
    let (moved, _) = hub.incident(&mia, json!({"description": "moved"})).await;
    for path in [&closed, &moved] {
        hub.patch(&mia, path, &json!({"due_at": "2026-11-21T00:00:00Z"})).await.expect(200);
    }
    look(&hub, &mut follower).await;
    hub.patch(&mia, &closed, &json!({"status": "in_review"})).await.expect(200);
    hub.patch(&mia, &closed, &json!({"status": "closed"})).await.expect(200);
    hub.patch(&mia, &moved, &json!({"due_at": "2026-11-23T00:00:00Z"})).await.expect(200);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (0, 0));
    hub.clock.set(T0 + DAY);
    look(&hub, &mut follower).await;
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (1, 0));
    hub.clock.set(T0 + 3 * DAY);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (2, 0));
    // An edit of one that was told says nothing again.
    hub.patch(&mia, &early, &json!({"location": "aisle 4"})).await.expect(200);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (2, 0));
}

#[tokio::test]
async fn an_osha_deadline_is_told_before_it_is_over_and_when_it_is() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    rule(&hub, &ada, &mail("osha")).await;
    let mut follower = Follower::new(T0);
    let people = json!([{"roles": ["victim"], "name": "Ana", "injury": {"treatment": "in_patient"}}]);
    let hurt = json!({"description": "fell", "category": "employee_injury", "people": people});
    hub.incident(&mia, hurt).await;
    for (hours, told) in [(0, 0), (17, 0), (18, 1), (23, 1), (24, 2), (48, 2)] {
        hub.clock.set(T0 + hours * HOUR);
        look(&hub, &mut follower).await;
        assert_eq!(waiting(&hub).await, (told, 0), "{hours} h");
    }
}

#[tokio::test]
async fn a_store_that_headquarters_does_not_hear_of_is_told_once_for_each_silence() {
    let hub = hub().await;
    let ada = hub.login("ada").await;
    let nodes: Vec<Uuid> = (0..2).map(|_| hub.desk.ids().new_v7(T0)).collect();
    for (number, node_id) in nodes.iter().enumerate() {
        let code_hash = [number as u8; 32];
        let (store_code, created_by) = ("042".to_owned(), "ada".to_owned());
        let code = NewCode { code_hash, store_code, created_by, created_ms: T0, expires_ms: T0 + DAY };
        hub.desk.ledger().add_code(code).await.unwrap();
        let (name, version) = (format!("till {number}"), "1".to_owned());
        let node = NewNode {
            code_hash,
            node_id: *node_id,
            name,
            version,
            now_ms: T0,
            clock_offset_ms: 0,
            only_store: None,
        };
        hub.desk.ledger().enrol(node).await.unwrap();
    }
    rule(
        &hub,
        &ada,
        &json!({"name": "s", "about": "silent", "silent_minutes": 60, "addresses": ["a@example.com"]}),
    )
    .await;
    let mut follower = Follower::new(T0);
    let minute = 60_000;
    let call = async |node: Uuid, at_ms: i64| {
        hub.desk
            .ledger()
            .note_contact(node, sync_protocol::message::NodeStatus::default(), at_ms)
            .await
            .unwrap();
    };
    // One PC of the store is enough.
    call(nodes[1], T0 + 30 * minute).await;
    for (minutes, told) in [(59, 0), (61, 0), (89, 0), (90, 1), (600, 1)] {
        hub.clock.set(T0 + minutes * minute);
        look(&hub, &mut follower).await;
        assert_eq!(waiting(&hub).await, (told, 0), "{minutes}");
    }
    call(nodes[0], T0 + 601 * minute).await;
    hub.clock.set(T0 + 700 * minute);
    // A hub that has just begun has given nobody a chance.
    let mut begun = Follower::new(T0 + 690 * minute);
    look(&hub, &mut begun).await;
    assert_eq!(waiting(&hub).await, (1, 0));
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (2, 0));
}

#[tokio::test]
async fn a_message_tells_nothing_that_people_wrote() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let made = rule(&hub, &ada, &mail("incident")).await;
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let body = json!({
        "description": "Maria Gomez hit the clerk", "title": "Gomez again", "location": "by the door",
        "people": [{"roles": ["suspect"], "name": "Maria Gomez"}], "category": "assault", "severity": 4,
    });
    let (_, incident) = hub.incident(&mia, body).await;
    look(&hub, &mut Follower::new(T0)).await;
    let rows = hub.desk.ledger().notification_rules(false).await.unwrap();
    let what = What::Incident { incident_id: incident["id"].as_str().unwrap().parse().unwrap() };
    let message = hub.desk.ledger().waiting_message(&what.id(id)).await.unwrap().unwrap();
    let told = letter::write(&hub.desk, &Bare, &rows[0], &message).await.unwrap().unwrap();
    let all = format!("{} {} {}", told.subject, told.text, told.body);
    for said in ["Gomez", "clerk", "door"] {
        assert!(!all.contains(said), "{said} in {all}");
    }
    let reference = incident["reference"].as_str().unwrap();
    assert_eq!(told.subject, format!("[042] {reference}: letter.kind assault 4"));
    assert!(told.text.contains("letter.store 042 Downtown"), "{}", told.text);
    assert_eq!(told.body["type"], "incident.reported");
    assert_eq!(told.body["data"]["incident"]["reference"], reference);
    assert_eq!(told.body["data"]["rule"]["name"], "grave");
}

#[tokio::test]
async fn what_waited_in_quarantine_is_told_once_it_is_in_its_incident() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    rule(&hub, &ada, &json!({"name": "grave", "severity_min": 4, "addresses": ["kim@example.com"]})).await;
    let (id, origin, node) = (hub.desk.ids().new_v7(T0), hub.desk.ids().new_v7(T0), hub.desk.ids().new_v7(T0));
    let change = |new: bool, set: Value| {
        let mut body = json!({"at": T0, "by": "kim", "id": id, "kind": "incident", "set": set});
        if new {
            body["new"] = json!(true);
        }
        body.to_string()
    };
    let bodies = [
        change(true, json!({"description": "x", "severity": 1, "reference": "042-2026-000001-AA"})),
        change(false, json!({"severity": 9})),
        change(false, json!({"severity": 5})),
    ];
    let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), &bodies), &Limits::default()).unwrap();
    hub.desk.ledger().take_push(node, Scope::Store("042".to_owned()), push, T0).await.unwrap();
    let mut follower = Follower::new(T0);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (0, 0));
    let path = format!("/api/v1/quarantine/{origin}:2/discard");
    hub.post(&mia, &path, &json!({"reason": "a slip"})).await.expect(200);
    let now = hub.get(&mia, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(now["severity"], 5);
    look(&hub, &mut follower).await;
    assert_eq!(waiting(&hub).await, (1, 0));
}

#[tokio::test]
async fn a_daily_message_keeps_to_the_clocks_of_its_store_or_of_the_zone_that_it_names() {
    let hub = hub().await;
    let node = Site::node(&hub).await;
    able(&node);
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let daily = |more: Value| {
        let mut body = json!({"name": "day", "delivery": "daily", "addresses": ["kim@example.com"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, zone) in [
        (json!({}), "UTC"),
        (json!({"stores": ["042"]}), "America/Chicago"),
        (json!({"stores": ["042", "007"]}), "UTC"),
        (json!({"stores": ["042"], "timezone": "Europe/Athens"}), "Europe/Athens"),
    ] {
        let made = rule(&hub, &ada, &daily(more.clone())).await;
        assert_eq!(made["digest_timezone"], zone, "{more}");
        let one = format!("{RULES}/{}", made["id"].as_str().unwrap());
        hub.ask("DELETE", &one).token(&ada).send().await.expect(204);
    }
    let at_store = rule(&node, &node.login("mia").await, &daily(json!({}))).await;
    assert_eq!(at_store["digest_timezone"], "America/Chicago");
    assert_eq!(hub.post(&ada, RULES, &daily(json!({"timezone": "Mars/Olympus"}))).await.fields(), ["timezone"]);

    // T0 is six in the evening in Chicago: six in the morning there is twelve hours later, not six.
    let made = rule(&hub, &ada, &daily(json!({"stores": ["042"]}))).await;
    let mut follower = Follower::new(T0);
    hub.incident(&mia, json!({"description": "one"})).await;
    for (hours, told) in [(6, 0), (11, 0), (12, 1)] {
        hub.clock.set(T0 + hours * HOUR);
        look(&hub, &mut follower).await;
        assert_eq!(waiting(&hub).await.0, told, "{hours} h");
    }
    let one = format!("{RULES}/{}", made["id"].as_str().unwrap());
    let moved = hub.patch(&ada, &one, &json!({"timezone": "Asia/Tokyo"})).await.expect(200);
    assert_eq!((&moved["timezone"], &moved["digest_timezone"]), (&json!("Asia/Tokyo"), &json!("Asia/Tokyo")));
    let back = hub.patch(&ada, &one, &json!({"timezone": null})).await.expect(200);
    assert_eq!((&back["timezone"], &back["digest_timezone"]), (&Value::Null, &json!("America/Chicago")));
}

#[tokio::test]
async fn form_301_is_told_of_before_its_week_is_over_and_when_it_is() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    rule(&hub, &ada, &mail("osha")).await;
    let mut follower = Follower::new(T0);
    let people = json!([{"roles": ["victim"], "name": "Ana", "injury": {"treatment": "medical"}}]);
    hub.incident(&mia, json!({"description": "a cut", "category": "employee_injury", "people": people}))
        .await;
    for (hours, told) in [(0, 0), (119, 0), (120, 1), (167, 1), (168, 2), (400, 2)] {
        hub.clock.set(T0 + hours * HOUR);
        look(&hub, &mut follower).await;
        assert_eq!(waiting(&hub).await, (told, 0), "{hours} h");
    }
}

#[tokio::test]
async fn a_message_that_arrives_late_says_of_when_it_is() {
    let hub = hub().await;
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    let made = rule(&hub, &ada, &json!({"name": "a", "stores": ["042"], "addresses": ["kim@example.com"]})).await;
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let (_, incident) = hub.incident(&mia, json!({"description": "x"})).await;
    look(&hub, &mut Follower::new(T0)).await;
    let what = What::Incident { incident_id: incident["id"].as_str().unwrap().parse().unwrap() };
    let message = hub.desk.ledger().waiting_message(&what.id(id)).await.unwrap().unwrap();
    let text = async || {
        let rows = hub.desk.ledger().notification_rules(false).await.unwrap();
        letter::write(&hub.desk, &Bare, &rows[0], &message).await.unwrap().unwrap().text
    };
    assert!(!text().await.contains("letter.late"));
    hub.clock.set(T0 + 20 * DAY);
    let late = text().await;
    assert!(late.contains("letter.late 2026-11-19 18:00 CST"), "{late}");
}

/// Keeps so many messages of the rule, all set aside.
async fn set_aside(site: &Site, rule_id: Uuid, count: i64) {
    let messages = (0..count).map(|n| NewMessage { rule_id, what: What::Test { at_ms: n }, gathered: false }).collect();
    let noted = Noted { messages, ..Noted::default() };
    site.desk.ledger().note_notifications(noted, u32::MAX, site.clock.advance(0)).await.unwrap();
    let jobs = site.desk.jobs();
    while let Some(job) = jobs.take("notify", i64::MAX, &[]).await.unwrap() {
        jobs.bury(job.no, "refused".to_owned()).await.unwrap();
    }
}

#[tokio::test]
async fn what_could_not_be_sent_is_listed_page_by_page_sent_again_at_once_and_forgotten_in_the_end() {
    let hub = hub().await;
    let (ada, hana) = (hub.login("ada").await, hub.login("hana").await);
    let made = rule(&hub, &ada, &mail("incident")).await;
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    set_aside(&hub, id, 130).await;
    let first = hub.get(&ada, RULES).await.expect(200);
    assert_eq!((first["dead"].as_array().unwrap().len(), first["dead_count"].as_u64()), (100, Some(130)));
    let next = format!("{RULES}?dead_before={}", first["next_dead_before"]);
    let second = hub.get(&ada, &next).await.expect(200);
    let numbers = |page: &Value| -> Vec<i64> {
        page["dead"].as_array().unwrap().iter().map(|dead| dead["no"].as_i64().unwrap()).collect()
    };
    let all = [numbers(&first), numbers(&second)].concat();
    assert!(all.len() == 130 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    assert_eq!(second["next_dead_before"], Value::Null);
    assert_eq!(hub.get(&ada, &format!("{RULES}?dead_before=x")).await.fields(), ["dead_before"]);

    let all_again = format!("{RULES}/dead/retry");
    hub.post(&hana, &all_again, &json!({})).await.problem(403);
    assert_eq!(hub.post(&ada, &all_again, &json!({})).await.expect(200)["count"], 130);
    assert_eq!(hub.post(&ada, &all_again, &json!({})).await.expect(200)["count"], 0);
    assert_eq!(waiting(&hub).await, (130, 0));

    // Nobody decides: kept for so long from when it is seen to be set aside, then counted.
    set_aside(&hub, id, 0).await;
    look(&hub, &mut Follower::new(T0)).await;
    hub.clock.set(T0 + DEAD_MS);
    look(&hub, &mut Follower::new(T0)).await;
    let count = async || {
        let ada = hub.login("ada").await;
        let list = hub.get(&ada, RULES).await.expect(200);
        (list["dead_count"].as_u64().unwrap(), list["dead_forgotten"].as_u64().unwrap())
    };
    assert_eq!(count().await, (130, 0));
    hub.clock.advance(1);
    look(&hub, &mut Follower::new(T0)).await;
    assert_eq!(count().await, (0, 130));
}
