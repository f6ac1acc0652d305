use crate::site::Site;
use serde_json::{Value, json};

/// Somebody who may set everything.
async fn boss(hub: &Site) -> String {
    hub.login("ada").await
}

fn own() -> Value {
    json!({
        "categories": {"gift_card": {"label": "Gift card", "category": "fraud"}},
        "custom_fields": {
            "till": {"label": "Till", "type": "number", "required": true},
            "shift": {"label": "Shift", "type": "choice", "choices": ["early", "late"]},
            "found_on": {"label": "Found on", "type": "date"},
        },
    })
}

#[tokio::test]
async fn settings_are_read_and_changed_by_who_may_and_by_version() {
    let hub = Site::hub().await;
    let boss = boss(&hub).await;
    let first = hub.get(&boss, "/api/v1/settings").await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.json()["settings"], json!({}));
    let changed = hub
        .ask("PATCH", "/api/v1/settings")
        .token(&boss)
        .header("if-match", &tag)
        .json(&json!({"log_level": "debug", "drafts": {"keep_days": 3}}))
        .send()
        .await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.expect(200)["sources"], json!({"log_level": "company", "drafts.keep_days": "company"}));
    let stale = hub
        .ask("PATCH", "/api/v1/settings")
        .token(&boss)
        .header("if-match", &tag)
        .json(&json!({}))
        .send()
        .await;
    stale.problem(412);
    let store = hub
        .patch(&boss, "/api/v1/settings/stores/042", &json!({"drafts": {"keep_days": 9}}))
        .await
        .expect(200);
    assert_eq!(store["settings"], json!({"log_level": "debug", "drafts": {"keep_days": 9}}));
    let again = hub.patch(&boss, "/api/v1/settings/stores/042", &json!({"drafts": null})).await.expect(200);
    assert_eq!(again["settings"]["drafts"]["keep_days"], 3);

    let kim = hub.login("kim").await;
    // A store's people read what holds in theirs, and of no other one.
    assert_eq!(hub.get(&kim, "/api/v1/settings").await.expect(200)["store_code"], "042");
    hub.get(&kim, "/api/v1/settings/stores/007").await.problem(404);
    hub.patch(&kim, "/api/v1/settings", &json!({"log_level": "info"})).await.problem(403);
    hub.get(&boss, "/api/v1/settings/stores/none").await.problem(404);
    hub.ask("GET", "/api/v1/settings").send().await.problem(401);
}

#[tokio::test]
async fn the_companys_fields_and_categories_hold_where_an_incident_is_recorded_edited_and_closed() {
    let hub = Site::hub().await;
    let boss = boss(&hub).await;
    hub.patch(&boss, "/api/v1/settings", &own()).await.expect(200);
    let kim = hub.login("kim").await;
    let wrong = json!({"description": "x", "custom": {"till": "four", "shift": "night", "found_on": "2026-02-30", "other": true}});
    let fields = hub.post(&kim, "/api/v1/incidents", &wrong).await.fields();
    assert_eq!(fields, ["custom.found_on", "custom.shift", "custom.till"]);

    // What is required does not hold a report up, but it cannot be closed without.
    let told = json!({"description": "x", "category": "fraud", "subcategory": "Gift card", "custom": {"shift": "late", "other": true}});
    let (id, made) = hub.incident(&kim, told).await;
    assert_eq!(made["custom"], json!({"shift": "late", "other": true}));
    let path = id;
    assert_eq!(hub.patch(&boss, &path, &json!({"custom": {"till": "4"}})).await.fields(), ["custom.till"]);
    assert_eq!(hub.patch(&boss, &path, &json!({"status": "closed"})).await.fields(), ["custom.till"]);
    let closed = hub.patch(&boss, &path, &json!({"status": "closed", "custom": {"till": 4}})).await.expect(200);
    assert_eq!((&closed["status"], &closed["custom"]["till"]), (&json!("closed"), &json!(4)));
    assert_eq!(hub.patch(&boss, &path, &json!({"custom": {"till": null}})).await.fields(), ["custom.till"]);

    // Retired ones stay where they are, and are asked for no more.
    let retired = json!({"categories": {"gift_card": {"retired": true}}, "custom_fields": {"till": {"retired": true}}});
    hub.patch(&boss, "/api/v1/settings", &retired).await.expect(200);
    let still = hub.get(&kim, &path).await.expect(200);
    assert_eq!((&still["subcategory"], &still["custom"]["till"]), (&json!("Gift card"), &json!(4)));
    let (other, _) = hub.incident(&kim, json!({"description": "y", "custom": {"shift": "early"}})).await;
    hub.patch(&boss, &other, &json!({"status": "closed"})).await.expect(200);
}

#[tokio::test]
async fn incidents_are_found_by_what_the_company_adds() {
    let hub = Site::hub().await;
    let boss = boss(&hub).await;
    hub.patch(&boss, "/api/v1/settings", &own()).await.expect(200);
    let kim = hub.login("kim").await;
    let custom = |till: u64, shift: &str| json!({"till": till, "shift": shift});
    let (first_path, first) = hub
        .incident(
            &kim,
            json!({"description": "a", "custom": custom(4, "late"), "category": "fraud", "subcategory": "Gift card"}),
        )
        .await;
    let (_, second) = hub.incident(&kim, json!({"description": "b", "custom": custom(5, "late")})).await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let (first, second) = (id(&first), id(&second));
    let found = async |query: &str| {
        let page = hub.get(&boss, &format!("/api/v1/incidents?{query}")).await.expect(200);
        let mut ids: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(found("subcategory=Gift+card").await, std::slice::from_ref(&first));
    assert_eq!(found("custom.till=5").await, std::slice::from_ref(&second));
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(found("custom.shift=late").await, both);
    assert_eq!(found("custom.till=4&custom.till=5").await, both);
    assert_eq!(found("custom.shift=late&custom.till=4").await, std::slice::from_ref(&first));
    assert_eq!(found("custom.shift=early").await, [""; 0]);
    hub.patch(&boss, &first_path, &json!({"custom": {"till": 7}})).await.expect(200);
    assert_eq!((found("custom.till=4").await.len(), found("custom.till=7").await), (0, vec![first]));
    let fields = hub.get(&boss, "/api/v1/incidents?custom.Till=4").await.fields();
    assert_eq!(fields, ["custom.Till"]);
    let total = hub.get(&boss, "/api/v1/stats?custom.shift=late").await.expect(200);
    assert_eq!(total["total"], 2);
}
