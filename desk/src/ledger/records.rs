//! Recording: what a plan looks at, and what it answers.

use super::IncidentRow;
use crate::error::{Error, Refusal};
use async_trait::async_trait;
use chassis::jobs::NewJob;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::Field;
use sync_protocol::merge::RecordState;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// What a plan looks at: the records it asked for, as they are inside the transaction.
#[derive(Debug, Default)]
pub struct Staged {
    /// In the order asked for; `None` where there is no such record.
    pub records: Vec<Option<StagedRecord>>,
    /// What an earlier request with the same key or id recorded.
    pub earlier: Option<Earlier>,
    /// What the first record was recorded with, where that is the incident of a claim and another site recorded it.
    pub born: Option<BTreeMap<Field, Value>>,
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

/// Decides, from what is there, what to record. Pure; runs inside the transaction, and once more where that met a full disk and
/// room could be made.
pub type Plan = Box<dyn Planning>;

/// What is a plan.
pub trait Planning: Send {
    /// Decides.
    ///
    /// # Errors
    /// What it refuses.
    fn decide(self: Box<Self>, staged: &Staged) -> Result<Vec<Draft>, Refusal>;
    /// Another one that decides the same.
    fn another(&self) -> Plan;
}

impl<F: FnOnce(&Staged) -> Result<Vec<Draft>, Refusal> + Clone + Send + 'static> Planning for F {
    fn decide(self: Box<Self>, staged: &Staged) -> Result<Vec<Draft>, Refusal> {
        self(staged)
    }

    fn another(&self) -> Plan {
        Box::new(self.clone())
    }
}

impl Clone for Plan {
    fn clone(&self) -> Self {
        (**self).another()
    }
}

/// What a request says of itself, so that a repeat is recognised.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The incident's id, the client's own or one made for it.
    pub id: Uuid,
    /// Whether it is the client's own.
    pub is_own_id: bool,
    /// `USERNAME/KEY`, where the client sent an `Idempotency-Key`.
    pub key: Option<String>,
    /// Digest of the content as sent.
    pub digest: [u8; 32],
}

/// When something is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// By the site's wall clock: what people read. Milliseconds since 1970.
    pub at_ms: i64,
    /// What its place in the order of all changes goes by: the same, but where that clock is known to be wrong; see
    /// [`crate::reckoning`].
    pub order_ms: i64,
}

impl From<i64> for When {
    /// By a clock that is right.
    fn from(at_ms: i64) -> Self {
        Self { at_ms, order_ms: at_ms }
    }
}

/// A writing request: which records, by whom, when, and the plan.
#[derive(Clone)]
pub struct Recording {
    /// Records the plan looks at.
    pub records: Vec<Uuid>,
    /// Username of whoever records.
    pub by: String,
    /// When.
    pub when: When,
    /// Set for requests that may be repeated.
    pub claim: Option<Claim>,
    /// What has to be done once it is recorded; queued in the same transaction, where the plan records anything.
    pub jobs: Vec<NewJob>,
    /// What to record.
    pub plan: Plan,
}

impl Recording {
    /// One that nobody sends twice, and that leaves no work behind.
    #[must_use]
    pub fn of(records: Vec<Uuid>, by: &str, when: impl Into<When>, plan: Plan) -> Self {
        Self {
            records,
            by: by.to_owned(),
            when: when.into(),
            claim: None,
            jobs: Vec::new(),
            plan,
        }
    }
}

/// Writing.
#[async_trait]
pub trait Records {
    /// Stages the records, runs the plan, records its drafts and applies them, in one durable transaction. When the
    /// claim names an earlier request the plan still runs and sees it in [`Staged::earlier`]. Answers the incident that was
    /// recorded for the first time, where one was, but for `reported_by_name`: so that its author's answer need not read it again.
    ///
    /// # Errors
    /// What the plan refuses; [`Error::Storage`] when nothing could be written.
    async fn record(&self, recording: Recording) -> Result<Option<IncidentRow>, Error>;
}
