//! Branches that the hub keeps aside: pushes that contradicted what it holds of a node's stream.
//!
//! The node records again under a new stream what headquarters did not hold, so nothing is missing; what is kept here is
//! the proof of what was sent under numbers that were used for other changes.

use super::see;
use chassis::clock::format_rfc3339;
use desk::actor::Actor;
use desk::rules::{self, Act};
use desk::{Desk, Error, Refusal, ledger};
use serde::Serialize;
use serde_json::value::RawValue;
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

/// A branch kept aside, with what is in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Branch {
    /// Which one.
    #[serde(flatten)]
    pub fork: Fork,
    /// Its changes as they came, `first_seq` first, without hashes of passwords; of what was erased since only digests are left.
    #[schema(value_type = Vec<Object>)]
    pub changes: Vec<Box<RawValue>>,
}

/// The branch `no`, with what is in it.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but administrators; [`Refusal::NotFound`]; when the ledger cannot be read.
pub async fn fork(desk: &Desk, actor: &Actor, no: i64) -> Result<Branch, Error> {
    rules::check(actor, Act::Administer)?;
    let (fork, bodies) = desk.ledger().fork(no).await?.ok_or(Refusal::NotFound)?;
    let changes = bodies.iter().map(|body| shown(body)).collect();
    Ok(Branch { fork: fork.into(), changes })
}

/// A change as JSON; one that is none as a text: whatever it is, it is what was sent.
fn shown(body: &str) -> Box<RawValue> {
    serde_json::from_str(body).or_else(|_| serde_json::value::to_raw_value(body)).unwrap_or_default()
}

/// The branches kept, the newest first; `store`: only that store's.
///
/// # Errors
/// [`desk::Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn forks(desk: &Desk, actor: &Actor, store: Option<String>, limit: u32) -> Result<Vec<Fork>, Error> {
    see(actor)?;
    Ok(desk.ledger().forks(store, limit).await?.into_iter().map(Fork::from).collect())
}
