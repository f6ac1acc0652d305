//! Programs of the protocol version before today's, by a door in front of today's: through it fits what that version had.
//!
//! A node behind its door offers only that version, brings no receipt, tells of no machine and never asks what it had no
//! questions for; so today's hub answers it in that version, and it lives by such answers. A hub behind its door hears only that
//! version: another one is refused, endpoints that came later are not there. An upgrade takes the door away while the folder
//! stays.

use crate::bugs::sealed;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode, request};
use serde_json::{Value, json};
use sync_protocol::checksum::{CHANGES, CHECKSUMS, MEND};
use sync_protocol::message::{MACHINE_HEADER, PROTOCOL_HEADER, path};
use sync_protocol::{OLDEST_VERSION, VERSION};

/// The version that they speak.
pub const SPOKEN: u32 = OLDEST_VERSION;
const _: () = assert!(SPOKEN + 1 == VERSION, "one version lies between them");

/// What a program of [`SPOKEN`] read of a request to `hello`.
const HELLO: [&str; 10] =
    ["version", "protocols", "hub_id", "epoch", "origin", "seq", "head", "now_ms", "renew", "status"];
/// What it read of one to `enrol`.
const ENROL: [&str; 5] = ["code", "node_name", "version", "protocols", "now_ms"];

/// Whether a path came later.
fn is_later(path: &str) -> bool {
    [path::OFFER, path::GIVE, CHECKSUMS, CHANGES, MEND].contains(&path)
}

/// A request as an older node sends it; none where it has no such request.
pub fn sent_by_a_node(parts: &mut request::Parts, body: Bytes) -> Option<Bytes> {
    let path = parts.uri.path().to_owned();
    if is_later(&path) {
        // Today's node asks these behind its door: whatever it does about histories it must not do with an older hub.
        assert!(path != path::OFFER && path != path::GIVE, "{path} was asked in version {SPOKEN}");
        return None;
    }
    parts.headers.remove(MACHINE_HEADER);
    Some(known(parts, body))
}

/// A request as an older hub hears it; else how it refuses.
///
/// # Errors
/// The refusal; none where the request did not arrive whole.
pub async fn heard_by_a_hub(request: Request<Body>) -> Result<Request<Body>, Option<Response<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if is_later(&path) {
        return Err(Some(not_there()));
    }
    let spoken = parts.headers.get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if path != path::ENROL && spoken != SPOKEN.to_string() {
        let told = json!({
            "type": "urn:aincident:problem:protocol-version", "title": "The hub refuses", "status": 426,
            "detail": "node and hub have no protocol version in common",
        });
        let mut refused = Response::new(Bytes::new());
        *refused.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return Err(sealed(&parts.headers, refused, told.to_string().into_bytes()));
    }
    parts.headers.remove(MACHINE_HEADER);
    if path != path::HELLO && path != path::ENROL {
        return Ok(Request::from_parts(parts, body));
    }
    let body = to_bytes(body, usize::MAX).await.map_err(|_| None)?;
    let body = known(&mut parts, body);
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// What whoever knows no such path answers, without a proof.
pub fn not_there() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

/// A `hello` or `enrol` with what [`SPOKEN`] had, in that version; any other body as it is.
fn known(parts: &mut request::Parts, body: Bytes) -> Bytes {
    let members: &[&str] = match parts.uri.path() {
        path::HELLO => &HELLO,
        path::ENROL => &ENROL,
        _ => return body,
    };
    let mut request: Value = serde_json::from_slice(&body).expect("a request of JSON");
    let offered = request["protocols"].as_array().expect("protocols");
    assert!(offered.contains(&json!(SPOKEN)), "version {SPOKEN} is not offered: {request}");
    request.as_object_mut().expect("an object").retain(|name, _| members.contains(&name.as_str()));
    request["protocols"] = json!([SPOKEN]);
    let body = Bytes::from(request.to_string());
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    body
}
