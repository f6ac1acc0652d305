//! Comments on an incident.

use super::door::Door;
use super::object::Object;
use super::schema::filled;
use crate::comments::{self, NewComment};
use crate::desk::Desk;
use crate::ledger::Comment;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A comment to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentRequest {
    /// Made by the client, so that a repeat is recognised; best a UUID of version 7.
    id: Option<Uuid>,
    /// What it says.
    #[schema(schema_with = filled::<10_000>)]
    body: String,
    /// `addendum`: new facts, after submission.
    #[serde(default)]
    #[schema(inline)]
    kind: CommentKind,
}

/// What a comment is.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommentKind {
    /// A remark.
    #[default]
    Comment,
    /// New facts, after submission.
    Addendum,
}

/// Comment on an incident
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/comments", tag = "incidents", operation_id = "add_comment",
    params(("id" = Uuid, Path, description = "The incident")),
    request_body = CommentRequest,
    responses((status = 201, description = "The comment", body = Comment))
)]
pub async fn add(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(incident_id): Path<Uuid>,
    Object(request): Object<CommentRequest>,
) -> Result<Response, Problem> {
    let kind = match request.kind {
        CommentKind::Comment => "comment",
        CommentKind::Addendum => "addendum",
    };
    let new = NewComment { id: request.id, body: request.body, kind: kind.to_owned() };
    let comment = comments::add(&desk, &actor, incident_id, new).await?;
    Ok((StatusCode::CREATED, Json(comment)).into_response())
}
