//! What administrators and headquarters did: read, and taken out as a file. The ledger notes each act with the act itself.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::acts::name;
use crate::ledger::{ActQuery, ActRow, Identity, NewAct};
use crate::rules::{self, Act};
use bytes::Bytes;
use chassis::clock::format_rfc3339;
use serde::Serialize;
use serde_json::{Value, json};

/// Acts in an answer where the request does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most acts in an answer.
pub const MAX_LIMIT: u32 = 200;
/// Most acts in a file.
pub const MAX_EXPORTED: u32 = 50_000;
/// Acts read at once for a file.
const PAGE: u32 = 1000;

/// An act as it is told.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActItem {
    /// Its number, in the order in which acts were noted.
    pub no: i64,
    /// When; RFC 3339, UTC.
    #[schema(format = "date-time")]
    pub at: String,
    /// Username; `system:cli` is whoever sat at the hub's prompt.
    pub by: String,
    /// `account_added`, `account_changed`, `store_added`, `store_changed`, `code_made`, `replacement_code_made`, `node_revoked`,
    /// `settled`, `erasure_ordered`, `held`, `released`, `settings_changed`, `exported`, `acts_exported`, `notification_added`,
    /// `notification_changed`, `notification_removed`, `notification_secret_renewed`, `notification_tested`, `job_retried`,
    /// `jobs_retried`, `job_discarded`, `backed_up` or `restored`.
    #[schema(example = "node_revoked")]
    pub act: String,
    /// What it is about: a node's, incident's or rule's id, a username, a store's code, a change in quarantine, a job's number.
    pub subject: String,
    /// The store it is about; empty: no one store.
    pub store_code: String,
    /// What else there is to know, such as a reason.
    #[schema(value_type = Object)]
    pub details: Value,
}

impl From<ActRow> for ActItem {
    fn from(row: ActRow) -> Self {
        Self {
            no: row.no,
            at: format_rfc3339(row.at_ms),
            by: row.by,
            act: row.act,
            subject: row.subject,
            store_code: row.store_code,
            details: row.details,
        }
    }
}

async fn allowed(desk: &Desk, actor: &Actor) -> Result<(), Error> {
    rules::check(actor, Act::SeeActs)?;
    match desk.identity().await? {
        Identity::Hub { .. } => Ok(()),
        Identity::Node(_) | Identity::Unenrolled => {
            Err(Refusal::Forbidden("this is done at headquarters".to_owned()).into())
        }
    }
}

/// Acts, the last one first, and whether there are more.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn list(desk: &Desk, actor: &Actor, query: ActQuery, limit: u32) -> Result<(Vec<ActItem>, bool), Error> {
    allowed(desk, actor).await?;
    let limit = limit.clamp(1, MAX_LIMIT);
    let mut rows = desk.ledger().acts(query, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok((rows.into_iter().map(ActItem::from).collect(), more))
}

/// Acts as CSV, the last one first. Taking them out is an act itself.
///
/// # Errors
/// As [`list`]; [`Refusal::Invalid`] where there are more than a file takes.
pub async fn export(desk: &Desk, actor: &Actor, mut query: ActQuery) -> Result<Bytes, Error> {
    allowed(desk, actor).await?;
    let fault = |error: &dyn std::fmt::Display| Error::Fault(format!("writing CSV: {error}"));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let head = ["no", "at", "by", "act", "subject", "store_code", "details"];
    writer.write_record(head).map_err(|error| fault(&error))?;
    let mut count = 0;
    loop {
        let rows = desk.ledger().acts(query.clone(), PAGE).await?;
        count += rows.len() as u32;
        if count > MAX_EXPORTED {
            let message = format!("more acts are found than a file takes, at most {MAX_EXPORTED}: narrow the filter");
            return Err(Refusal::field("from", message).into());
        }
        query.before = rows.last().map(|row| row.no);
        let is_last = rows.len() < PAGE as usize;
        for item in rows.into_iter().map(ActItem::from) {
            let details = item.details.to_string();
            let cells =
                [&item.no.to_string(), &item.at, &item.by, &item.act, &item.subject, &item.store_code, &details];
            let cells = cells.map(|text| crate::exports::csv::guarded(text));
            writer.write_record(cells).map_err(|error| fault(&error))?;
        }
        if is_last {
            break;
        }
    }
    note(desk, actor, name::ACTS_EXPORTED, String::new(), json!({ "acts": count })).await?;
    writer.into_inner().map(Bytes::from).map_err(|error| fault(&error))
}

/// Notes an act before it is done, where what does it has no transaction to note it in: what cannot be noted is not done, and does not
/// leave. Acts are kept at headquarters; a store's node keeps none.
///
/// # Errors
/// When the ledger cannot be written.
pub(crate) async fn note(
    desk: &Desk,
    actor: &Actor,
    act: &'static str,
    subject: String,
    details: Value,
) -> Result<(), Error> {
    match draft(desk, actor, act, subject, details).await? {
        Some(act) => desk.ledger().note_act(act).await,
        None => Ok(()),
    }
}

/// An act that is noted with what it does; none at a store's node, which keeps none.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn draft(
    desk: &Desk,
    actor: &Actor,
    act: &'static str,
    subject: String,
    details: Value,
) -> Result<Option<NewAct>, Error> {
    if !matches!(desk.identity().await?, Identity::Hub { .. }) {
        return Ok(None);
    }
    let store_code = rules::sight(actor).unwrap_or_default();
    Ok(Some(NewAct {
        at_ms: desk.now_ms(),
        by: actor.username.clone(),
        act,
        subject,
        store_code,
        details,
    }))
}
