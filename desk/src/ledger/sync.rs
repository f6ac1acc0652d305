//! Moving changes between sites.

use crate::error::Error;
use async_trait::async_trait;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::message::{Answer, PushResult};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A run of changes to push, as they were made.
#[derive(Clone, Debug)]
pub struct Unpushed {
    /// The stream.
    pub origin: Uuid,
    /// Number of the first.
    pub first_seq: u64,
    /// Chain link before it.
    pub prev: Link,
    /// The bodies, in order.
    pub bodies: Vec<String>,
}

/// A new stream that has to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The stream that ends. Nothing happens unless the site records under it.
    pub of: Uuid,
    /// Its last number that headquarters holds with the same bytes; what comes after is recorded again.
    pub agreed_seq: u64,
    /// How many changes at least the ledger is known to have lost: that many reference numbers may be in use already, and
    /// are left out.
    pub lost: u64,
    /// What was found, in words, for people.
    pub why: String,
    /// The node's clock.
    pub now_ms: i64,
}

/// A new stream that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anew {
    /// Its name.
    pub origin: Uuid,
    /// Up to where the old one stays as it is.
    pub agreed_seq: u64,
    /// Changes recorded again.
    pub recorded_again: u64,
}

/// What applying a page did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageApplied {
    /// Changes new to this site.
    pub new: u64,
    /// Changes it had.
    pub known: u64,
    /// Of the new ones, those in quarantine.
    pub quarantined: u64,
}

/// A feed page to make.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// Scope and the cursor the node holds.
    pub cursors: BTreeMap<Scope, Option<String>>,
    /// Origins to leave out.
    pub skip: BTreeSet<Uuid>,
    /// Most changes.
    pub limit: u32,
    /// Most bytes of bodies (the first change is always sent).
    pub max_bytes: usize,
    /// The hub's clock.
    pub now_ms: i64,
}

/// A feed page, or why there is none.
#[derive(Debug)]
pub enum PageResult {
    /// The page.
    Page(Page),
    /// A cursor is not of this hub and epoch.
    BadCursor,
    /// A cursor is this hub's own, of `epoch`, and the hub no longer holds what it stands at: it was restored.
    Forgotten {
        /// The epoch that stands.
        epoch: Uuid,
    },
}

/// What the hub holds of a stream.
#[derive(Clone, Debug)]
pub struct OriginHead {
    /// Number of the last change.
    pub seq: u64,
    /// Chain link after it.
    pub head: Link,
    /// The node that pushes it.
    pub pusher: Option<Uuid>,
    /// It was a node's and came back from others; whoever goes on from where it stands may take it up.
    pub is_orphan: bool,
    /// The scope it belongs to.
    pub scope: Scope,
    /// Up to which number it is in a verified backup.
    pub durable_seq: u64,
}

/// Totals of a walk over every chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Streams walked.
    pub origins: u64,
    /// Changes hashed.
    pub changes: u64,
    /// Records rebuilt from their changes and compared.
    pub records: u64,
    /// Changes of which only a part is left, because it was erased.
    pub erased: u64,
    /// What is wrong, in words; empty when nothing is.
    pub faults: Vec<String>,
}

/// Moving changes between sites.
#[async_trait]
pub trait Replication {
    /// Node: the next run of own changes after `after_seq`, or after what the hub acknowledged; at most `max_changes`
    /// and (but for the first) `max_bytes`.
    async fn unpushed(
        &self,
        after_seq: Option<u64>,
        max_changes: u32,
        max_bytes: usize,
    ) -> Result<Option<Unpushed>, Error>;
    /// Node: notes the hub's answers, in the order sent. `applied_seq` never moves back by it.
    async fn note_answers(&self, origin: Uuid, applied_seq: u64, answers: Vec<Answer>) -> Result<(), Error>;
    /// Node: the hub holds its stream only up to `after`, whatever it acknowledged: what comes after it waits again, until the hub has
    /// said anew what became of it.
    async fn take_back_acks(&self, origin: Uuid, after: u64) -> Result<(), Error>;
    /// Node: the chain link of its own stream after number `seq`; `None` beyond its end.
    async fn own_link(&self, seq: u64) -> Result<Option<Link>, Error>;
    /// Node: ends its stream at the last number agreed on, records again under a new one, in order, what it recorded after
    /// it, and pulls everything from the beginning. Nobody else's changes are touched. `None` when the stream named is not
    /// the one it records under: it has been done.
    async fn begin_anew(&self, beginning: Beginning) -> Result<Option<Anew>, Error>;
    /// Node: where it stands in each scope.
    async fn cursors(&self) -> Result<BTreeMap<Scope, Option<String>>, Error>;
    /// Node: stores a page's changes and cursors in one transaction. `now_ms`: this node's clock.
    async fn apply_page(&self, page: Page, now_ms: i64) -> Result<PageApplied, Error>;
    /// Hub: takes a push of `node_id` for `scope`, whole or not at all; answers only when durable.
    async fn take_push(&self, node_id: Uuid, scope: Scope, push: Push, now_ms: i64) -> Result<PushResult, Error>;
    /// Hub: like [`Sync::take_push`], but changes that are new here go to quarantine as `failed` without being tried:
    /// for what made the whole transaction fail. `reason`: for a person, at most 500 characters.
    async fn keep_failed(
        &self,
        node_id: Uuid,
        scope: Scope,
        push: Push,
        reason: String,
        now_ms: i64,
    ) -> Result<PushResult, Error>;
    /// Hub: like [`Sync::take_push`], but changes that are new here wait without being tried, as behind a change in quarantine:
    /// what the hub holds of their record is damaged. They go on by themselves once it is whole.
    async fn keep_waiting(&self, node_id: Uuid, scope: Scope, push: Push, now_ms: i64) -> Result<PushResult, Error>;
    /// Hub: what it holds of `origin`; `None` for a stream never seen.
    async fn origin_head(&self, origin: Uuid) -> Result<Option<OriginHead>, Error>;
    /// Hub: the last number of every scope that has one. Cheap: asked for after every commit, for all waiting pulls at once.
    async fn scope_heads(&self) -> Result<BTreeMap<Scope, u64>, Error>;
    /// Hub: the next page.
    async fn page(&self, query: PageQuery) -> Result<PageResult, Error>;
    /// Walks every chain, rebuilds every record from its changes and compares.
    async fn audit(&self) -> Result<Audit, Error>;
}
