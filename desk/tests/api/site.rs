//! Sites to ask: a hub with two stores and people, and a node of one of them.

use axum::Router;
use axum::body::Body;
use chassis::blobs::Blobs;
use chassis::clock::ManualClock;
use chassis::http::{Asker, Rates, StackConfig, stack};
use chassis::ids::Ids;
use desk::Storage;
use desk::accounts::{self, NewAccount};
use desk::actor::{Actor, Role};
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{Enrolment, Identity, PageQuery, PageResult};
use desk::stores::{self, NewStore};
use desk::{Desk, http as api};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sync_protocol::scope::Scope;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// 2026-11-20T00:00:00Z.
pub const T0: i64 = 1_795_132_800_000;
/// Everybody's.
pub const PASSWORD: &str = "correct horse";

static NEXT: AtomicU64 = AtomicU64::new(0);

pub struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A site and everything about it that a test wants to turn.
pub struct Site {
    pub desk: Desk,
    pub clock: Arc<ManualClock>,
    pub stop: CancellationToken,
    pub app: Router,
    scratch: Scratch,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    /// The body, where the status is `status`.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }

    /// The fields a 422 names.
    pub fn fields(self) -> Vec<String> {
        let problem = self.problem(422);
        problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The problem, where it is a proper one.
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.expect(status);
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:"), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    }
}

/// A request being put together.
pub struct Ask<'a> {
    site: &'a Site,
    request: http::request::Builder,
    body: Body,
}

impl Ask<'_> {
    pub fn token(mut self, token: &str) -> Self {
        self.request = self.request.header("authorization", format!("Bearer {token}"));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// As if it came from that address to a server with these limits.
    pub fn from(mut self, rates: &Rates, address: &str) -> Self {
        self.request = self.request.extension(Asker::at(rates, address.parse().unwrap()));
        self
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.request = self.request.header("content-type", "application/json");
        self.body = Body::from(body.to_string());
        self
    }

    pub fn text(mut self, kind: &str, body: impl Into<Body>) -> Self {
        self.request = self.request.header("content-type", kind);
        self.body = body.into();
        self
    }

    pub async fn response(self) -> axum::response::Response {
        self.site.app.clone().oneshot(self.request.body(self.body).unwrap()).await.unwrap()
    }

    pub async fn send(self) -> Answer {
        let response = self.response().await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }
}

impl Site {
    pub fn open() -> Self {
        let folder = std::env::temp_dir().join(format!(
            "aincident-api-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let ids = Ids::system();
        let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), ids.clone()).unwrap();
        let storage = Storage::sqlite(
            ledger,
            Blobs::open(&folder.join("blobs")).unwrap(),
            Arc::new(desk::cache::Memory::new(1_000_000)),
        );
        let clock = ManualClock::new(T0);
        let stop = CancellationToken::new();
        let desk = Desk::until(storage, clock.clone(), ids.clone(), stop.clone());
        let router = api::router(desk.clone()).merge(api::headquarters(desk.clone()));
        let app = stack(api::finish(router, desk.clone()), StackConfig::new(ids));
        Self { desk, clock, stop, app, scratch: Scratch(folder) }
    }

    /// A hub with stores 042 and 007; kim and lee work in 042, mia manages it, max manages 007, hana is of headquarters, ada
    /// administers.
    pub async fn hub() -> Self {
        let site = Self::open();
        let ids = site.desk.ids();
        site.desk.ledger().become_hub(ids.new_v7(T0), ids.new_v7(T0)).await.unwrap();
        let cli = Actor::system("cli");
        for (code, name, zone) in [("042", "Downtown", "America/Chicago"), ("007", "Harbour", "Europe/Athens")] {
            let new = NewStore { code: code.to_owned(), name: name.to_owned(), timezone: Some(zone.to_owned()) };
            stores::add(&site.desk, &cli, new).await.unwrap();
        }
        let people = [
            ("kim", Role::Employee, Some("042")),
            ("lee", Role::Employee, Some("042")),
            ("mia", Role::Manager, Some("042")),
            ("max", Role::Manager, Some("007")),
            ("hana", Role::Hq, None),
            ("ada", Role::Admin, None),
        ];
        for (username, role, store) in people {
            let new = NewAccount {
                username: username.to_owned(),
                display_name: Some(format!("{} of {}", username.to_uppercase(), store.unwrap_or("headquarters"))),
                role,
                store_code: store.map(ToOwned::to_owned),
                password: PASSWORD.to_owned(),
            };
            accounts::add(&site.desk, &cli, new).await.unwrap();
        }
        site
    }

    /// A node of store 042 that has heard everything `hub` has to tell it.
    pub async fn node(hub: &Self) -> Self {
        let site = Self::open();
        let Identity::Hub { hub_id, epoch } = hub.desk.identity().await.unwrap() else {
            panic!("no hub")
        };
        let ids = site.desk.ids();
        let enrolment = Enrolment {
            hub_url: "http://127.0.0.1:1".to_owned(),
            hub_id,
            epoch,
            node_id: ids.new_v7(T0),
            store_code: "042".to_owned(),
            store_name: "Downtown".to_owned(),
            scopes: vec![Scope::Store("042".to_owned()), Scope::Company],
            ca_pem: None,
            pins: Vec::new(),
        };
        site.desk.ledger().become_node(enrolment, "secret".to_owned(), ids.new_v7(T0)).await.unwrap();
        loop {
            let cursors = site.desk.ledger().cursors().await.unwrap();
            let query = PageQuery { cursors, skip: BTreeSet::new(), limit: 1000, max_bytes: 1 << 20, now_ms: T0 };
            let PageResult::Page(page) = hub.desk.ledger().page(query).await.unwrap() else {
                panic!("bad cursor")
            };
            let more = page.header.more;
            site.desk.ledger().apply_page(page, T0).await.unwrap();
            if !more {
                return site;
            }
        }
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7710");
        Ask { site: self, request, body: Body::empty() }
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        &self.scratch.0
    }

    /// Makes the ledger fail at what it reads next: somebody opened its file and took a table away.
    pub fn break_documents(&self) {
        let db = chassis::sqlite::rusqlite::Connection::open(self.scratch.0.join("ledger.sqlite")).unwrap();
        db.execute_batch("DROP TABLE documents").unwrap();
    }

    /// Sets a job aside, as if it had been tried in vain.
    pub fn set_aside(&self, kind: &str, key: &str) -> i64 {
        let db = chassis::sqlite::rusqlite::Connection::open(self.scratch.0.join("ledger.sqlite")).unwrap();
        db.query_row(
            "INSERT INTO jobs (kind, key, payload, priority, run_at_ms, state, attempts, error, queued_ms) \
             VALUES (?1, ?2, '{}', 1, 0, 'dead', 12, 'in vain', ?3) RETURNING job_no",
            (kind, key, T0),
            |row| row.get(0),
        )
        .unwrap()
    }

    /// A session of `username`.
    pub async fn login(&self, username: &str) -> String {
        let opened = self
            .ask("POST", "/api/v1/login")
            .json(&json!({"username": username, "password": PASSWORD}))
            .send()
            .await
            .expect(200);
        opened["token"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask("GET", path).token(token).send().await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).token(token).json(body).send().await
    }

    pub async fn patch(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask("PATCH", path)
            .token(token)
            .text("application/merge-patch+json", body.to_string())
            .send()
            .await
    }

    /// Records an incident; answers its address and the incident.
    pub async fn incident(&self, token: &str, body: Value) -> (String, Value) {
        let answer = self.post(token, "/api/v1/incidents", &body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", String::from_utf8_lossy(&answer.bytes));
        (answer.header("location").to_owned(), answer.json())
    }
}
