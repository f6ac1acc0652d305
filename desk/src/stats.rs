//! Counts over what somebody may see.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::Error;
use crate::incidents::seen_by;
use crate::ledger::{Filter, Stats};

/// Counts over the incidents that the filter lets through.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] where deleted ones are asked for by who may not see them; what the ledger says.
pub async fn over(desk: &Desk, actor: &Actor, filter: Filter) -> Result<Stats, Error> {
    desk.own_store().await?;
    desk.ledger().stats(seen_by(actor, filter)?).await
}
