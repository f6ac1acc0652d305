//! Counts over what somebody may see.

use crate::actor::Actor;
use crate::cache::{Key, Kind};
use crate::desk::Desk;
use crate::error::Error;
use crate::incidents::seen_by;
use crate::ledger::{Filter, Stats};

/// Counts over the incidents that the filter lets through. They are made once for each state of the ledger: pages and the API
/// share what is kept.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] where deleted ones are asked for by who may not see them; what the ledger says.
pub async fn over(desk: &Desk, actor: &Actor, filter: Filter) -> Result<Stats, Error> {
    desk.own_store().await?;
    let filter = seen_by(actor, filter)?;
    // Read before the counts: what changes in between leads to another stamp. What may be seen is in the filter.
    let stamp = desk.ledger().generation().await?.to_le_bytes();
    let key = Key::of(Kind::Stats, &[b"counts", &stamp, format!("{filter:?}").as_bytes()]);
    let kept = desk.cache().get(Kind::Stats, key).await;
    if let Some(stats) = kept.and_then(|kept| serde_json::from_slice(&kept).ok()) {
        return Ok(stats);
    }
    let stats = desk.ledger().stats(filter).await?;
    if let Ok(made) = serde_json::to_vec(&stats) {
        desk.cache().put(Kind::Stats, key, made.into());
    }
    Ok(stats)
}
