//! When histories disagree: a hub that forgot, and nodes that remember.

use crate::error::Error;
use async_trait::async_trait;
use std::collections::BTreeMap;
use sync_protocol::batch::Page;
use sync_protocol::message::{GivenLine, Receipt};
use sync_protocol::scope::Scope;
use sync_protocol::seal::HubKey;
use uuid::Uuid;

/// One of the hub's histories but the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Which one it is; the first, which has no row, is 1.
    pub number: u32,
    /// Its name.
    pub epoch: Uuid,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Why it began, for a person.
    pub reason: String,
}

/// A push that contradicted what the hub holds: kept aside as it came, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Which one, in the order in which they came.
    pub no: i64,
    /// The stream.
    pub origin: Uuid,
    /// The node that sent it.
    pub node_id: Uuid,
    /// Its store and name, where the hub knows it.
    pub known_as: Option<(String, String)>,
    /// The last number that the push showed to be the same on both sides; 0 when it showed none.
    pub agreed_seq: u64,
    /// Number of the first change kept.
    pub first_seq: u64,
    /// How many changes are kept.
    pub changes: u64,
    /// When it came, milliseconds since 1970.
    pub since_ms: i64,
}

/// Changes of other sites, for a hub that lacks them.
#[derive(Clone, Debug)]
pub struct Giving {
    /// As the hub once sent them; may be empty where none was wanted.
    pub page: Page,
    /// Go on behind this one.
    pub after: i64,
}

/// When histories disagree: a hub that forgot, and nodes that remember.
#[async_trait]
pub trait Histories {
    /// Hub: its key.
    async fn hub_key(&self) -> Result<HubKey, Error>;
    /// Hub: begins a new epoch if the one that stands is still `from`, so that of several who find out at once only one
    /// does it; answers the one that stands then. The hub's own streams are closed: it never gives out their numbers again.
    async fn begin_epoch(&self, from: Uuid, reason: String, now_ms: i64) -> Result<Uuid, Error>;
    /// Hub: whether `epoch` stands, or is one that it remembers.
    async fn knows_epoch(&self, epoch: Uuid) -> Result<bool, Error>;
    /// Hub: remembers that there was an epoch `epoch`, which it had forgotten.
    async fn note_epoch(&self, epoch: Uuid) -> Result<(), Error>;
    /// Hub: the epochs but the first, the newest first; at most `limit`.
    async fn epochs(&self, limit: u32) -> Result<Vec<Epoch>, Error>;
    /// Hub: pushes that contradicted what it holds, the newest first; at most `limit`, of one store where it is named.
    async fn forks(&self, store: Option<String>, limit: u32) -> Result<Vec<Fork>, Error>;
    /// Hub: one of them, with the changes kept, as they came but for what was erased since and hashes of passwords.
    async fn fork(&self, no: i64) -> Result<Option<(Fork, Vec<String>)>, Error>;
    /// Notes that this ledger came out of a backup; whoever serves next acts on it.
    async fn mark_restored(&self) -> Result<(), Error>;
    /// Whether it did and nobody has acted on it yet. [`Histories::begin_epoch`] takes the mark away.
    async fn is_restored(&self) -> Result<bool, Error>;
    /// Notes up to which number each stream is in a verified backup of the hub; never moves back nor beyond what is held.
    async fn note_durable(&self, heads: BTreeMap<Uuid, u64>) -> Result<(), Error>;
    /// The number up to which a stream is in a verified backup.
    async fn durable_seq(&self, origin: Uuid) -> Result<u64, Error>;
    /// Hub: what it lacks of an offer, of streams of `scopes`: for each, the first number missing.
    async fn lacking(&self, scopes: Vec<Scope>, offered: BTreeMap<Uuid, u64>) -> Result<BTreeMap<Uuid, u64>, Error>;
    /// Hub: takes back what its own seal proves and what is of `scopes`, in one transaction; an answer for each line.
    async fn take_given(&self, scopes: Vec<Scope>, page: Page, now_ms: i64) -> Result<Vec<GivenLine>, Error>;

    /// Node: the hub's epoch is `epoch` now. Where that is news everything is pulled from the beginning, and what is held
    /// of others is to be offered; in one transaction. Answers whether it was news.
    async fn see_epoch(&self, epoch: Uuid) -> Result<bool, Error>;
    /// Node: the epoch for which an offer is due.
    async fn offer_due(&self) -> Result<Option<Uuid>, Error>;
    /// Node: the hub has been given what it wanted in `epoch`.
    async fn note_offered(&self, epoch: Uuid) -> Result<(), Error>;
    /// Node: for each stream that is not its own, in the order of their names after `after`, the last number up to which it
    /// holds all; at most `limit`.
    async fn held_of_others(&self, after: Option<Uuid>, limit: u32) -> Result<BTreeMap<Uuid, u64>, Error>;
    /// Node: the next sealed changes behind `after` that are `wanted` (from which number), in the order of their arrival.
    async fn to_give(
        &self,
        wanted: BTreeMap<Uuid, u64>,
        after: i64,
        max_changes: u32,
        max_bytes: usize,
    ) -> Result<Option<Giving>, Error>;
    /// Node: records again, under its present stream, what it recorded under the ended stream `of` from number `first` on, where
    /// that was acknowledged and is held without a seal: the hub forgot it and it cannot be given. Answers how many changes.
    async fn record_again(&self, of: Uuid, first: u64) -> Result<u64, Error>;
    /// Node: the last receipt for `origin`.
    async fn receipt(&self, origin: Uuid) -> Result<Option<Receipt>, Error>;
    /// Node: keeps a receipt in place of the one before.
    async fn keep_receipt(&self, origin: Uuid, receipt: Receipt) -> Result<(), Error>;
}
