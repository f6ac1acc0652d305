use crate::site::Site;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn whatever_is_reported_at_the_same_time_each_stands_or_is_refused_for_itself() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let id = uuid::Uuid::from_u128(0x0198_b4c0_0000_7000_8000_0000_0000_0077).hyphenated().to_string();
    let people = |n: usize| (0..n).map(|n| json!({"name": format!("P{n}"), "roles": ["witness"]})).collect::<Vec<_>>();
    let tags = |n: usize| (0..n).map(|n| format!("tag-{n}")).collect::<Vec<_>>();
    let custom =
        |n: usize| (0..n).map(|n| (format!("key_{n}"), json!("\u{1}".repeat(40)))).collect::<serde_json::Map<_, _>>();
    let bodies = [
        json!({"description": "plain"}),
        json!({"id": id, "description": "the same id"}),
        json!({"id": id, "description": "the same id"}),
        json!({"id": id, "description": "the same id, something else"}),
        json!({"description": "\u{1}\u{2}\"\\".repeat(4000)}),
        json!({"description": "x".repeat(20_000)}),
        json!({"description": "x".repeat(200_000)}),
        json!({"description": "nulls", "zone": null, "location": null, "loss": null, "police": null}),
        json!({"description": "ends before it begins", "occurred_at": "2026-11-20T10:00:00Z", "occurred_to": "2026-11-20T09:00:00Z"}),
        json!({"description": "people", "people": people(50)}),
        json!({"description": "too many people", "people": people(600)}),
        json!({"description": "tags", "tags": tags(20)}),
        json!({"description": "too many tags", "tags": tags(21)}),
        json!({"description": "custom", "custom": custom(50)}),
        json!({"description": "too many custom", "custom": custom(500)}),
        json!({"description": "status", "status": "draft"}),
        json!({"description": "reference", "reference": "042-2026-000001-AA"}),
        json!({"description": "\u{fffd}\u{202e}\u{0}"}),
    ];
    let mut taken = BTreeSet::new();
    for round in 0..6 {
        let asked = bodies.iter().enumerate().map(|(n, body)| {
            let key = format!("key-{}", (n + round) % 7);
            let ask = hub.ask("POST", "/api/v1/incidents").token(&kim).header("idempotency-key", &key);
            let ask = if n % 2 == 0 { ask } else { hub.ask("POST", "/api/v1/incidents").token(&kim) };
            ask.json(body).send()
        });
        for (body, answer) in bodies.iter().zip(futures::future::join_all(asked).await) {
            let (status, text) = (answer.status.as_u16(), body.to_string());
            assert!([200, 201, 409, 413, 422].contains(&status), "{status} for {}", &text[..text.len().min(80)]);
            if status < 300 {
                taken.insert(answer.json()["id"].as_str().unwrap().to_owned());
            }
        }
    }
    // What was taken is there, and nothing of what was refused.
    let total = hub.get(&kim, "/api/v1/stats").await.expect(200)["total"].clone();
    assert_eq!(total, taken.len());
    for id in taken {
        hub.get(&kim, &format!("/api/v1/incidents/{id}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_description_is_enough_and_everything_else_has_a_default() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let answer = hub
        .post(&kim, "/api/v1/incidents", &json!({"description": "A bottle fell.\nNobody was hurt."}))
        .await;
    let (location, etag) = (answer.header("location").to_owned(), answer.header("etag").to_owned());
    let incident = answer.expect(201);
    assert_eq!(location, format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap()));
    let expected = json!({
        "store_code": "042", "title": "A bottle fell.", "status": "submitted", "severity": 3, "category": "other", "tags": [],
        "occurred_at": "2026-11-20T00:00:00Z", "recorded_at": "2026-11-20T00:00:00Z", "received_at": "2026-11-20T00:00:00Z",
        "occurred_precision": "exact", "reported_by": "kim", "reported_by_name": "KIM of 042", "people": [], "items": [],
        "photos": [], "comments": [], "photo_count": 0, "comment_count": 0, "thumbnail_url": null, "deleted": false,
        "zone": null, "location": null, "assigned_to": null, "custom": {},
        "loss": {"amount_minor": null, "recovered_minor": null, "currency": null},
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&incident[name], value, "{name}");
    }
    // In Chicago it is still the 19th, of the same year.
    assert!(incident["reference"].as_str().unwrap().starts_with("042-2026-"));
    let read = hub.get(&kim, &location).await;
    assert_eq!(read.header("etag"), etag);
    assert_eq!(read.header("cache-control"), "private, no-cache");
    assert_eq!(read.expect(200), incident);
    let known = hub.ask("GET", &location).token(&kim).header("if-none-match", &etag).send().await;
    assert_eq!(known.header("etag"), etag);
    known.expect(304);
}

#[tokio::test]
async fn everything_given_comes_back() {
    let hub = Site::hub().await;
    let mia = hub.login("mia").await;
    let (_, original) = hub.incident(&mia, json!({"description": "first"})).await;
    let given = json!({
        "description": "x", "title": "t", "occurred_at": "2026-11-19T10:00:00.250Z", "occurred_to": "2026-11-19T11:00:00Z",
        "occurred_precision": "range", "category": "theft", "subcategory": "spirits", "tags": ["a", "b"], "severity": 4, "status": "draft",
        "zone": "aisle", "location": "between 4 and 5",
        "loss": {"amount_minor": 1250, "recovered_minor": 0, "currency": "EUR"},
        "police": {"agency": "PD", "officer": "O", "report_number": "7"}, "ambulance": true, "cctv": {"camera": "3", "clip": "a"},
        "assigned_to": "mia", "due_at": "2026-12-01T00:00:00Z", "duplicate_of": original["id"],
        "custom": {"till": 4, "shift": "late", "planned": false},
        "people": [
            {"id": "0198b4c0-0000-7000-8000-000000000001", "name": "Anna", "roles": ["witness", "customer"], "statement": "I saw it"},
            {"id": "0198b4c0-0000-7000-8000-000000000002", "roles": ["victim"], "injury": {"treatment": "first_aid", "days_away": 2}},
        ],
        "items": [{"id": "0198b4c0-0000-7000-8000-000000000003", "description": "gin", "quantity": 2, "value_minor": 1250, "outcome": "stolen"}],
    });
    let (location, incident) = hub.incident(&mia, given.clone()).await;
    for (name, value) in given.as_object().unwrap() {
        assert_eq!(&incident[name], value, "{name}");
    }
    // What was read can be sent back without what the system sets, and changes nothing.
    let version = incident["version"].clone();
    let same = hub.patch(&mia, &location, &given).await.expect(200);
    assert_eq!(same["version"], version);
}

#[tokio::test]
async fn a_repeat_records_nothing_new_even_after_edits() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let body = json!({"id": "0198b4c0-0000-7000-8000-00000000000a", "description": "x", "people": [{"name": "Anna"}]});
    let first = hub.post(&kim, "/api/v1/incidents", &body).await;
    let location = first.header("location").to_owned();
    hub.patch(&kim, &location, &json!({"title": "edited"})).await.expect(200);
    let again = hub.post(&kim, "/api/v1/incidents", &body).await;
    assert_eq!(again.header("location"), location);
    assert_eq!(again.expect(201)["title"], "edited");
    let mut other = body.clone();
    other["description"] = json!("y");
    hub.post(&kim, "/api/v1/incidents", &other).await.problem(409);
    assert_eq!(hub.get(&kim, "/api/v1/incidents").await.expect(200)["items"].as_array().unwrap().len(), 1);

    let keyed = |key: &str, body: &Value| {
        hub.ask("POST", "/api/v1/incidents").token(&kim).header("idempotency-key", key).json(body).send()
    };
    let one = keyed("form 1", &json!({"description": "k"})).await;
    let two = keyed("form 1", &json!({"description": "k"})).await;
    assert_eq!(one.header("location"), two.header("location"));
    two.expect(201);
    keyed("form 1", &json!({"description": "other"})).await.problem(409);
    // The same words under an id that this key was not used with are another incident.
    let own = json!({"id": "0198b4c0-0000-7000-8000-00000000000c", "description": "k"});
    keyed("form 1", &own).await.problem(409);
    assert_eq!(keyed(&"k".repeat(201), &json!({"description": "k"})).await.fields(), ["Idempotency-Key"]);
    // Somebody else's key is another key.
    let lee = hub.login("lee").await;
    let other = hub
        .ask("POST", "/api/v1/incidents")
        .token(&lee)
        .header("idempotency-key", "form 1")
        .json(&json!({"description": "k"}))
        .send()
        .await;
    assert_ne!(other.header("location"), one.header("location"));
}

#[tokio::test]
async fn an_id_in_another_store_is_taken_and_nothing_more_is_told() {
    let hub = Site::hub().await;
    let (kim, max) = (hub.login("kim").await, hub.login("max").await);
    let body = json!({"id": "0198b4c0-0000-7000-8000-00000000000b", "description": "x"});
    hub.post(&kim, "/api/v1/incidents", &body).await.expect(201);
    let same = hub.post(&max, "/api/v1/incidents", &body).await.problem(409);
    let other = hub
        .post(&max, "/api/v1/incidents", &json!({"id": body["id"], "description": "y"}))
        .await
        .problem(409);
    assert_eq!(same, other);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let post = |body: Value| {
        let hub = &hub;
        let kim = &kim;
        async move { hub.post(kim, "/api/v1/incidents", &body).await.fields() }
    };
    assert_eq!(post(json!({})).await, ["description"]);
    assert_eq!(post(json!({"description": "  "})).await, ["description"]);
    assert_eq!(post(json!({"description": "x".repeat(20_001)})).await, ["description"]);
    assert_eq!(
        post(json!({"description": "x", "colour": 1, "people": [{"religion": "x"}]})).await,
        ["colour", "people[0].religion"]
    );
    assert_eq!(
        post(json!({"description": "x", "reported_by": "lee", "reference": "1", "version": "2"})).await,
        ["reference", "reported_by", "version"]
    );
    assert_eq!(post(json!({"description": "x", "status": "closed"})).await, ["status"]);
    assert_eq!(post(json!({"description": "x", "severity": 6})).await, ["severity"]);
    assert_eq!(post(json!({"description": "x", "store_code": "007"})).await, ["store_code"]);
    assert_eq!(post(json!({"description": "x", "id": "7"})).await, ["id"]);
    assert_eq!(
        post(json!({"description": "x", "duplicate_of": "0198b4c0-0000-7000-8000-00000000000c"})).await,
        ["duplicate_of"]
    );
    assert_eq!(
        post(json!({"description": "x", "occurred_at": "2026-01-02T00:00:00Z", "occurred_to": "2026-01-01T00:00:00Z"}))
            .await,
        ["occurred_to"]
    );
    assert_eq!(post(json!([])).await, [""]);
    hub.ask("POST", "/api/v1/incidents")
        .token(&kim)
        .text("application/json", "{\"description\": ")
        .send()
        .await
        .problem(400);
    hub.ask("POST", "/api/v1/incidents").token(&kim).text("text/plain", "x").send().await.problem(415);
    let large = json!({"description": "x", "title": "y".repeat(300 * 1024)}).to_string();
    hub.ask("POST", "/api/v1/incidents")
        .token(&kim)
        .text("application/json", large)
        .send()
        .await
        .problem(413);
    let longest = hub.incident(&kim, json!({"description": "ż".repeat(20_000)})).await.1;
    assert_eq!(longest["description"].as_str().unwrap().chars().count(), 20_000);
}

#[tokio::test]
async fn headquarters_names_a_store_that_there_is() {
    let hub = Site::hub().await;
    let hana = hub.login("hana").await;
    let post = |body| {
        let hub = &hub;
        let hana = &hana;
        async move { hub.post(hana, "/api/v1/incidents", &body).await }
    };
    assert_eq!(post(json!({"description": "x"})).await.fields(), ["store_code"]);
    assert_eq!(post(json!({"description": "x", "store_code": "999"})).await.fields(), ["store_code"]);
    assert_eq!(post(json!({"description": "x", "store_code": "007"})).await.expect(201)["store_code"], "007");
}

#[tokio::test]
async fn an_assignee_has_to_be_somebody_who_may_see_the_store() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (location, _) = hub.incident(&kim, json!({"description": "x"})).await;
    for wrong in ["max", "nobody", "system:cli"] {
        assert_eq!(
            hub.patch(&mia, &location, &json!({"assigned_to": wrong})).await.fields(),
            ["assigned_to"],
            "{wrong}"
        );
    }
    assert_eq!(hub.patch(&mia, &location, &json!({"assigned_to": "Lee"})).await.expect(200)["assigned_to"], "lee");
    assert_eq!(hub.patch(&mia, &location, &json!({"assigned_to": "hana"})).await.expect(200)["assigned_to"], "hana");
    hub.patch(&kim, &location, &json!({"assigned_to": null})).await.problem(403);
    assert_eq!(
        hub.patch(&mia, &location, &json!({"assigned_to": null})).await.expect(200)["assigned_to"],
        Value::Null
    );
}

#[tokio::test]
async fn another_stores_incident_is_not_there() {
    let hub = Site::hub().await;
    let (kim, max, hana) = (hub.login("kim").await, hub.login("max").await, hub.login("hana").await);
    let (location, incident) = hub.incident(&kim, json!({"description": "x"})).await;
    hub.get(&max, &location).await.problem(404);
    hub.get(&max, &format!("{location}/history")).await.problem(404);
    hub.patch(&max, &location, &json!({"title": "t"})).await.problem(404);
    hub.ask("DELETE", &location).token(&max).send().await.problem(404);
    hub.ask("POST", &format!("{location}/restore")).token(&max).send().await.problem(404);
    hub.post(&max, &format!("{location}/comments"), &json!({"body": "x"})).await.problem(404);
    assert_eq!(hub.get(&hana, &location).await.expect(200), incident);
    hub.get(&kim, "/api/v1/incidents/0198b4c0-0000-7000-8000-0000000000ff").await.problem(404);
    hub.get(&kim, "/api/v1/incidents/nonsense").await.problem(404);
}

#[tokio::test]
async fn a_deleted_incident_is_gone_until_a_manager_brings_it_back() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (location, incident) = hub.incident(&kim, json!({"description": "x"})).await;
    let delete = |token: &str| hub.ask("DELETE", &location).token(token).send();
    delete(&kim).await.problem(403);
    hub.ask("DELETE", &location).token(&mia).header("if-match", "\"old\"").send().await.problem(412);
    delete(&mia).await.expect(204);
    delete(&mia).await.expect(204);
    hub.get(&mia, &location).await.problem(410);
    hub.patch(&mia, &location, &json!({"title": "t"})).await.problem(410);
    hub.post(&mia, &format!("{location}/comments"), &json!({"body": "x"})).await.problem(410);
    hub.get(&kim, &format!("{location}/history")).await.problem(410);
    let history = hub.get(&mia, &format!("{location}/history")).await.expect(200);
    assert_eq!(history["items"].as_array().unwrap().last().unwrap()["kind"], "deleted");
    let listed = |items: &Value| items["items"].as_array().unwrap().len();
    assert_eq!(listed(&hub.get(&mia, "/api/v1/incidents").await.expect(200)), 0);
    let deleted = hub.get(&mia, "/api/v1/incidents?deleted=true").await.expect(200);
    assert_eq!(deleted["items"][0]["deleted"], true);
    hub.get(&kim, "/api/v1/incidents?deleted=true").await.problem(403);
    hub.ask("POST", &format!("{location}/restore")).token(&kim).send().await.problem(403);
    let back = hub.ask("POST", &format!("{location}/restore")).token(&mia).send().await;
    let etag = back.header("etag").to_owned();
    assert_eq!(back.expect(200)["id"], incident["id"]);
    assert_eq!(hub.get(&kim, &location).await.header("etag"), etag);
    hub.ask("POST", &format!("{location}/restore")).token(&mia).send().await.expect(200);
}

#[tokio::test]
async fn a_node_records_for_its_own_store_with_the_hub_gone() {
    let hub = Site::hub().await;
    let node = Site::node(&hub).await;
    let kim = node.login("kim").await;
    let (location, incident) = node.incident(&kim, json!({"description": "x", "store_code": "042"})).await;
    assert_eq!(incident["reference"].as_str().unwrap().rsplit_once('-').unwrap().0, "042-2026-000001");
    assert_eq!(incident["received_at"], Value::Null);
    assert_eq!(incident["reported_by_name"], "KIM of 042");
    node.get(&kim, &location).await.expect(200);
    assert_eq!(
        node.post(&kim, "/api/v1/incidents", &json!({"description": "x", "store_code": "007"}))
            .await
            .fields(),
        ["store_code"]
    );
}

#[tokio::test]
async fn the_severity_rule_forces_five_at_recording_and_at_editing() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let (_, armed) = hub.incident(&kim, json!({"description": "x", "category": "weapon", "severity": 1})).await;
    assert_eq!(armed["severity"], 5);
    let (location, hurt) = hub.incident(&kim, json!({"description": "x", "people": [{"name": "Anna"}]})).await;
    let person = json!({"id": hurt["people"][0]["id"], "injury": {"treatment": "in_patient"}});
    assert_eq!(hub.patch(&kim, &location, &json!({"people": [person]})).await.expect(200)["severity"], 5);
    assert_eq!(hub.patch(&kim, &location, &json!({"severity": 2})).await.expect(200)["severity"], 5);
}
