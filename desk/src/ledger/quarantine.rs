//! Changes in quarantine, and what people decide about them.

use super::{Unpushed, When};
use crate::error::{Error, Refusal};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::{ChangeId, Field};
use uuid::Uuid;

/// Where a change stands that is, or was, in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is not in its record, here or (as its answers say) at headquarters, and is itself bad.
    Open,
    /// It waits behind another change.
    Waiting,
    /// A person decided against it: it is kept, and out of its record for good.
    Settled,
    /// It is in its record.
    Applied,
}

/// A person's word about a change in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// `retry`, `discard` or `edit`.
    pub action: String,
    /// Username.
    pub by: String,
    /// When, by the clock of the site where it was said; RFC 3339, UTC.
    pub at: String,
    /// A store's code, or `hub`.
    pub site: String,
    /// Why.
    pub reason: Option<String>,
    /// The change that stands in for it.
    pub instead: Option<ChangeId>,
}

/// A change that is, or was, in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The change.
    pub id: ChangeId,
    /// Its number here, in the order of arrival.
    pub no: i64,
    /// The store that it is about: at headquarters the store of its stream, at a node the node's own.
    pub store_code: String,
    /// Where its stream records: a store's code, or `hub`.
    pub site: String,
    /// The record's kind, where the body can be read.
    pub kind: Option<String>,
    /// The record, where the body can be read.
    pub record_id: Option<Uuid>,
    /// What it would have set, where the body can be read.
    pub set: BTreeMap<Field, Value>,
    /// Its author, as it says itself.
    pub by: Option<String>,
    /// Stable name of the reason.
    pub code: String,
    /// The reason, for a person.
    pub reason: String,
    /// When headquarters first had it.
    pub received_ms: Option<i64>,
    /// Whether headquarters holds it in its record, and only this node cannot.
    pub is_taken_at_hub: bool,
    /// How many later changes wait behind it.
    pub waiting: u64,
    /// Where it stands.
    pub standing: Standing,
    /// What people said about it, oldest first.
    pub words: Vec<Word>,
    /// It, as it came.
    pub body: String,
}

/// Which changes in quarantine.
#[derive(Clone, Debug, Default)]
pub struct QuarantineQuery {
    /// The only store the asker may see.
    pub sight: Option<String>,
    /// Those that people decided against, instead of open ones.
    pub settled: bool,
    /// Only such as arrived before this number.
    pub before: Option<i64>,
    /// At most how many.
    pub limit: u32,
}

/// What a person decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// To be tried again, here or where it is in quarantine.
    Retry {
        /// Why.
        reason: Option<String>,
    },
    /// Out of its record for good.
    Discard {
        /// Why.
        reason: String,
    },
    /// Out of its record for good, and another change in its place.
    Edit {
        /// Why.
        reason: String,
        /// The record's kind.
        kind: &'static str,
        /// The record.
        record: Uuid,
        /// What the fields become.
        set: BTreeMap<Field, Value>,
    },
}

/// Decides, from the change as it stands, what is to become of it. Pure; runs inside the transaction.
pub type Judgement = Box<dyn FnOnce(&Quarantined) -> Result<Verdict, Refusal> + Send>;

/// A decision to be recorded.
pub struct Settling {
    /// The change.
    pub id: ChangeId,
    /// Username of whoever decides.
    pub by: String,
    /// When.
    pub when: When,
    /// What is decided.
    pub judgement: Judgement,
}

/// Changes in quarantine.
#[async_trait]
pub trait Quarantine {
    /// Those in quarantine, newest arrival first; one that waits is counted with the one it waits for.
    async fn quarantine(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>, Error>;
    /// One change, whatever has become of it; `None` where it is not here.
    async fn quarantined(&self, id: ChangeId) -> Result<Option<Quarantined>, Error>;
    /// Records what a person decides about a change and does it here, in one transaction; the decision goes to every site.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where the change is not here; what the judgement refuses; [`Refusal::Conflict`] where there is
    /// nothing to decide, or not here.
    async fn settle(&self, settling: Settling) -> Result<Quarantined, Error>;
    /// The next change in quarantine that this `version` of the program has not tried since it first ran here; notes it as
    /// tried before it is, so that one that ends the process is not tried for ever.
    async fn next_untried(&self, version: String) -> Result<Option<i64>, Error>;
    /// Tries a change in quarantine again by the present rules, with all that waits for it; true where it is in its record
    /// now. What came of it is recorded by `by`, where something did.
    async fn try_again(&self, change_no: i64, by: String, why: String, when: When) -> Result<bool, Error>;
    /// Goes on with what waits for nothing any more, where a transaction had left some; answers how many went into their
    /// records.
    async fn go_on(&self, now_ms: i64) -> Result<u64, Error>;
    /// Node: the next run of own changes after number `after_seq` that the hub, as it last said, has not put into their
    /// records; at most `max_changes` and (but for the first) `max_bytes`. To be sent again, to hear what became of them.
    async fn unsettled(&self, after_seq: u64, max_changes: u32, max_bytes: usize) -> Result<Option<Unpushed>, Error>;
}
