//! Edits that met.

use super::door::Door;
use crate::desk::Desk;
use crate::{ledger, reviews};
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Problem, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How many reviews.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReviewParams {
    /// At most how many.
    #[param(minimum = 1, maximum = 200, default = 100)]
    limit: Option<u32>,
}

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
/// in the incident's history; writing the field again settles it.
#[utoipa::path(
    get, path = "/api/v1/reviews", tag = "incidents", operation_id = "list_reviews", params(ReviewParams),
    responses((status = 200, description = "The newest ones", body = Reviews))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, Query(params): Query<ReviewParams>) -> Result<Json<Reviews>, Problem> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=200).contains(&limit) {
        return Err(Problem::invalid("limit", "must be a whole number from 1 to 200"));
    }
    let items = reviews::list(&desk, &actor, limit).await?;
    Ok(Json(Reviews { items: items.into_iter().map(Review::from).collect() }))
}
