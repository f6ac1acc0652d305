//! `/sync/v1`: what nodes ask. `sync-protocol/PROTOCOL.md` is the contract; [`crate::intake`] does the work.

use super::proof::prove;
use super::{blobs, checksums};
use crate::intake::credentials::Caller;
use crate::intake::{Intake, Refused};
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use chassis::http::{Apart, Asker, Json, Problem, long_lived};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;
use sync_protocol::batch::MEDIA_TYPE;
use sync_protocol::checksum;
use sync_protocol::message::{
    EnrolRequest, GiveAnswer, HelloAnswer, HelloRequest, OfferAnswer, OfferRequest, PROTOCOL_HEADER, PullRequest,
    PushAnswer, path,
};

/// Most bytes of a request that is no push.
const SMALL_BYTES: u64 = 64 * 1024;
/// Longest time for the body of a request that is no push.
const SMALL_TIME: Duration = Duration::from_secs(15);
/// Longest time for the body of a push: the largest one at 300 kbit/s.
pub(super) const PUSH_TIME: Duration = Duration::from_secs(120);

/// Where only an enrolled node gets any further than its name; there, the intake bounds how many it takes. All but the enrolment.
const OF_NODES: &[&str] = &[
    path::HELLO,
    path::PUSH,
    path::PULL,
    path::OFFER,
    path::GIVE,
    path::BLOBS,
    path::UPLOADS,
    checksum::CHECKSUMS,
    checksum::CHANGES,
    checksum::MEND,
];

/// Room for all of a large fleet at once, back from an outage: whoever finds none gets an answer without proof, as from a stranger.
pub(super) const APART: Apart = Apart { paths: OF_NODES, places: 8192 };

/// The routes.
pub fn routes(intake: Intake) -> Router {
    Router::new()
        .route(path::PUSH, post(push))
        .route(path::PULL, post(pull))
        .route(path::GIVE, post(give))
        .route(checksum::MEND, post(checksums::mend))
        // Bounded by the intake's own admission instead.
        .route_layer(from_fn(long_lived))
        .route(path::HELLO, post(hello))
        .route(path::OFFER, post(offer))
        .route(checksum::CHECKSUMS, post(checksums::checksums))
        .route(checksum::CHANGES, post(checksums::changes))
        .route_layer(from_fn_with_state(intake.clone(), prove))
        .merge(blobs::routes(&intake))
        .route(path::ENROL, post(enrol))
        .with_state(intake)
}

/// 200 [`sync_protocol::message::EnrolAnswer`]; 400, 403 `bad-code`, 413, 426, 429, 503.
async fn enrol(
    State(intake): State<Intake>,
    asker: Asker,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: EnrolRequest = json(&headers, body).await.map_err(problem)?;
    let too_many = |seconds| Refused::TooMany { retry_after: Duration::from_secs(seconds) };
    asker.may_guess().map_err(too_many).map_err(problem)?;
    let answer = intake.enrol(request).await;
    if matches!(answer, Err(Refused::BadCode)) {
        asker.guessed_wrong();
    }
    let answer = answer.map_err(problem)?;
    let version = (HeaderName::from_static(PROTOCOL_HEADER), HeaderValue::from(answer.protocol));
    let keep_out = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([version, keep_out], Json(answer)).into_response())
}

/// 200 [`HelloAnswer`]; 400, 403 `not-yours`, 409 `wrong-hub`, 413, 426, 503.
async fn hello(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HelloAnswer>, Problem> {
    let request: HelloRequest = json(&headers, body).await.map_err(problem)?;
    intake.hello(&caller, request).await.map(Json).map_err(problem)
}

/// 200 [`PushAnswer`], whatever became of the changes; 400, 403 `not-yours`, 413, 503.
async fn push(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PushAnswer>, Problem> {
    // Before the body: who finds no room has sent nothing in vain.
    let _room = intake.admission().arrive().map_err(problem)?;
    let body = read(&headers, body, intake.limits().push_bytes, PUSH_TIME).await.map_err(problem)?;
    intake.push(&caller, body).await.map(Json).map_err(problem)
}

/// 200 [`OfferAnswer`]; 400, 413, 426, 503.
async fn offer(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<OfferAnswer>, Problem> {
    let request: OfferRequest = json(&headers, body).await.map_err(problem)?;
    intake.offer(&caller, request).await.map(Json).map_err(problem)
}

/// 200 [`GiveAnswer`], whatever became of the lines; 400, 413, 426, 503.
async fn give(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GiveAnswer>, Problem> {
    let _room = intake.admission().arrive().map_err(problem)?;
    let body = read(&headers, body, intake.limits().push_bytes, PUSH_TIME).await.map_err(problem)?;
    intake.give(&caller, body).await.map(Json).map_err(problem)
}

/// 200 [`sync_protocol::batch::Page`], after a wait where there was nothing; 400, 403 `not-yours`, 409 `bad-cursor`, 413, 503.
async fn pull(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let request: PullRequest = json(&headers, body).await.map_err(problem)?;
    let page = intake.pull(&caller, request).await.map_err(problem)?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], page))
}

pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refused> {
    let body = read(headers, body, SMALL_BYTES, SMALL_TIME).await?;
    serde_json::from_slice(&body).map_err(|error| Refused::Malformed(format!("the body cannot be read: {error}")))
}

/// The body, within its limits. One that takes too long counts as too large: the node then sends less at once.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit_bytes: u64, time: Duration) -> Result<Bytes, Refused> {
    let too_large = || Refused::TooLarge(format!("the body is larger than {limit_bytes} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(too_large());
    }
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    match tokio::time::timeout(time, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => Err(too_large()),
        Ok(Err(_)) => Err(Refused::Malformed("the body did not arrive whole".to_owned())),
        Err(_) => Err(Refused::TooLarge(format!("the body did not arrive within {} s", time.as_secs()))),
    }
}

/// A refusal as HTTP has it.
pub(super) fn problem(refused: Refused) -> Problem {
    let (status, code) = refused.status_and_code();
    let (detail, retry_after) = (refused.detail(), refused.retry_after());
    let Some(code) = code else {
        let Refused::Failed(error) = refused else {
            return Problem::internal(detail);
        };
        return error.into();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem::new(status, code, "The hub refuses", detail);
    match retry_after {
        // Rounded up: too early would only be refused again.
        Some(after) => problem.retry_after(after.as_millis().div_ceil(1000) as u64),
        None => problem,
    }
}
