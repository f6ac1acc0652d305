//! What somebody is typing: kept at the site while they type, so that they can go on at another device.
//!
//! A draft is a form, not an incident: nobody else sees it, it is counted nowhere, it has no reference and never leaves the site. (An
//! incident whose status is `draft` is one that somebody recorded as such; it is seen and travels like any other, so a form on the way
//! to become one has to be something else.) It ends when the report is recorded or its owner throws it away, and after a while.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{FormDraft, Kept, Pair};
use std::time::Duration;
use sync_protocol::record::FieldError;
use uuid::Uuid;

/// How long a draft is kept after its last change, in days, where headquarters does not say otherwise.
pub const KEEP_DAYS: u64 = 14;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// How often it is looked for those that lasted too long.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most drafts of a person.
pub const MOST: u32 = 20;
/// Most bytes of a draft, names and values together: a description of 20,000 characters, and the rest.
pub const MAX_BYTES: usize = 128 * 1024;
/// Most fields of a draft.
pub const MOST_FIELDS: usize = 2000;

/// The drafts of `actor`, the newest first.
///
/// # Errors
/// What the ledger says.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Vec<FormDraft>, Error> {
    desk.own_store().await?;
    desk.ledger().drafts(&actor.username, since_ms(desk)).await
}

/// One of them.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn get(desk: &Desk, actor: &Actor, id: Uuid) -> Result<FormDraft, Error> {
    desk.own_store().await?;
    Ok(desk.ledger().draft(&actor.username, id, since_ms(desk)).await?.ok_or(Refusal::NotFound)?)
}

/// Keeps what `actor` has typed so far.
///
/// # Errors
/// [`Refusal::Invalid`]; [`Refusal::Gone`] where it was sent or thrown away before; [`Refusal::Conflict`] where there are too many.
pub async fn keep(desk: &Desk, actor: &Actor, id: Uuid, fields: Vec<Pair>) -> Result<FormDraft, Error> {
    desk.own_store().await?;
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    if fields.len() > MOST_FIELDS || bytes > MAX_BYTES {
        let message = format!("must be at most {MOST_FIELDS}, and {MAX_BYTES} bytes together");
        return Err(Refusal::Invalid(vec![FieldError { field: "fields".to_owned(), message }]).into());
    }
    let draft = FormDraft { id, fields, changed_ms: desk.now_ms() };
    match desk.ledger().keep_draft(actor.username.clone(), draft.clone(), since_ms(desk), MOST).await? {
        Kept::Kept => Ok(draft),
        Kept::Over => Err(Refusal::Gone.into()),
        Kept::Full => Err(Refusal::Conflict(format!("you have {MOST} drafts: send or delete one first")).into()),
    }
}

/// Ends a draft of `actor`: it was recorded, or thrown away. What is still on its way does not bring it back.
///
/// # Errors
/// What the ledger says.
pub async fn end(desk: &Desk, actor: &Actor, id: Uuid) -> Result<bool, Error> {
    desk.own_store().await?;
    desk.ledger().end_draft(actor.username.clone(), id, desk.now_ms()).await
}

/// Forgets every hour what was not changed for too long: it is of people, and nobody may ever come back to it.
pub(crate) async fn forget(desk: &Desk) {
    loop {
        if let Err(error) = desk.ledger().forget_drafts(since_ms(desk)).await {
            tracing::warn!(%error, "old drafts are still kept; it is tried again");
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn since_ms(desk: &Desk) -> i64 {
    desk.now_ms()
        .saturating_sub(i64::try_from(desk.draft_days()).unwrap_or(i64::MAX).saturating_mul(DAY_MS))
}
