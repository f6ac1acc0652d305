//! Nodes that the hub refused, for headquarters' people.

use super::see;
use chassis::clock::format_rfc3339;
use desk::actor::Actor;
use desk::ledger::RefusedRow;
use desk::{Desk, Error};
use serde::Serialize;
use sync_protocol::message::refusal;
use uuid::Uuid;

/// Requests refused for one reason, of what says it is one node.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RefusedItem {
    /// The node, as the requests said.
    pub node_id: Uuid,
    /// Its store, where such a node was ever enrolled here.
    pub store_code: Option<String>,
    /// What it is called, where such a node was ever enrolled here.
    pub name: Option<String>,
    /// Why, as the sync protocol names it.
    #[schema(example = "credential-superseded")]
    pub code: String,
    /// What that means and what to do.
    pub reason: String,
    /// Whether the requests knew a secret that was once the node's; anybody can make up the others.
    pub proven: bool,
    /// What the program called itself.
    #[schema(example = "aincident-node/0.1.0")]
    pub agent: String,
    /// How many requests.
    pub count: u64,
    /// The first; RFC 3339, UTC, by the hub's clock.
    pub first_at: String,
    /// The last.
    pub last_at: String,
}

impl From<RefusedRow> for RefusedItem {
    fn from(row: RefusedRow) -> Self {
        let reason = in_words(&row.code, row.known_as.is_some()).to_owned();
        let (store_code, name) = row.known_as.unzip();
        Self {
            node_id: row.node_id,
            store_code,
            name,
            code: row.code,
            reason,
            proven: row.proven,
            agent: row.agent,
            count: row.count,
            first_at: format_rfc3339(row.first_ms),
            last_at: format_rfc3339(row.last_ms),
        }
    }
}

/// The refusals kept, the latest first: at most some hundreds.
///
/// # Errors
/// [`desk::Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn refused(desk: &Desk, actor: &Actor) -> Result<Vec<RefusedItem>, Error> {
    see(actor)?;
    Ok(desk.ledger().refused().await?.into_iter().map(RefusedItem::from).collect())
}

fn in_words(code: &str, is_known: bool) -> &'static str {
    match code {
        refusal::REVOKED => {
            "a node that was revoked still calls: its recordings stay on it; enrol it with a new code to have them"
        }
        refusal::SUPERSEDED => {
            "a copy of a node's folder, or an old backup of it on another machine: stop it, or enrol it with a new code and --replace"
        }
        refusal::WRONG_HUB => {
            "a node of another hub, or of this one before it was set up anew: enrol it here with --replace if it belongs here"
        }
        refusal::VERSION => "its program and this hub's have no protocol version in common: upgrade the older one",
        refusal::UNKNOWN_NODE if is_known => {
            "it names a node of this hub and knows none of its secrets: its folder was damaged, or somebody tries"
        }
        _ => {
            "no such node was enrolled at this hub: it belongs to another one or to this one before it was set up anew"
        }
    }
}
