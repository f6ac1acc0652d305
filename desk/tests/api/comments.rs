use crate::site::Site;
use serde_json::json;

#[tokio::test]
async fn a_comment_shows_in_the_incident_and_counts() {
    let hub = Site::hub().await;
    let (kim, lee) = (hub.login("kim").await, hub.login("lee").await);
    let (location, _) = hub.incident(&kim, json!({"description": "x"})).await;
    let comments = format!("{location}/comments");
    let first = hub.post(&lee, &comments, &json!({"body": "I saw it too"})).await.expect(201);
    assert_eq!(
        (&first["author"], &first["kind"], &first["created_at"]),
        (&json!("lee"), &json!("comment"), &json!("2026-11-20T00:00:00Z"))
    );
    let second = hub.post(&kim, &comments, &json!({"body": "He came back", "kind": "addendum"})).await.expect(201);
    let whole = hub.get(&kim, &location).await.expect(200);
    assert_eq!(whole["comments"], json!([first, second]));
    assert_eq!(whole["comment_count"], 2);
    let listed = hub.get(&kim, "/api/v1/incidents?q=came%20ba").await.expect(200);
    assert_eq!(listed["items"][0]["comment_count"], 2);
}

#[tokio::test]
async fn a_repeated_comment_is_recorded_once() {
    let hub = Site::hub().await;
    let (kim, lee) = (hub.login("kim").await, hub.login("lee").await);
    let (location, incident) = hub.incident(&kim, json!({"description": "x"})).await;
    let comments = format!("{location}/comments");
    let body = json!({"id": "0198b4c0-0000-7000-8000-0000000000c1", "body": "once"});
    let first = hub.post(&kim, &comments, &body).await.expect(201);
    hub.clock.advance(5000);
    assert_eq!(hub.post(&kim, &comments, &body).await.expect(201), first);
    hub.post(&lee, &comments, &body).await.problem(409);
    hub.post(&kim, &comments, &json!({"id": body["id"], "body": "other"})).await.problem(409);
    hub.post(&kim, &comments, &json!({"id": incident["id"], "body": "once"})).await.problem(409);
    assert_eq!(hub.get(&kim, &location).await.expect(200)["comment_count"], 1);
}

#[tokio::test]
async fn a_comment_that_is_none_is_refused_by_name() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    let (location, _) = hub.incident(&kim, json!({"description": "x"})).await;
    let comments = format!("{location}/comments");
    for (body, field) in [
        (json!({}), "body"),
        (json!({"body": " "}), "body"),
        (json!({"body": "x".repeat(10_001)}), "body"),
        (json!({"body": "x", "kind": "shout"}), "kind"),
        (json!({"body": "x", "author": "lee"}), "author"),
        (json!({"body": "x", "id": "7"}), "id"),
    ] {
        assert_eq!(hub.post(&kim, &comments, &body).await.fields(), [field], "{field}");
    }
    hub.post(&kim, "/api/v1/incidents/0198b4c0-0000-7000-8000-0000000000ff/comments", &json!({"body": "x"}))
        .await
        .problem(404);
}
