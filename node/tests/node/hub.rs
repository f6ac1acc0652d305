//! A hub that does as it is told, on a real port: honest by default, and whatever goes wrong on the way on request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response, Uri};
use serde::Serialize;
use serde_json::{Value, json};
use sync_protocol::batch::{Page, Push, raw_body};
use sync_protocol::chain::Link;
use sync_protocol::change::Change;
use sync_protocol::message::{
    Answer, EnrolAnswer, HelloAnswer, HelloRequest, Limits, NONCE_HEADER, Outcome, PROOF_HEADER, PageHeader, PageLine,
    PullRequest, PushAnswer, PushResult, credential_keys, path, proof, refusal,
};
use sync_protocol::record::settings_of;
use sync_protocol::scope::Scope;
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

/// The secret of the enrolment.
pub const SECRET: &str = "0123456789012345678901234567890123456789012";
/// The code that enrols.
pub const CODE: &str = "ABCD-EFGH-JKMN";
/// The store.
pub const STORE: &str = "042";

/// How one request is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    /// As a hub does.
    Honest,
    /// 200 and a page of HTML.
    Portal,
    /// As a hub does, but without the proof.
    Unproven,
    /// As a hub does, with the proof of another secret.
    Forged,
    /// The hub does what is asked, and the answer is cut on the way.
    Lost,
    /// Proven refusal: status, code, `Retry-After` in seconds.
    Refuse(u16, &'static str, Option<u64>),
    /// As a hub does, under another identity.
    OtherHub,
    /// Another history under the node's numbers.
    Fork,
    /// No answer for ever.
    Hang,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub at: Instant,
    pub secret: String,
    pub nonce: String,
    pub body: Vec<u8>,
}

/// What the hub knows.
pub struct State {
    pub hub_id: Uuid,
    pub epoch: Uuid,
    pub node_id: Uuid,
    /// Oldest first; those before `used` are superseded.
    pub secrets: Vec<String>,
    pub used: usize,
    pub rotates: bool,
    pub origin: Uuid,
    pub held: Vec<String>,
    pub feed: Vec<PageLine>,
    pub once: HashMap<String, VecDeque<Mood>>,
    pub mood: HashMap<String, Mood>,
    pub log: Vec<Asked>,
    pub now_ms: i64,
}

/// The hub.
#[derive(Clone)]
pub struct FakeHub {
    pub url: String,
    state: Arc<Mutex<State>>,
    bell: Arc<watch::Sender<u64>>,
}

impl FakeHub {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            hub_id: Uuid::from_u128(1),
            epoch: Uuid::from_u128(2),
            node_id: Uuid::from_u128(3),
            secrets: vec![SECRET.to_owned()],
            used: 0,
            rotates: false,
            origin: Uuid::nil(),
            held: Vec::new(),
            feed: Vec::new(),
            once: HashMap::new(),
            mood: HashMap::new(),
            log: Vec::new(),
            now_ms: 1_800_000_000_000,
        };
        let hub = Self { url, state: Arc::new(Mutex::new(state)), bell: Arc::new(watch::Sender::new(0)) };
        let router = Router::new().fallback(answer).with_state(hub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        hub
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next requests to `path` are answered in these moods.
    pub fn once(&self, path: &str, moods: impl IntoIterator<Item = Mood>) {
        self.state().once.entry(path.to_owned()).or_default().extend(moods);
    }

    /// Every request to `path` is answered in this mood from now on.
    pub fn always(&self, path: &str, mood: Mood) {
        self.state().mood.insert(path.to_owned(), mood);
    }

    pub fn everywhere(&self, mood: Mood) {
        for path in [path::ENROL, path::HELLO, path::PUSH, path::PULL] {
            self.always(path, mood.clone());
        }
    }

    pub fn count(&self, path: &str) -> usize {
        self.state().log.iter().filter(|asked| asked.path == path).count()
    }

    /// An account of the store, recorded at headquarters.
    pub fn add_account(&self, username: &str) {
        let set = json!({"username": username, "display_name": username, "role": "employee", "store_code": STORE, "password_hash": "$argon2id$x", "active": true});
        self.add("account", None, Scope::Store(STORE.into()), set);
    }

    /// Headquarters sets something for the company.
    pub fn set_settings(&self, set: Value) {
        self.add("settings", Some(settings_of(&Scope::Company)), Scope::Company, set);
    }

    fn add(&self, kind: &str, id: Option<Uuid>, scope: Scope, set: Value) {
        let mut state = self.state();
        let seq = state.feed.len() as u64 + 1;
        let Value::Object(set) = set else { unreachable!() };
        let change = Change {
            at: 1_700_000_000_000 + seq as i64,
            base: BTreeMap::new(),
            by: "kim".into(),
            hlc: None,
            instead_of: None,
            id: id.unwrap_or_else(|| Uuid::from_u128(0x1000 + u128::from(seq))),
            kind: kind.into(),
            new: true,
            set: set.into_iter().collect(),
        };
        let body = raw_body(&change.to_body().unwrap()).unwrap();
        state.feed.push(PageLine {
            origin: Uuid::from_u128(9),
            seq,
            scope,
            received_ms: change.at,
            hlc: None,
            seal: None,
            body,
        });
        drop(state);
        self.bell.send_modify(|n| *n += 1);
    }
}

impl State {
    fn mood(&mut self, path: &str) -> Mood {
        let once = self.once.get_mut(path).and_then(VecDeque::pop_front);
        once.unwrap_or_else(|| self.mood.get(path).cloned().unwrap_or(Mood::Honest))
    }

    fn head(&self) -> Link {
        self.held.iter().fold(Link::start(self.origin), |link, body| link.extend(body.as_bytes()))
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Company, Scope::Store(STORE.into())]
    }

    pub fn limits() -> Limits {
        Limits { wait_ms: 300, ..Limits::default() }
    }

    fn enrol(&self) -> EnrolAnswer {
        EnrolAnswer {
            hub_id: self.hub_id,
            epoch: self.epoch,
            node_id: self.node_id,
            store_code: STORE.into(),
            store_name: "Downtown".into(),
            timezone: "UTC".into(),
            credential: self.secrets.last().unwrap().clone(),
            protocol: 1,
            scopes: self.scopes(),
            limits: Self::limits(),
            photos: None,
            now_ms: self.now_ms,
        }
    }

    /// It holds one stream of the node's: another one is a new beginning.
    fn turn_to(&mut self, origin: Uuid) {
        if self.origin != origin {
            self.origin = origin;
            self.held.clear();
        }
    }

    fn hello(&mut self, hub_id: Uuid, origin: Uuid) -> HelloAnswer {
        self.turn_to(origin);
        let credential = self.rotates.then(|| format!("{:043}", self.secrets.len()));
        self.secrets.extend(credential.clone());
        HelloAnswer {
            hub_id,
            epoch: self.epoch,
            protocol: 1,
            scopes: self.scopes(),
            limits: Self::limits(),
            photos: None,
            now_ms: self.now_ms,
            applied_seq: self.held.len() as u64,
            head: self.head(),
            credential,
            durable_seq: 0,
            version: String::new(),
            protocols: Vec::new(),
            retired: false,
            successor: None,
            returned: false,
            authorities: Vec::new(),
        }
    }

    fn push(&mut self, body: &[u8]) -> PushResult {
        let push = Push::decode(body, &Self::limits()).unwrap();
        self.turn_to(push.header.origin);
        let held = self.held.len() as u64;
        if push.header.first_seq > held + 1 {
            return PushResult::Gap { expected: held + 1 };
        }
        let mut answers = Vec::new();
        for (seq, body) in (push.header.first_seq..).zip(&push.bodies) {
            let outcome = match self.held.get(seq as usize - 1) {
                Some(same) if same == body => Outcome::Duplicate,
                Some(_) => return PushResult::Fork { agreed_seq: seq - 1 },
                None => {
                    self.held.push(body.clone());
                    Outcome::Applied
                }
            };
            answers.push(Answer { seq, outcome, received_ms: self.now_ms, hlc: None });
        }
        PushResult::Accepted {
            applied_seq: self.held.len() as u64,
            durable_seq: 0,
            head: self.head(),
            answers,
            receipt: None,
        }
    }

    /// `None`: a cursor of another epoch.
    fn page(&self, request: &PullRequest) -> Option<Page> {
        let mut lines: Vec<PageLine> = Vec::new();
        let (mut cursors, mut more) = (BTreeMap::new(), false);
        for (scope, cursor) in &request.cursors {
            let mut at = match cursor {
                None => 0,
                Some(cursor) => cursor.strip_prefix(&format!("{}.", self.epoch))?.parse::<usize>().ok()?,
            };
            for line in self.feed.iter().skip(at) {
                if lines.len() >= request.limit as usize {
                    more = true;
                    break;
                }
                at += 1;
                if line.scope == *scope && !request.skip.contains(&line.origin) {
                    lines.push(line.clone());
                }
            }
            cursors.insert(scope.clone(), format!("{}.{at}", self.epoch));
        }
        let sites = BTreeMap::from([(Uuid::from_u128(9), "hub".to_owned())]);
        let count = lines.len() as u32;
        let header = PageHeader {
            hub_id: self.hub_id,
            epoch: self.epoch,
            now_ms: self.now_ms,
            count,
            cursors,
            more,
            sites,
        };
        Some(Page { header, lines })
    }
}

async fn answer(Shared(hub): Shared<FakeHub>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (path, nonce) = (uri.path().to_owned(), text(NONCE_HEADER));
    let secret = text("authorization").rsplit('.').next().unwrap_or_default().to_owned();
    let mood = {
        let mut state = hub.state();
        let asked = Asked {
            path: path.clone(),
            at: Instant::now(),
            secret: secret.clone(),
            nonce: nonce.clone(),
            body: body.to_vec(),
        };
        state.log.push(asked);
        state.mood(&path)
    };
    match mood {
        Mood::Hang => return std::future::pending().await,
        Mood::Portal => {
            return respond(200, "text/html", b"<html>Welcome to the mall's Wi-Fi</html>".to_vec(), None, None);
        }
        _ => {}
    }
    let known = hub.state().secrets.iter().position(|known| *known == secret);
    let Some(place) = known.or((path == path::ENROL).then_some(0)) else {
        let (status, body) = refused(401, refusal::UNKNOWN_NODE);
        return respond(status, "application/problem+json", body, None, None);
    };
    let (status, body, retry_after) = match mood {
        Mood::Refuse(status, kind, retry_after) => {
            let (status, body) = refused(status, kind);
            (status, body, retry_after)
        }
        _ if place < hub.state().used && path != path::ENROL => {
            let (status, body) = refused(401, refusal::SUPERSEDED);
            (status, body, None)
        }
        _ => {
            if path != path::ENROL {
                hub.state().used = place;
            }
            let (status, body) = hub.honest(&path, &body, &mood).await;
            (status, body, None)
        }
    };
    let key = credential_keys(if mood == Mood::Forged { "another" } else { &secret }).proof;
    let proof = (mood != Mood::Unproven && path != path::ENROL).then(|| proof(&key, &nonce, status, &body));
    if mood == Mood::Lost {
        let cut = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))]);
        return Response::new(Body::from_stream(cut));
    }
    respond(status, "application/json", body, proof, retry_after)
}

impl FakeHub {
    async fn honest(&self, path: &str, body: &[u8], mood: &Mood) -> (u16, Vec<u8>) {
        let (hub_id, epoch, now_ms) = {
            let state = self.state();
            let hub_id = if *mood == Mood::OtherHub { Uuid::from_u128(666) } else { state.hub_id };
            (hub_id, state.epoch, state.now_ms)
        };
        match path {
            path::ENROL => {
                let request: Value = serde_json::from_slice(body).unwrap();
                if request["code"] != CODE {
                    refused(403, refusal::BAD_CODE)
                } else {
                    ok(&self.state().enrol())
                }
            }
            path::HELLO => {
                let request: HelloRequest = serde_json::from_slice(body).unwrap();
                ok(&self.state().hello(hub_id, request.origin))
            }
            path::PUSH => {
                let result = if *mood == Mood::Fork {
                    PushResult::Fork { agreed_seq: 0 }
                } else {
                    self.state().push(body)
                };
                ok(&PushAnswer { hub_id, epoch, now_ms, result })
            }
            path::PULL => self.pull(&serde_json::from_slice(body).unwrap()).await,
            _ => refused(404, "not-found"),
        }
    }

    async fn pull(&self, request: &PullRequest) -> (u16, Vec<u8>) {
        let mut bell = self.bell.subscribe();
        let patience = tokio::time::sleep(Duration::from_millis(request.wait_ms));
        tokio::pin!(patience);
        let mut is_over = request.wait_ms == 0;
        loop {
            let Some(page) = self.state().page(request) else {
                return refused(409, refusal::BAD_CURSOR);
            };
            if is_over || !page.lines.is_empty() {
                return (200, page.encode());
            }
            tokio::select! {
                () = &mut patience => is_over = true,
                _ = bell.changed() => {}
            }
        }
    }
}

fn ok(answer: &impl Serialize) -> (u16, Vec<u8>) {
    (200, serde_json::to_vec(answer).unwrap())
}

fn refused(status: u16, kind: &str) -> (u16, Vec<u8>) {
    (
        status,
        serde_json::to_vec(&json!({"type": format!("urn:aincident:problem:{kind}"), "title": kind, "status": status}))
            .unwrap(),
    )
}

fn respond(status: u16, kind: &str, body: Vec<u8>, proof: Option<String>, retry_after: Option<u64>) -> Response<Body> {
    let mut response = Response::builder().status(status).header("content-type", kind);
    if let Some(proof) = proof {
        response = response.header(PROOF_HEADER, proof);
    }
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(Body::from(body)).unwrap()
}
