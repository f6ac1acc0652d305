//! Answers that are kept: made once for each state of the ledger, in the coding that the client takes.
//!
//! The `ETag` follows from the ledger's generation and the question, so "you have it already" is answered without asking the
//! database anything, and without the answer.

use crate::actor::Actor;
use crate::cache::{Key, Kind};
use crate::desk::Desk;
use crate::rules;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chassis::http::{Coding, ETag, Problem, preferred_coding};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Answers JSON from the cache, or makes it. It may depend on `actor` by role and store alone, on `pairs`, and on what the
/// ledger's generation and the house stand for.
///
/// # Errors
/// What `make` says.
pub async fn json<F>(
    desk: &Desk,
    actor: &Actor,
    kind: Kind,
    pairs: &[(String, String)],
    headers: &HeaderMap,
    make: impl FnOnce() -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<String, Problem>>,
{
    let stamp = desk.ledger().generation().await?.to_le_bytes();
    let sight = rules::sight(actor).unwrap_or_default();
    let images = desk.house().images().as_bytes();
    let mut parts: Vec<&[u8]> = vec![&stamp, actor.role.as_str().as_bytes(), sight.as_bytes(), images];
    for (name, value) in pairs {
        parts.extend([name.as_bytes(), value.as_bytes()]);
    }
    let tag = ETag::of(&[Key::of(kind, &parts).as_bytes()]);
    let mut answered = HeaderMap::new();
    answered.insert(ETAG, tag.header_value());
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    answered.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if tag.not_modified(headers) {
        return Ok((StatusCode::NOT_MODIFIED, answered).into_response());
    }
    answered.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let coding = preferred_coding(headers.get(ACCEPT_ENCODING));
    let name = coding.map_or("identity", Coding::name);
    parts.push(name.as_bytes());
    let key = Key::of(kind, &parts);
    let (body, coded) = match desk.cache().get(kind, key).await {
        Some(kept) => (kept, true),
        None => {
            let body = Bytes::from(make().await?);
            match coding {
                None => {
                    desk.cache().put(kind, key, body.clone());
                    (body, false)
                }
                // Small answers are not worth it, nor worth a second look.
                Some(_) if body.len() < SMALL => (body, false),
                Some(coding) => {
                    let coded = tokio::task::spawn_blocking(move || coding.encode(&body)).await;
                    let coded = Bytes::from(coded.map_err(Problem::internal)?.map_err(Problem::internal)?);
                    desk.cache().put(kind, key, coded.clone());
                    (coded, true)
                }
            }
        }
    };
    if let Some(coding) = coding.filter(|_| coded) {
        answered.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    Ok((StatusCode::OK, answered, body).into_response())
}

/// Below this many bytes, compression costs more than it saves.
const SMALL: usize = 860;
