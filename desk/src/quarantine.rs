//! Changes that could not be put into their records: a manager, or headquarters, looks at them and decides.
//!
//! Each is kept as it came, whatever is decided. What is decided is recorded like everything else, goes to every site, and
//! does the same there. After an upgrade everything in quarantine is tried again by itself ([`keep`]).

pub mod answer;
pub mod command;

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{QuarantineQuery, Quarantined, Settling, Verdict};
use crate::rules::{self, Act};
use chassis::secret::{from_base64url, to_base64url};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use sync_protocol::change::{ChangeId, Field};
use sync_protocol::record::{self, COMMENT, FieldError, INCIDENT, PHOTO, STEP};
use uuid::Uuid;

/// Longest reason that a person gives, in characters.
pub const MAX_REASON: usize = 2000;
/// What waits for nothing any more is looked for this often.
const GO_ON: Duration = Duration::from_secs(60);
/// What people's corrections may be changes of.
const CORRECTED: [&str; 4] = [INCIDENT, COMMENT, PHOTO, STEP];

/// One page of changes in quarantine.
#[derive(Debug)]
pub struct Listed {
    /// Newest arrival first.
    pub items: Vec<Quarantined>,
    /// Where the next page begins; none at the end.
    pub next_cursor: Option<String>,
}

/// What a person types in place of a change that cannot be taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correction {
    /// The record's kind; as the change says where it can be read.
    pub kind: Option<String>,
    /// The record; as the change says where it can be read.
    pub record_id: Option<Uuid>,
    /// What the fields become.
    pub set: BTreeMap<Field, Value>,
    /// Why.
    pub reason: String,
}

/// Changes in quarantine that `actor` may see; `settled`: those that people decided against.
///
/// # Errors
/// [`Refusal::Forbidden`]; [`Refusal::Invalid`] where the cursor is none.
pub async fn list(
    desk: &Desk,
    actor: &Actor,
    settled: bool,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Listed, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::Settle)?;
    let before = cursor.map(open_cursor).transpose()?;
    // One more than asked for tells whether there is a next page.
    let query = QuarantineQuery { sight: rules::sight(actor), settled, before, limit: limit + 1 };
    let mut items = desk.ledger().quarantine(query).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|item| to_base64url(&item.no.to_be_bytes()));
    Ok(Listed { items, next_cursor })
}

fn open_cursor(text: &str) -> Result<i64, Refusal> {
    from_base64url(text)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i64::from_be_bytes)
        .ok_or_else(|| Refusal::field("cursor", "is not a cursor of this list: begin again without one"))
}

/// One change that is, or was, in quarantine, or is in its record.
///
/// # Errors
/// [`Refusal::Forbidden`]; [`Refusal::NotFound`], also where it is another store's.
pub async fn get(desk: &Desk, actor: &Actor, id: ChangeId) -> Result<Quarantined, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::Settle)?;
    let item = desk.ledger().quarantined(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &item.store_code)?;
    Ok(item)
}

/// Has a change tried again by the present rules, wherever it is in quarantine.
///
/// # Errors
/// As [`get`]; [`Refusal::Invalid`]; [`Refusal::Conflict`] where it is not in quarantine, or waits behind another one.
pub async fn retry(desk: &Desk, actor: &Actor, id: ChangeId, reason: Option<String>) -> Result<Quarantined, Error> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if let Some(reason) = &reason {
        check_reason(reason)?;
    }
    settle(desk, actor, id, move |_| Ok(Verdict::Retry { reason })).await
}

/// Decides against a change: it stays kept, out of its record for good, and what waited behind it goes on.
///
/// # Errors
/// As [`retry`].
pub async fn discard(desk: &Desk, actor: &Actor, id: ChangeId, reason: String) -> Result<Quarantined, Error> {
    check_reason(&reason)?;
    settle(desk, actor, id, move |_| Ok(Verdict::Discard { reason })).await
}

/// Records a corrected change in place of one, which stays kept, out of its record for good.
///
/// # Errors
/// As [`retry`].
pub async fn edit(desk: &Desk, actor: &Actor, id: ChangeId, correction: Correction) -> Result<Quarantined, Error> {
    check_reason(&correction.reason)?;
    settle(desk, actor, id, move |item| corrected(item, correction)).await
}

async fn settle(
    desk: &Desk,
    actor: &Actor,
    id: ChangeId,
    decide: impl FnOnce(&Quarantined) -> Result<Verdict, Refusal> + Send + 'static,
) -> Result<Quarantined, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::Settle)?;
    let who = actor.clone();
    let judgement = move |item: &Quarantined| {
        rules::within(&who, &item.store_code)?;
        decide(item)
    };
    let by = actor.username.clone();
    let settling = Settling { id, by, when: desk.when(), judgement: Box::new(judgement) };
    let item = desk.ledger().settle(settling).await?;
    tracing::info!(change = %id, by = actor.username, standing = ?item.standing, "a change in quarantine was settled or tried again");
    Ok(item)
}

fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::field("reason", "is required: say why, for those who read it later"));
    }
    if reason.chars().count() > MAX_REASON {
        return Err(Refusal::field("reason", format!("must be at most {MAX_REASON} characters")));
    }
    if reason.chars().any(|c| c < ' ' && !matches!(c, '\n' | '\t' | '\r')) {
        return Err(Refusal::field("reason", "must not contain control characters"));
    }
    Ok(())
}

/// The verdict that a correction amounts to. Pure.
fn corrected(item: &Quarantined, correction: Correction) -> Result<Verdict, Refusal> {
    let Correction { kind, record_id, mut set, reason } = correction;
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    if let (Some(said), Some(was)) = (&kind, &item.kind)
        && said != was
    {
        wrong("kind", format!("is {was}, as the change says"));
    }
    if let (Some(said), Some(was)) = (record_id, item.record_id)
        && said != was
    {
        wrong("record_id", format!("is {was}, as the change says"));
    }
    let kind = item.kind.clone().or(kind);
    let known = kind.as_deref().and_then(|kind| CORRECTED.into_iter().find(|known| *known == kind));
    if known.is_none() {
        wrong("kind", format!("must be one of {}", CORRECTED.join(", ")));
    }
    let record = item.record_id.or(record_id);
    if record.is_none() {
        wrong("record_id", "is required: the change itself cannot be read".to_owned());
    }
    if set.contains_key("hold") {
        wrong("set.hold", "is not set by a correction: headquarters holds an incident and lets it go".to_owned());
    }
    if set.is_empty() {
        wrong("set", "is required: the fields as they shall become".to_owned());
    }
    let (Some(kind), Some(record), true) = (known, record, errors.is_empty()) else {
        return Err(Refusal::Invalid(errors));
    };
    // A report keeps the number it has on paper.
    if kind == INCIDENT
        && let Some(reference) = item.set.get("reference").filter(|value| value.is_string())
    {
        set.entry("reference".to_owned()).or_insert_with(|| reference.clone());
    }
    let mut errors = record::unknown_members(kind, &set);
    errors.extend(record::check(kind, &set));
    if errors.is_empty() {
        Ok(Verdict::Edit { reason, kind, record, set })
    } else {
        Err(Refusal::Invalid(errors))
    }
}

/// Tries everything in quarantine again after an upgrade, and goes on with what waits for nothing any more, for as long as
/// it is polled.
pub async fn keep(desk: &Desk) {
    if let Err(error) = after_upgrade(desk, env!("CARGO_PKG_VERSION")).await {
        tracing::warn!(%error, "what is in quarantine cannot all be tried again; a person can, or the next version does");
    }
    loop {
        match desk.ledger().go_on(desk.now_ms()).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(count, "changes that had waited are in their records");
                continue;
            }
            Err(error) => tracing::warn!(%error, "what waits behind nothing cannot go on; it is tried again"),
        }
        tokio::time::sleep(GO_ON).await;
    }
}

/// Tries each change in quarantine once that `version` of the program has not tried yet; answers how many are in their
/// records now.
///
/// # Errors
/// When the ledger cannot be used. A change that makes it fail stays where it is.
pub async fn after_upgrade(desk: &Desk, version: &str) -> Result<u64, Error> {
    let mut taken = 0;
    while let Some(change_no) = desk.ledger().next_untried(version.to_owned()).await? {
        let (by, why) = ("system:upgrade".to_owned(), format!("tried again by version {version}"));
        // Noted as tried already, so that one which ends the program is not tried for ever; a ledger that is busy is waited for.
        let mut tried = desk.ledger().try_again(change_no, by.clone(), why.clone(), desk.when()).await;
        while let Err(Error::Unavailable(cause)) = &tried {
            tracing::debug!(change_no, cause, "the ledger is busy");
            tokio::time::sleep(GO_ON).await;
            tried = desk.ledger().try_again(change_no, by.clone(), why.clone(), desk.when()).await;
        }
        match tried {
            Ok(true) => {
                tracing::info!(change_no, "a change that was in quarantine is in its record");
                taken += 1;
            }
            Ok(false) => {}
            Err(error @ (Error::Fault(_) | Error::Damaged(_) | Error::Refused(_))) => {
                tracing::error!(change_no, %error, "a change in quarantine cannot be tried again");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
