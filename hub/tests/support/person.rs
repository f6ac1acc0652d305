//! Somebody at the pages and the API of a hub.

use super::{Hub, Reply, send};
use desk::accounts::{self, NewAccount};
use desk::actor::{Actor, Role};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// Somebody who is logged in.
pub struct Person<'a> {
    hub: &'a Hub,
    token: String,
}

impl<'a> Person<'a> {
    pub async fn new(hub: &'a Hub, username: &str, role: Role, store: Option<&str>) -> Self {
        let new = NewAccount {
            username: username.to_owned(),
            display_name: None,
            role,
            store_code: store.map(str::to_owned),
            password: PASSWORD.to_owned(),
        };
        accounts::add(&hub.desk, &Actor::system("test"), new).await.unwrap();
        let body = json!({"username": username, "password": PASSWORD}).to_string();
        let json = [("content-type", "application/json".to_owned())];
        let reply = send(hub.address, "POST", "/api/v1/login", &json, body.as_bytes()).await;
        Self { hub, token: reply.json()["token"].as_str().unwrap().to_owned() }
    }

    pub async fn with(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let mut headers = vec![("authorization", format!("Bearer {}", self.token))];
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        send(self.hub.address, method, path, &headers, body.as_bytes()).await
    }

    /// A page, where it is one.
    pub async fn page(&self, path: &str, status: u16) -> String {
        let reply = self.with("GET", path, &[("accept", "text/html"), ("cookie", "aincident_lang=en")], "").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        reply.text()
    }

    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let pairs = url_encoded(fields);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.with("POST", path, &[("accept", "text/html"), kind, ("sec-fetch-site", "same-origin")], &pairs)
            .await
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.with(method, path, &[("content-type", "application/json")], &body).await
    }

    pub async fn incident(&self, fields: Value) -> String {
        let made = self.ask("POST", "/api/v1/incidents", Some(fields)).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }
}

fn url_encoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    };
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}
