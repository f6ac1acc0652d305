//! Changes in quarantine.

use super::door::Door;
use crate::desk::Desk;
use crate::incidents::query;
use crate::ledger::{Quarantined, Standing, Word};
use crate::quarantine::{self, Correction};
use axum::extract::State;
use chassis::clock::format_rfc3339;
use chassis::http::{FieldError, Json, Path, Problem, QueryPairs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::ChangeId;
use utoipa::ToSchema;
use uuid::Uuid;

/// Changes of an answer where the request does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Most of a body that one answer shows, in bytes.
const MAX_SHOWN_BYTES: usize = 64 * 1024;
/// Most of a body that a list shows of each, in bytes.
const MAX_LISTED_BYTES: usize = 4 * 1024;

/// Changes in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantineList {
    /// Newest arrival first.
    items: Vec<QuarantineItem>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// A change that is, or was, in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantineItem {
    /// The change, `ORIGIN:SEQ`: the same at every site.
    #[schema(example = "019aa2b3-c000-7000-8000-00000000000a:7")]
    id: String,
    /// Its stream.
    origin: Uuid,
    /// Its number there.
    seq: u64,
    /// The record's kind, where the body can be read.
    kind: Option<String>,
    /// The record, where the body can be read.
    record_id: Option<Uuid>,
    /// The store.
    store_code: String,
    /// Who made it, as it says itself.
    by: Option<String>,
    /// Stable name of the reason.
    code: String,
    /// The reason.
    reason: String,
    /// When headquarters first had it.
    #[schema(format = "date-time")]
    received_at: Option<String>,
    /// How many later changes wait behind it.
    waiting: u64,
    /// `open`: to be decided; `waiting`: behind another one; `settled`: a person decided against it, it is kept and out of its
    /// record; `applied`: it is in its record.
    state: &'static str,
    /// It, as it came, or its beginning.
    body: String,
    /// How long it is.
    body_bytes: u64,
    /// Whether `body` is only its beginning.
    body_is_cut: bool,
    /// What people said about it, oldest first.
    history: Vec<QuarantineWord>,
}

/// A person's word about a change in quarantine.
#[derive(Serialize, ToSchema)]
struct QuarantineWord {
    /// `retry`, `discard` or `edit`.
    action: String,
    /// Username.
    by: String,
    /// When, by the clock of the site where it was said.
    #[schema(format = "date-time")]
    at: String,
    /// A store's code, or `hub`.
    site: String,
    /// Why.
    reason: Option<String>,
    /// The change that stands in for it, `ORIGIN:SEQ`.
    instead: Option<String>,
}

impl From<Word> for QuarantineWord {
    fn from(word: Word) -> Self {
        let Word { action, by, at, site, reason, instead } = word;
        Self { action, by, at, site, reason, instead: instead.map(|id| id.to_string()) }
    }
}

/// What of a change is shown, at most `most_bytes` of its body.
#[must_use]
pub fn shown(item: Quarantined, most_bytes: usize) -> QuarantineItem {
    let body_bytes = item.body.len();
    let mut body = item.body;
    let mut end = most_bytes.min(body_bytes);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    QuarantineItem {
        id: item.id.to_string(),
        origin: item.id.origin,
        seq: item.id.seq,
        kind: item.kind,
        record_id: item.record_id,
        store_code: item.store_code,
        by: item.by,
        code: item.code,
        reason: item.reason,
        received_at: item.received_ms.map(format_rfc3339),
        waiting: item.waiting,
        state: match item.standing {
            Standing::Open => "open",
            Standing::Waiting => "waiting",
            Standing::Settled => "settled",
            Standing::Applied => "applied",
        },
        body_is_cut: body.len() < body_bytes,
        body,
        body_bytes: body_bytes as u64,
        history: item.words.into_iter().map(QuarantineWord::from).collect(),
    }
}

/// One change with as much of its body as an answer shows.
#[must_use]
pub fn whole(item: Quarantined) -> QuarantineItem {
    shown(item, MAX_SHOWN_BYTES)
}

/// A list as the API answers it.
#[must_use]
pub fn listed(listed: quarantine::Listed) -> QuarantineList {
    let items = listed.items.into_iter().map(|item| shown(item, MAX_LISTED_BYTES)).collect();
    QuarantineList { items, next_cursor: listed.next_cursor }
}

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
