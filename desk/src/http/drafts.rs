//! What somebody is typing.

use super::door::Door;
use super::object::Object;
use crate::desk::Desk;
use crate::drafts;
use crate::ledger::{FormDraft, Pair};
use crate::photos::uploads::other_user;
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Path, Problem};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A draft.
#[derive(Serialize, ToSchema)]
pub struct Draft {
    /// It: not the id of any incident.
    id: Uuid,
    /// When it was last changed; fourteen days later it is forgotten.
    #[schema(format = "date-time")]
    changed_at: String,
    /// The form's fields.
    fields: Vec<Pair>,
}

impl From<FormDraft> for Draft {
    fn from(draft: FormDraft) -> Self {
        Self { id: draft.id, changed_at: format_rfc3339(draft.changed_ms), fields: draft.fields }
    }
}

/// Drafts.
#[derive(Serialize, ToSchema)]
pub struct DraftList {
    /// The newest first.
    items: Vec<Draft>,
}

/// What was typed so far.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRequest {
    /// Whose draft it is, where the device may have another user by now: another one than whoever is logged in is refused (409).
    username: Option<String>,
    /// The form's fields, as the page `/incidents/new` names them.
    #[schema(max_items = 2000)]
    fields: Vec<Pair>,
}

/// List my drafts
///
/// What I am typing on any device: seen by nobody else, known at this site only, no incidents yet.
#[utoipa::path(
    get, path = "/api/v1/drafts", tag = "incidents", operation_id = "list_drafts",
    responses((status = 200, description = "The newest first", body = DraftList))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door) -> Result<Json<DraftList>, Problem> {
    let items = drafts::list(&desk, &actor).await?.into_iter().map(Draft::from).collect();
    Ok(Json(DraftList { items }))
}

/// Get a draft
#[utoipa::path(
    get, path = "/api/v1/drafts/{id}", tag = "incidents", operation_id = "get_draft",
    params(("id" = Uuid, Path, description = "The draft")),
    responses((status = 200, description = "The draft", body = Draft))
)]
pub async fn get(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Json<Draft>, Problem> {
    Ok(Json(drafts::get(&desk, &actor, id).await?.into()))
}

/// Keep a draft
///
/// Under an id that the client makes. At most twenty; 410 where it was recorded (`draft` of the form) or deleted before.
#[utoipa::path(
    put, path = "/api/v1/drafts/{id}", tag = "incidents", operation_id = "keep_draft", request_body = DraftRequest,
    params(("id" = Uuid, Path, description = "The draft")),
    responses(
        (status = 200, description = "The draft", body = Draft),
        (status = 410, description = "It was recorded or deleted", content_type = "application/problem+json", body = super::schema::Problem)
    )
)]
pub async fn keep(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    Object(DraftRequest { username, fields }): Object<DraftRequest>,
) -> Result<Json<Draft>, Problem> {
    if username.is_some_and(|username| username != actor.username) {
        return Err(other_user());
    }
    Ok(Json(drafts::keep(&desk, &actor, id, fields).await?.into()))
}

/// Delete a draft
#[utoipa::path(
    delete, path = "/api/v1/drafts/{id}", tag = "incidents", operation_id = "end_draft",
    params(("id" = Uuid, Path, description = "The draft")),
    responses((status = 204, description = "It is gone, or was"))
)]
pub async fn end(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<StatusCode, Problem> {
    drafts::end(&desk, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
