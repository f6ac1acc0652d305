//! Fields in which two people did not know of each other's edit: a manager, or headquarters, looks at them.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::Review;
use crate::rules::{self, Act};

/// The newest reviews that `actor` may see, at most `limit`.
///
/// # Errors
/// [`crate::Refusal::Forbidden`]; what the ledger says.
pub async fn list(desk: &Desk, actor: &Actor, limit: u32) -> Result<Vec<Review>, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::SeeReviews)?;
    desk.ledger().reviews(rules::sight(actor), limit).await
}
