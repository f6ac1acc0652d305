//! A hub of version 1: a hub behind a door that only version 1 fits through.
//!
//! What version 1 does not know is not there (offer and give are 404, without a proof) or refused (any other version in the
//! header, `hello` included: a hub of its time looked there first); members that it does not know are dropped on the
//! way in, and what comes back is looked at for members that it did not send. So whoever stands behind it cannot tell it from one.

use super::wire::proof;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a program of version 1 read of a request to `hello`.
const HELLO: [&str; 10] =
    ["version", "protocols", "hub_id", "epoch", "origin", "seq", "head", "now_ms", "renew", "status"];
/// What it read of one to `enrol`.
const ENROL: [&str; 5] = ["code", "node_name", "version", "protocols", "now_ms"];
/// What each request brought that it looked at.
const HEADERS: [&str; 10] = [
    "authorization",
    "aincident-protocol",
    "aincident-nonce",
    "content-type",
    "range",
    "tus-resumable",
    "upload-length",
    "upload-offset",
    "upload-metadata",
    "upload-checksum",
];

#[derive(Debug)]
struct Door {
    http: reqwest::Client,
    port: AtomicU16,
    is_apart: AtomicBool,
    asked: Mutex<BTreeMap<String, usize>>,
}

/// A hub of version 1. It ends when dropped.
#[derive(Debug)]
pub struct OldHub {
    door: Arc<Door>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for OldHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OldHub {
    /// One whose records are those of the hub on `port`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let own = listener.local_addr().expect("its address").port();
        let door = Arc::new(Door {
            http: crate::http::plain_client(),
            port: AtomicU16::new(port),
            is_apart: AtomicBool::new(false),
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&door));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { door, port: own, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it is so much older (or newer) that no version is in common.
    pub fn grow_apart(&self) {
        self.door.is_apart.store(true, Ordering::SeqCst);
    }

    /// How often it was asked at `path`.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.door.asked.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }
}

async fn answer(
    State(door): State<Arc<Door>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    *door.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default() += 1;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !path.starts_with("/sync/v1/") || path.ends_with("/offer") || path.ends_with("/give") {
        return respond(404, &[], Vec::new());
    }
    let is_enrol = path.ends_with("/enrol");
    if door.is_apart.load(Ordering::SeqCst) || (!is_enrol && text("aincident-protocol") != "1") {
        return refuse(text("authorization"), text("aincident-nonce"), is_enrol);
    }
    let body = match path.as_str() {
        "/sync/v1/hello" => known(&body, &HELLO),
        "/sync/v1/enrol" => known(&body, &ENROL),
        _ => body.to_vec(),
    };
    let url = format!("http://127.0.0.1:{}{path}", door.port.load(Ordering::SeqCst));
    let mut request = door.http.request(method, url).header("accept-encoding", "identity").body(body);
    for name in HEADERS {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(reply) = request.send().await else {
        return respond(502, &[], Vec::new());
    };
    let status = reply.status().as_u16();
    let passed: Vec<(String, String)> = reply
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "connection" | "transfer-encoding" | "content-length" | "date"))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let Ok(bytes) = reply.bytes().await else {
        return respond(502, &[], Vec::new());
    };
    let passed: Vec<(&str, &str)> = passed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    respond(status, &passed, bytes.to_vec())
}

/// The request without what version 1 did not read. It has to speak version 1, or it would have been refused.
fn known(body: &[u8], members: &[&str]) -> Vec<u8> {
    let mut request: Value = serde_json::from_slice(body).expect("JSON");
    let spoken = request["protocols"].as_array().expect("protocols");
    assert!(spoken.contains(&json!(1)), "version 1 is not offered: {request}");
    request.as_object_mut().expect("an object").retain(|name, _| members.contains(&name.as_str()));
    request["protocols"] = json!([1]);
    request.to_string().into_bytes()
}

/// No version in common, proven where the credential is there to prove it with.
fn refuse(authorization: &str, nonce: &str, is_enrol: bool) -> Response<Body> {
    let body = json!({
        "type": "urn:aincident:problem:protocol-version", "title": "The hub refuses", "status": 426,
        "detail": "node and hub have no protocol version in common",
    });
    let body = body.to_string().into_bytes();
    let secret = authorization.split_once('.').map_or("", |(_, secret)| secret);
    let proof = proof(secret, nonce, 426, &body);
    let media = ("content-type", "application/problem+json");
    if is_enrol {
        respond(426, &[media], body)
    } else {
        respond(426, &[media, ("aincident-proof", &proof), ("aincident-protocol", "1")], body)
    }
}

fn respond(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).expect("a response")
}
