//! An incident's history.

use super::door::Door;
use crate::desk::Desk;
use crate::history;
use crate::ledger::HistoryItem;
use axum::extract::State;
use chassis::http::{Json, Path, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A history.
#[derive(Serialize, ToSchema)]
pub struct History {
    /// Oldest first.
    items: Vec<HistoryItem>,
}

/// An incident's history
///
/// Who changed what from what to what, when, at which site. `lost` marks a value that lost against an edit whose author
/// had not seen it. Managers see the history of a deleted incident too.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/history", tag = "incidents", operation_id = "incident_history",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, description = "Everything that was done to it", body = History))
)]
pub async fn history(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
) -> Result<Json<History>, Problem> {
    Ok(Json(History { items: history::of(&desk, &actor, id).await? }))
}
