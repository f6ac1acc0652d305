//! `/api/v1/nodes`: the fleet.

use crate::fleet::{self, Code, HubItem, NodeDetail, NodeItem, RefusedItem};
use axum::extract::State;
use chassis::http::{Json, Path, Problem, QueryPairs};
use desk::Desk;
use desk::http::Door;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// The routes.
pub fn routes(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(refused))
        .routes(routes!(make_code))
        .routes(routes!(get, revoke))
        .routes(routes!(replace))
        .with_state(desk)
}

/// The fleet.
#[derive(Serialize, ToSchema)]
pub struct NodeList {
    /// By store and name.
    pub items: Vec<NodeItem>,
    /// The hub itself.
    pub hub: HubItem,
}

/// Whom the hub refused.
#[derive(Serialize, ToSchema)]
pub struct RefusedList {
    /// The latest first, at most some hundreds.
    pub items: Vec<RefusedItem>,
}

/// Which store a new node will belong to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCodeRequest {
    /// The store's code.
    #[schema(example = "042")]
    pub store_code: String,
}

/// List nodes
///
/// And how far each one is behind. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/nodes", operation_id = "list_nodes", tag = "fleet",
    params(("store" = Option<String>, Query, description = "Only this store's nodes")),
    responses((status = 200, description = "By store and name", body = NodeList))
)]
async fn list(State(desk): State<Desk>, Door(actor): Door, query: QueryPairs) -> Result<Json<NodeList>, Problem> {
    query.only(&["store"])?;
    let store = query.one("store")?.map(str::to_owned);
    let items = fleet::nodes(&desk, &actor, store).await?;
    Ok(Json(NodeList { items, hub: fleet::program(&desk, &actor).await? }))
}

/// List refused nodes
///
/// Revoked nodes that still call, copies, nodes of another hub, programs too old or too new, and what only says that it is a
/// node: with the last time and how often. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/nodes/refused", operation_id = "list_refused_nodes", tag = "fleet",
    responses((status = 200, description = "The latest first", body = RefusedList))
)]
async fn refused(State(desk): State<Desk>, Door(actor): Door, query: QueryPairs) -> Result<Json<RefusedList>, Problem> {
    query.only(&[])?;
    Ok(Json(RefusedList { items: fleet::refused(&desk, &actor).await? }))
}

/// Make an enrolment code
///
/// It enrols one node of the store, once, within the next 24 hours, and is shown in this answer only. For administrators.
#[utoipa::path(
    post, path = "/api/v1/nodes/codes", operation_id = "make_node_code", tag = "fleet",
    request_body = NewCodeRequest,
    responses((status = 201, description = "The code", body = Code))
)]
async fn make_code(
    State(desk): State<Desk>,
    Door(actor): Door,
    Json(request): Json<NewCodeRequest>,
) -> Result<(StatusCode, Json<Code>), Problem> {
    let code = fleet::make_code(&desk, &actor, &request.store_code).await?;
    Ok((StatusCode::CREATED, Json(code)))
}

/// Get a node
///
/// With what was wrong with it, and what administrators did with it. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/nodes/{id}", operation_id = "get_node", tag = "fleet",
    params(("id" = Uuid, Path, description = "The node's id")),
    responses((status = 200, description = "The node", body = NodeDetail))
)]
async fn get(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Json<NodeDetail>, Problem> {
    Ok(Json(fleet::node(&desk, &actor, id).await?))
}

/// Revoke a node
///
/// Ends its right to talk to the hub, at once and for good; its recordings stay on it. For administrators.
#[utoipa::path(
    delete, path = "/api/v1/nodes/{id}", operation_id = "revoke_node", tag = "fleet",
    params(
        ("id" = Uuid, Path, description = "The node's id"),
        ("reason" = Option<String>, Query, description = "Why, for those who read it later; at most 2000 characters")
    ),
    responses((status = 204, description = "Revoked, now or before"))
)]
async fn revoke(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    query: QueryPairs,
) -> Result<StatusCode, Problem> {
    query.only(&["reason"])?;
    fleet::revoke(&desk, &actor, id, query.one("reason")?.map(str::to_owned)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace a node
///
/// Makes a code for new hardware, shown in this answer only. The node that enrols with it takes the place of this one, which may then
/// send what it still holds and gets nothing more. For administrators.
#[utoipa::path(
    post, path = "/api/v1/nodes/{id}/replace", operation_id = "replace_node", tag = "fleet",
    params(("id" = Uuid, Path, description = "The node's id")),
    responses(
        (status = 201, description = "The code", body = Code),
        (status = 409, description = "It is revoked, or was replaced already")
    )
)]
async fn replace(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Code>), Problem> {
    Ok((StatusCode::CREATED, Json(fleet::replace(&desk, &actor, id).await?)))
}
