//! An incident's history: who changed what from what to what, when, at which site.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::HistoryItem;
use crate::rules::{self, Act};
use uuid::Uuid;

/// Everything that was done to one incident, oldest first. Who may see what was deleted may see how it came to that.
///
/// # Errors
/// [`Refusal::NotFound`], also where it is another store's; [`Refusal::Gone`].
pub async fn of(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Vec<HistoryItem>, Error> {
    desk.own_store().await?;
    let row = desk.ledger().incident(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &row.store_code)?;
    if row.deleted {
        rules::check(actor, Act::SeeDeleted).map_err(|_| Refusal::Gone)?;
    }
    desk.ledger().history(id).await
}
