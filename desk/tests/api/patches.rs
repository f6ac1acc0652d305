use crate::site::Site;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_merge_patch_changes_what_it_names_and_nothing_else() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let given = json!({
        "description": "x", "zone": "aisle", "tags": ["a"], "loss": {"amount_minor": 5, "currency": "EUR"}, "custom": {"a": 1, "b": 2},
        "people": [{"name": "Anna", "contact": "1"}, {"name": "Bo"}],
    });
    let (location, before) = hub.incident(&kim, given).await;
    let anna = before["people"][0].clone();
    let patch = json!({
        "title": "t", "zone": null, "tags": ["b"], "loss": {"amount_minor": 6, "currency": null}, "custom": {"a": null, "c": "3"},
        "people": [anna, {"name": "Cy"}],
    });
    let after = hub.patch(&kim, &location, &patch).await.expect(200);
    assert_eq!(after["title"], "t");
    assert_eq!(after["description"], "x");
    assert_eq!(after["zone"], Value::Null);
    assert_eq!(after["tags"], json!(["b"]));
    assert_eq!(after["loss"], json!({"amount_minor": 6, "recovered_minor": null, "currency": null}));
    assert_eq!(after["custom"], json!({"b": 2, "c": "3"}));
    assert_eq!(after["people"][0], anna);
    assert_eq!(after["people"][1]["name"], "Cy");
    assert_eq!(after["people"].as_array().unwrap().len(), 2);
    assert_ne!(after["version"], before["version"]);
    let blank = hub.patch(&kim, &location, &json!({"title": " "})).await.expect(200);
    assert_eq!(blank["title"], "x");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_leaves_no_trace() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let (location, before) = hub.incident(&kim, json!({"description": "x", "people": [{"name": "Anna"}]})).await;
    for patch in [
        json!({}),
        json!({"description": "x", "severity": 3, "status": "submitted"}),
        json!({"people": [{"name": "Anna"}], "loss": {}}),
    ] {
        assert_eq!(hub.patch(&kim, &location, &patch).await.expect(200), before, "{patch}");
    }
    assert_eq!(
        hub.get(&kim, &format!("{location}/history")).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["kind"] != "created")
            .count(),
        0
    );
}

#[tokio::test]
async fn a_stale_if_match_changes_nothing() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let created = hub.post(&kim, "/api/v1/incidents", &json!({"description": "x"})).await;
    let (location, etag) = (created.header("location").to_owned(), created.header("etag").to_owned());
    let patch = |etag: &str, title: &str| {
        hub.ask("PATCH", &location)
            .token(&kim)
            .header("if-match", etag)
            .json(&json!({"title": title}))
            .send()
    };
    let first = patch(&etag, "one").await;
    assert_ne!(first.header("etag"), etag);
    let now = first.header("etag").to_owned();
    first.expect(200);
    patch(&etag, "two").await.problem(412);
    patch(&format!("W/{now}"), "two").await.problem(412);
    assert_eq!(patch(&format!("\"x\", {now}"), "three").await.expect(200)["title"], "three");
    assert_eq!(patch("*", "four").await.expect(200)["title"], "four");
    // A comment shows in the answer, so the tag changes with it.
    let before = hub.get(&kim, &location).await.header("etag").to_owned();
    hub.post(&kim, &format!("{location}/comments"), &json!({"body": "c"})).await.expect(201);
    patch(&before, "five").await.problem(412);
}

#[tokio::test]
async fn the_workflow_goes_the_ways_there_are() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (location, _) = hub.incident(&kim, json!({"description": "x", "status": "draft"})).await;
    let step = |token: &str, body: Value| {
        let (hub, location, token) = (&hub, &location, token.to_owned());
        async move { hub.patch(&token, location, &body).await }
    };
    assert_eq!(step(&kim, json!({"status": "submitted", "title": "t"})).await.expect(200)["status"], "submitted");
    step(&kim, json!({"status": "in_review"})).await.problem(403);
    assert_eq!(step(&mia, json!({"status": "in_review"})).await.expect(200)["status"], "in_review");
    step(&kim, json!({"title": "late"})).await.problem(403);
    assert_eq!(step(&mia, json!({"status": "draft"})).await.fields(), ["status"]);
    assert_eq!(step(&mia, json!({"status": "nonsense"})).await.fields(), ["status"]);
    assert_eq!(step(&mia, json!({"status": null})).await.fields(), ["status"]);
    assert_eq!(step(&mia, json!({"reason": "r"})).await.fields(), ["reason"]);
    assert_eq!(
        step(&mia, json!({"status": "needs_info", "reason": "which till?"})).await.expect(200)["status"],
        "needs_info"
    );
    // Asked for more, the reporter may write again.
    assert_eq!(step(&kim, json!({"title": "till 4", "status": "submitted"})).await.expect(200)["title"], "till 4");
    assert_eq!(step(&mia, json!({"status": "closed"})).await.expect(200)["status"], "closed");
    assert_eq!(step(&mia, json!({"status": "void"})).await.fields(), ["reason"]);
    assert_eq!(step(&mia, json!({"status": "void", "reason": "twice"})).await.expect(200)["status"], "void");
    let history = hub.get(&mia, &format!("{location}/history")).await.expect(200);
    let last = history["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["kind"], &last["from"], &last["to"], &last["reason"]),
        (&json!("step"), &json!("closed"), &json!("void"), &json!("twice"))
    );
    assert_eq!((&last["actor"], &last["site"]), (&json!("mia"), &json!("hub")));
}

#[tokio::test]
async fn an_employee_edits_their_own_report_only() {
    let hub = Site::hub().await;
    let (kim, lee, mia) = (hub.login("kim").await, hub.login("lee").await, hub.login("mia").await);
    let (location, _) = hub.incident(&kim, json!({"description": "x"})).await;
    hub.patch(&lee, &location, &json!({"title": "t"})).await.problem(403);
    hub.patch(&kim, &location, &json!({"title": "t"})).await.expect(200);
    hub.patch(&mia, &location, &json!({"title": "u"})).await.expect(200);
    for body in [json!({"status": "closed"}), json!({"status": "void", "reason": "r"})] {
        hub.patch(&kim, &location, &body).await.problem(403);
    }
}

#[tokio::test]
async fn what_the_system_sets_and_what_there_is_not_is_named() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let (location, incident) = hub.incident(&kim, json!({"description": "x"})).await;
    let fields = |body: Value| {
        let (hub, kim, location) = (&hub, &kim, &location);
        async move { hub.patch(kim, location, &body).await.fields() }
    };
    assert_eq!(fields(json!({"id": incident["id"], "store_code": "042"})).await, ["id", "store_code"]);
    assert_eq!(
        fields(json!({"recorded_at": "2026-01-01T00:00:00Z", "received_at": null})).await,
        ["received_at", "recorded_at"]
    );
    assert_eq!(fields(json!({"description": null})).await, ["description"]);
    assert_eq!(fields(json!({"loss": {"color": 1}})).await, ["loss.color"]);
    assert_eq!(fields(json!({"duplicate_of": incident["id"]})).await, ["duplicate_of"]);
    assert_eq!(fields(json!([])).await, [""]);
    let other = hub.ask("PATCH", &location).token(&kim).text("application/json-patch+json", "[]").send().await;
    other.problem(415);
}

#[tokio::test]
async fn the_history_says_who_changed_what_from_what_to_what() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (location, _) = hub.incident(&kim, json!({"description": "x", "severity": 2})).await;
    hub.clock.advance(60_000);
    hub.patch(&mia, &location, &json!({"severity": 4})).await.expect(200);
    let history = hub.get(&kim, &format!("{location}/history")).await.expect(200);
    let edit = history["items"].as_array().unwrap().iter().find(|item| item["kind"] == "edited").unwrap();
    assert_eq!(edit["at"], "2026-11-20T00:01:00Z");
    assert_eq!(
        (&edit["actor"], &edit["field"], &edit["from"], &edit["to"], &edit["lost"]),
        (&json!("mia"), &json!("severity"), &json!(2), &json!(4), &json!(false))
    );

    // Where nobody had said anything people saw what stands for that.
    let (location, _) = hub.incident(&kim, json!({"description": "x"})).await;
    hub.patch(&mia, &location, &json!({"severity": 4, "category": "theft"})).await.expect(200);
    hub.patch(&mia, &location, &json!({"severity": null})).await.expect(200);
    let history = hub.get(&kim, &format!("{location}/history")).await.expect(200);
    let edits: Vec<_> = history["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "edited").collect();
    let told: BTreeSet<String> =
        edits.iter().map(|edit| format!("{} {} {}", edit["field"], edit["from"], edit["to"])).collect();
    let expected = ["\"severity\" 3 4", "\"severity\" 4 3", "\"category\" \"other\" \"theft\""];
    assert_eq!(told, expected.into_iter().map(str::to_owned).collect());
}
