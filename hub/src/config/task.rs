//! What administration commands do.

use chassis::backup::PassphraseFrom;
use desk::actor::Role;
use std::path::PathBuf;
use uuid::Uuid;

/// What an administration command does.
#[derive(Debug)]
pub enum Task {
    /// `store add`.
    AddStore {
        /// Code.
        code: String,
        /// Name.
        name: String,
        /// IANA time zone, where one was given.
        timezone: Option<String>,
    },
    /// `user add`, with the password from standard input.
    AddUser {
        /// Username.
        username: String,
        /// What people see, where that was given.
        display_name: Option<String>,
        /// Role.
        role: Role,
        /// Store, for the roles that have one.
        store: Option<String>,
    },
    /// `node code`.
    MakeCode {
        /// Store.
        store: String,
    },
    /// `node list`.
    ListNodes,
    /// `node revoke`.
    RevokeNode {
        /// The node.
        node: Uuid,
        /// Why.
        reason: Option<String>,
    },
    /// `node refused`.
    ListRefused,
    /// `node replace`.
    ReplaceNode {
        /// The node.
        node: Uuid,
    },
    /// `erase`.
    Erase(desk::erasures::NewErasure),
    /// `hold`.
    Hold {
        /// The incident.
        incident: Uuid,
        /// Why.
        reason: String,
    },
    /// `release`.
    Release {
        /// The incident.
        incident: Uuid,
    },
    /// `erasures`.
    ListErasures,
    /// `audit verify`.
    VerifyAudit,
    /// `verify`.
    Verify {
        /// Only this store's nodes.
        store: Option<String>,
    },
    /// `backup`.
    Backup {
        /// The file.
        to: PathBuf,
        /// What it is encrypted with.
        passphrase: PassphraseFrom,
    },
    /// `backup --verify`.
    VerifyBackup {
        /// The file.
        from: PathBuf,
        /// What it is encrypted with.
        passphrase: PassphraseFrom,
    },
    /// `backup --scheduled`; without a schedule there is nothing to do.
    Scheduled(Option<chassis::backup::series::Schedule>),
    /// `restore`.
    Restore(desk::backup::Restore),
    /// `support-bundle`.
    Support(desk::support::Ask),
    /// `doctor`.
    Doctor {
        /// What the configuration file names.
        around: desk::doctor::Surroundings,
        /// Whether every file is read.
        full: bool,
    },
    /// `tls`.
    Authority(super::tls::AuthorityTask),
    /// `settings`.
    Settings {
        /// The store; none: the company.
        store: Option<String>,
        /// What becomes what; empty: it is only shown.
        patch: serde_json::Map<String, serde_json::Value>,
    },
    /// `quarantine`.
    Quarantine(desk::quarantine::command::Command),
}
