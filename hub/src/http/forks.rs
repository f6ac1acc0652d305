//! `/api/v1/forks`: branches kept aside, and what is in them.

use crate::fleet::{self, Branch, Fork};
use axum::extract::State;
use chassis::http::{Json, Path, Problem, QueryPairs};
use desk::Desk;
use desk::http::Door;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Branches of an answer.
const LIMIT: u32 = 200;

/// The routes.
pub fn routes(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).with_state(desk)
}

/// Branches kept aside.
#[derive(Serialize, ToSchema)]
pub struct ForkList {
    /// The newest first, at most 200.
    pub items: Vec<Fork>,
}

/// List forks
///
/// Pushes that contradicted what the hub holds of a node's stream: a copied disk, or an old backup. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/forks", operation_id = "list_forks", tag = "fleet",
    params(("store" = Option<String>, Query, description = "Only this store's nodes")),
    responses((status = 200, description = "The newest first", body = ForkList))
)]
async fn list(State(desk): State<Desk>, Door(actor): Door, query: QueryPairs) -> Result<Json<ForkList>, Problem> {
    query.only(&["store"])?;
    let store = query.one("store")?.map(str::to_owned);
    let items = fleet::forks(&desk, &actor, store, LIMIT).await?;
    Ok(Json(ForkList { items }))
}

/// Read a fork
///
/// What a push that was kept aside has in it, as it came. For administrators.
#[utoipa::path(
    get, path = "/api/v1/forks/{no}", operation_id = "get_fork", tag = "fleet",
    params(("no" = i64, Path, description = "As in the list")),
    responses((status = 200, description = "The branch", body = Branch))
)]
async fn one(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(no): Path<i64>,
    query: QueryPairs,
) -> Result<Json<Branch>, Problem> {
    query.only(&[])?;
    Ok(Json(fleet::fork(&desk, &actor, no).await?))
}
