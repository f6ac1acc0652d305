//! The ledger: the persistence of a site, as verbs that are whole transactions.
//!
//! A verb either happened and is durable (power may fail the moment it returns) or did not happen at all.
//! Nothing above this line holds a transaction open; nothing below it decides who may do what: writing verbs
//! take a pure `plan` that looks at what is there and answers with what to record.
//!
//! [`sqlite`] is the one behind it. A second one has to pass the same tests.

mod accounts;
pub mod acts;
mod alarms;
mod devices;
mod drafts;
mod erasures;
mod fleet;
mod histories;
mod inbox;
mod incidents;
mod notifications;
mod photos;
mod proof;
mod quarantine;
mod records;
mod refusals;
mod settings;
mod site;
pub mod sqlite;
mod sync;
mod versions;
mod views;

pub use accounts::{Accounts, Failures, Store};
pub use acts::{ActQuery, ActRow, Acts, NewAct};
pub use alarms::{Alarms, NodeAlarm};
pub use devices::{Devices, Familiar};
pub use drafts::{Drafts, FormDraft, Kept, Pair};
pub use erasures::{Confirmation, Erasure, Erasures, Listing, Undone};
pub use fleet::{CredentialRow, Fleet, NewCode, NewNode, NodeAuth, NodeRow};
pub use histories::{Epoch, Fork, Giving, Histories};
pub use inbox::{Inbox, InboxItem};
pub use incidents::{
    Comment, Decided, ErasedBy, Event, Filter, HistoryItem, IncidentRow, Incidents, LossStats, Review, Said, Stats,
    Whole,
};
pub use notifications::{
    Changed, DeadCount, DeadMessage, DueClock, Gathered, MOST_COUNTED, MessageRow, NewMessage, Noted, Notifications,
    RuleRow,
};
pub use photos::{AtHub, Lane, Photo, PhotoFile, Photos, Piece};
pub use proof::{Checkpoint, Damage, DamageCount, DamageKind, Holding, Proof, ScrubPart, ScrubState, ScrubStep, total};
pub use quarantine::{Judgement, Quarantine, QuarantineQuery, Quarantined, Settling, Standing, Verdict, Word};
pub use records::{Claim, Draft, Earlier, Plan, Planning, Recording, Records, Staged, StagedRecord, When};
pub use refusals::{Refusals, RefusedRow};
pub use settings::{Settings, SettingsRow};
pub use site::{Backlog, Booted, Enrolment, Identity, LinkState, Notice, Retirement, Site};
pub use sync::{Anew, Audit, Beginning, OriginHead, PageApplied, PageQuery, PageResult, Replication, Unpushed};
pub use versions::{CaughtUp, HubProgram, Versions};
pub use views::{Added, View, Views};

use std::sync::Arc;

/// A site's ledger, shared by everything that runs in the site.
pub type SharedLedger = Arc<dyn Ledger>;

/// Everything a site persists.
pub trait Ledger:
    Site
    + Records
    + Incidents
    + Photos
    + Inbox
    + Accounts
    + Devices
    + Drafts
    + Views
    + Replication
    + Histories
    + Fleet
    + Versions
    + Refusals
    + Quarantine
    + Proof
    + Erasures
    + Notifications
    + Acts
    + Alarms
    + Settings
    + Send
    + Sync
{
}
impl<T> Ledger for T where
    T: Site
        + Records
        + Incidents
        + Photos
        + Inbox
        + Accounts
        + Devices
        + Drafts
        + Views
        + Replication
        + Histories
        + Fleet
        + Versions
        + Refusals
        + Quarantine
        + Proof
        + Erasures
        + Notifications
        + Acts
        + Alarms
        + Settings
        + Send
        + Sync
{
}
