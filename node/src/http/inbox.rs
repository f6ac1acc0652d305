//! Files of the drop folder that wait to be filed.

use crate::http::Site;
use crate::inbox::filing;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem};
use desk::http::Door;
use desk::ledger::{InboxItem, Photo};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Files that wait.
#[derive(Serialize, ToSchema)]
pub struct InboxList {
    /// Oldest first, at most 500.
    items: Vec<InboxItem>,
}

/// Where a file belongs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// The incident.
    incident_id: Uuid,
    /// What is said about the file.
    #[schema(max_length = 1000)]
    caption: Option<String>,
}

/// The routes.
pub fn routes(site: Site) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(file, discard)).with_state(site)
}

/// List files to be filed
///
/// For managers: what came through the drop folder and names no incident.
#[utoipa::path(
    get, path = "/api/v1/inbox", tag = "photos", operation_id = "list_inbox",
    responses((status = 200, description = "The files", body = InboxList))
)]
async fn list(State(site): State<Site>, Door(actor): Door) -> Result<Json<InboxList>, Problem> {
    Ok(Json(InboxList { items: filing::list(&site.desk, &actor).await? }))
}

/// File a file
///
/// Adds it to an incident and takes it off the list.
#[utoipa::path(
    post, path = "/api/v1/inbox/{id}", tag = "photos", operation_id = "file_inbox_item",
    params(("id" = Uuid, Path, description = "The file")),
    request_body = FileRequest,
    responses((status = 201, description = "The photo", body = Photo))
)]
async fn file(
    State(site): State<Site>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    Json(request): Json<FileRequest>,
) -> Result<Response, Problem> {
    let photo = filing::file(&site.desk, &actor, id, request.incident_id, request.caption).await?;
    Ok((StatusCode::CREATED, Json(photo)).into_response())
}

/// Take a file off the list
///
/// It belongs to nothing. The file itself stays in the drop folder's `done`.
#[utoipa::path(
    delete, path = "/api/v1/inbox/{id}", tag = "photos", operation_id = "discard_inbox_item",
    params(("id" = Uuid, Path, description = "The file")),
    responses((status = 204, description = "Off the list"))
)]
async fn discard(State(site): State<Site>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<StatusCode, Problem> {
    filing::discard(&site.desk, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
