//! The hub's nodes.

use super::accounts::Store;
use crate::error::Error;
use async_trait::async_trait;
use sync_protocol::message::NodeStatus;
use uuid::Uuid;

/// An enrolment code as the hub keeps it: by its hash.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// BLAKE3 of the code in normal form.
    pub code_hash: [u8; 32],
    /// The store it enrols for.
    pub store_code: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_ms: i64,
    /// Until when it is good.
    pub expires_ms: i64,
}

/// A node as the fleet list shows it.
#[derive(Clone, Debug, Default)]
pub struct NodeRow {
    /// The node.
    pub node_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// What it is called.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Since when it belongs to the store.
    pub enrolled_ms: i64,
    /// When headquarters revoked it.
    pub revoked_ms: Option<i64>,
    /// When it last called, by the hub's clock.
    pub last_contact_ms: Option<i64>,
    /// Its clock minus the hub's.
    pub clock_offset_ms: i64,
    /// What it last told.
    pub status: NodeStatus,
    /// Changes the hub holds of its streams.
    pub applied_changes: u64,
    /// When it last came back from a backup.
    pub restored_ms: Option<i64>,
    /// Pushes of it that contradicted what the hub holds, kept aside.
    pub forks: u64,
    /// When the last of them came.
    pub forked_ms: Option<i64>,
    /// The newest protocol version it speaks; 0: it has not said yet.
    pub newest_protocol: u32,
    /// Changes of it that are in quarantine at the hub.
    pub quarantined: u64,
    /// When another node took its place, and which.
    pub retired_ms: Option<i64>,
    /// See `retired_ms`.
    pub replaced_by: Option<Uuid>,
    /// Changes it sent since then.
    pub drained_changes: u64,
}

impl NodeRow {
    /// Whether it is a store's: neither revoked nor replaced.
    #[must_use]
    pub const fn is_in_service(&self) -> bool {
        self.revoked_ms.is_none() && self.retired_ms.is_none()
    }
}

/// A credential as it is checked.
#[derive(Clone, Debug)]
pub struct CredentialRow {
    /// Which one of the node's, from 1.
    pub generation: i64,
    /// See [`sync_protocol::message::CredentialKeys`].
    pub auth: [u8; 32],
    /// See [`sync_protocol::message::CredentialKeys`].
    pub proof: [u8; 32],
    /// When it was first used.
    pub used_ms: Option<i64>,
}

/// What a request of a node is checked against.
#[derive(Clone, Debug)]
pub struct NodeAuth {
    /// Its store.
    pub store_code: String,
    /// Whether headquarters revoked it.
    pub revoked: bool,
    /// Whether another node took its place.
    pub retired: bool,
    /// A digest of the machine and the folder it last said that it runs in.
    pub machine: Option<String>,
    /// When it was last heard of, milliseconds since 1970.
    pub last_contact_ms: Option<i64>,
    /// The credentials kept, newest first.
    pub credentials: Vec<CredentialRow>,
}

/// A node being taken in.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// The code's hash.
    pub code_hash: [u8; 32],
    /// The node's new identity.
    pub node_id: Uuid,
    /// What it is called.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// The hub's clock.
    pub now_ms: i64,
    /// The node's clock minus the hub's.
    pub clock_offset_ms: i64,
    /// The only store that it can be of.
    pub only_store: Option<String>,
}

/// The hub's nodes.
#[async_trait]
pub trait Fleet {
    /// Keeps an enrolment code. Refused when there is no such store.
    async fn add_code(&self, code: NewCode) -> Result<(), Error>;
    /// Keeps an enrolment code whose node takes the place of `replaces`, in the same store. Refused when there is no such node, or
    /// it is revoked or retired already.
    async fn add_replacement_code(&self, code: NewCode, replaces: Uuid) -> Result<(), Error>;
    /// One node.
    async fn node(&self, node_id: Uuid) -> Result<Option<NodeRow>, Error>;
    /// Uses the code up and takes the node in, in one transaction: its store and its first secret; `None` when the code is
    /// unknown, used or too old.
    async fn enrol(&self, node: NewNode) -> Result<Option<(Store, String)>, Error>;
    /// All nodes by store and name; `store`: only that store's.
    async fn nodes(&self, store: Option<String>) -> Result<Vec<NodeRow>, Error>;
    /// Revokes, and notes who did it and why; false when there is no such node. One that is revoked already stays so.
    async fn revoke(&self, node_id: Uuid, by: &str, reason: Option<String>, now_ms: i64) -> Result<bool, Error>;
    /// What to check a node's request against.
    async fn node_auth(&self, node_id: Uuid) -> Result<Option<NodeAuth>, Error>;
    /// Makes a new secret, and keeps its keys beside the ones in use. No two ever issued are the same. `returns`: it is for a
    /// node that came with one from before the last used.
    async fn issue_credential(&self, node_id: Uuid, now_ms: i64, returns: bool) -> Result<String, Error>;
    /// Takes in, as used, a credential that this hub's key made and its ledger has forgotten.
    async fn accept_credential(&self, node_id: Uuid, generation: i64, now_ms: i64) -> Result<(), Error>;
    /// Notes where a node runs.
    async fn note_machine(&self, node_id: Uuid, machine: String) -> Result<(), Error>;
    /// Notes the first use of a credential; older ones are no good from then on. One for a node that returns says that the node
    /// came back from a backup.
    async fn use_credential(&self, node_id: Uuid, generation: i64, now_ms: i64) -> Result<(), Error>;
    /// Notes what a node told of itself.
    async fn note_contact(&self, node_id: Uuid, status: NodeStatus, now_ms: i64) -> Result<(), Error>;
}
