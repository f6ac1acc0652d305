//! `GET /api/v1/sync`: how far the node is in step with headquarters.

use axum::extract::State;
use chassis::http::{Json, Problem};
use desk::http::Door;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Site;
use crate::status::{self, Status};

/// The routes.
pub fn routes(site: Site) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(get_sync)).with_state(site)
}

/// How far this node is in step with headquarters. For everybody who is logged in.
#[utoipa::path(
    get, path = "/api/v1/sync", operation_id = "get_sync", tag = "sync",
    responses(
        (status = 200, body = Status),
        (status = 503, description = "`not-enrolled`: the node belongs to no store yet")
    )
)]
async fn get_sync(State(site): State<Site>, Door(_actor): Door) -> Result<Json<Status>, Problem> {
    let disk = site.desk.blobs().guard().report();
    Ok(Json(status::read(site.desk.ledger(), site.board.now().to_kept(), disk).await?))
}
