//! Programs of other versions: which one is at the other end, and what this one has to do anew because it knows more than
//! the one before it on this folder.

use crate::error::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a node knows of the program at headquarters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubProgram {
    /// The protocol version both speak.
    pub protocol: u32,
    /// The newest one the hub speaks.
    pub newest: u32,
    /// The hub program's version; empty where it does not say.
    pub version: String,
}

impl Default for HubProgram {
    /// Before anything is known: what every hub that could be there speaks.
    fn default() -> Self {
        Self { protocol: sync_protocol::OLDEST_VERSION, newest: 0, version: String::new() }
    }
}

/// What was done anew because this program knows more than the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Records of kinds that the program before did not know, or knew otherwise.
    pub records: u64,
    /// Changes of them that this program cannot take as they are; in quarantine now.
    pub set_aside: u64,
}

/// Programs of other versions.
#[async_trait]
pub trait Versions {
    /// Node: what is known of the program at headquarters.
    async fn hub_program(&self) -> Result<HubProgram, Error>;
    /// Node: notes it. Where the hub speaks a version with seals now and did not before, everything is pulled again, so that
    /// what is held of others carries the hub's seal; answers whether that is so.
    async fn see_hub_program(&self, seen: HubProgram) -> Result<bool, Error>;
    /// Hub: notes the newest protocol version that a node speaks.
    async fn note_protocol(&self, node_id: Uuid, newest: u32) -> Result<(), Error>;
    /// Brings what was kept for a later version up to this one, where this one is that later version: records of kinds
    /// that were unknown get their tables, and what this version cannot take waits in quarantine. Before anything is
    /// served; cut at any moment it goes on at the next start.
    async fn catch_up(&self, now_ms: i64) -> Result<CaughtUp, Error>;
}
