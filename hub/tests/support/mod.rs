//! A hub on a real port over a real ledger, and a node that is nothing but its protocol.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod person;

use aincident_hub::{fleet, http, intake::Intake};
use chassis::blobs::Blobs;
use chassis::clock::ManualClock;
use chassis::http::{Limits, Rates, Server};
use chassis::ids::Ids;
use chassis::shutdown::Shutdown;
use desk::actor::Actor;
use desk::ledger::sqlite::{Check, SqliteLedger};
use desk::stores::{self, NewStore};
use desk::{Desk, Storage};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::change::Change;
use sync_protocol::message::{
    EnrolAnswer, HelloAnswer, Limits as Sizes, MACHINE_HEADER, NONCE_HEADER, PROOF_HEADER, PROTOCOL_HEADER, PushAnswer,
    PushResult, credential_keys, path, proves,
};
use sync_protocol::record::INCIDENT;
use sync_protocol::scope::Scope;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// When every test begins.
pub const NOW_MS: i64 = 1_790_000_000_000;

/// A folder of its own, removed when it goes out of scope.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let unique = chassis::secret::to_base64url(&Ids::system().random_bytes::<9>());
        let path = std::env::temp_dir().join(format!("aincident-hub-{unique}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A hub that serves.
pub struct Hub {
    pub address: SocketAddr,
    pub desk: Desk,
    pub intake: Intake,
    pub clock: Arc<ManualClock>,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<std::io::Result<()>>,
    pub folder: Scratch,
}

impl Hub {
    /// One with stores 042 and 043.
    pub async fn start() -> Self {
        Self::start_with(Check::new(|_| ())).await
    }

    /// The same, with a look at each change that is pushed.
    pub async fn start_with(check: Check) -> Self {
        Self::start_within(check, Limits::default()).await
    }

    /// The same, with limits for who asks.
    pub async fn start_within(check: Check, limits: Limits) -> Self {
        let folder = Scratch::new();
        let clock = ManualClock::new(NOW_MS);
        let desk = open_with(&folder, Arc::clone(&clock), check).await;
        let identity = desk.identity().await.unwrap();
        let shutdown = Shutdown::manual();
        let intake = Intake::start(desk.clone(), &identity, shutdown.token()).unwrap();
        let router = http::router(&desk, intake.clone(), None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::default().limited_by(Rates::new(limits));
        let serving = tokio::spawn(server.serve(listener, router, shutdown.clone()));
        for code in ["042", "043"] {
            let new = NewStore { code: code.to_owned(), name: format!("Store {code}"), timezone: None };
            stores::add(&desk, &Actor::system("test"), new).await.unwrap();
        }
        Self { address, desk, intake, clock, shutdown, serving, folder }
    }

    /// What another process on the same folder works with.
    pub async fn beside(&self) -> Desk {
        open(&self.folder, Arc::clone(&self.clock)).await
    }

    pub async fn code(&self, store: &str) -> String {
        fleet::make_code(&self.desk, &Actor::system("test"), store).await.unwrap().code
    }

    pub async fn enrol(&self, store: &str) -> Node {
        let code = self.code(store).await;
        let reply = enrol(self.address, &code, &[1]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer: EnrolAnswer = serde_json::from_slice(&reply.body).unwrap();
        let origin = Uuid::from_bytes(Ids::system().random_bytes());
        Node {
            address: self.address,
            id: answer.node_id,
            secret: answer.credential,
            hub_id: answer.hub_id,
            epoch: answer.epoch,
            store: answer.store_code,
            machine: "ab".repeat(32),
            origin,
            seq: 0,
            head: Link::start(origin),
        }
    }

    /// The hub's database, behind its back.
    pub fn database(&self) -> chassis::sqlite::rusqlite::Connection {
        chassis::sqlite::rusqlite::Connection::open(self.folder.0.join("ledger.sqlite")).unwrap()
    }

    /// Makes every transaction fail that stores an incident with `words` in it.
    pub fn poison(&self, words: &str) {
        let db = self.database();
        let trigger = format!(
            "CREATE TRIGGER poison BEFORE INSERT ON documents WHEN new.doc LIKE '%{words}%' \
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        );
        db.execute_batch(&trigger).unwrap();
    }

    pub async fn stop(self) {
        self.shutdown.begin();
        self.serving.await.unwrap().unwrap();
    }
}

async fn open(folder: &Scratch, clock: Arc<ManualClock>) -> Desk {
    open_with(folder, clock, Check::new(|_| ())).await
}

async fn open_with(folder: &Scratch, clock: Arc<ManualClock>, check: Check) -> Desk {
    let ids = Ids::system();
    let ledger = SqliteLedger::open(&folder.0.join("ledger.sqlite"), ids.clone()).unwrap().with_check(check);
    let storage = Storage::sqlite(
        ledger,
        Blobs::open(&folder.0.join("blobs")).unwrap(),
        Arc::new(desk::cache::Memory::new(1_000_000)),
    );
    storage.ledger.become_hub(ids.new_v7(NOW_MS), ids.new_v7(NOW_MS)).await.unwrap();
    Desk::new(storage, clock, ids)
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The last part of a problem's type.
    pub fn code(&self) -> String {
        self.json()["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    }
}

/// One request over a connection of its own.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A hub that refuses early may not read the rest.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
        .collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}

pub async fn enrol(address: SocketAddr, code: &str, protocols: &[u32]) -> Reply {
    let body = json!({"code": code, "node_name": "till-1", "version": "0.1.0", "protocols": protocols, "now_ms": NOW_MS + 1500});
    send(address, "POST", path::ENROL, &[], body.to_string().as_bytes()).await
}

/// A node's side of the protocol.
#[derive(Clone)]
pub struct Node {
    pub address: SocketAddr,
    pub id: Uuid,
    pub secret: String,
    pub hub_id: Uuid,
    pub epoch: Uuid,
    pub store: String,
    pub machine: String,
    pub origin: Uuid,
    pub seq: u64,
    pub head: Link,
}

impl Node {
    /// Sends `body` with this node's credential; the reply, and whether it proved to be the hub's.
    pub async fn call(&self, path: &str, body: &[u8]) -> (Reply, bool) {
        let nonce: String = Ids::system().random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("authorization", format!("Bearer {}.{}", self.id, self.secret)),
            (NONCE_HEADER, nonce.clone()),
            (PROTOCOL_HEADER, "1".to_owned()),
            (MACHINE_HEADER, self.machine.clone()),
        ];
        let reply = send(self.address, "POST", path, &headers, body).await;
        let key = credential_keys(&self.secret).proof;
        let claimed = reply.headers.get(PROOF_HEADER).cloned().unwrap_or_default();
        let proven = proves(&claimed, &key, &nonce, reply.status, &reply.body);
        (reply, proven)
    }

    /// [`Node::call`] for an answer that has to be proven.
    pub async fn ask(&self, path: &str, body: &[u8]) -> Reply {
        let (reply, proven) = self.call(path, body).await;
        assert!(proven, "{} {}", reply.status, reply.text());
        reply
    }

    pub fn hello_body(&self) -> Value {
        json!({
            "version": "0.1.0", "protocols": [1], "hub_id": self.hub_id, "epoch": self.epoch, "origin": self.origin,
            "seq": self.seq, "head": self.head, "now_ms": NOW_MS, "renew": true, "status": status(0),
        })
    }

    pub async fn hello(&self) -> HelloAnswer {
        let reply = self.ask(path::HELLO, self.hello_body().to_string().as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Bodies of `n` new incidents, as this node would record them next.
    pub fn incidents(&self, n: u64) -> Vec<String> {
        let first = self.seq + 1;
        (first..first + n)
            .map(|seq| incident(&format!("incident {seq}"), Uuid::from_bytes(Ids::system().random_bytes())))
            .collect()
    }

    pub async fn push(&self, first_seq: u64, prev: Link, bodies: &[String]) -> Reply {
        self.ask(path::PUSH, &Push::encode(self.origin, first_seq, prev, bodies)).await
    }

    /// Records and pushes `bodies`, which have to be accepted.
    pub async fn record(&mut self, bodies: &[String]) -> PushAnswer {
        let answer = pushed(&self.push(self.seq + 1, self.head, bodies).await);
        assert!(matches!(answer.result, PushResult::Accepted { .. }), "{answer:?}");
        self.seq += bodies.len() as u64;
        self.head = bodies.iter().fold(self.head, |link, body| link.extend(body.as_bytes()));
        answer
    }

    pub fn pull_body(&self, cursors: Value, wait_ms: u64) -> Vec<u8> {
        json!({"cursors": cursors, "skip": [self.origin], "limit": 1000, "wait_ms": wait_ms, "status": status(3)})
            .to_string()
            .into_bytes()
    }

    /// Pulls its own two scopes from `cursors`.
    pub async fn pull(&self, cursors: &BTreeMap<Scope, String>, wait_ms: u64) -> Page {
        let own = Scope::Store(self.store.clone());
        let body = json!({ own.to_string(): cursors.get(&own), "company": cursors.get(&Scope::Company) });
        let reply = self.ask(path::PULL, &self.pull_body(body, wait_ms)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Page::decode(&reply.body, &Sizes::default()).unwrap()
    }
}

pub fn status(pending: u64) -> Value {
    json!({"pending_changes": pending, "pending_blobs": 0, "pending_blob_bytes": 0, "quarantined": 0, "clock_offset_ms": 7, "version": "0.1.0"})
}

pub fn incident(description: &str, id: Uuid) -> String {
    new_record(INCIDENT, id, &[("description", description), ("status", "submitted")])
}

pub fn new_record(kind: &str, id: Uuid, set: &[(&str, &str)]) -> String {
    let set = set.iter().map(|(field, value)| ((*field).to_owned(), Value::from(*value))).collect();
    let (by, kind) = ("kim".to_owned(), kind.to_owned());
    Change {
        at: NOW_MS,
        base: BTreeMap::new(),
        by,
        hlc: None,
        instead_of: None,
        id,
        kind,
        new: true,
        set,
    }
    .to_body()
    .unwrap()
}

pub fn pushed(reply: &Reply) -> PushAnswer {
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

/// Waits for `condition`, for ten seconds at most.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for {what}");
}
