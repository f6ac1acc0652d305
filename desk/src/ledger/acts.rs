//! What administrators and headquarters did. Kept at headquarters, each act in the transaction that does it.

use crate::error::Error;
use async_trait::async_trait;
use serde_json::Value;

/// Acts, as the API and pages name them.
pub mod name {
    /// An account was made.
    pub const ACCOUNT_ADDED: &str = "account_added";
    /// An account was changed: its role, store, password, or whether it may log in.
    pub const ACCOUNT_CHANGED: &str = "account_changed";
    /// A store was made.
    pub const STORE_ADDED: &str = "store_added";
    /// A store was changed.
    pub const STORE_CHANGED: &str = "store_changed";
    /// A code that enrols a node was made.
    pub const CODE_MADE: &str = "code_made";
    /// A code for a node that takes another one's place was made.
    pub const REPLACEMENT_CODE_MADE: &str = "replacement_code_made";
    /// A node was revoked.
    pub const NODE_REVOKED: &str = "node_revoked";
    /// Somebody decided about a change in quarantine.
    pub const SETTLED: &str = "settled";
    /// An erasure was ordered.
    pub const ERASURE_ORDERED: &str = "erasure_ordered";
    /// An incident was held, so that nothing of it is erased.
    pub const HELD: &str = "held";
    /// A hold was ended.
    pub const RELEASED: &str = "released";
    /// Settings of nodes were changed; what each was before, and what it is now.
    pub const SETTINGS_CHANGED: &str = "settings_changed";
    /// Incidents were exported.
    pub const EXPORTED: &str = "exported";
    /// What is kept of acts was exported.
    pub const ACTS_EXPORTED: &str = "acts_exported";
    /// A rule of notifications was made.
    pub const NOTIFICATION_ADDED: &str = "notification_added";
    /// A rule of notifications was changed; which of its fields.
    pub const NOTIFICATION_CHANGED: &str = "notification_changed";
    /// A rule of notifications was removed.
    pub const NOTIFICATION_REMOVED: &str = "notification_removed";
    /// What a webhook is signed with was made anew.
    pub const NOTIFICATION_SECRET_RENEWED: &str = "notification_secret_renewed";
    /// A test was sent to those whom a rule names.
    pub const NOTIFICATION_TESTED: &str = "notification_tested";
    /// A job that was set aside is tried again.
    pub const JOB_RETRIED: &str = "job_retried";
    /// Every message that was set aside is sent again.
    pub const JOBS_RETRIED: &str = "jobs_retried";
    /// A job that was set aside was given up.
    pub const JOB_DISCARDED: &str = "job_discarded";
    /// A backup of headquarters' folder was made: everything that it holds is in one file.
    pub const BACKED_UP: &str = "backed_up";
    /// Headquarters' folder was restored from a backup.
    pub const RESTORED: &str = "restored";

    /// All of them.
    pub const ALL: [&str; 24] = [
        ACCOUNT_ADDED,
        ACCOUNT_CHANGED,
        STORE_ADDED,
        STORE_CHANGED,
        CODE_MADE,
        REPLACEMENT_CODE_MADE,
        NODE_REVOKED,
        SETTLED,
        ERASURE_ORDERED,
        HELD,
        RELEASED,
        SETTINGS_CHANGED,
        EXPORTED,
        ACTS_EXPORTED,
        NOTIFICATION_ADDED,
        NOTIFICATION_CHANGED,
        NOTIFICATION_REMOVED,
        NOTIFICATION_SECRET_RENEWED,
        NOTIFICATION_TESTED,
        JOB_RETRIED,
        JOBS_RETRIED,
        JOB_DISCARDED,
        BACKED_UP,
        RESTORED,
    ];
}

/// An act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAct {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Username.
    pub by: String,
    /// One of [`name`].
    pub act: &'static str,
    /// What it is about: a node, an account, a store, an incident.
    pub subject: String,
    /// The store it is about; empty: no one store.
    pub store_code: String,
    /// What else there is to know: an object of texts, numbers and lists of texts. No secrets.
    pub details: Value,
}

/// An act as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ActRow {
    /// In the order in which they were noted.
    pub no: i64,
    /// See [`NewAct`].
    pub at_ms: i64,
    /// See [`NewAct`].
    pub by: String,
    /// See [`NewAct`].
    pub act: String,
    /// See [`NewAct`].
    pub subject: String,
    /// See [`NewAct`].
    pub store_code: String,
    /// See [`NewAct`].
    pub details: Value,
}

/// Which acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActQuery {
    /// Only this kind.
    pub act: Option<String>,
    /// Only this person's.
    pub by: Option<String>,
    /// Only about this.
    pub subject: Option<String>,
    /// Not before.
    pub from_ms: Option<i64>,
    /// Before.
    pub to_ms: Option<i64>,
    /// Noted before the one of this number.
    pub before: Option<i64>,
}

/// What was done.
#[async_trait]
pub trait Acts {
    /// Notes an act that writes nothing else.
    async fn note_act(&self, act: NewAct) -> Result<(), Error>;
    /// Acts, the last one first; at most `limit`.
    async fn acts(&self, query: ActQuery, limit: u32) -> Result<Vec<ActRow>, Error>;
}
