//! Contents of photos, for nodes. [`crate::intake::blobs`] does the work.

use super::proof::prove;
use super::sync::{json, problem};
use crate::intake::Intake;
use crate::intake::credentials::Caller;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head, options, post};
use axum::{Extension, Router};
use chassis::blobs::Sha256;
use chassis::http::tus::Tus;
use chassis::http::{Json, Path, Problem, long_lived};
use http::HeaderMap;
use sync_protocol::message::{HaveAnswer, HaveRequest, path};
use sync_protocol::record::MAX_PHOTO_BYTES;
use uuid::Uuid;

/// The routes.
pub(super) fn routes(intake: &Intake) -> Router<Intake> {
    let uploads = Router::new()
        .route(path::UPLOADS, options(describe).post(begin))
        .route(&format!("{}/{{id}}", path::UPLOADS), head(look).patch(send).delete(end))
        .route_layer(DefaultBodyLimit::disable())
        .route_layer(from_fn(long_lived));
    let down = Router::new()
        .route(&format!("{}/{{sha256}}", path::BLOBS), get(fetch))
        .route_layer(from_fn(long_lived))
        .route_layer(from_fn_with_state(intake.clone(), super::proof::admit));
    Router::new()
        .route(path::HAVE, post(have))
        .merge(uploads)
        .route_layer(from_fn_with_state(intake.clone(), prove))
        .merge(down)
}

fn tus(intake: &Intake) -> Tus {
    Tus {
        uploads: intake.uploads().clone(),
        base: path::UPLOADS,
        max_bytes: MAX_PHOTO_BYTES,
    }
}

/// 200 [`HaveAnswer`]; 400, 413, 503.
async fn have(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HaveAnswer>, Problem> {
    let request: HaveRequest = json(&headers, body).await.map_err(problem)?;
    intake.have(&caller, request).await.map(Json).map_err(problem)
}

/// 204.
async fn describe(State(intake): State<Intake>) -> Response {
    tus(&intake).options()
}

/// 201; 400, 409 `records-first`, 412, 413, 422, 429, 503.
async fn begin(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match intake.admission().bytes() {
        Ok(_room) => tus(&intake).create(&caller.owner(), &headers, body).await,
        Err(refused) => problem(refused).into_response(),
    }
}

/// 200; 404, 410, 412.
async fn look(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    tus(&intake).head(&caller.owner(), id, &headers).await
}

/// 204; 404, 409, 410, 412, 413, 415, 460, 503.
async fn send(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match intake.admission().bytes() {
        Ok(_room) => tus(&intake).patch(&caller.owner(), id, &headers, body).await,
        Err(refused) => problem(refused).into_response(),
    }
}

/// 204; 404, 410, 412.
async fn end(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    tus(&intake).delete(&caller.owner(), id, &headers).await
}

/// 200 or 206, the bytes; 404, 416, 503. Not sealed: the node knows the digest.
async fn fetch(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let gone = || Problem::not_found("there is no such content here, or none that this node may have");
    let sha256: Sha256 = sha256.parse().map_err(|_| gone())?;
    let room = intake.admission().bytes().map_err(problem)?;
    let reading = intake.blob(&caller, sha256).await.map_err(problem)?.ok_or_else(gone)?;
    Ok(desk::http::content::whole_or_part(intake.desk(), reading, sha256, &headers, room))
}
