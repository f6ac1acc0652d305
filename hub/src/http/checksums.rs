//! Whether a node holds what the hub holds. [`crate::intake::checksums`] does the work.

use super::sync::{PUSH_TIME, json, problem, read};
use crate::intake::Intake;
use crate::intake::credentials::Caller;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use chassis::http::{Json, Problem};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sync_protocol::batch::MEDIA_TYPE;
use sync_protocol::checksum::{ChangesRequest, ChecksumsAnswer, ChecksumsRequest};
use sync_protocol::message::GiveAnswer;

/// 200 [`ChecksumsAnswer`]; 400, 403 `not-yours`, 413, 503.
pub(super) async fn checksums(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ChecksumsAnswer>, Problem> {
    let request: ChecksumsRequest = json(&headers, body).await.map_err(problem)?;
    intake.checksums(&caller, request).await.map(Json).map_err(problem)
}

/// 200 [`sync_protocol::batch::Page`]; 400, 413, 503.
pub(super) async fn changes(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let request: ChangesRequest = json(&headers, body).await.map_err(problem)?;
    let page = intake.changes(&caller, request).await.map_err(problem)?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], page))
}

/// 200 [`GiveAnswer`], whatever became of the lines; 400, 413, 503.
pub(super) async fn mend(
    State(intake): State<Intake>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GiveAnswer>, Problem> {
    let _room = intake.admission().arrive().map_err(problem)?;
    let body = read(&headers, body, intake.limits().push_bytes, PUSH_TIME).await.map_err(problem)?;
    intake.mend(&caller, body).await.map(Json).map_err(problem)
}
