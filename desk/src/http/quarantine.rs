//! Changes in quarantine.

use super::door::Door;
use crate::desk::Desk;
use crate::incidents::query;
use crate::quarantine::answer::{QuarantineItem, QuarantineList, listed, whole};
use crate::quarantine::{self, Correction};
use axum::extract::State;
use chassis::http::{FieldError, Json, Path, Problem, QueryPairs};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::ChangeId;
use utoipa::ToSchema;
use uuid::Uuid;

/// Changes of an answer where the request does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Why to try again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Why.
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

/// Why a change is not wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardRequest {
    /// Why.
    #[schema(max_length = 2000)]
    reason: String,
}

/// What stands in for a change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditRequest {
    /// `incident`, `comment`, `photo` or `step`: where the change itself cannot be read.
    kind: Option<String>,
    /// The record: where the change itself cannot be read.
    record_id: Option<Uuid>,
    /// Every field as it shall become, under its name in changes, such as `people/ID`.
    #[schema(value_type = Object)]
    set: BTreeMap<String, Value>,
    /// Why.
    #[schema(max_length = 2000)]
    reason: String,
}

/// List changes in quarantine
///
/// For managers: what could not be put into its record, here or at headquarters, and why. Only later changes of the same
/// record wait behind one; they are counted with it.
#[utoipa::path(
    get, path = "/api/v1/quarantine", tag = "sync", operation_id = "list_quarantine",
    params(
        ("settled" = Option<bool>, Query, description = "Those that people decided against, instead of open ones"),
        ("limit" = Option<u32>, Query, description = "At most how many; 50 where it is left out", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "Newest arrival first", body = QuarantineList))
)]
pub async fn list(
    State(desk): State<Desk>,
    Door(actor): Door,
    pairs: QueryPairs,
) -> Result<Json<QuarantineList>, Problem> {
    pairs.only(&["settled", "limit", "cursor"])?;
    let limit = pairs.one("limit")?.map(|limit| query::whole(limit, 1, query::MAX_LIMIT)).transpose();
    let limit = limit.map_err(|message| Problem::invalid("limit", message))?.unwrap_or(DEFAULT_LIMIT);
    let settled = flag(&pairs, "settled")?;
    Ok(Json(listed(quarantine::list(&desk, &actor, settled, pairs.one("cursor")?, limit).await?)))
}

pub(super) fn flag(pairs: &QueryPairs, name: &str) -> Result<bool, Problem> {
    match pairs.one(name)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::unprocessable(vec![FieldError::new(name, "must be true or false")])),
    }
}

/// The change that an address names.
fn change(id: &str) -> Result<ChangeId, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found("there is nothing at this address, or nothing that you may see"))
}

/// Get a change in quarantine
///
/// For managers. Also one that is settled, or in its record by now.
#[utoipa::path(
    get, path = "/api/v1/quarantine/{id}", tag = "sync", operation_id = "get_quarantined",
    params(("id" = String, Path, description = "The change, `ORIGIN:SEQ`")),
    responses((status = 200, description = "It", body = QuarantineItem))
)]
pub async fn get(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<String>,
) -> Result<Json<QuarantineItem>, Problem> {
    Ok(Json(whole(quarantine::get(&desk, &actor, change(&id)?).await?)))
}

/// Try a change in quarantine again
///
/// By the present rules, wherever it is in quarantine. After an upgrade that happens by itself. For managers.
#[utoipa::path(
    post, path = "/api/v1/quarantine/{id}/retry", tag = "sync", operation_id = "retry_quarantined",
    params(("id" = String, Path, description = "The change, `ORIGIN:SEQ`")),
    request_body = Option<RetryRequest>,
    responses((status = 200, description = "As it stands here now; another site tries it when it hears of it", body = QuarantineItem))
)]
pub async fn retry(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<String>,
    request: Option<Json<RetryRequest>>,
) -> Result<Json<QuarantineItem>, Problem> {
    let reason = request.and_then(|Json(request)| request.reason);
    Ok(Json(whole(quarantine::retry(&desk, &actor, change(&id)?, reason).await?)))
}

/// Decide against a change in quarantine
///
/// It stays kept, out of its record for good, and what waited behind it goes on. For managers.
#[utoipa::path(
    post, path = "/api/v1/quarantine/{id}/discard", tag = "sync", operation_id = "discard_quarantined",
    params(("id" = String, Path, description = "The change, `ORIGIN:SEQ`")),
    request_body = DiscardRequest,
    responses((status = 200, description = "Settled, here and at every site that hears of it", body = QuarantineItem))
)]
pub async fn discard(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<String>,
    Json(request): Json<DiscardRequest>,
) -> Result<Json<QuarantineItem>, Problem> {
    Ok(Json(whole(quarantine::discard(&desk, &actor, change(&id)?, request.reason).await?)))
}

/// Correct a change in quarantine
///
/// What is given is recorded as a new change by whoever corrects it; the one in quarantine stays kept, out of its record for
/// good. For managers.
#[utoipa::path(
    post, path = "/api/v1/quarantine/{id}/edit", tag = "sync", operation_id = "edit_quarantined",
    params(("id" = String, Path, description = "The change, `ORIGIN:SEQ`")),
    request_body = EditRequest,
    responses((status = 200, description = "Settled, here and at every site that hears of it", body = QuarantineItem))
)]
pub async fn edit(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<String>,
    Json(request): Json<EditRequest>,
) -> Result<Json<QuarantineItem>, Problem> {
    let EditRequest { kind, record_id, set, reason } = request;
    let correction = Correction { kind, record_id, set, reason };
    Ok(Json(whole(quarantine::edit(&desk, &actor, change(&id)?, correction).await?)))
}
