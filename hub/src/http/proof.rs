//! Around every `/sync/v1` request but `enrol`: who asks, and the proof that the answer is ours.
//!
//! A node believes no answer without a proof: a captive portal answers 200 too. So from the moment the node is known,
//! whatever is answered, refusals included, is sealed with its key over the nonce it sent.

use super::sync::problem;
use crate::intake::credentials::{Caller, Claim, Denied, authenticate, parse_bearer};
use crate::intake::{Intake, Refused};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue};
use sync_protocol::message::{MACHINE_HEADER, NONCE_HEADER, PROOF_HEADER, PROTOCOL_HEADER, path, proof};
use sync_protocol::{OLDEST_VERSION, VERSION};

/// Lets good requests through with their [`Caller`] as an extension, and seals what is answered.
pub(super) async fn prove(State(intake): State<Intake>, mut request: Request, next: Next) -> Response {
    let nonce = match nonce(request.headers()) {
        Ok(nonce) => nonce,
        Err(refused) => return problem(refused).into_response(),
    };
    let is_hello = request.uri().path() == path::HELLO;
    let (response, key) = match identify(&intake, request.headers(), is_hello).await {
        Err(Denied { refused, proof_key }) => (problem(refused).into_response(), proof_key),
        Ok((caller, key)) => {
            let response = match version(request.headers()).and_then(|()| intake.admission().request(caller.node_id)) {
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
    match key {
        Some(key) => seal(response, &key, &nonce).await,
        None => response,
    }
}

/// Lets good requests through with their [`Caller`] as an extension, unsealed: for answers that prove themselves.
pub(super) async fn admit(State(intake): State<Intake>, mut request: Request, next: Next) -> Response {
    let found = identify(&intake, request.headers(), false).await.map_err(|denied| denied.refused);
    let admitted = found.and_then(|(caller, _)| {
        version(request.headers())?;
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

async fn identify(intake: &Intake, headers: &HeaderMap, is_hello: bool) -> Result<(Caller, [u8; 32]), Denied> {
    let header = text(headers, AUTHORIZATION).unwrap_or_default();
    let (node_id, secret) = parse_bearer(header).ok_or(Refused::UnknownNode)?;
    let machine = text(headers, HeaderName::from_static(MACHINE_HEADER)).filter(|text| is_digest(text));
    let may_return = is_hello && !intake.admission().is_on_the_line(node_id);
    let claim = Claim { node_id, secret, machine: machine.filter(|_| is_hello), may_return };
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

/// Whether the body is in a version that this hub reads.
fn version(headers: &HeaderMap) -> Result<(), Refused> {
    let spoken = text(headers, HeaderName::from_static(PROTOCOL_HEADER)).and_then(|text| text.parse::<u32>().ok());
    let spoken =
        spoken.ok_or_else(|| Refused::Malformed(format!("the header {PROTOCOL_HEADER} must be a protocol version")))?;
    if (OLDEST_VERSION..=VERSION).contains(&spoken) {
        Ok(())
    } else {
        Err(Refused::Version)
    }
}

/// The one value of a header: two of them are none.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

async fn seal(response: Response, key: &[u8; 32], nonce: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    // The bytes are sealed as they are: nothing further out may word the problem anew.
    parts.extensions.remove::<Problem>();
    // All answers here were made whole, in memory: there is no stream that could grow or break.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let proof = proof(key, nonce, parts.status.as_u16(), &body);
    if let Ok(proof) = HeaderValue::from_str(&proof) {
        parts.headers.insert(PROOF_HEADER, proof);
    }
    parts.headers.insert(PROTOCOL_HEADER, HeaderValue::from(VERSION));
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(body))
}
