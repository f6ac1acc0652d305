//! Edits that met.

use super::door::Door;
use crate::desk::Desk;
use crate::error::Refusal;
use crate::incidents::query;
use crate::reviews::Keep;
use crate::{ledger, reviews};
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Path, Problem, QueryPairs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_protocol::change::ChangeId;
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
pub struct Review {
    /// The review: the incident and the field, the same at every site.
    #[schema(example = "019aa2b3-c000-7000-8000-00000000000a:title")]
    id: String,
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
    /// What stands.
    standing: Option<Said>,
    /// What was typed over unseen, oldest first.
    lost: Vec<Said>,
    /// Who decided, where somebody has.
    settled: Option<Decided>,
}

/// A value, and who wrote it.
#[derive(Serialize, ToSchema)]
struct Said {
    /// The change, `ORIGIN:SEQ`.
    change: String,
    /// The value; for `deleted` whether it was.
    value: Value,
    /// Username.
    by: String,
    /// When, by the clock of the site where it was written.
    #[schema(format = "date-time")]
    at: String,
    /// A store's code, or `hub`.
    site: String,
}

/// Who decided between edits that met.
#[derive(Serialize, ToSchema)]
struct Decided {
    /// Username.
    by: String,
    /// When, by the clock of the site where it was decided.
    #[schema(format = "date-time")]
    at: String,
    /// A store's code, or `hub`.
    site: String,
    /// What was kept: `standing`, `lost` or `value`.
    keep: String,
}

impl From<ledger::Said> for Said {
    fn from(said: ledger::Said) -> Self {
        let ledger::Said { change, by, at, site, value } = said;
        Self { change: change.to_string(), value, by, at, site }
    }
}

impl From<ledger::Review> for Review {
    fn from(review: ledger::Review) -> Self {
        let field = reviews::public(&review.field);
        let settled = review.decided.filter(|_| review.is_settled);
        Self {
            id: format!("{}:{field}", review.incident_id.hyphenated()),
            incident_id: review.incident_id,
            store_code: review.store_code,
            reference: review.reference,
            field,
            since: format_rfc3339(review.since_ms),
            standing: review.standing.map(Said::from),
            lost: review.lost.into_iter().map(Said::from).collect(),
            settled: settled.map(|decided| Decided {
                by: decided.by,
                at: decided.at,
                site: decided.site,
                keep: decided.keep,
            }),
        }
    }
}

/// Which value shall stand: `keep`, or a `value` of one's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleRequest {
    /// `standing`, or `lost` for one that was typed over.
    keep: Option<String>,
    /// Which of the lost values, by its change; the latest one where it is left out.
    change: Option<String>,
    /// Another value than those; `null` for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

/// Tells `null` from what is left out.
fn given<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}

impl SettleRequest {
    fn keep(self) -> Result<Keep, Problem> {
        let change = self.change.map(|id| id.parse::<ChangeId>()).transpose();
        let change = change.map_err(|wrong| Problem::invalid("change", wrong.0))?;
        match (self.keep.as_deref(), self.value, change) {
            (Some("standing"), None, None) => Ok(Keep::Standing),
            (Some("lost"), None, change) => Ok(Keep::Lost(change)),
            (None, Some(value), None) => Ok(Keep::Value(value)),
            (Some("standing" | "lost"), ..) => Err(Problem::invalid("keep", "goes with no value of one's own")),
            (Some(_), ..) => Err(Problem::invalid("keep", "must be standing or lost")),
            (None, ..) => Err(Problem::invalid("keep", "is required: standing or lost, or give a value instead")),
        }
    }
}

/// Edits that met
///
/// For managers: fields in which two people did not know of each other's edit. The later value stands until somebody decides;
/// the other one is in the incident's history.
#[utoipa::path(
    get, path = "/api/v1/reviews", tag = "incidents", operation_id = "list_reviews",
    params(
        ("settled" = Option<bool>, Query, description = "Those that are decided, instead of open ones"),
        ("limit" = Option<u32>, Query, description = "At most how many; 100 where it is left out", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "The newest ones", body = Reviews))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, pairs: QueryPairs) -> Result<Json<Reviews>, Problem> {
    pairs.only(&["settled", "limit"])?;
    let limit = pairs.one("limit")?.map(|limit| query::whole(limit, 1, query::MAX_LIMIT)).transpose();
    let limit = limit.map_err(|message| Problem::invalid("limit", message))?.unwrap_or(DEFAULT_LIMIT);
    let settled = super::quarantine::flag(&pairs, "settled")?;
    let items = reviews::list(&desk, &actor, settled, limit).await?;
    Ok(Json(Reviews { items: items.into_iter().map(Review::from).collect() }))
}

/// Decide between edits that met
///
/// Choosing a value that was lost, or another one, writes the field anew. The review is settled here and at every site that
/// hears of it. For managers.
#[utoipa::path(
    post, path = "/api/v1/reviews/{id}/settle", tag = "incidents", operation_id = "settle_review",
    params(("id" = String, Path, description = "The review, `INCIDENT:FIELD`")),
    request_body = SettleRequest,
    responses((status = 200, description = "As it is now", body = Review))
)]
pub async fn settle(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<String>,
    Json(request): Json<SettleRequest>,
) -> Result<Json<Review>, Problem> {
    let keep = request.keep()?;
    let (incident, field) = id
        .split_once(':')
        .and_then(|(incident, field)| Some((Uuid::try_parse(incident).ok()?, field)))
        .ok_or_else(|| Problem::from(Refusal::NotFound))?;
    Ok(Json(reviews::settle(&desk, &actor, incident, field, keep).await?.into()))
}
