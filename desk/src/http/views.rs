//! Filters of the list that somebody has given a name.

use super::door::Door;
use super::object::Object;
use crate::desk::Desk;
use crate::ledger::{Pair, View};
use crate::views;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Views.
#[derive(Serialize, ToSchema)]
pub struct ViewList {
    /// By name.
    items: Vec<View>,
}

/// A view to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewRequest {
    /// What to call it.
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// What it is made of, as in the address of the list's page: days for `from` and `to`.
    #[schema(min_items = 1, max_items = 60)]
    filters: Vec<Pair>,
}

/// List my views
///
/// They are mine, and known at this site only.
#[utoipa::path(
    get, path = "/api/v1/views", tag = "incidents", operation_id = "list_views",
    responses((status = 200, description = "By name", body = ViewList))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door) -> Result<Json<ViewList>, Problem> {
    Ok(Json(ViewList { items: views::list(&desk, &actor).await? }))
}

/// Keep a view
///
/// At most thirty.
#[utoipa::path(
    post, path = "/api/v1/views", tag = "incidents", operation_id = "add_view", request_body = ViewRequest,
    responses((status = 201, description = "The view", body = View))
)]
pub async fn add(
    State(desk): State<Desk>,
    Door(actor): Door,
    Object(ViewRequest { name, filters }): Object<ViewRequest>,
) -> Result<Response, Problem> {
    let view = views::add(&desk, &actor, &name, filters).await?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// Delete a view
#[utoipa::path(
    delete, path = "/api/v1/views/{id}", tag = "incidents", operation_id = "remove_view",
    params(("id" = Uuid, Path, description = "The view")),
    responses((status = 204, description = "It is gone"))
)]
pub async fn remove(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<StatusCode, Problem> {
    views::remove(&desk, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
