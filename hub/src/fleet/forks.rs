//! Branches that the hub keeps aside: pushes that contradicted what it holds of a node's stream.
//!
//! The node records again under a new stream what headquarters did not hold, so nothing is missing; what is kept here is
//! the proof of what was sent under numbers that were used for other changes.

use super::see;
use chassis::clock::format_rfc3339;
use desk::actor::Actor;
use desk::{Desk, Error, ledger};
use serde::Serialize;
use uuid::Uuid;

/// A branch kept aside.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Fork {
    /// Which one, in the order in which they came.
    pub no: i64,
    /// The node that sent it.
    pub node_id: Uuid,
    /// Its store.
    pub store_code: Option<String>,
    /// What it is called.
    pub name: Option<String>,
    /// The stream.
    pub origin: Uuid,
    /// The last number that the push showed to be the same on both sides; 0 when it showed none.
    pub agreed_seq: u64,
    /// Number of the first change kept.
    pub first_seq: u64,
    /// Number of the last change kept.
    pub last_seq: u64,
    /// When it came; RFC 3339, UTC, by the hub's clock.
    pub since: String,
}

impl From<ledger::Fork> for Fork {
    fn from(fork: ledger::Fork) -> Self {
        let (store_code, name) = fork.known_as.unzip();
        Self {
            no: fork.no,
            node_id: fork.node_id,
            store_code,
            name,
            origin: fork.origin,
            agreed_seq: fork.agreed_seq,
            first_seq: fork.first_seq,
            last_seq: fork.first_seq.saturating_add(fork.changes).saturating_sub(1),
            since: format_rfc3339(fork.since_ms),
        }
    }
}

/// The branches kept, the newest first; `store`: only that store's.
///
/// # Errors
/// [`desk::Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn forks(desk: &Desk, actor: &Actor, store: Option<String>, limit: u32) -> Result<Vec<Fork>, Error> {
    see(actor)?;
    Ok(desk.ledger().forks(store, limit).await?.into_iter().map(Fork::from).collect())
}
