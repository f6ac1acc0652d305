use crate::site::Site;
use axum::response::Response;
use desk::ledger::Identity;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::time::Duration;

/// Reads on until the text holds `wanted`.
async fn until(response: &mut Response, wanted: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(wanted) {
            let frame = response.body_mut().frame().await.expect("the stream ended").unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("nothing came");
    text
}

#[tokio::test]
async fn a_page_hears_of_its_store_and_of_no_other_and_resumes() {
    let hub = Site::hub().await;
    let (kim, max) = (hub.login("kim").await, hub.login("max").await);
    let mut stream = hub.ask("GET", "/api/v1/events").token(&kim).response().await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let (_, foreign) = hub.incident(&max, json!({"description": "x"})).await;
    let (location, own) = hub.incident(&kim, json!({"description": "x"})).await;
    let own_id = own["id"].as_str().unwrap();
    let text = until(&mut stream, own_id).await;
    assert!(text.contains("event: incident") && !text.contains(foreign["id"].as_str().unwrap()), "{text}");
    hub.post(&kim, &format!("{location}/comments"), &json!({"body": "c"})).await.expect(201);
    let text = until(&mut stream, "event: comment").await;
    let id: i64 = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().parse().unwrap();
    assert!(until_data(&text, &mut stream).await.contains(own_id), "{text}");
    let mut again = hub
        .ask("GET", "/api/v1/events")
        .token(&kim)
        .header("last-event-id", &(id - 1).to_string())
        .response()
        .await;
    until(&mut again, "event: comment").await;
    // A page that was made before names in its address what it knows: what came before its stream was open is told, too.
    let mut first = hub.ask("GET", &format!("/api/v1/events?after={}", id - 1)).token(&kim).response().await;
    until(&mut first, "event: comment").await;
    let wrong = hub.ask("GET", "/api/v1/events?after=-1").token(&kim).send().await;
    assert_eq!(wrong.fields(), ["after"]);
    let wrong = hub.ask("GET", "/api/v1/events").token(&kim).header("last-event-id", "x").send().await;
    assert_eq!(wrong.fields(), ["Last-Event-ID"]);
}

async fn until_data(text: &str, stream: &mut Response) -> String {
    if text.contains("data: ") {
        text.to_owned()
    } else {
        until(stream, "data: ").await
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_site() {
    let hub = Site::hub().await;
    let (kim, lee) = (hub.login("kim").await, hub.login("lee").await);
    let ends = |stream: Response| async {
        tokio::time::timeout(Duration::from_secs(10), stream.into_body().collect())
            .await
            .expect("it goes on")
            .unwrap()
    };
    let stream = hub.ask("GET", "/api/v1/events").token(&kim).response().await;
    hub.ask("POST", "/api/v1/logout").token(&kim).send().await.expect(204);
    // The end of a session may pass unheard; the next change is not told any more.
    hub.incident(&lee, json!({"description": "x"})).await;
    assert!(ends(stream).await.to_bytes().is_empty());
    let stream = hub.ask("GET", "/api/v1/events").token(&lee).response().await;
    hub.stop.cancel();
    ends(stream).await;
}

#[tokio::test]
async fn headquarters_people_hear_that_the_hub_began_another_history_and_a_stores_do_not() {
    let hub = Site::hub().await;
    let (hana, kim) = (hub.login("hana").await, hub.login("kim").await);
    let mut theirs = hub.ask("GET", "/api/v1/events").token(&hana).response().await;
    let mut stores = hub.ask("GET", "/api/v1/events").token(&kim).response().await;
    let Identity::Hub { epoch, .. } = hub.desk.ledger().identity().await.unwrap() else {
        panic!("no hub")
    };
    hub.desk.ledger().begin_epoch(epoch, "a test".to_owned(), hub.desk.now_ms()).await.unwrap();
    let text = until(&mut theirs, "a test").await;
    assert!(text.contains("event: epoch") && text.contains(r#""number":2"#), "{text}");
    hub.incident(&kim, json!({"description": "x"})).await;
    assert!(!until(&mut stores, "event: incident").await.contains("epoch"));
}
