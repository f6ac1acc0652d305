//! What is in quarantine, for those who may see and settle it.

use crate::site::{Site, T0};
use desk::ledger::QuarantineQuery;
use serde_json::{Value, json};
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::change::ChangeId;
use sync_protocol::message::Limits;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Pushes `bodies` as a node of `store` would, under a stream of its own; answers its name.
async fn push(hub: &Site, store: &str, bodies: &[String]) -> Uuid {
    let origin = hub.desk.ids().new_v7(T0);
    let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), bodies), &Limits::default()).unwrap();
    let node = hub.desk.ids().new_v7(T0);
    hub.desk.ledger().take_push(node, Scope::Store(store.to_owned()), push, T0).await.unwrap();
    origin
}

fn report(id: Uuid, set: Value) -> String {
    json!({"at": T0, "by": "kim", "id": id, "kind": "incident", "new": true, "set": set}).to_string()
}

#[tokio::test]
async fn managers_see_what_is_in_quarantine_of_their_own_store_and_employees_see_nothing() {
    let hub = Site::hub().await;
    let bad = report(
        hub.desk.ids().new_v7(T0),
        json!({"description": "x", "severity": 9, "reference": "042-2026-000001-AA"}),
    );
    let origin = push(&hub, "042", &[bad.clone(), "rubbish".to_owned()]).await;
    let path = format!("/api/v1/quarantine/{origin}:1");
    for (username, statuses) in [("kim", [403, 403, 403, 403]), ("max", [200, 404, 404, 404])] {
        let token = hub.login(username).await;
        let reason = json!({"reason": "no"});
        let answers = [
            hub.get(&token, "/api/v1/quarantine").await,
            hub.get(&token, &path).await,
            hub.ask("POST", &format!("{path}/retry")).token(&token).send().await,
            hub.post(&token, &format!("{path}/discard"), &reason).await,
        ];
        for (answer, status) in answers.into_iter().zip(statuses) {
            let seen = answer.expect(status);
            assert!(status != 200 || seen == json!({"items": [], "next_cursor": null}), "{seen}");
        }
        let edit = json!({"set": {"description": "y"}, "reason": "no"});
        assert_eq!(hub.post(&token, &format!("{path}/edit"), &edit).await.status, statuses[3]);
    }
    hub.ask("GET", "/api/v1/quarantine").send().await.problem(401);
    for username in ["mia", "hana", "ada"] {
        let token = hub.login(username).await;
        let seen = hub.get(&token, "/api/v1/quarantine").await.expect(200);
        let items = seen["items"].as_array().unwrap();
        assert_eq!(items.len(), 2, "{username}");
        assert_eq!(
            (&items[0]["code"], &items[0]["body"], &items[0]["kind"]),
            (&json!("malformed"), &json!("rubbish"), &Value::Null)
        );
        assert_eq!(
            (&items[1]["code"], &items[1]["body"], &items[1]["body_is_cut"]),
            (&json!("bad-value"), &json!(bad), &json!(false))
        );
        assert_eq!(
            (&items[1]["store_code"], &items[1]["by"], &items[1]["state"]),
            (&json!("042"), &json!("kim"), &json!("open"))
        );
        assert_eq!(items[1]["id"], format!("{origin}:1"));
        assert!(items[1]["reason"].as_str().unwrap().starts_with("severity: "), "{}", items[1]);
        // Page by page.
        let first = hub.get(&token, "/api/v1/quarantine?limit=1").await.expect(200);
        let next = format!("/api/v1/quarantine?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
        let second = hub.get(&token, &next).await.expect(200);
        assert_eq!((&first["items"][0], &second["items"][0]), (&items[0], &items[1]));
        assert_eq!(second["next_cursor"], Value::Null);
    }
    let token = hub.login("ada").await;
    assert_eq!(hub.get(&token, "/api/v1/quarantine?cursor=x").await.fields(), ["cursor"]);
    assert_eq!(hub.get(&token, "/api/v1/quarantine?limit=0").await.fields(), ["limit"]);
    assert_eq!(hub.get(&token, "/api/v1/quarantine?settled=maybe").await.fields(), ["settled"]);
    for id in ["x", "1:2", &format!("{origin}:3"), &format!("{origin}:+1")] {
        hub.get(&token, &format!("/api/v1/quarantine/{id}")).await.problem(404);
    }
}

#[tokio::test]
async fn a_manager_corrects_a_report_and_the_one_that_came_stays_kept() {
    let hub = Site::hub().await;
    let id = hub.desk.ids().new_v7(T0);
    let bodies = [
        report(id, json!({"description": "x", "severity": 9, "reference": "042-2026-000001-AA"})),
        json!({"at": T0, "by": "kim", "id": id, "kind": "incident", "set": {"zone": "aisle"}}).to_string(),
    ];
    let origin = push(&hub, "042", &bodies).await;
    let mia = hub.login("mia").await;
    let path = format!("/api/v1/quarantine/{origin}:1");
    assert_eq!(hub.get(&mia, &path).await.expect(200)["waiting"], 1);
    let still = hub.ask("POST", &format!("{path}/retry")).token(&mia).send().await.expect(200);
    assert_eq!((&still["state"], &still["history"][0]["action"]), (&json!("open"), &json!("retry")));
    // Only the first of a record's changes is settled; what waits goes on by itself.
    hub.post(&mia, &format!("/api/v1/quarantine/{origin}:2/retry"), &json!({})).await.problem(409);
    let edit = |set: Value, reason: &str| json!({"set": set, "reason": reason});
    for (body, field) in [
        (edit(json!({"description": "x"}), " "), "reason"),
        (edit(json!({}), "r"), "set"),
        (edit(json!({"description": "x", "severity": 9}), "r"), "severity"),
        (edit(json!({"description": "x", "colour": "red"}), "r"), "colour"),
        (edit(json!({"zone": "aisle"}), "r"), "description"),
        (json!({"set": {"description": "x"}, "reason": "r", "kind": "comment"}), "kind"),
        (
            json!({"set": {"description": "x"}, "reason": "r", "record_id": hub.desk.ids().new_v7(T0)}),
            "record_id",
        ),
        (json!({"set": {"description": "x"}, "reason": "r", "by": "pat"}), "by"),
    ] {
        assert_eq!(hub.post(&mia, &format!("{path}/edit"), &body).await.fields(), [field], "{body}");
    }
    let body = edit(json!({"description": "x", "severity": 4}), "a typing mistake");
    let settled = hub.post(&mia, &format!("{path}/edit"), &body).await.expect(200);
    assert_eq!((&settled["state"], &settled["body"]), (&json!("settled"), &json!(bodies[0])));
    let word = &settled["history"][1];
    assert_eq!(
        (&word["action"], &word["by"], &word["site"], &word["reason"]),
        (&json!("edit"), &json!("mia"), &json!("hub"), &json!("a typing mistake"))
    );
    let incident = hub.get(&mia, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(
        (&incident["severity"], &incident["zone"], &incident["reference"], &incident["reported_by"]),
        (&json!(4), &json!("aisle"), &json!("042-2026-000001-AA"), &json!("mia"))
    );
    let instead = hub
        .get(&mia, &format!("/api/v1/quarantine/{}", word["instead"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!((&instead["state"], &instead["by"]), (&json!("applied"), &json!("mia")));
    let detail = hub.post(&mia, &format!("{path}/discard"), &json!({"reason": "no"})).await.problem(409);
    assert!(detail["detail"].as_str().unwrap().contains("mia"), "{detail}");
    assert_eq!(hub.get(&mia, "/api/v1/quarantine").await.expect(200)["items"], json!([]));
    let list = hub.get(&mia, "/api/v1/quarantine?settled=true").await.expect(200);
    assert_eq!(list["items"][0]["id"], format!("{origin}:1"));
}

#[tokio::test]
async fn a_long_body_is_cut_where_it_is_shown_and_a_password_is_nobodys_to_see() {
    let hub = Site::hub().await;
    let long =
        report(hub.desk.ids().new_v7(T0), json!({"description": "x", "severity": 9, "note": "é".repeat(60_000)}));
    let account = json!({"at": T0, "by": "kim", "id": hub.desk.ids().new_v7(T0), "kind": "account", "new": true,
        "set": {"username": "eve", "role": "admin", "password_hash": "$argon2id$secret"}})
    .to_string();
    let origin = push(&hub, "042", &[long.clone(), account]).await;
    let mia = hub.login("mia").await;
    let item = hub.get(&mia, &format!("/api/v1/quarantine/{origin}:1")).await.expect(200);
    assert_eq!((&item["body_bytes"], &item["body_is_cut"]), (&json!(long.len()), &json!(true)));
    assert!(long.starts_with(item["body"].as_str().unwrap()));
    let list = hub.get(&mia, "/api/v1/quarantine").await;
    assert!(list.bytes.len() < 20_000 && !String::from_utf8_lossy(&list.bytes).contains("secret"));
    let account = hub.get(&mia, &format!("/api/v1/quarantine/{origin}:2")).await;
    assert!(!String::from_utf8_lossy(&account.bytes).contains("secret"));
    assert_eq!(account.json()["code"], "not-yours");
    let edit = json!({"set": {"username": "eve"}, "reason": "r"});
    assert_eq!(hub.post(&mia, &format!("/api/v1/quarantine/{origin}:2/edit"), &edit).await.fields(), ["kind"]);
}

#[tokio::test]
async fn after_an_upgrade_everything_is_tried_again_once() {
    let hub = Site::hub().await;
    let ids: Vec<Uuid> = (0..3).map(|_| hub.desk.ids().new_v7(T0)).collect();
    for id in &ids {
        let origin = hub.desk.ids().new_v7(T0);
        let bodies = [report(*id, json!({"description": "fine"}))];
        let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), &bodies), &Limits::default()).unwrap();
        let scope = Scope::Store("042".to_owned());
        let kept = hub.desk.ledger().keep_failed(hub.desk.ids().new_v7(T0), scope, push, "it failed".to_owned(), T0);
        kept.await.unwrap();
    }
    let bad = push(&hub, "042", &[report(hub.desk.ids().new_v7(T0), json!({"description": "x", "severity": 9}))]).await;
    assert_eq!(desk::quarantine::after_upgrade(&hub.desk, "9.9.9").await.unwrap(), 3);
    assert_eq!(desk::quarantine::after_upgrade(&hub.desk, "9.9.9").await.unwrap(), 0);
    let query = QuarantineQuery { limit: 10, ..QuarantineQuery::default() };
    let open = hub.desk.ledger().quarantine(query).await.unwrap();
    assert_eq!(open.iter().map(|item| item.id).collect::<Vec<_>>(), [ChangeId { origin: bad, seq: 1 }]);
    let mia = hub.login("mia").await;
    for id in ids {
        hub.get(&mia, &format!("/api/v1/incidents/{id}")).await.expect(200);
    }
}
