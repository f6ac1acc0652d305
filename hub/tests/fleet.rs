//! `/api/v1/nodes` over a real port: who may see the fleet and who may change it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod support;

use aincident_hub::app;
use chassis::http::Server;
use chassis::systemd::Vital;
use desk::accounts::{self, NewAccount};
use desk::actor::{Actor, Role};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use support::{Hub, Reply, enrol, send};
use sync_protocol::message::path;

/// A person's session.
struct Person<'a> {
    hub: &'a Hub,
    token: String,
}

impl<'a> Person<'a> {
    async fn new(hub: &'a Hub, username: &str, role: Role, store: Option<&str>) -> Self {
        let password = "correct horse battery".to_owned();
        let new = NewAccount {
            username: username.to_owned(),
            display_name: None,
            role,
            store_code: store.map(str::to_owned),
            password: password.clone(),
        };
        accounts::add(&hub.desk, &Actor::system("test"), new).await.unwrap();
        let body = json!({"username": username, "password": password}).to_string();
        let json = [("content-type", "application/json".to_owned())];
        let reply = send(hub.address, "POST", "/api/v1/login", &json, body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Self { hub, token: reply.json()["token"].as_str().unwrap().to_owned() }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let mut headers = vec![("authorization", format!("Bearer {}", self.token))];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        send(self.hub.address, method, path, &headers, body.as_bytes()).await
    }
}

#[tokio::test]
async fn an_administrator_enrols_sees_and_revokes_a_node() {
    let hub = Hub::start().await;
    let admin = Person::new(&hub, "root", Role::Admin, None).await;
    let made = admin.ask("POST", "/api/v1/nodes/codes", Some(json!({"store_code": "042"}))).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let code = made.json();
    assert_eq!(code["expires_at"].as_str(), Some("2026-09-22T14:13:20Z"));
    assert_eq!(enrol(hub.address, code["code"].as_str().unwrap(), &[1]).await.status, 200);
    let node = hub.enrol("043").await;
    node.pull(&BTreeMap::new(), 0).await;

    let list = admin.ask("GET", "/api/v1/nodes", None).await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["store_code"].as_str().unwrap()).collect::<Vec<_>>(), ["042", "043"]);
    let item = &items[1];
    assert_eq!(item["node_id"], json!(node.id));
    assert_eq!((&item["online"], &item["lag"], &item["backlog"]["changes"]), (&json!(true), &json!(3), &json!(3)));
    assert_eq!(
        (&item["version"], &item["revoked_at"], &item["clock_offset_ms"]),
        (&json!("0.1.0"), &Value::Null, &json!(7))
    );
    let one = admin.ask("GET", "/api/v1/nodes?store=042", None).await.json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert_eq!(admin.ask("GET", "/api/v1/nodes?shop=042", None).await.status, 422);

    let one = format!("/api/v1/nodes/{}", node.id);
    assert_eq!(admin.ask("DELETE", &one, None).await.status, 204);
    assert_eq!(admin.ask("DELETE", &one, None).await.status, 204);
    let reply = node.ask(path::HELLO, node.hello_body().to_string().as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "node-revoked"));
    let list = admin.ask("GET", "/api/v1/nodes?store=043", None).await.json();
    assert_eq!(list["items"][0]["online"], json!(false));
    let nobody = "/api/v1/nodes/01970000-0000-7000-8000-000000000001";
    assert_eq!(admin.ask("DELETE", nobody, None).await.status, 404);
    let wrong = admin.ask("POST", "/api/v1/nodes/codes", Some(json!({"store_code": "999"}))).await;
    assert_eq!((wrong.status, wrong.json()["errors"][0]["field"].clone()), (422, json!("store_code")));
    hub.stop().await;
}

#[tokio::test]
async fn others_see_or_change_no_more_than_their_role_allows() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let hq = Person::new(&hub, "hal", Role::Hq, None).await;
    let manager = Person::new(&hub, "mia", Role::Manager, Some("042")).await;
    let one = format!("/api/v1/nodes/{}", node.id);
    assert_eq!(hq.ask("GET", "/api/v1/nodes", None).await.status, 200);
    assert_eq!(manager.ask("GET", "/api/v1/nodes", None).await.status, 403);
    for person in [&hq, &manager] {
        assert_eq!(person.ask("POST", "/api/v1/nodes/codes", Some(json!({"store_code": "042"}))).await.status, 403);
        assert_eq!(person.ask("DELETE", &one, None).await.status, 403);
    }
    assert_eq!(send(hub.address, "GET", "/api/v1/nodes", &[], b"").await.status, 401);
    node.hello().await;
    hub.stop().await;
}

#[tokio::test]
async fn the_fleet_is_in_the_openapi_document() {
    let hub = Hub::start().await;
    let api = send(hub.address, "GET", "/openapi.json", &[], b"").await.json();
    for (path, method) in [
        ("/api/v1/nodes", "get"),
        ("/api/v1/nodes/codes", "post"),
        ("/api/v1/nodes/{id}", "delete"),
        ("/api/v1/stores", "post"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{method} {path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn the_watchdog_asks_for_writer_and_listener_and_believes_none_that_is_not_there() {
    let hub = Hub::start().await;
    let vitals = app::vitals(&hub.desk, &Server::default().door(), hub.address);
    assert_eq!(vitals.iter().map(Vital::name).collect::<Vec<_>>(), ["writer", "listener"]);
    assert_eq!(vitals[0].answers().await, Ok(()));
    // Another door than the one that is served: nobody stands behind it.
    assert!(tokio::time::timeout(Duration::from_millis(50), vitals[1].answers()).await.is_err());
}
