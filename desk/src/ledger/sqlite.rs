//! The ledger behind SQLite: one file, one writer that commits in groups, readers that never wait for it.
//!
//! Each verb is one job, and so one transaction (see [`chassis::sqlite`]); reads see one snapshot. Files by noun;
//! how a change becomes a record is in [`changes`], and at what point it is safe in [`records`].

mod accounts;
mod acts;
mod alarms;
mod anew;
mod aside;
mod ask;
mod audit;
mod carry;
mod changes;
mod check;
mod damage;
mod devices;
mod drafts;
mod erasures;
mod fail;
mod feed;
mod filter;
mod fleet;
mod histories;
mod history;
mod inbox;
mod incidents;
mod links;
mod mend;
mod met;
mod notifications;
mod offers;
mod photos;
mod project;
mod proof;
mod quarantine;
mod records;
mod refusals;
mod reviews;
mod scrub;
mod settings;
mod settle;
mod site;
mod stats;
mod sums;
mod sync;
mod together;
mod told;
mod versions;
mod views;

use super::{
    Accounts, Anew, Audit, Backlog, Beginning, Enrolment, Event, Failures, Filter, Fleet, HistoryItem, Identity,
    IncidentRow, Incidents, LinkState, NewCode, NewNode, NodeAuth, NodeRow, OriginHead, PageApplied, PageQuery,
    PageResult, Recording, Records, Replication, Retirement, Review, Site, Stats, Store, Unpushed, Whole,
};
use crate::actor::Account;
use crate::error::Error;
use async_trait::async_trait;
use changes::Untried;
use chassis::ids::Ids;
use chassis::outbound::Pin;
use chassis::sqlite::jobs::SqliteQueue;
use chassis::sqlite::rusqlite::{self, Connection};
use chassis::sqlite::uploads::SqliteUploads;
use chassis::sqlite::{Database, Disk, OpenError, OpenOptions, Relief, StoreError, Writing, runner};
pub use check::Check;
use fail::Fail;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::message::PhotoLimits;
use sync_protocol::message::{Answer, NodeStatus, PushResult};
use sync_protocol::scope::Scope;
use tokio::sync::Notify;
use uuid::Uuid;

/// Every schema change, in order. A released one is never edited.
pub const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__ledger", include_str!("../../../migrations/sqlite/V1__ledger.sql")),
    ("V2__incidents", include_str!("../../../migrations/sqlite/V2__incidents.sql")),
    ("V3__accounts", include_str!("../../../migrations/sqlite/V3__accounts.sql")),
    ("V4__fleet", include_str!("../../../migrations/sqlite/V4__fleet.sql")),
    ("V5__work", include_str!("../../../migrations/sqlite/V5__work.sql")),
    ("V6__photos", include_str!("../../../migrations/sqlite/V6__photos.sql")),
    ("V7__generation", include_str!("../../../migrations/sqlite/V7__generation.sql")),
    ("V8__inbox", include_str!("../../../migrations/sqlite/V8__inbox.sql")),
    ("V9__pieces_small", include_str!("../../../migrations/sqlite/V9__pieces_small.sql")),
    ("V10__histories", include_str!("../../../migrations/sqlite/V10__histories.sql")),
    ("V11__machines", include_str!("../../../migrations/sqlite/V11__machines.sql")),
    ("V12__settlements", include_str!("../../../migrations/sqlite/V12__settlements.sql")),
    ("V13__proof", include_str!("../../../migrations/sqlite/V13__proof.sql")),
    ("V14__programs", include_str!("../../../migrations/sqlite/V14__programs.sql")),
    ("V15__arriving", include_str!("../../../migrations/sqlite/V15__arriving.sql")),
    ("V16__erasures", include_str!("../../../migrations/sqlite/V16__erasures.sql")),
    ("V17__returns", include_str!("../../../migrations/sqlite/V17__returns.sql")),
    ("V18__notifications", include_str!("../../../migrations/sqlite/V18__notifications.sql")),
    ("V19__own", include_str!("../../../migrations/sqlite/V19__own.sql")),
    ("V20__console", include_str!("../../../migrations/sqlite/V20__console.sql")),
    ("V21__settings", include_str!("../../../migrations/sqlite/V21__settings.sql")),
    ("V22__labels", include_str!("../../../migrations/sqlite/V22__labels.sql")),
    ("V23__lanes", include_str!("../../../migrations/sqlite/V23__lanes.sql")),
    ("V24__lane_order", include_str!("../../../migrations/sqlite/V24__lane_order.sql")),
];

/// An audit reads everything; this is for the largest hub on the slowest disk.
const AUDIT_DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// The ledger in one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteLedger {
    db: Database,
    ids: Ids,
    /// The generation's stamp, and how many commits there were when it was read.
    stamp: Arc<Mutex<Option<(u64, i64)>>>,
    check: Option<Check>,
    /// Told when something was read that is not what was written.
    suspicion: Arc<Notify>,
}

impl StoreError for Fail {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Sql(error) => Some(error),
            Self::Refused(_) | Self::Broken(_) | Self::Damaged(_) => None,
        }
    }
}

impl SqliteLedger {
    /// Opens the ledger in the file `path`, making or upgrading it where needed. `ids` names the streams the hub opens.
    ///
    /// # Errors
    /// When the file or its folder cannot be used, is damaged, or was written by a newer version.
    pub fn open(path: &Path, ids: Ids) -> Result<Self, OpenError> {
        Self::open_with(path, ids, false)
    }

    /// [`SqliteLedger::open`]; `synchronous_off` gives durability up, so that a test of it can be seen to fail.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub fn open_with(path: &Path, ids: Ids, synchronous_off: bool) -> Result<Self, OpenError> {
        Self::open_as(path, ids, synchronous_off, |options| options)
    }

    /// [`SqliteLedger::open_with`], for whoever serves: `relief` makes room where the disk is full.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub fn open_relieved(
        path: &Path,
        ids: Ids,
        synchronous_off: bool,
        relief: Arc<dyn Relief>,
    ) -> Result<Self, OpenError> {
        Self::open_as(path, ids, synchronous_off, |options| OpenOptions { relief: Some(relief), ..options })
    }

    /// [`SqliteLedger::open`] for simulations: everything is done where it is asked for, as far as `disk` lets it, and nothing
    /// waits for the real disk.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub fn open_in_place(path: &Path, ids: Ids, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        Self::open_as(path, ids, true, |options| OpenOptions { in_place: Some(disk), readers: 1, ..options })
    }

    fn open_as(
        path: &Path,
        ids: Ids,
        synchronous_off: bool,
        change: impl FnOnce(OpenOptions) -> OpenOptions,
    ) -> Result<Self, OpenError> {
        let migrations = runner(MIGRATIONS).map_err(|detail| OpenError::Migration { path: path.to_owned(), detail })?;
        let writing = Writing {
            synchronous_off,
            setup: project::WAITING_TABLE,
            before_commit: project::INDEX_WAITING,
        };
        let options = OpenOptions { writing, ..OpenOptions::new(path, migrations) };
        Ok(Self {
            db: Database::open(change(options))?,
            ids,
            stamp: Arc::default(),
            check: None,
            suspicion: Arc::default(),
        })
    }

    /// The same ledger, with a look at each pushed change before it is taken.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// The jobs kept in the same file.
    #[must_use]
    pub fn jobs(&self) -> SqliteQueue {
        SqliteQueue::new(self.db.clone())
    }

    /// The uploads kept in the same file.
    #[must_use]
    pub fn uploads(&self) -> SqliteUploads {
        SqliteUploads::new(self.db.clone())
    }

    /// How SQLite would walk a page of `filter`, a line a step, with words that many or few have: for tests of the indexes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn explain(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        common: bool,
    ) -> Result<Vec<String>, Error> {
        self.read(move |db| incidents::explain(db, &filter, after, common)).await
    }
}

#[async_trait]
impl Site for SqliteLedger {
    async fn identity(&self) -> Result<Identity, Error> {
        self.look(site::identity).await
    }

    async fn become_hub(&self, hub_id: Uuid, epoch: Uuid) -> Result<Identity, Error> {
        let key = self.ids.random_bytes();
        self.write(move |db| site::become_hub(db, hub_id, epoch, key)).await
    }

    async fn become_node(&self, enrolment: Enrolment, credential: String, origin: Uuid) -> Result<(), Error> {
        self.write(move |db| site::become_node(db, &enrolment, &credential, origin)).await
    }

    async fn credential(&self) -> Result<Option<String>, Error> {
        self.look(|db| site::value(db, "credential")).await
    }

    async fn set_credential(&self, credential: String) -> Result<(), Error> {
        self.write(move |db| site::set_value(db, "credential", &credential)).await
    }

    async fn link_state(&self) -> Result<LinkState, Error> {
        self.look(site::link_state).await
    }

    async fn set_link_state(&self, state: LinkState) -> Result<(), Error> {
        self.write(move |db| site::set_link_state(db, &state)).await
    }

    async fn photo_limits(&self) -> Result<Option<PhotoLimits>, Error> {
        self.look(site::photo_limits).await
    }

    async fn set_photo_limits(&self, limits: PhotoLimits) -> Result<(), Error> {
        self.write(move |db| site::set_photo_limits(db, &limits)).await
    }

    async fn set_trust(&self, pins: Vec<Pin>, ca_pem: Option<String>) -> Result<(), Error> {
        self.write(move |db| site::set_trust(db, pins, ca_pem)).await
    }

    async fn retirement(&self) -> Result<Option<Retirement>, Error> {
        self.look(site::retirement).await
    }

    async fn set_retirement(&self, retirement: Option<Retirement>) -> Result<(), Error> {
        self.write(move |db| site::set_retirement(db, retirement.as_ref())).await
    }

    async fn backlog(&self) -> Result<Backlog, Error> {
        self.look(site::backlog).await
    }

    fn committed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.db.committed()
    }

    async fn generation(&self) -> Result<i64, Error> {
        // Read before the stamp: what is committed in between makes the next question look again.
        let commits = self.db.generation();
        let known = *self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stamp)) = known.filter(|(at, _)| *at == commits) {
            return Ok(stamp);
        }
        let stamp = self.look(site::generation).await?;
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = Some((commits, stamp));
        Ok(stamp)
    }

    async fn is_writable(&self) -> bool {
        self.db.available()
    }

    async fn answers(&self) {
        self.db.answers().await;
    }
}

#[async_trait]
impl Records for SqliteLedger {
    async fn record(&self, recording: Recording) -> Result<Option<IncidentRow>, Error> {
        let fresh = records::Fresh { ids: self.ids.clone(), when: recording.when };
        let is_tidy = recording.is_tidy();
        let job = move |db: &Connection| records::record(db, recording, &fresh);
        if is_tidy { self.write_tidily(job).await } else { self.write(job).await }
    }
}

#[async_trait]
impl Incidents for SqliteLedger {
    async fn incident(&self, id: Uuid) -> Result<Option<IncidentRow>, Error> {
        self.look(move |db| incidents::row(db, id)).await
    }

    async fn incident_whole(&self, id: Uuid) -> Result<Option<Whole>, Error> {
        self.look(move |db| incidents::whole(db, id)).await
    }

    async fn incidents(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, Error> {
        let straight = filter::is_straight(&filter);
        let job = move |db: &Connection| incidents::list(db, &filter, after, limit);
        if straight { self.look(job).await } else { self.read(job).await }
    }

    async fn incidents_whole(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<Whole>, Error> {
        self.read(move |db| incidents::list_whole(db, &filter, after, limit)).await
    }

    async fn history(&self, id: Uuid) -> Result<Vec<HistoryItem>, Error> {
        self.read(move |db| history::history(db, id)).await
    }

    async fn chain_of(&self, id: Uuid) -> Result<Option<Link>, Error> {
        self.look(move |db| incidents::chain_of(db, id)).await
    }

    async fn stats(&self, filter: Filter) -> Result<Stats, Error> {
        self.read(move |db| stats::stats(db, &filter)).await
    }

    async fn events_after(&self, after: i64, limit: u32) -> Result<Vec<Event>, Error> {
        self.read(move |db| incidents::events_after(db, after, limit)).await
    }

    async fn last_event(&self) -> Result<i64, Error> {
        self.look(incidents::last_event).await
    }

    async fn reviews(&self, store: Option<String>, limit: u32) -> Result<Vec<Review>, Error> {
        self.read(move |db| reviews::list(db, store.as_deref(), false, limit)).await
    }

    async fn settled_reviews(&self, store: Option<String>, limit: u32) -> Result<Vec<Review>, Error> {
        self.read(move |db| reviews::list(db, store.as_deref(), true, limit)).await
    }

    async fn reviews_of(&self, incident: Uuid) -> Result<Vec<Review>, Error> {
        self.read(move |db| reviews::of_incident(db, incident)).await
    }
}

#[async_trait]
impl Accounts for SqliteLedger {
    async fn account(&self, username: &str) -> Result<Option<Account>, Error> {
        let username = username.to_owned();
        self.look(move |db| accounts::account(db, &username)).await
    }

    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, Error> {
        self.look(move |db| accounts::account_by_id(db, id)).await
    }

    async fn accounts(&self, store: Option<String>) -> Result<Vec<Account>, Error> {
        self.read(move |db| accounts::accounts(db, store.as_deref())).await
    }

    async fn stores(&self, store: Option<String>) -> Result<Vec<Store>, Error> {
        self.read(move |db| accounts::stores(db, store.as_deref())).await
    }

    async fn store(&self, code: &str) -> Result<Option<Store>, Error> {
        let code = code.to_owned();
        self.look(move |db| accounts::store(db, &code)).await
    }

    async fn open_session(
        &self,
        token_hash: [u8; 32],
        username: String,
        now_ms: i64,
        expires_ms: i64,
    ) -> Result<(), Error> {
        self.write(move |db| accounts::open_session(db, &token_hash, &username, now_ms, expires_ms)).await
    }

    async fn session(&self, token_hash: [u8; 32], now_ms: i64) -> Result<Option<(Account, i64)>, Error> {
        self.look(move |db| accounts::session(db, &token_hash, now_ms)).await
    }

    async fn close_session(&self, token_hash: [u8; 32]) -> Result<(), Error> {
        self.write(move |db| accounts::close_session(db, &token_hash)).await
    }

    async fn failures(&self, username: &str) -> Result<Failures, Error> {
        let username = username.to_owned();
        self.look(move |db| accounts::failures(db, &username)).await
    }

    async fn note_failure(&self, username: String, now_ms: i64) -> Result<Failures, Error> {
        self.write(move |db| accounts::note_failure(db, &username, now_ms)).await
    }
}

#[async_trait]
impl Replication for SqliteLedger {
    async fn unpushed(
        &self,
        after_seq: Option<u64>,
        max_changes: u32,
        max_bytes: usize,
    ) -> Result<Option<Unpushed>, Error> {
        self.read(move |db| sync::unpushed(db, after_seq, max_changes, max_bytes)).await
    }

    async fn note_answers(&self, origin: Uuid, applied_seq: u64, answers: Vec<Answer>) -> Result<(), Error> {
        self.write(move |db| sync::note_answers(db, origin, applied_seq, &answers)).await
    }

    async fn take_back_acks(&self, origin: Uuid, after: u64) -> Result<(), Error> {
        self.write(move |db| histories::take_back_acks(db, origin, after)).await
    }

    async fn own_link(&self, seq: u64) -> Result<Option<Link>, Error> {
        self.read(move |db| anew::own_link(db, seq)).await
    }

    async fn begin_anew(&self, beginning: Beginning) -> Result<Option<Anew>, Error> {
        let origin = self.ids.new_v7(beginning.now_ms);
        self.write(move |db| anew::begin_anew(db, &beginning, origin)).await
    }

    async fn cursors(&self) -> Result<BTreeMap<Scope, Option<String>>, Error> {
        self.look(sync::cursors).await
    }

    async fn apply_page(&self, page: Page, now_ms: i64) -> Result<PageApplied, Error> {
        self.write(move |db| sync::apply_page(db, &page, now_ms)).await
    }

    async fn take_push(&self, node_id: Uuid, scope: Scope, push: Push, now_ms: i64) -> Result<PushResult, Error> {
        let check = self.check.clone();
        self.write(move |db| {
            if let Some(check) = &check {
                check.look(&push.bodies);
            }
            sync::take_push(db, node_id, &scope, &push, now_ms, None)
        })
        .await
    }

    async fn keep_failed(
        &self,
        node_id: Uuid,
        scope: Scope,
        push: Push,
        reason: String,
        now_ms: i64,
    ) -> Result<PushResult, Error> {
        let job =
            move |db: &Connection| sync::take_push(db, node_id, &scope, &push, now_ms, Some(Untried::Failed(&reason)));
        self.write(job).await
    }

    async fn keep_waiting(&self, node_id: Uuid, scope: Scope, push: Push, now_ms: i64) -> Result<PushResult, Error> {
        self.write(move |db| sync::take_push(db, node_id, &scope, &push, now_ms, Some(Untried::Waits)))
            .await
    }

    async fn origin_head(&self, origin: Uuid) -> Result<Option<OriginHead>, Error> {
        self.look(move |db| sync::origin_head(db, origin)).await
    }

    async fn scope_heads(&self) -> Result<BTreeMap<Scope, u64>, Error> {
        self.read(sync::scope_heads).await
    }

    async fn page(&self, query: PageQuery) -> Result<PageResult, Error> {
        self.read(move |db| sync::page(db, &query)).await
    }

    async fn audit(&self) -> Result<Audit, Error> {
        self.answered(self.db.read_within(AUDIT_DEADLINE, audit::audit).await)
    }
}

#[async_trait]
impl Fleet for SqliteLedger {
    async fn add_code(&self, code: NewCode) -> Result<(), Error> {
        self.write(move |db| fleet::add_code(db, &code)).await
    }

    async fn add_replacement_code(&self, code: NewCode, replaces: Uuid) -> Result<(), Error> {
        self.write(move |db| fleet::add_replacement_code(db, &code, replaces)).await
    }

    async fn node(&self, node_id: Uuid) -> Result<Option<NodeRow>, Error> {
        self.look(move |db| fleet::node(db, node_id)).await
    }

    async fn enrol(&self, node: NewNode) -> Result<Option<(Store, String)>, Error> {
        self.write(move |db| fleet::enrol(db, &node)).await
    }

    async fn nodes(&self, store: Option<String>) -> Result<Vec<NodeRow>, Error> {
        self.read(move |db| fleet::nodes(db, store.as_deref())).await
    }

    async fn revoke(&self, node_id: Uuid, by: &str, reason: Option<String>, now_ms: i64) -> Result<bool, Error> {
        let by = by.to_owned();
        self.write(move |db| fleet::revoke(db, node_id, &by, reason.as_deref(), now_ms)).await
    }

    async fn note_machine(&self, node_id: Uuid, machine: String) -> Result<(), Error> {
        self.write(move |db| fleet::note_machine(db, node_id, &machine)).await
    }

    async fn node_auth(&self, node_id: Uuid) -> Result<Option<NodeAuth>, Error> {
        self.look(move |db| fleet::node_auth(db, node_id)).await
    }

    async fn issue_credential(&self, node_id: Uuid, now_ms: i64, returns: bool) -> Result<String, Error> {
        self.write(move |db| fleet::issue_credential(db, node_id, now_ms, returns)).await
    }

    async fn accept_credential(&self, node_id: Uuid, generation: i64, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| fleet::accept_credential(db, node_id, generation, now_ms)).await
    }

    async fn use_credential(&self, node_id: Uuid, generation: i64, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| fleet::use_credential(db, node_id, generation, now_ms)).await
    }

    async fn note_contact(&self, node_id: Uuid, status: NodeStatus, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| fleet::note_contact(db, node_id, &status, now_ms)).await
    }
}
