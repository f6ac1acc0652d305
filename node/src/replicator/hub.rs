//! Talking to the hub: every request carries the node's credential and a fresh nonce, every answer is believed only
//! with the hub's proof over that nonce. Anything else, a network's login page that answers 200 included, counts as
//! "no hub there".

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chassis::blobs::Sha256;
use chassis::clock::SharedClock;
use chassis::http::Problem;
use chassis::ids::Ids;
use chassis::outbound::{
    Body, BreakerConfig, Carrier, Method, Outbound, OutboundConfig, OutboundError, Pin, RequestBuilder, Response, Url,
    retry_after,
};
use desk::ledger::Enrolment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sync_protocol::OLDEST_VERSION;
use sync_protocol::message::{
    self, CredentialKeys, MACHINE_HEADER, NONCE_HEADER, PROOF_HEADER, PROTOCOL_HEADER, credential_keys,
};
use tracing::Instrument as _;
use uuid::Uuid;

/// The most that an answer of JSON may be, in bytes: one answer for each of the largest push, with reasons.
pub const MOST_JSON_BYTES: u64 = 8 * 1024 * 1024;
/// How long an answer that has begun may pause.
const STALLED: Duration = Duration::from_secs(15);
/// How long an answer that has begun may take in all: the largest page over the slowest link.
pub(super) const MOST_TRANSFER: Duration = Duration::from_secs(600);
/// The link is the client's breaker: one of its own would only hold `hello` back.
const NEVER_OPEN: BreakerConfig = BreakerConfig {
    failures: u32::MAX,
    open_for: Duration::from_secs(5),
    open_at_most: Duration::from_secs(60),
};
/// The most of a refusal's text that is shown.
const MOST_DETAIL_CHARS: usize = 300;

/// A secret and what follows from it.
struct Credential {
    secret: String,
    keys: CredentialKeys,
}

impl Credential {
    fn new(secret: String) -> Self {
        Self { keys: credential_keys(&secret), secret }
    }
}

/// The hub, as one node sees it.
pub struct Hub {
    outbound: Outbound,
    /// For contents: connections of their own, so that a photo never stands in front of a record.
    contents: Outbound,
    base: String,
    node_id: Uuid,
    credential: Mutex<Arc<Credential>>,
    machine: Option<String>,
    protocol: AtomicU32,
    ids: Ids,
    clock: SharedClock,
}

/// One request.
#[derive(Debug)]
pub struct Call {
    /// Below the hub's address.
    pub path: &'static str,
    /// What the body is.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Until the answer begins. Once it has, it may take longer as long as it keeps coming.
    pub deadline: Duration,
    /// The most that the answer may be, in bytes.
    pub most_bytes: u64,
}

/// Part of a content on its way to the hub.
#[derive(Debug)]
pub struct Transfer {
    /// How.
    pub method: Method,
    /// Below the hub's address.
    pub path: String,
    /// Headers of its own.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub body: Body,
}

/// A content on its way from the hub.
#[derive(Debug)]
pub struct Content {
    response: Option<Response>,
    /// Whether it begins where it was asked to; else at its beginning.
    pub is_part: bool,
    base: String,
}

impl Content {
    /// The next piece.
    ///
    /// # Errors
    /// [`Failure::NoHub`] when it is cut, or nothing comes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(response) = &mut self.response else {
            return Ok(None);
        };
        let piece = tokio::time::timeout(STALLED, response.chunk()).await;
        let piece = piece.map_err(|_| OutboundError::Timeout).and_then(|piece| piece.map_err(OutboundError::from));
        piece.map_err(|error| Failure::NoHub { why: format!("{}: {error}", self.base), retry_after: None })
    }
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or none that proves to be the hub's.
    NoHub {
        /// In words.
        why: String,
        /// When to come back, if whoever answered said so.
        retry_after: Option<Duration>,
    },
    /// Something answers that is not this node's hub.
    Stranger {
        /// In words.
        why: String,
        /// When to come back, if it said so.
        retry_after: Option<Duration>,
    },
    /// The hub, proven, refuses.
    Refused(Refused),
    /// The hub, proven, answers something that this program cannot make sense of.
    Nonsense(String),
    /// The credential the call was made with has been replaced meanwhile: ask again with the new one.
    Replaced,
}

/// A proven refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// One of [`message::refusal`], or empty.
    pub kind: String,
    /// For a person.
    pub detail: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHub { why, .. } | Self::Stranger { why, .. } => f.write_str(why),
            Self::Refused(refused) => write!(f, "headquarters refuses ({}): {}", refused.status, refused.detail),
            Self::Nonsense(what) => write!(f, "headquarters' answer cannot be used: {what}"),
            Self::Replaced => f.write_str("the credential was replaced while asking"),
        }
    }
}

impl Failure {
    /// When to come back, if the answer said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoHub { retry_after, .. } | Self::Stranger { retry_after, .. } => *retry_after,
            Self::Refused(refused) => refused.retry_after,
            Self::Nonsense(_) | Self::Replaced => None,
        }
    }

    /// How long to wait, where nothing is wrong but that the hub was asked too often.
    #[must_use]
    pub fn asked_too_often(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) if refused.status == 429 => {
                Some(refused.retry_after.unwrap_or(Duration::from_secs(1)))
            }
            _ => None,
        }
    }

    /// Whether the hub itself did not answer.
    #[must_use]
    pub const fn is_unheard(&self) -> bool {
        matches!(self, Self::NoHub { .. } | Self::Stranger { .. })
    }

    /// Whether a smaller request would have fared the same: it came at the wrong time.
    #[must_use]
    pub fn is_about_time(&self) -> bool {
        matches!(self, Self::Replaced) || matches!(self, Self::Refused(refused) if matches!(refused.status, 429 | 503))
    }

    /// An answer that is proven but makes no sense.
    #[must_use]
    pub fn nonsense(what: impl fmt::Display) -> Self {
        Self::Nonsense(what.to_string())
    }
}

impl Hub {
    /// The hub at `base` for the node `node_id` with its `secret`.
    #[must_use]
    pub fn new(
        (outbound, contents): (Outbound, Outbound),
        base: &str,
        node_id: Uuid,
        secret: String,
        ids: Ids,
        clock: SharedClock,
    ) -> Self {
        let credential = Mutex::new(Arc::new(Credential::new(secret)));
        Self {
            outbound,
            contents,
            base: base.trim_end_matches('/').to_owned(),
            node_id,
            credential,
            machine: None,
            protocol: AtomicU32::new(OLDEST_VERSION),
            ids,
            clock,
        }
    }

    /// Tells the hub, with `hello`, where the node runs: [`crate::site::machine`].
    #[must_use]
    pub fn on_machine(mut self, machine: Option<String>) -> Self {
        self.machine = machine;
        self
    }

    /// Speaks this version of the protocol from the next request on, but for `hello`.
    pub fn speak(&self, protocol: u32) {
        self.protocol.store(protocol, Ordering::Relaxed);
    }

    /// The version for a request to `path`. `hello` looks the same in all of them, and an old hub reads only its own.
    fn protocol(&self, path: &str) -> u32 {
        if path == message::path::HELLO {
            OLDEST_VERSION
        } else {
            self.protocol.load(Ordering::Relaxed)
        }
    }

    /// The address as people know it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Uses `secret` from the next request on; false when it is the one in use.
    pub fn use_secret(&self, secret: String) -> bool {
        let mut current = self.credential.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.secret != secret;
        if is_new {
            *current = Arc::new(Credential::new(secret));
        }
        is_new
    }

    fn credential(&self) -> Arc<Credential> {
        Arc::clone(&self.credential.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks with a body of JSON for an answer of JSON.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask<A: DeserializeOwned>(
        &self,
        path: &'static str,
        body: &impl Serialize,
        deadline: Duration,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(body).map_err(Failure::nonsense)?;
        let call = Call {
            path,
            media_type: "application/json",
            body,
            deadline,
            most_bytes: MOST_JSON_BYTES,
        };
        let answer = self.call(call).await?;
        serde_json::from_slice(&answer).map_err(Failure::nonsense)
    }

    /// Sends a request and answers the proven body of a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call(&self, call: Call) -> Result<Bytes, Failure> {
        let credential = self.credential();
        let nonce = nonce(&self.ids);
        let most = call.deadline + MOST_TRANSFER;
        // The hub's lines about it have the same id.
        let span = tracing::info_span!("hub", id = request_id(&nonce), path = call.path);
        let answer = tokio::time::timeout(most, self.exchange(call, &credential, &nonce)).instrument(span).await;
        self.proven(answer.unwrap_or(Err(OutboundError::Timeout)), &credential, &nonce)
    }

    /// Sends part of a content, however long that takes; whoever calls gives up when nothing moves.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn transfer(&self, transfer: Transfer) -> Result<Bytes, Failure> {
        let credential = self.credential();
        let nonce = nonce(&self.ids);
        let exchange = async {
            let mut request = self.request(&self.contents, transfer.method, &transfer.path, &credential, &nonce)?;
            for (name, value) in transfer.headers {
                request = request.header(name, value);
            }
            // As long as the line takes.
            let request = request.body(transfer.body).build()?;
            let response = self.contents.request_that_waits(request, Duration::MAX).await?;
            Reply::read(response, MOST_JSON_BYTES, self.clock.now_ms()).await
        };
        self.proven(exchange.await, &credential, &nonce)
    }

    /// Asks for a content behind its first `from` bytes; none where the hub has none. It proves itself by its digest.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn fetch(&self, path: &str, sha256: Sha256, from: u64) -> Result<Option<Content>, Failure> {
        let credential = self.credential();
        let exchange = async {
            let mut request = self.request(&self.contents, Method::GET, path, &credential, &nonce(&self.ids))?;
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            let asking = self.contents.request_that_waits(request.build()?, Duration::MAX);
            let head = tokio::time::timeout(STALLED, asking).await;
            head.unwrap_or(Err(OutboundError::Timeout))
        };
        let response = exchange.await.map_err(|error| self.unreachable(&error))?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        match response.status().as_u16() {
            status @ (200 | 206) if tag == format!("\"{sha256}\"") => {
                Ok(Some(Content { response: Some(response), is_part: status == 206, base: self.base.clone() }))
            }
            // All of it is here, or what is here is not its beginning: the digest will tell.
            416 => Ok(Some(Content { response: None, is_part: true, base: self.base.clone() })),
            404 => Ok(None),
            status => {
                let retry_after = retry_after(response.headers(), self.clock.now_ms());
                let why = format!("{}: a photo cannot be fetched (status {status})", self.base);
                Err(Failure::NoHub { why, retry_after })
            }
        }
    }

    fn proven(
        &self,
        reply: Result<Reply, OutboundError>,
        credential: &Arc<Credential>,
        nonce: &str,
    ) -> Result<Bytes, Failure> {
        let reply = reply.map_err(|error| self.unreachable(&error))?;
        if !message::proves(&reply.proof, &credential.keys.proof, nonce, reply.status, &reply.body) {
            return Err(Failure::Stranger { why: self.stranger(&reply), retry_after: reply.retry_after });
        }
        if (200..300).contains(&reply.status) {
            return Ok(reply.body);
        }
        let (kind, detail) = problem(&reply.body);
        if kind == message::refusal::SUPERSEDED && !Arc::ptr_eq(credential, &self.credential()) {
            return Err(Failure::Replaced);
        }
        Err(Failure::Refused(Refused { status: reply.status, kind, detail, retry_after: reply.retry_after }))
    }

    fn request(
        &self,
        outbound: &Outbound,
        method: Method,
        path: &str,
        credential: &Credential,
        nonce: &str,
    ) -> Result<RequestBuilder, OutboundError> {
        Ok(outbound
            .build(method, address(&self.base, path)?)
            .header("authorization", format!("Bearer {}.{}", self.node_id.hyphenated(), credential.secret))
            .header(PROTOCOL_HEADER, self.protocol(path).to_string())
            .header(NONCE_HEADER, nonce)
            .header(REQUEST_ID_HEADER, request_id(nonce)))
    }

    async fn exchange(&self, call: Call, credential: &Credential, nonce: &str) -> Result<Reply, OutboundError> {
        let mut request = self
            .request(&self.outbound, Method::POST, call.path, credential, nonce)?
            .header("content-type", call.media_type);
        if let Some(machine) = self.machine.as_ref().filter(|_| call.path == message::path::HELLO) {
            request = request.header(MACHINE_HEADER, machine);
        }
        let request = request.body(call.body).build()?;
        let waits = if call.path == message::path::PULL { call.deadline } else { Duration::ZERO };
        let asking = self.outbound.request_that_waits(request, waits);
        let head = tokio::time::timeout(call.deadline, asking).await;
        let status = head.as_ref().ok().and_then(|head| head.as_ref().ok()).map(|head| head.status().as_u16());
        tracing::debug!(status, "asked");
        Reply::read(head.map_err(|_| OutboundError::Timeout)??, call.most_bytes, self.clock.now_ms()).await
    }

    fn unreachable(&self, error: &OutboundError) -> Failure {
        Failure::NoHub { why: format!("{}: {error}", self.base), retry_after: None }
    }

    /// What to say of an answer that is not the hub's.
    fn stranger(&self, reply: &Reply) -> String {
        let (status, base) = (reply.status, &self.base);
        match problem(&reply.body).0.as_str() {
            message::refusal::UNKNOWN_NODE | message::refusal::WRONG_HUB => format!(
                "a hub answers at {base}, but it does not know this node: it is another one or was set up anew; nothing is sent to it"
            ),
            Problem::TOO_MANY => {
                format!("too much is asked of {base} from this network at the moment; it is asked again later")
            }
            _ => format!(
                "something answers at {base} (status {status}) that is not this node's hub: a network's login page, a proxy or a wrong address"
            ),
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    proof: String,
}

impl Reply {
    /// Reads the rest of `response`, at most `most_bytes`; pieces must follow each other within [`STALLED`].
    pub(crate) async fn read(mut response: Response, most_bytes: u64, now_ms: i64) -> Result<Self, OutboundError> {
        let proof = response
            .headers()
            .get(PROOF_HEADER)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let retry_after = retry_after(response.headers(), now_ms);
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(piece) =
            tokio::time::timeout(STALLED, response.chunk()).await.map_err(|_| OutboundError::Timeout)??
        {
            if (body.len() + piece.len()) as u64 > most_bytes {
                return Err(OutboundError::Broken(format!("the answer is larger than {most_bytes} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Self { status, retry_after, body: body.freeze(), proof })
    }
}

/// By what the hub is believed to be the hub, before it proves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'a> {
    /// An authority of its own, PEM.
    pub ca_pem: Option<&'a str>,
    /// Certificates that alone count.
    pub pins: &'a [Pin],
}

impl<'a> From<&'a Enrolment> for Trust<'a> {
    fn from(enrolment: &'a Enrolment) -> Self {
        Self { ca_pem: enrolment.ca_pem.as_deref(), pins: &enrolment.pins }
    }
}

/// A client for the hub.
///
/// # Errors
/// When the certificates cannot be used.
pub fn outbound(trust: Trust<'_>) -> Result<Outbound, OutboundError> {
    client("hub", trust, false)
}

/// [`outbound`], and another one for contents: HTTP/1.1, where each has a connection of its own.
///
/// # Errors
/// When the certificates cannot be used.
pub fn clients(trust: Trust<'_>) -> Result<(Outbound, Outbound), OutboundError> {
    Ok((outbound(trust)?, client("hub-contents", trust, true)?))
}

/// [`clients`] whose requests go by `carrier`.
#[must_use]
pub fn carried(carrier: &Arc<dyn Carrier>) -> (Outbound, Outbound) {
    let over = |service| Outbound::over(service, Arc::clone(carrier), NEVER_OPEN);
    (over("hub"), over("hub-contents"))
}

fn client(service: &'static str, trust: Trust<'_>, http1_only: bool) -> Result<Outbound, OutboundError> {
    Outbound::new(
        service,
        OutboundConfig {
            http1_only,
            connect_timeout: Duration::from_secs(10),
            total_timeout: None,
            idle_timeout: MOST_TRANSFER,
            extra_ca_pem: trust.ca_pem.map(|pem| pem.as_bytes().to_vec()),
            pins: trust.pins.to_vec(),
            away_only: false,
            user_agent: concat!("aincident-node/", env!("CARGO_PKG_VERSION")).to_owned(),
            breaker: NEVER_OPEN,
        },
    )
}

/// `path` below the hub's address.
pub(crate) fn address(base: &str, path: &str) -> Result<Url, OutboundError> {
    let text = format!("{}{path}", base.trim_end_matches('/'));
    Url::parse(&text).map_err(|error| OutboundError::Setup(format!("{text} is no address: {error}")))
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("base", &self.base)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

/// By which a request is found in the logs of both sides.
const REQUEST_ID_HEADER: &str = "x-request-id";

/// The beginning of its nonce: that is new each time.
fn request_id(nonce: &str) -> &str {
    nonce.get(..16).unwrap_or(nonce)
}

/// 32 hexadecimal characters, never used twice.
fn nonce(ids: &Ids) -> String {
    format!("{:032x}", u128::from_le_bytes(ids.random_bytes::<16>()))
}

/// The last part of a problem's `type`, and its `detail`.
pub(crate) fn problem(body: &[u8]) -> (String, String) {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Problem {
        r#type: String,
        title: String,
        detail: String,
    }
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let kind = problem.r#type.rsplit(['/', ':', '#']).next().unwrap_or_default().to_owned();
    let text = if problem.detail.is_empty() { problem.title } else { problem.detail };
    (kind, text.chars().take(MOST_DETAIL_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_32_hexadecimal_characters_and_new_each_time() {
        let ids = Ids::seeded(1);
        let (one, two) = (nonce(&ids), nonce(&ids));
        assert!(one.len() == 32 && one.bytes().all(|b| b.is_ascii_hexdigit()) && one != two);
    }

    #[test]
    fn a_problem_gives_its_kind_and_one_line_for_a_person() {
        let body = br#"{"type":"https://x/problems/node-revoked","title":"Revoked","detail":"on\nMonday"}"#;
        assert_eq!(problem(body), ("node-revoked".to_owned(), "on Monday".to_owned()));
        assert_eq!(problem(b"<html>"), (String::new(), String::new()));
        assert_eq!(problem(br#"{"type":"bad-code","title":"Bad"}"#).0, "bad-code");
    }
}
