//! Whom this site tells of what, and what it has told. A site's own: nothing of it replicates.

use super::NewAct;
use crate::error::Error;
use crate::notifications::clocks::Facts;
use crate::notifications::rule::{Rule, What};
use async_trait::async_trait;
use uuid::Uuid;

/// A rule as it is kept.
#[derive(Clone, Debug)]
pub struct RuleRow {
    /// It.
    pub id: Uuid,
    /// What it says.
    pub rule: Rule,
    /// What its webhook is signed with.
    pub secret: Option<String>,
    /// Who made it: a username.
    pub created_by: String,
    /// When; milliseconds since 1970.
    pub created_ms: i64,
    /// It tells of nothing before; milliseconds since 1970.
    pub since_ms: i64,
    /// And of no change up to this one.
    pub since_no: i64,
    /// The last message that a digest has told.
    pub digested_no: i64,
    /// When it was last tried to send something.
    pub last_ms: Option<i64>,
    /// Why that did not work.
    pub last_error: Option<String>,
    /// Messages that are not sent yet, those set aside included.
    pub waiting: u64,
    /// Things that wait for a digest; counted up to [`MOST_COUNTED`].
    pub gathered: u64,
}

/// What is gathered is counted up to this.
pub const MOST_COUNTED: u64 = 10_000;

/// Incidents that changed, and how far that is.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The last change that was looked at.
    pub to: i64,
    /// How many were.
    pub looked_at: u64,
    /// Each incident once, by its last change.
    pub incidents: Vec<Facts>,
}

/// A message to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Whose.
    pub rule_id: Uuid,
    /// What it tells.
    pub what: What,
    /// Whether it waits for a digest.
    pub gathered: bool,
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Whose.
    pub rule_id: Uuid,
    /// What it tells.
    pub what: What,
    /// When it was made; milliseconds since 1970.
    pub made_ms: i64,
}

/// A clock that has run out.
#[derive(Clone, Debug)]
pub struct DueClock {
    /// The incident.
    pub incident_id: Uuid,
    /// What the clock is called.
    pub what: String,
    /// When.
    pub at_ms: i64,
    /// The incident, where it is still there.
    pub facts: Option<Facts>,
}

/// What one look came to: noted all at once.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// Changes up to the second need not be looked at again, where those up to the first are still said to be so.
    pub cursor: Option<(i64, i64)>,
    /// What is told. What was told already is left out.
    pub messages: Vec<NewMessage>,
    /// Clocks of incidents, instead of those that are kept.
    pub clocks: Vec<(Uuid, Vec<(&'static str, i64)>)>,
    /// Clocks that were looked at.
    pub looked_at: Vec<DueClock>,
}

/// What waits for a digest of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The last of it.
    pub to: i64,
    /// How many.
    pub count: u64,
    /// When the first was made; milliseconds since 1970.
    pub first_ms: i64,
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadMessage {
    /// Its job.
    pub no: i64,
    /// Its id.
    pub id: String,
    /// Whose.
    pub rule_id: Uuid,
    /// What it tells.
    pub what: What,
    /// Why.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made; milliseconds since 1970.
    pub made_ms: i64,
}

/// How many messages were set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadCount {
    /// That are kept.
    pub count: u64,
    /// That were kept for too long, and are forgotten.
    pub forgotten: u64,
}

/// Rules and messages.
#[async_trait]
pub trait Notifications {
    /// Every rule, oldest first; with how much waits where that is `counted`, else with noughts.
    async fn notification_rules(&self, counted: bool) -> Result<Vec<RuleRow>, Error>;
    /// Keeps a rule, a new one (with its secret) where there is none of that id, and notes the act. Once it is enabled it tells of what
    /// is after. [`crate::Refusal::Conflict`] where there are too many.
    async fn save_notification_rule(
        &self,
        id: Uuid,
        rule: Rule,
        secret: Option<String>,
        by: String,
        act: Option<NewAct>,
        now_ms: i64,
    ) -> Result<(), Error>;
    /// Removes a rule and what it had to tell, and notes the act; false where there is none.
    async fn remove_notification_rule(&self, id: Uuid, act: Option<NewAct>) -> Result<bool, Error>;
    /// Up to which change incidents have been looked at; none while no rule is enabled.
    async fn notification_cursor(&self) -> Result<Option<i64>, Error>;
    /// Incidents that changed behind change `after`, as they are now; at most `limit` changes.
    async fn incidents_changed_after(&self, after: i64, limit: u32) -> Result<Changed, Error>;
    /// Clocks that ran out by `now_ms`, oldest first, at most `limit`.
    async fn due_clocks(&self, now_ms: i64, limit: u32) -> Result<Vec<DueClock>, Error>;
    /// Notes what a look came to, and queues what is to be sent. A rule sends no more than `most` messages an hour: what is beyond waits
    /// for a digest. Answers how many messages are new.
    async fn note_notifications(&self, noted: Noted, most: u32, now_ms: i64) -> Result<u64, Error>;
    /// What waits for a digest of a rule.
    async fn gathered(&self, rule_id: Uuid) -> Result<Option<Gathered>, Error>;
    /// Makes the digest of what is gathered up to message `to`, and queues it.
    async fn begin_digest(&self, rule_id: Uuid, to: i64, now_ms: i64) -> Result<(), Error>;
    /// What a digest of a rule is about: messages behind `after` up to `to`, at most `limit`.
    async fn digested(&self, rule_id: Uuid, after: i64, to: i64, limit: u32) -> Result<Vec<MessageRow>, Error>;
    /// A message that was not sent yet.
    async fn waiting_message(&self, id: &str) -> Result<Option<MessageRow>, Error>;
    /// Notes what became of a try.
    async fn note_try(&self, id: &str, error: Option<String>, now_ms: i64) -> Result<(), Error>;
    /// Messages set aside, newest first, those whose job is before `before`; at most `limit`.
    async fn dead_messages(&self, before: Option<i64>, limit: u32) -> Result<Vec<DeadMessage>, Error>;
    /// How many they are.
    async fn dead_count(&self) -> Result<DeadCount, Error>;
    /// Has every message that was set aside tried again from `now_ms`, and notes the act where there are any; answers how many.
    async fn revive_messages(&self, act: Option<NewAct>, now_ms: i64) -> Result<u64, Error>;
    /// Forgets messages that were set aside before `before_ms`, and counts them.
    async fn forget_dead(&self, before_ms: i64, now_ms: i64) -> Result<(), Error>;
    /// Forgets some messages that were made before `before_ms`.
    async fn forget_messages(&self, before_ms: i64) -> Result<u64, Error>;
}
