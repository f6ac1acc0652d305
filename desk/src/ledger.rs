//! The ledger: the persistence of a site, as verbs that are whole transactions.
//!
//! A verb either happened and is durable (power may fail the moment it returns) or did not happen at all.
//! Nothing above this line holds a transaction open; nothing below it decides who may do what: writing verbs
//! take a pure `plan` that looks at what is there and answers with what to record.
//!
//! [`sqlite`] is the one behind it. A second one has to pass the same tests.

pub mod sqlite;

use crate::actor::{Account, Role};
use crate::error::{Error, Refusal};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::change::Field;
use sync_protocol::merge::RecordState;
use sync_protocol::message::{Answer, NodeStatus, PushResult};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A site's ledger, shared by everything that runs in the site.
pub type SharedLedger = Arc<dyn Ledger>;

/// Everything a site persists.
pub trait Ledger: Site + Records + Incidents + Accounts + Sync + Fleet + Send + Sync2 {}
impl<T: Site + Records + Incidents + Accounts + Sync + Fleet + Send + Sync2> Ledger for T {}

/// `std::marker::Sync` under a name that does not hide behind [`Sync`], the trait of this file.
pub use std::marker::Sync as Sync2;

// ---- the site itself ------------------------------------------------------------------------------------------

/// Who a site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Headquarters.
    Hub {
        /// Lasting identity.
        hub_id: Uuid,
        /// Unbroken history.
        epoch: Uuid,
    },
    /// A store's node.
    Node(Enrolment),
    /// A node's folder before `enroll`.
    Unenrolled,
}

/// What a node knows of its enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Where the hub is.
    pub hub_url: String,
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch as last seen.
    pub epoch: Uuid,
    /// The node's identity.
    pub node_id: Uuid,
    /// The store.
    pub store_code: String,
    /// The store's name at enrolment.
    pub store_name: String,
    /// The scopes the node pulls.
    pub scopes: Vec<Scope>,
    /// PEM of the certificate authority that vouches for the hub, where one was given.
    pub ca_pem: Option<String>,
}

/// How a node's link to its hub was when last tried. All times by the node's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Whether the last try got a proven answer.
    pub hub_reachable: bool,
    /// When an answer last came.
    pub last_contact_ms: Option<i64>,
    /// The last error in words, until the next success.
    pub last_error: Option<String>,
    /// When the next try is due.
    pub next_try_ms: Option<i64>,
    /// The node's clock minus the hub's.
    pub clock_offset_ms: i64,
    /// Changes taken from the hub since enrolment.
    pub pulled_changes: u64,
}

/// Numbers that say how far a node is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The origin the node records under.
    pub origin: Uuid,
    /// Last number recorded.
    pub seq: u64,
    /// Chain link after it.
    pub head: Option<Link>,
    /// Changes the hub has not acknowledged.
    pub pending_changes: u64,
    /// Changes in quarantine, here or (as its answers say) at the hub.
    pub quarantined: u64,
}

/// The site's own single values.
#[async_trait]
pub trait Site {
    /// Who this site is.
    async fn identity(&self) -> Result<Identity, Error>;
    /// Makes a fresh folder a hub; answers the identity, also when it is one already.
    async fn become_hub(&self, hub_id: Uuid, epoch: Uuid) -> Result<Identity, Error>;
    /// Makes the folder a node of `enrolment`, with its secret, under a new origin. Existing records stay.
    async fn become_node(&self, enrolment: Enrolment, credential: String, origin: Uuid) -> Result<(), Error>;
    /// The node's secret.
    async fn credential(&self) -> Result<Option<String>, Error>;
    /// Keeps a new secret, durably.
    async fn set_credential(&self, credential: String) -> Result<(), Error>;
    /// Where the link stood when last noted.
    async fn link_state(&self) -> Result<LinkState, Error>;
    /// Notes where the link stands, but for `pulled_changes`: [`Sync::apply_page`] counts them.
    async fn set_link_state(&self, state: LinkState) -> Result<(), Error>;
    /// How far the node is behind.
    async fn backlog(&self) -> Result<Backlog, Error>;
    /// Grows whenever anything was committed, by this process or another one.
    fn committed(&self) -> tokio::sync::watch::Receiver<u64>;
    /// True while writes are taken; for readiness.
    async fn is_writable(&self) -> bool;
}

// ---- recording ------------------------------------------------------------------------------------------------

/// What a plan looks at: the records it asked for, as they are inside the transaction.
#[derive(Debug, Default)]
pub struct Staged {
    /// In the order asked for; `None` where there is no such record.
    pub records: Vec<Option<StagedRecord>>,
    /// What an earlier request with the same key or id recorded.
    pub earlier: Option<Earlier>,
}

/// One record inside a transaction.
#[derive(Clone, Debug)]
pub struct StagedRecord {
    /// The record.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Its scope.
    pub scope: Scope,
    /// Its state.
    pub state: RecordState,
    /// For incidents: the strong ETag of what the API shows now.
    pub etag: Option<String>,
    /// For incidents: photos, comments.
    pub photo_count: u64,
}

/// What an earlier request recorded under the same key or id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The incident.
    pub incident_id: Uuid,
    /// Whether its content was the same.
    pub same: bool,
}

/// One change to record. The ledger adds origin, number, order and bases.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The record's kind.
    pub kind: &'static str,
    /// The record.
    pub id: Uuid,
    /// The scope whose stream the change joins.
    pub scope: Scope,
    /// True where the record is recorded for the first time.
    pub new: bool,
    /// What the fields become.
    pub set: BTreeMap<Field, Value>,
    /// For a new incident: the ledger sets `reference` from this year's running number.
    pub number_year: Option<i16>,
}

/// Decides, from what is there, what to record. Pure; runs inside the transaction.
pub type Plan = Box<dyn FnOnce(&Staged) -> Result<Vec<Draft>, Refusal> + Send>;

/// What a request says of itself, so that a repeat is recognised.
#[derive(Clone, Debug)]
pub struct Claim {
    /// `id/UUID`, and `key/USERNAME/KEY` where the client sent an `Idempotency-Key`.
    pub keys: Vec<String>,
    /// Digest of the content as sent.
    pub digest: [u8; 32],
}

/// A writing request: which records, by whom, when, and the plan.
pub struct Recording {
    /// Records the plan looks at.
    pub records: Vec<Uuid>,
    /// Username of whoever records.
    pub by: String,
    /// The site's wall clock.
    pub at_ms: i64,
    /// Set for requests that may be repeated.
    pub claim: Option<Claim>,
    /// What to record.
    pub plan: Plan,
}

/// Writing.
#[async_trait]
pub trait Records {
    /// Stages the records, runs the plan, records its drafts and applies them, in one durable transaction. When the
    /// claim names an earlier request the plan still runs and sees it in [`Staged::earlier`].
    ///
    /// # Errors
    /// What the plan refuses; [`Error::Storage`] when nothing could be written.
    async fn record(&self, recording: Recording) -> Result<(), Error>;
}

// ---- incidents ------------------------------------------------------------------------------------------------

/// An incident as it is read.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    /// The incident.
    pub id: Uuid,
    /// Its store.
    pub store_code: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Who reported it: username, and name where the account is known here.
    pub reported_by: String,
    /// See `reported_by`.
    pub reported_by_name: Option<String>,
    /// Status, for rules.
    pub status: String,
    /// Digest of the merged state.
    pub version: String,
    /// When the hub first had it.
    pub received_ms: Option<i64>,
    /// How many comments.
    pub comment_count: u64,
    /// How many photos.
    pub photo_count: u64,
    /// When it happened, for the cursor.
    pub occurred_at_ms: i64,
    /// The rest, as a JSON object.
    pub doc: String,
}

/// A comment as it is read.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Comment {
    /// The comment.
    pub id: Uuid,
    /// `comment`, or `addendum` for new facts after submission.
    pub kind: String,
    /// What it says.
    pub body: String,
    /// Username.
    pub author: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// One line of an incident's history, oldest first.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HistoryItem {
    /// When, by the clock of the site where it was done; RFC 3339, UTC.
    pub at: String,
    /// Username.
    pub actor: String,
    /// A store's code, or `hub`.
    pub site: String,
    /// `created`, `edited`, `step`, `comment`, `deleted` or `restored`.
    pub kind: String,
    /// Which field, where it was one.
    pub field: Option<String>,
    /// What it was.
    pub from: Value,
    /// What it became.
    pub to: Value,
    /// True for a value that lost against an edit whose author had not seen it.
    pub lost: bool,
    /// Why, where a reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which incidents: every filter narrows, several values of one filter mean either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The only store the asker may see.
    pub sight: Option<String>,
    /// Store codes.
    pub store: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
    /// Categories.
    pub category: Vec<String>,
    /// Tags.
    pub tag: Vec<String>,
    /// Least severity.
    pub severity_min: Option<u8>,
    /// Usernames.
    pub reported_by: Vec<String>,
    /// Parts of people's names.
    pub person: Vec<String>,
    /// Earliest `occurred_at`, inclusive.
    pub from_ms: Option<i64>,
    /// Latest `occurred_at`, exclusive.
    pub to_ms: Option<i64>,
    /// Words.
    pub q: Option<String>,
    /// Whether deleted ones are shown too.
    pub deleted: bool,
}

/// Counts over a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All of them.
    pub total: u64,
    /// UTC day (`2026-01-02`) and count, by day.
    pub by_day: Vec<(String, u64)>,
    /// Category and count, most first.
    pub by_category: Vec<(String, u64)>,
    /// Severity and count, least first.
    pub by_severity: Vec<(u8, u64)>,
    /// Store and count, by code.
    pub by_store: Vec<(String, u64)>,
}

/// Something that changed, for open pages.
#[derive(Clone, Debug)]
pub struct Event {
    /// Order of arrival at this site.
    pub no: i64,
    /// The record's kind.
    pub kind: String,
    /// The record.
    pub id: Uuid,
    /// The incident it belongs to, where it does.
    pub incident_id: Option<Uuid>,
    /// Its scope.
    pub scope: Scope,
}

/// A field in which a person has to decide.
#[derive(Clone, Debug)]
pub struct Review {
    /// The incident.
    pub incident_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// Its reference.
    pub reference: String,
    /// The field, or `deleted` where it was edited and deleted at once.
    pub field: String,
    /// Since when.
    pub since_ms: i64,
}

/// Reading incidents. Nothing here checks rights beyond `Filter::sight`: features do.
#[async_trait]
pub trait Incidents {
    /// One incident, deleted or not.
    async fn incident(&self, id: Uuid) -> Result<Option<IncidentRow>, Error>;
    /// One incident and its comments, as one moment shows them.
    async fn incident_whole(&self, id: Uuid) -> Result<Option<(IncidentRow, Vec<Comment>)>, Error>;
    /// Newest first by (`occurred_at_ms`, id), strictly after the position `after`; at most `limit`.
    async fn incidents(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, Error>;
    /// Like [`Incidents::incidents`], each with its comments: for exports.
    async fn incidents_whole(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<(IncidentRow, Vec<Comment>)>, Error>;
    /// Everything that was done to one incident, oldest first.
    async fn history(&self, id: Uuid) -> Result<Vec<HistoryItem>, Error>;
    /// Counts.
    async fn stats(&self, filter: Filter) -> Result<Stats, Error>;
    /// What arrived after number `after`, in order of arrival; at most `limit`.
    async fn events_after(&self, after: i64, limit: u32) -> Result<Vec<Event>, Error>;
    /// The number of the last arrival.
    async fn last_event(&self) -> Result<i64, Error>;
    /// Fields in which a person has to decide; `store`: only that store's. At most `limit`, newest first.
    async fn reviews(&self, store: Option<String>, limit: u32) -> Result<Vec<Review>, Error>;
}

// ---- stores, accounts, sessions -------------------------------------------------------------------------------

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Store {
    /// The store's record.
    pub id: Uuid,
    /// Its code, zeros included.
    pub code: String,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub timezone: String,
}

/// Where an account stands with failed logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many since the last success.
    pub count: u32,
    /// When the last one was.
    pub last_ms: i64,
}

/// Reading accounts and keeping sessions.
#[async_trait]
pub trait Accounts {
    /// The account with this username.
    async fn account(&self, username: &str) -> Result<Option<Account>, Error>;
    /// The account with this id.
    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, Error>;
    /// All accounts by username; `store`: only that store's.
    async fn accounts(&self, store: Option<String>) -> Result<Vec<Account>, Error>;
    /// All stores by code; `store`: only that one.
    async fn stores(&self, store: Option<String>) -> Result<Vec<Store>, Error>;
    /// The store with this code.
    async fn store(&self, code: &str) -> Result<Option<Store>, Error>;
    /// Opens a session and forgets the account's failed logins; sessions past their end are removed.
    async fn open_session(
        &self,
        token_hash: [u8; 32],
        username: String,
        now_ms: i64,
        expires_ms: i64,
    ) -> Result<(), Error>;
    /// The active account behind a session that has not ended.
    async fn session(&self, token_hash: [u8; 32], now_ms: i64) -> Result<Option<Account>, Error>;
    /// Ends a session.
    async fn close_session(&self, token_hash: [u8; 32]) -> Result<(), Error>;
    /// Failed logins of a name.
    async fn failures(&self, username: &str) -> Result<Failures, Error>;
    /// Notes a failed login; names not tried for a day are forgotten.
    async fn note_failure(&self, username: String, now_ms: i64) -> Result<Failures, Error>;
}

// ---- replication ----------------------------------------------------------------------------------------------

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
    /// What is wrong, in words; empty when nothing is.
    pub faults: Vec<String>,
}

/// Moving changes between sites.
#[async_trait]
pub trait Sync {
    /// Node: the next run of own changes after `after_seq`, or after what the hub acknowledged; at most `max_changes`
    /// and (but for the first) `max_bytes`.
    async fn unpushed(
        &self,
        after_seq: Option<u64>,
        max_changes: u32,
        max_bytes: usize,
    ) -> Result<Option<Unpushed>, Error>;
    /// Node: notes the hub's answers, in the order sent. `applied_seq` never moves back.
    async fn note_answers(&self, origin: Uuid, applied_seq: u64, answers: Vec<Answer>) -> Result<(), Error>;
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
    /// Hub: number and link of the last change held of `origin`; `None` for a stream never seen. Also tells whether the
    /// stream may be this node's: unknown, or pushed by it before.
    async fn origin_head(&self, origin: Uuid) -> Result<Option<(u64, Link, Option<Uuid>)>, Error>;
    /// Hub: the last number of every scope that has one. Cheap: asked for after every commit, for all waiting pulls at once.
    async fn scope_heads(&self) -> Result<BTreeMap<Scope, u64>, Error>;
    /// Hub: the next page.
    async fn page(&self, query: PageQuery) -> Result<PageResult, Error>;
    /// Walks every chain, rebuilds every record from its changes and compares.
    async fn audit(&self) -> Result<Audit, Error>;
}

// ---- fleet (hub) ----------------------------------------------------------------------------------------------

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
#[derive(Clone, Debug)]
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
    /// All credentials, newest first.
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
    /// Keys of its first secret.
    pub auth: [u8; 32],
    /// See `auth`.
    pub proof: [u8; 32],
    /// The hub's clock.
    pub now_ms: i64,
    /// The node's clock minus the hub's.
    pub clock_offset_ms: i64,
}

/// The hub's nodes.
#[async_trait]
pub trait Fleet {
    /// Keeps an enrolment code. Refused when there is no such store.
    async fn add_code(&self, code: NewCode) -> Result<(), Error>;
    /// Uses the code up and takes the node in, in one transaction; `None` when the code is unknown, used or too old.
    async fn enrol(&self, node: NewNode) -> Result<Option<Store>, Error>;
    /// All nodes by store and name; `store`: only that store's.
    async fn nodes(&self, store: Option<String>) -> Result<Vec<NodeRow>, Error>;
    /// Revokes; false when there is no such node.
    async fn revoke(&self, node_id: Uuid, now_ms: i64) -> Result<bool, Error>;
    /// What to check a node's request against.
    async fn node_auth(&self, node_id: Uuid) -> Result<Option<NodeAuth>, Error>;
    /// Keeps the keys of a new secret beside the ones in use.
    async fn add_credential(&self, node_id: Uuid, auth: [u8; 32], proof: [u8; 32], now_ms: i64) -> Result<(), Error>;
    /// Notes the first use of a credential; older ones are no good from then on.
    async fn use_credential(&self, node_id: Uuid, generation: i64, now_ms: i64) -> Result<(), Error>;
    /// Notes what a node told of itself.
    async fn note_contact(&self, node_id: Uuid, status: NodeStatus, now_ms: i64) -> Result<(), Error>;
}

/// Roles as they are kept.
impl Role {
    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Manager => "manager",
            Self::Hq => "hq",
            Self::Admin => "admin",
        }
    }
}
