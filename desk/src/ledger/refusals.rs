//! Requests that the hub refused, by the node that they named.

use crate::error::Error;
use async_trait::async_trait;
use uuid::Uuid;

/// Requests refused for one reason, of what says it is one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// The node, as the requests said.
    pub node_id: Uuid,
    /// Why: one of [`sync_protocol::message::refusal`].
    pub code: String,
    /// Whether the requests knew a secret that was once the node's.
    pub proven: bool,
    /// What the program called itself.
    pub agent: String,
    /// How many there were.
    pub count: u64,
    /// The first.
    pub first_ms: i64,
    /// The last.
    pub last_ms: i64,
    /// The store and the name of that node, where there is one.
    pub known_as: Option<(String, String)>,
}

/// Requests that the hub refused.
#[async_trait]
pub trait Refusals {
    /// Notes refusals, each with how many there were since it was last noted; `known_as` is not looked at. The oldest are
    /// forgotten where there are too many.
    async fn note_refused(&self, refused: Vec<RefusedRow>) -> Result<(), Error>;
    /// The refusals kept, the latest first.
    async fn refused(&self) -> Result<Vec<RefusedRow>, Error>;
}
