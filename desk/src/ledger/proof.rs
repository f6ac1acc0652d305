//! Proof that two sites hold the same, what bit rot did, and how it is mended.

use crate::error::Error;
use async_trait::async_trait;
use chassis::blobs::Sha256;
use serde::Serialize;
use std::collections::BTreeMap;
use sync_protocol::batch::Page;
use sync_protocol::change::ChangeId;
use sync_protocol::checksum::{ChecksumsRequest, Compared, RecordChanges, RecordItem, ScopeAnswer, Sums};
use sync_protocol::message::GivenLine;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// What a node holds and knows, in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The stream it records under.
    pub origin: Uuid,
    /// The last number recorded.
    pub seq: u64,
    /// The last number that the hub acknowledged.
    pub acked_seq: u64,
    /// Where it stands in each scope.
    pub cursors: BTreeMap<Scope, Option<String>>,
    /// For each of those, what each bucket holds.
    pub buckets: BTreeMap<Scope, Vec<Sums>>,
    /// Records that have no sum yet: there is nothing to compare before they have.
    pub unsummed: bool,
}

impl Holding {
    /// What a scope holds, all buckets together.
    #[must_use]
    pub fn total(&self, scope: &Scope) -> Sums {
        total(self.buckets.get(scope).map_or(&[], Vec::as_slice))
    }
}

/// Buckets together.
#[must_use]
pub fn total(buckets: &[Sums]) -> Sums {
    buckets
        .iter()
        .fold(Sums::default(), |all, one| Sums { records: all.records + one.records, sum: all.sum.with(one.sum) })
}

/// The last comparison of a scope with the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The node.
    pub node_id: Uuid,
    /// The scope.
    pub scope: Scope,
    /// When, by this site's clock.
    pub at_ms: i64,
    /// How it compared.
    pub state: Compared,
    /// Changes that the node lacked.
    pub node_lacks: u64,
    /// Changes that the hub lacked.
    pub hub_lacks: u64,
    /// What this site held.
    pub sums: Sums,
    /// When it was last equal. Kept by the ledger.
    pub equal_ms: Option<i64>,
    /// Damage at the node that is not mended, as it told.
    pub damaged: u64,
    /// Damage at the node that was mended, as it told.
    pub mended: u64,
}

/// What can be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DamageKind {
    /// A change: its body or place is not what was recorded, or it is gone.
    Change,
    /// A record or its tables: not what its changes say.
    Record,
    /// A content: not what its name says.
    Content,
    /// A table of the database.
    Table,
}

impl DamageKind {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Change, Self::Record, Self::Content, Self::Table];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Record => "record",
            Self::Content => "content",
            Self::Table => "table",
        }
    }

    /// As it is stored; anything else is a table's.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "change" => Self::Change,
            "record" => Self::Record,
            "content" => Self::Content,
            _ => Self::Table,
        }
    }
}

/// Something that was found damaged, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind of thing.
    pub kind: DamageKind,
    /// Its name: `ORIGIN:SEQ`, an id, a digest, a table.
    pub name: String,
    /// The scope it belongs to, where that is known.
    pub scope: Option<String>,
    /// What was found, in words.
    pub what: String,
    /// When, milliseconds since 1970.
    pub found_ms: i64,
    /// When it was mended.
    pub mended_ms: Option<i64>,
    /// How.
    pub how: Option<String>,
}

/// How much was found damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DamageCount {
    /// And is not mended.
    pub open: u64,
    /// And was mended.
    pub mended: u64,
}

/// What the scrub looks through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrubPart {
    /// The database's pages, a table at a time.
    Tables,
    /// Changes, against their digests and for gaps in their streams.
    Changes,
    /// Records and their tables, against their changes.
    Records,
    /// Contents, against their digests.
    Contents,
}

impl ScrubPart {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Tables, Self::Changes, Self::Records, Self::Contents];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Changes => "changes",
            Self::Records => "records",
            Self::Contents => "contents",
        }
    }
}

/// How far the scrub has got with one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubState {
    /// Everything up to here has been read in the round under way; empty: none is, or it has only begun.
    pub position: String,
    /// When the round under way began, or the first one was put off.
    pub began_ms: i64,
    /// When the last whole round ended.
    pub ended_ms: Option<i64>,
}

/// What one step of the scrub did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStep {
    /// Where it got to; none: to the end of the round.
    pub position: Option<String>,
    /// Bytes read, about.
    pub bytes: u64,
    /// Things found damaged that were not known to be.
    pub found: Vec<Damage>,
    /// Things that were mended, and how.
    pub mended: Vec<Damage>,
}

/// Proof that two sites hold the same.
#[async_trait]
pub trait Proof {
    /// Gives records that have none their sum, at most `limit`; answers how many. None are left when that is less than `limit`.
    async fn sum_up(&self, limit: u32) -> Result<u32, Error>;
    /// Node: what it holds, from the sums that are kept; `None` before it is enrolled. `afresh`: summed anew from the records
    /// as they are.
    async fn holding(&self, afresh: bool) -> Result<Option<Holding>, Error>;
    /// The records of some buckets, at most `limit`, and whether there are more. `afresh` as in [`Proof::holding`].
    async fn items(
        &self,
        scope: Scope,
        buckets: Vec<u8>,
        limit: usize,
        afresh: bool,
    ) -> Result<(Vec<RecordItem>, bool), Error>;
    /// Hub: how what it holds of `scopes` compares with what a node says, in one snapshot. A scope that is not among them
    /// has no answer.
    async fn compare(
        &self,
        scopes: Vec<Scope>,
        request: ChecksumsRequest,
    ) -> Result<BTreeMap<Scope, ScopeAnswer>, Error>;
    /// What each bucket of a scope holds, as it is kept; `afresh`: summed anew from the records as they are.
    async fn sums(&self, scope: Scope, afresh: bool) -> Result<Vec<Sums>, Error>;
    /// Notes comparisons, each in place of the one before.
    async fn keep_checkpoints(&self, checkpoints: Vec<Checkpoint>) -> Result<(), Error>;
    /// The last comparisons, by node and scope.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error>;

    /// The changes of records of `scopes` that are in them, at most `limit` altogether. Damaged ones are left out.
    async fn changes_of(
        &self,
        scopes: Vec<Scope>,
        records: Vec<Uuid>,
        limit: usize,
    ) -> Result<Vec<RecordChanges>, Error>;
    /// Makes sure that records of `scopes` are what their changes say, and makes them so where they are not. Where a change is
    /// damaged or gone nothing is touched, and it is noted.
    async fn mend_records(&self, scopes: Vec<Scope>, records: Vec<Uuid>, now_ms: i64) -> Result<ScrubStep, Error>;
    /// Moves changes to the place the hub has for them.
    async fn move_changes(&self, places: Vec<(ChangeId, sync_protocol::hlc::Hlc)>) -> Result<(), Error>;
    /// Sums the buckets of a scope anew from its records; whether they had been wrong.
    async fn sum_again(&self, scope: Scope) -> Result<bool, Error>;
    /// Changes of `scopes` by their names, as lines of a page; those that are not here, or damaged, are left out, and so is what
    /// goes beyond `max_bytes`. At the hub only changes that are in their records.
    async fn changes_named(
        &self,
        scopes: Vec<Scope>,
        wanted: Vec<ChangeId>,
        max_bytes: usize,
        now_ms: i64,
    ) -> Result<Page, Error>;
    /// Takes changes back that are damaged or gone here, where a digest, a chain or a seal that is kept proves that they are the
    /// ones; and mends their records. Nothing that is whole is touched.
    async fn take_mended(&self, scopes: Vec<Scope>, page: Page, now_ms: i64) -> Result<Vec<GivenLine>, Error>;
    /// Changes of `scopes` that are known to be damaged or gone, at most `limit`.
    async fn changes_wanted(&self, scopes: Vec<Scope>, limit: usize) -> Result<Vec<ChangeId>, Error>;
    /// Hub: contents of a scope that were here once and are no more, at most `limit`.
    async fn contents_lost(&self, scope: Scope, limit: usize) -> Result<Vec<String>, Error>;
    /// Hub: some of the contents that records of a scope name and that are not here, at most `limit`; others each time.
    async fn contents_lacking(&self, scope: Scope, limit: usize) -> Result<Vec<String>, Error>;
    /// Node: the hub lacks contents. Those that it had verified are sent again; answers how many.
    async fn note_lost_at_hub(&self, contents: Vec<Sha256>) -> Result<u64, Error>;

    /// How far the scrub has got.
    async fn scrub_state(&self, part: ScrubPart) -> Result<Option<ScrubState>, Error>;
    /// Notes how far it has got.
    async fn keep_scrub_state(&self, part: ScrubPart, state: ScrubState) -> Result<(), Error>;
    /// Looks at what follows `position` of the database's own parts and mends what can be mended here.
    async fn scrub(&self, part: ScrubPart, position: String, now_ms: i64) -> Result<ScrubStep, Error>;
    /// Waits until something was read here that is not what was written. What was found before the wait began counts.
    async fn suspicion(&self);
    /// Contents that are said to be here, in the order of their digests after `position`, with their lengths.
    async fn contents_after(&self, position: String, limit: u32) -> Result<Vec<(Sha256, u64)>, Error>;
    /// Notes that something was found damaged; false where that was known.
    async fn note_damage(&self, damage: Damage, aside: Option<String>) -> Result<bool, Error>;
    /// Notes that it is whole again.
    async fn note_mended(&self, kind: DamageKind, name: String, how: String, now_ms: i64) -> Result<bool, Error>;
    /// What was found damaged: what is not mended first, then the newest; at most `limit`.
    async fn damage(&self, limit: u32) -> Result<Vec<Damage>, Error>;
    /// How much was.
    async fn damage_count(&self) -> Result<DamageCount, Error>;
}
