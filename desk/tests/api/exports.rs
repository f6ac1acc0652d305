use crate::site::Site;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

#[tokio::test]
async fn an_export_has_every_incident_whole_across_pages() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    for n in 0..501 {
        hub.incident(&kim, json!({"description": format!("no {n}")})).await;
    }
    let (location, _) = hub
        .incident(&kim, json!({"description": "=HYPERLINK(\"x\")", "occurred_at": "2030-01-01T00:00:00Z"}))
        .await;
    hub.post(&kim, &format!("{location}/comments"), &json!({"body": "c"})).await.expect(201);
    let file = hub.get(&mia, "/api/v1/incidents/export?format=json").await;
    assert_eq!(file.header("content-type"), "application/json");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"incidents-20261120T000000Z.json\"");
    let all = file.expect(200);
    assert_eq!(all.as_array().unwrap().len(), 502);
    assert_eq!(all[0], hub.get(&mia, &location).await.expect(200));

    let file = hub.get(&mia, "/api/v1/incidents/export?format=csv").await;
    assert!(file.header("content-type").starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(file.bytes.as_slice());
    let description = reader.headers().unwrap().iter().position(|name| name == "description").unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 502);
    assert_eq!(&rows[0][description], "'=HYPERLINK(\"x\")");
    let narrowed = hub.get(&mia, "/api/v1/incidents/export?format=json&from=2029-01-01T00:00:00Z").await.expect(200);
    assert_eq!(narrowed.as_array().unwrap().len(), 1);
    let none = hub.get(&mia, "/api/v1/incidents/export?format=json&category=theft").await.expect(200);
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn an_export_that_fails_half_way_breaks_off_and_does_not_end() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    for n in 0..600 {
        hub.incident(&kim, json!({"description": format!("no {n}")})).await;
    }
    let mut file = hub.ask("GET", "/api/v1/incidents/export?format=json").token(&mia).response().await;
    let first = file.body_mut().frame().await.unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"["));
    hub.break_documents();
    let mut rest = Ok(());
    while let Some(frame) = file.body_mut().frame().await {
        rest = frame.map(|_| ());
    }
    assert!(rest.is_err(), "a file that ends cleanly is complete");
}

#[tokio::test]
async fn an_export_is_for_managers_and_of_their_store() {
    let hub = Site::hub().await;
    let (kim, max) = (hub.login("kim").await, hub.login("max").await);
    hub.incident(&kim, json!({"description": "x"})).await;
    hub.get(&kim, "/api/v1/incidents/export?format=csv").await.problem(403);
    assert_eq!(hub.get(&max, "/api/v1/incidents/export?format=json").await.expect(200), Value::Array(vec![]));
    for query in ["", "?format=docx", "?format=csv&format=json"] {
        assert_eq!(hub.get(&max, &format!("/api/v1/incidents/export{query}")).await.fields(), ["format"], "{query}");
    }
    assert_eq!(hub.get(&max, "/api/v1/incidents/export?format=csv&limit=5").await.fields(), ["limit"]);
}
