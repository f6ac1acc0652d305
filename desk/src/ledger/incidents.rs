//! Reading incidents.

use super::Photo;
use crate::error::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::chain::Link;
use sync_protocol::change::ChangeId;
use sync_protocol::scope::Scope;
use uuid::Uuid;

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
    /// The first photo that can be shown.
    pub thumbnail: Option<Uuid>,
    /// Moves with everything that an answer says of the photos.
    pub photos_rev: u64,
    /// When it happened, for the cursor.
    pub occurred_at_ms: i64,
    /// The rest, as a JSON object.
    pub doc: String,
}

/// An incident with what belongs to it, as one moment shows them.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The incident.
    pub row: IncidentRow,
    /// Oldest first.
    pub comments: Vec<Comment>,
    /// Oldest first.
    pub photos: Vec<Photo>,
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
    /// `created`, `edited`, `step`, `comment`, `photo`, `deleted`, `restored`, `erased`, or `settled` for a decision between edits
    /// that met.
    pub kind: String,
    /// Which field, where it was one.
    pub field: Option<String>,
    /// What it was.
    pub from: Value,
    /// What it became.
    pub to: Value,
    /// True for a value that lost against an edit whose author had not seen it.
    pub lost: bool,
    /// True where the site's clock was more than five minutes off, so that `at` is not when it was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_off: bool,
    /// Why, where a reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Set where values are not shown because they were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedBy>,
    /// Which comment, photo or step it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
}

/// By whose order a value was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErasedBy {
    /// When; RFC 3339, UTC.
    pub at: String,
    /// Username.
    pub by: String,
}

/// Which incidents: every filter narrows, several values of one filter mean either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The only store the asker may see.
    pub sight: Option<String>,
    /// Ids.
    pub id: Vec<Uuid>,
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
    /// Greatest severity.
    pub severity_max: Option<u8>,
    /// Usernames.
    pub reported_by: Vec<String>,
    /// Parts of people's names.
    pub person: Vec<String>,
    /// Earliest `occurred_at`, inclusive.
    pub from_ms: Option<i64>,
    /// What they say in words of the company's own: `subcategory` or `custom/KEY`, and the values of which either will do.
    pub own: BTreeMap<String, Vec<String>>,
    /// Latest `occurred_at`, exclusive.
    pub to_ms: Option<i64>,
    /// Words.
    pub q: Option<String>,
    /// Whether deleted ones are shown too.
    pub deleted: bool,
}

/// Counts over a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Day and count, by day, each incident on the day that it was in its store.
    pub by_local_day: Vec<(String, u64)>,
    /// By weekday (Monday first) and hour, by the clocks of each incident's store.
    pub by_hour: [[u64; 24]; 7],
    /// What was lost, by currency: amounts of different ones are never added.
    pub losses: Vec<LossStats>,
}

/// What was lost in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossStats {
    /// ISO 4217; empty where incidents do not say.
    pub currency: String,
    /// Incidents with a loss in it.
    pub count: u64,
    /// Lost.
    pub amount_minor: u64,
    /// Of that, recovered.
    pub recovered_minor: u64,
    /// UTC day, lost and recovered, by day.
    pub by_day: Vec<(String, u64, u64)>,
    /// The same by the day that it was in the store.
    pub by_local_day: Vec<(String, u64, u64)>,
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

/// A field in which a person has to decide, or has decided.
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
    /// The change that wrote the field's standing value.
    pub base: Option<ChangeId>,
    /// What stands.
    pub standing: Option<Said>,
    /// What was typed over unseen, oldest first; once it is decided, all that ever was.
    pub lost: Vec<Said>,
    /// Whether nothing is left to decide.
    pub is_settled: bool,
    /// The latest decision.
    pub decided: Option<Decided>,
}

/// A value, and who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The change.
    pub change: ChangeId,
    /// Username.
    pub by: String,
    /// When, by the clock of the site where it was written; RFC 3339, UTC.
    pub at: String,
    /// A store's code, or `hub`.
    pub site: String,
    /// The value; for `deleted` whether it was.
    pub value: Value,
}

/// Who decided between edits that met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The change that says so.
    pub change: ChangeId,
    /// Username.
    pub by: String,
    /// When, by the clock of the site where it was decided; RFC 3339, UTC.
    pub at: String,
    /// A store's code, or `hub`.
    pub site: String,
    /// `standing`, `lost` or `value`.
    pub keep: String,
}

/// Reading incidents. Nothing here checks rights beyond `Filter::sight`: features do.
#[async_trait]
pub trait Incidents {
    /// One incident, deleted or not.
    async fn incident(&self, id: Uuid) -> Result<Option<IncidentRow>, Error>;
    /// One incident with its comments and photos.
    async fn incident_whole(&self, id: Uuid) -> Result<Option<Whole>, Error>;
    /// Newest first by (`occurred_at_ms`, id), strictly after the position `after`; at most `limit`.
    async fn incidents(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<IncidentRow>, Error>;
    /// Like [`Incidents::incidents`], each with its comments and photos: for exports.
    async fn incidents_whole(
        &self,
        filter: Filter,
        after: Option<(i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<Whole>, Error>;
    /// Everything that was done to one incident, oldest first.
    async fn history(&self, id: Uuid) -> Result<Vec<HistoryItem>, Error>;
    /// Head of the chain of the stream in which an incident was recorded.
    async fn chain_of(&self, id: Uuid) -> Result<Option<Link>, Error>;
    /// Counts.
    async fn stats(&self, filter: Filter) -> Result<Stats, Error>;
    /// What arrived after number `after`, in order of arrival; at most `limit`.
    async fn events_after(&self, after: i64, limit: u32) -> Result<Vec<Event>, Error>;
    /// The number of the last arrival.
    async fn last_event(&self) -> Result<i64, Error>;
    /// Fields in which a person has to decide; `store`: only that store's. At most `limit`, newest first.
    async fn reviews(&self, store: Option<String>, limit: u32) -> Result<Vec<Review>, Error>;
    /// Fields in which a person has decided, like [`Incidents::reviews`].
    async fn settled_reviews(&self, store: Option<String>, limit: u32) -> Result<Vec<Review>, Error>;
    /// Every field of one incident in which a person has to decide or has decided.
    async fn reviews_of(&self, incident: Uuid) -> Result<Vec<Review>, Error>;
}
