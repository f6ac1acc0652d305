//! `/api/v1/acts`, at headquarters: what administrators and headquarters did.

use super::door::Door;
use crate::acts::{self, ActItem};
use crate::desk::Desk;
use crate::incidents::query::whole;
use crate::ledger::ActQuery;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use chassis::clock::parse_rfc3339;
use chassis::http::{Json, Problem, QueryPairs};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Serialize;
use utoipa::ToSchema;

/// Acts.
#[derive(Serialize, ToSchema)]
pub struct ActList {
    /// The last one first.
    items: Vec<ActItem>,
    /// The `before` of the next page; null: this is the last.
    next_before: Option<i64>,
}

/// Reads which acts are asked for.
///
/// # Errors
/// 422.
pub fn query(pairs: &QueryPairs) -> Result<ActQuery, Problem> {
    let text = |name: &str| {
        let found = pairs.one(name)?.map(str::trim).filter(|text| !text.is_empty());
        Ok::<_, Problem>(found.map(ToOwned::to_owned))
    };
    let time = |name: &str| match text(name)? {
        None => Ok(None),
        // The plus of an offset is a space in a query that was not encoded.
        Some(at) => match parse_rfc3339(&at.replace(' ', "+")) {
            Some(ms) => Ok(Some(ms)),
            None => Err(Problem::invalid(name, "must be an RFC 3339 time, such as 2026-01-02T03:04:05Z")),
        },
    };
    let before = text("before")?.map(|no| no.parse::<i64>()).transpose();
    Ok(ActQuery {
        act: text("act")?,
        by: text("by")?,
        subject: text("subject")?,
        from_ms: time("from")?,
        to_ms: time("to")?,
        before: before.map_err(|_| Problem::invalid("before", "must be a number of this list"))?,
    })
}

/// List acts
///
/// Who made and changed accounts, stores and rules of notifications, made codes, revoked nodes, settled quarantine, ordered erasures, held
/// incidents, decided about jobs, took data out, and made and restored backups. Noted in the transaction of the act itself, or before it is done, and never altered. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/acts", operation_id = "list_acts", tag = "fleet",
    params(
        ("act" = Option<String>, Query, description = "Only this kind"),
        ("by" = Option<String>, Query, description = "Only this person's"),
        ("subject" = Option<String>, Query, description = "Only about this"),
        ("from" = Option<String>, Query, description = "Not before; RFC 3339"),
        ("to" = Option<String>, Query, description = "Before; RFC 3339"),
        ("before" = Option<i64>, Query, description = "Only those noted before the one of this number: `next_before` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most how many; 50 where it is left out", minimum = 1, maximum = 200)
    ),
    responses((status = 200, description = "The last one first", body = ActList))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, pairs: QueryPairs) -> Result<Json<ActList>, Problem> {
    pairs.only(&["act", "by", "subject", "from", "to", "before", "limit"])?;
    let limit = pairs.one("limit")?.map(|limit| whole(limit, 1, acts::MAX_LIMIT)).transpose();
    let limit = limit.map_err(|message| Problem::invalid("limit", message))?.unwrap_or(acts::DEFAULT_LIMIT);
    let (items, more) = acts::list(&desk, &actor, query(&pairs)?, limit).await?;
    let next_before = items.last().filter(|_| more).map(|item| item.no);
    Ok(Json(ActList { items, next_before }))
}

/// Export acts
///
/// As CSV, at most 50,000; this is an act, too. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/acts/export", operation_id = "export_acts", tag = "fleet",
    params(
        ("act" = Option<String>, Query, description = "Only this kind"),
        ("by" = Option<String>, Query, description = "Only this person's"),
        ("subject" = Option<String>, Query, description = "Only about this"),
        ("from" = Option<String>, Query, description = "Not before; RFC 3339"),
        ("to" = Option<String>, Query, description = "Before; RFC 3339")
    ),
    responses((status = 200, description = "The file", content_type = "text/csv", body = String))
)]
pub async fn export(State(desk): State<Desk>, Door(actor): Door, pairs: QueryPairs) -> Result<Response, Problem> {
    pairs.only(&["act", "by", "subject", "from", "to"])?;
    let file = acts::export(&desk, &actor, query(&pairs)?).await?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"acts.csv\""),
    ];
    Ok((headers, file).into_response())
}
