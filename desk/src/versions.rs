//! What the first start of a newer program does with what an older one kept for it.

use crate::desk::Desk;
use crate::error::Error;

/// Brings up to this program what one before it kept without knowing what it was. Before anything is served.
///
/// # Errors
/// What the ledger says.
pub async fn catch_up(desk: &Desk) -> Result<(), Error> {
    let done = desk.ledger().catch_up(desk.now_ms()).await?;
    if done.records > 0 {
        tracing::info!(records = done.records, "what an older program kept for this one is shown now");
    }
    if done.set_aside > 0 {
        tracing::warn!(
            changes = done.set_aside,
            "some of what an older program kept cannot be taken; it waits in quarantine with its reason"
        );
    }
    Ok(())
}
