//! Edits that met.

use super::door::Door;
use crate::desk::Desk;
use crate::incidents::query;
use crate::{ledger, reviews};
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Problem, QueryPairs};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Reviews of an answer where the request does not say.
const DEFAULT_LIMIT: u32 = 100;

/// Reviews.
#[derive(Serialize, ToSchema)]
pub struct Reviews {
    /// Newest first.
    items: Vec<Review>,
}

/// A field in which two people did not know of each other's edit.
#[derive(Serialize, ToSchema)]
struct Review {
    /// The incident.
    incident_id: Uuid,
    /// Its store.
    store_code: String,
    /// Its reference.
    reference: String,
    /// The field, or `deleted` where it was edited and deleted at once.
    field: String,
    /// When it was noticed.
    #[schema(format = "date-time")]
    since: String,
}

impl From<ledger::Review> for Review {
    fn from(review: ledger::Review) -> Self {
        Self {
            incident_id: review.incident_id,
            store_code: review.store_code,
            reference: review.reference,
            field: review.field.replace('/', "."),
            since: format_rfc3339(review.since_ms),
        }
    }
}

/// Edits that met
///
/// For managers: fields in which two people did not know of each other's edit. The later value stands, the other one is
/// in the incident's history.
#[utoipa::path(
    get, path = "/api/v1/reviews", tag = "incidents", operation_id = "list_reviews",
    params(("limit" = Option<u32>, Query, description = "At most how many; 100 where it is left out", minimum = 1, maximum = 200)),
    responses((status = 200, description = "The newest ones", body = Reviews))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, pairs: QueryPairs) -> Result<Json<Reviews>, Problem> {
    pairs.only(&["limit"])?;
    let limit = pairs.one("limit")?.map(|limit| query::whole(limit, 1, query::MAX_LIMIT)).transpose();
    let limit = limit.map_err(|message| Problem::invalid("limit", message))?.unwrap_or(DEFAULT_LIMIT);
    let items = reviews::list(&desk, &actor, limit).await?;
    Ok(Json(Reviews { items: items.into_iter().map(Review::from).collect() }))
}
