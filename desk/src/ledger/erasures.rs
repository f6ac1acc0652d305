//! Orders of erasure, and what a site has yet to do about them.

use crate::error::Error;
use async_trait::async_trait;
use chassis::blobs::Sha256;
use std::collections::BTreeMap;
use sync_protocol::change::Field;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// What a site says of an order that it has carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// When, by that site's clock.
    pub at_ms: i64,
    /// When headquarters heard of it.
    pub received_ms: Option<i64>,
    /// Changes of which only a part is left there.
    pub changes: u64,
    /// Contents whose files it removed.
    pub contents: u64,
}

/// An order as it is read.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The order.
    pub id: Uuid,
    /// The incident it is about.
    pub incident_id: Uuid,
    /// Its scope.
    pub scope: Scope,
    /// When, by headquarters' clock.
    pub at_ms: i64,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Record and the fields of it that were named.
    pub what: BTreeMap<Uuid, Vec<Field>>,
    /// Which sites say that it is done: nodes by their id, headquarters by the hub's.
    pub done: BTreeMap<Uuid, Confirmation>,
}

/// An order that this site has not said to be done.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The order.
    pub id: Uuid,
    /// Its scope.
    pub scope: Scope,
    /// Changes of which only a part is left here.
    pub changes: u64,
    /// Contents that it removed here.
    pub contents: u64,
}

/// What is left of some changes, for the order's record to say.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The order.
    pub id: Uuid,
    /// Its scope.
    pub scope: Scope,
    /// Fields of the order's record.
    pub left: BTreeMap<Field, serde_json::Value>,
}

/// Orders of erasure. Taking values out of the log, records and tables is part of applying an order, in its transaction; this
/// is about what comes after.
#[async_trait]
pub trait Erasures {
    /// Orders, newest first, of one store or incident where that is given; at most `limit`.
    async fn erasures(&self, store: Option<String>, incident: Option<Uuid>, limit: u32) -> Result<Vec<Erasure>, Error>;
    /// Orders whose bytes may still be in this site's files.
    async fn erasures_undone(&self, limit: u32) -> Result<Vec<Undone>, Error>;
    /// Contents that orders removed and whose files may still be here.
    async fn erased_contents(&self, limit: u32) -> Result<Vec<Sha256>, Error>;
    /// Forgets a content that orders removed, and uploads of it: answers their ids; `None` where another photo has the same
    /// content, which stays then.
    async fn forget_erased(&self, sha256: Sha256) -> Result<Option<Vec<Uuid>>, Error>;
    /// Every order is to be carried out and said to be done once more: this folder came back from a backup, and headquarters believes
    /// no word from before that.
    async fn erase_again(&self) -> Result<(), Error>;
    /// Notes that nothing is left to be done about a content that orders removed.
    async fn note_erased(&self, sha256: Sha256) -> Result<(), Error>;
    /// Hub: changes of which only a part is left and no order tells the digest of that.
    async fn unlisted(&self, limit: u32) -> Result<Option<Listing>, Error>;
    /// Overwrites what was deleted: nothing that is not in a table any more is in the database's files afterwards. False when a
    /// long read kept the log from being cut: try again later.
    async fn wipe(&self) -> Result<bool, Error>;
}
