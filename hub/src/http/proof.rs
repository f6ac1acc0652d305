//! Around every `/sync/v1` request but `enrol`: who asks, and the proof that the answer is ours.
//!
//! A node believes no answer without a proof: a captive portal answers 200 too. So from the moment the node is known,
//! whatever is answered, refusals included, is sealed with its key over the nonce it sent.

use super::sync::problem;
use crate::intake::credentials::{Caller, Claim, Denied, Hello, authenticate, parse_bearer};
use crate::intake::{Intake, Refused};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chassis::http::{Asker, Problem};
use http::header::{AUTHORIZATION, CACHE_CONTROL, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use sync_protocol::message::{MACHINE_HEADER, NONCE_HEADER, PROOF_HEADER, PROTOCOL_HEADER, path, proof};
use sync_protocol::{OLDEST_VERSION, VERSION};
use uuid::Uuid;

/// Lets good requests through with their [`Caller`] as an extension, and seals what is answered.
pub(super) async fn prove(State(intake): State<Intake>, mut request: Request, next: Next) -> Response {
    let nonce = match nonce(request.headers()) {
        Ok(nonce) => nonce,
        Err(refused) => return problem(refused).into_response(),
    };
    let is_hello = request.uri().path() == path::HELLO;
    let (named, spoken) = (Named::of(request.headers()), spoken(request.headers()));
    let (response, key) = match identify(&intake, request.headers(), is_hello).await {
        Err(Denied { refused, proof_key }) => (problem(refused).into_response(), proof_key),
        Ok((mut caller, key)) => {
            let admitted = version(spoken, is_hello).and_then(|protocol| {
                caller.protocol = protocol;
                in_moderation(&request, &caller)?;
                intake.admission().request(caller.node_id)
            });
            let response = match admitted {
                Err(refused) => problem(refused).into_response(),
                Ok(line) => {
                    request.extensions_mut().insert(caller);
                    let response = next.run(request).await;
                    drop(line);
                    response
                }
            };
            (response, Some(key))
        }
    };
    named.note(&intake, &response, key.is_some());
    match key {
        Some(key) => seal(response, &key, &nonce, spoken).await,
        None => response,
    }
}

/// Who a request says it comes from, for the list of those that were refused.
struct Named {
    node_id: Option<Uuid>,
    agent: String,
}

impl Named {
    fn of(headers: &HeaderMap) -> Self {
        let node_id = text(headers, AUTHORIZATION).and_then(parse_bearer).map(|(node_id, _)| node_id);
        Self { node_id, agent: text(headers, USER_AGENT).unwrap_or_default().to_owned() }
    }

    fn note(&self, intake: &Intake, response: &Response, proven: bool) {
        if let (Some(node_id), Some(problem)) = (self.node_id, response.extensions().get::<Problem>()) {
            intake.strangers().note(node_id, problem.code, proven, &self.agent, intake.now_ms());
        }
    }
}

/// Lets good requests through with their [`Caller`] as an extension, unsealed: for answers that prove themselves.
pub(super) async fn admit(State(intake): State<Intake>, mut request: Request, next: Next) -> Response {
    let found = identify(&intake, request.headers(), false).await.map_err(|denied| denied.refused);
    let admitted = found.and_then(|(mut caller, _)| {
        caller.protocol = version(spoken(request.headers()), false)?;
        in_moderation(&request, &caller)?;
        let line = intake.admission().request(caller.node_id)?;
        Ok((caller, line))
    });
    match admitted {
        Err(refused) => problem(refused).into_response(),
        Ok((caller, line)) => {
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            drop(line);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    }
}

/// Whether the node asks no more often than it may.
fn in_moderation(request: &Request, caller: &Caller) -> Result<(), Refused> {
    let asker = request.extensions().get::<Asker>();
    asker
        .map_or(Ok(()), |asker| asker.node(caller.node_id))
        .map_err(|retry_after| Refused::TooOften { retry_after })
}

async fn identify(intake: &Intake, headers: &HeaderMap, is_hello: bool) -> Result<(Caller, [u8; 32]), Denied> {
    let header = text(headers, AUTHORIZATION).unwrap_or_default();
    let (node_id, secret) = parse_bearer(header).ok_or(Refused::UnknownNode)?;
    let machine = text(headers, HeaderName::from_static(MACHINE_HEADER)).filter(|text| is_digest(text));
    let hello = is_hello.then(|| Hello { machine, is_on_the_line: intake.admission().is_on_the_line(node_id) });
    let claim = Claim { node_id, secret, hello };
    authenticate(intake.ledger(), claim, intake.now_ms()).await
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn nonce(headers: &HeaderMap) -> Result<String, Refused> {
    let wrong = || Refused::Malformed(format!("the header {NONCE_HEADER} must be 32 hexadecimal characters"));
    let nonce = text(headers, HeaderName::from_static(NONCE_HEADER)).ok_or_else(wrong)?;
    let fits = nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(nonce.to_owned()) } else { Err(wrong()) }
}

/// The version that the request says it is in.
fn spoken(headers: &HeaderMap) -> Option<u32> {
    text(headers, HeaderName::from_static(PROTOCOL_HEADER)).and_then(|text| text.parse::<u32>().ok())
}

/// The version of the body, where this hub reads it. A `hello` looks the same in all of them, and what it says inside
/// counts: a node sends it in its oldest, before it knows what the hub speaks.
fn version(spoken: Option<u32>, is_hello: bool) -> Result<u32, Refused> {
    match spoken {
        None => Err(Refused::Malformed(format!("the header {PROTOCOL_HEADER} must be a protocol version"))),
        Some(spoken) if is_hello || (OLDEST_VERSION..=VERSION).contains(&spoken) => Ok(spoken),
        Some(_) => Err(Refused::Version),
    }
}

/// The one value of a header: two of them are none.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// `spoken`: the version that the request was in; the answer is in the same one, where the hub speaks it.
async fn seal(response: Response, key: &[u8; 32], nonce: &str, spoken: Option<u32>) -> Response {
    let (mut parts, body) = response.into_parts();
    // The bytes are sealed as they are: nothing further out may word the problem anew.
    parts.extensions.remove::<Problem>();
    // All answers here were made whole, in memory: there is no stream that could grow or break.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let proof = proof(key, nonce, parts.status.as_u16(), &body);
    if let Ok(proof) = HeaderValue::from_str(&proof) {
        parts.headers.insert(PROOF_HEADER, proof);
    }
    parts.headers.insert(
        PROTOCOL_HEADER,
        HeaderValue::from(spoken.filter(|spoken| (OLDEST_VERSION..=VERSION).contains(spoken)).unwrap_or(VERSION)),
    );
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(body))
}
