//! `/api/v1/incidents/bulk`: the same done to many incidents.

use super::door::Door;
use super::object::Object;
use crate::bulk::{self, Deed, Outcome};
use crate::desk::Desk;
use axum::extract::State;
use chassis::http::{Json, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What is done to which incidents.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// The incidents.
    #[schema(min_items = 1, max_items = 200)]
    pub ids: Vec<Uuid>,
    /// `assign`, `unassign` or `close`.
    #[schema(pattern = "^(assign|unassign|close)$", example = "close")]
    pub action: String,
    /// For `assign`: whom to, a username.
    pub assigned_to: Option<String>,
    /// For `close`: why.
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
}

/// What came of each.
#[derive(Serialize, ToSchema)]
pub struct BulkAnswer {
    /// In the order in which they were named.
    items: Vec<Outcome>,
}

/// Do the same to many incidents
///
/// Each one by itself, by the rules of a single edit; the answer tells for each what came of it. Whatever the answer, sending it again does
/// no harm. For managers.
#[utoipa::path(
    post, path = "/api/v1/incidents/bulk", tag = "incidents", operation_id = "bulk_incidents",
    request_body = BulkRequest,
    responses((status = 200, description = "What came of each", body = BulkAnswer))
)]
pub async fn bulk(
    State(desk): State<Desk>,
    Door(actor): Door,
    Object(request): Object<BulkRequest>,
) -> Result<Json<BulkAnswer>, Problem> {
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let deed = match (request.action.as_str(), filled(request.assigned_to), filled(request.reason)) {
        ("assign", Some(to), None) => Deed::Assign(Some(to)),
        ("assign", None, _) => return Err(Problem::invalid("assigned_to", "is required: a username")),
        ("assign", _, Some(_)) | ("unassign", _, Some(_)) => {
            return Err(Problem::invalid("reason", "goes with close"));
        }
        ("unassign", None, None) => Deed::Assign(None),
        ("unassign" | "close", Some(_), _) => return Err(Problem::invalid("assigned_to", "goes with assign")),
        ("close", None, reason) => Deed::Close(reason),
        _ => return Err(Problem::invalid("action", "must be assign, unassign or close")),
    };
    Ok(Json(BulkAnswer { items: bulk::run(&desk, &actor, &request.ids, &deed).await? }))
}
