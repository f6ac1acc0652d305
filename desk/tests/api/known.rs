//! What a client has already is answered without reading it again, to whoever may still have it.

use super::photos::{jpeg, post, until};
use super::site::Site;
use serde_json::json;

#[tokio::test]
async fn an_incident_that_the_client_has_is_not_read_again() {
    let hub = Site::hub().await;
    let (kim, mia, max) = (hub.login("kim").await, hub.login("mia").await, hub.login("max").await);
    let (incident, _) = hub.incident(&kim, json!({"description": "a broken window"})).await;
    let first = hub.get(&mia, &incident).await;
    let tag = first.header("etag").to_owned();
    hub.post(&kim, &format!("{incident}/comments"), &json!({"body": "a remark"})).await.expect(201);
    let ask =
        async |token: &str, tag: &str| hub.ask("GET", &incident).token(token).header("if-none-match", tag).send().await;
    // It is another one since.
    let second = ask(&mia, &tag).await;
    assert_eq!(second.status.as_u16(), 200);
    let tag = second.header("etag").to_owned();
    // Another store's manager learns nothing by knowing the tag.
    ask(&max, &tag).await.problem(404);

    // From here on whoever reads it fails.
    hub.break_documents();
    let known = ask(&mia, &tag).await;
    assert_eq!((known.status.as_u16(), known.header("etag"), known.bytes.len()), (304, tag.as_str(), 0));
    assert_eq!(hub.get(&mia, &incident).await.status.as_u16(), 500);
    hub.ask("POST", "/api/v1/logout").token(&mia).send().await.expect(204);
    ask(&mia, &tag).await.problem(401);
}

#[tokio::test]
async fn a_picture_that_the_client_has_is_not_looked_up_again() {
    let hub = Site::hub().await;
    let running = tokio::spawn(hub.desk.runner().run(hub.stop.clone()));
    let (kim, max) = (hub.login("kim").await, hub.login("max").await);
    let (incident, _) = hub.incident(&kim, json!({"description": "a broken window"})).await;
    let photo = post(&hub, &kim, &incident, &[("file", Some("a.jpg"), &jpeg(800, 600))]).await.json();
    let path = format!("/api/v1/photos/{}/thumbnail", photo["items"][0]["id"].as_str().unwrap());
    until(async || hub.get(&kim, &path).await.status == 200).await;
    let tag = hub.get(&kim, &path).await.header("etag").to_owned();
    let ask = async |token: &str| hub.ask("GET", &path).token(token).header("if-none-match", &tag).send().await;
    let known = ask(&kim).await;
    assert_eq!((known.status.as_u16(), known.header("etag")), (304, tag.as_str()));
    assert!(known.header("cache-control").contains("immutable"));
    ask(&max).await.problem(404);
    hub.ask("DELETE", &incident).token(&hub.login("mia").await).send().await.expect(204);
    ask(&kim).await.problem(410);
    hub.stop.cancel();
    running.await.unwrap();
}
