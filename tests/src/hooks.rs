//! A receiver of webhooks: keeps what it gets, and answers as it is told to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::any;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

/// A webhook as it came.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Where to.
    pub path: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Hook {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Whether the signature is the one that `secret` (its bytes) makes: written down here once more, from the specification.
    #[must_use]
    pub fn is_signed_with(&self, secret: &[u8], spelled: impl Fn(&[u8]) -> String) -> bool {
        assert!(secret.len() <= 64, "a longer key is hashed first");
        let mut key = secret.to_vec();
        key.resize(64, 0);
        let keyed = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
        let content = [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", &self.body].concat();
        let inner = Sha256::digest([keyed(0x36), content].concat());
        let outer = Sha256::digest([keyed(0x5c), inner.to_vec()].concat());
        self.signature == format!("v1,{}", spelled(&outer))
    }
}

/// Answers nothing at all, and keeps the connection.
pub const SILENCE: u16 = 0;

/// The receiver.
#[derive(Clone, Debug)]
pub struct Hooks {
    port: u16,
    came: Arc<Mutex<Vec<Hook>>>,
    answer: Arc<AtomicU16>,
}

impl Hooks {
    /// One that answers 204.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let hooks = Self { port, came: Arc::default(), answer: Arc::new(AtomicU16::new(204)) };
        let router = Router::new().fallback(any(take)).with_state(hooks.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hooks
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers with `status` from now on; [`SILENCE`]: not at all.
    pub fn answer(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    /// What came so far.
    ///
    /// # Panics
    /// When another thread did while it held it.
    #[must_use]
    pub fn came(&self) -> Vec<Hook> {
        self.came.lock().expect("what came").clone()
    }
}

async fn take(State(hooks): State<Hooks>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let hook = Hook {
        path: uri.path().to_owned(),
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: body.to_vec(),
    };
    hooks.came.lock().expect("what came").push(hook);
    let status = hooks.answer.load(Ordering::SeqCst);
    if status == SILENCE {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("location", "/elsewhere")])
}
