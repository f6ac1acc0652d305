//! What is wrong with nodes, and what was.

use crate::error::Error;
use async_trait::async_trait;
use uuid::Uuid;

/// Something that was wrong with a node for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAlarm {
    /// The node.
    pub node_id: Uuid,
    /// What: `silent`, `quarantined`, …
    pub alarm: String,
    /// Since when.
    pub since_ms: i64,
    /// Until when; none: still.
    pub until_ms: Option<i64>,
}

/// What is wrong with nodes. The hub looks again and again and notes what began and what is over.
#[async_trait]
pub trait Alarms {
    /// Everything that is wrong, as it was noted.
    async fn alarms_open(&self) -> Result<Vec<NodeAlarm>, Error>;
    /// Notes what began and what is over: node and alarm. What began already, or is over already, changes nothing.
    async fn change_alarms(
        &self,
        began: Vec<(Uuid, String)>,
        over: Vec<(Uuid, String)>,
        now_ms: i64,
    ) -> Result<(), Error>;
    /// What was wrong with one node, the last first; at most `limit`.
    async fn alarms_of(&self, node_id: Uuid, limit: u32) -> Result<Vec<NodeAlarm>, Error>;
}
