//! The administration commands: each does one thing through the same features as the API, prints what came of it on
//! standard output and ends.

mod authority;
mod erase;
mod fleet;
mod keep;
mod settings;
mod verify;

use crate::config::{AdminConfig, Task};
use crate::site;
use chassis::backup::series;
use chassis::folder::DataFolder;
use desk::accounts::{self, NewAccount};
use desk::actor::{Actor, Role};
use desk::stores::{self, NewStore};
use desk::{Desk, Error, Refusal};
use std::io::{BufRead as _, Read as _, Write};
use tokio_util::sync::CancellationToken;

/// Longest password line read, in bytes.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// Why a command did not do what it was asked; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Does the task and prints its outcome to `out`.
///
/// # Errors
/// One line for standard error.
pub async fn run(config: AdminConfig, out: &mut impl Write) -> Result<(), Failed> {
    if let Task::VerifyBackup { from, passphrase } = config.task {
        return say(out, &keep::verify_backup(from, passphrase, config.json).await?);
    }
    if let Task::Scheduled(schedule) = &config.task
        && let Some(said) = series::idle(schedule.as_ref(), &config.data_dir).map_err(Failed)?
    {
        return say(out, said);
    }
    let folder = DataFolder::open(&config.data_dir).map_err(failed)?;
    if let Task::Restore(what) = config.task {
        // Before anything makes a new hub of the folder.
        let said = keep::restore(&folder, what, config.json).await?;
        return say(out, &said);
    }
    let (desk, _) = site::open(&folder, CancellationToken::new()).await.map_err(failed)?;
    let admin = Admin { desk, actor: Actor::system("cli"), json: config.json };
    let said = match config.task {
        Task::AddStore { code, name, timezone } => admin.add_store(NewStore { code, name, timezone }).await?,
        Task::AddUser { username, display_name, role, store } => {
            admin.add_user(username, display_name, role, store).await?
        }
        Task::MakeCode { store } => admin.make_code(&store).await?,
        Task::ListNodes => admin.list_nodes().await?,
        Task::RevokeNode { node, reason } => admin.revoke(node, reason).await?,
        Task::ListRefused => admin.list_refused().await?,
        Task::ReplaceNode { node } => admin.replace(node).await?,
        Task::Erase(new) => admin.erase(new).await?,
        Task::Hold { incident, reason } => admin.hold(incident, Some(reason)).await?,
        Task::Release { incident } => admin.hold(incident, None).await?,
        Task::ListErasures => admin.list_erasures().await?,
        Task::VerifyAudit => return admin.verify(out).await,
        Task::Verify { store } => return verify::run(&admin.desk, store, config.json, out).await,
        Task::Backup { to, passphrase } => keep::backup(&admin.desk, &folder, (to, passphrase), config.json).await?,
        Task::Scheduled(None) | Task::Restore(_) | Task::VerifyBackup { .. } => String::new(),
        Task::Scheduled(Some(schedule)) => keep::by_schedule(&admin.desk, &folder, schedule, config.json).await?,
        Task::Support(ask) => keep::support(&admin.desk, &admin.actor, &folder, &ask).await?,
        Task::Doctor { around, full } => {
            let found = keep::findings(&admin.desk, &folder, &around, full).await;
            return keep::doctor(&found, config.json, out);
        }
        Task::Authority(task) => authority::run(&admin.desk, &folder, task, config.json).await?,
        Task::Settings { store, patch } => admin.settings(store, patch).await?,
        Task::Quarantine(command) => {
            desk::quarantine::command::run(&admin.desk, command, config.json).await.map_err(explain)?
        }
    };
    say(out, &said)
}

struct Admin {
    desk: Desk,
    actor: Actor,
    json: bool,
}

impl Admin {
    async fn add_store(&self, new: NewStore) -> Result<String, Failed> {
        let store = stores::add(&self.desk, &self.actor, new).await.map_err(explain)?;
        if self.json {
            to_json(&store)
        } else {
            Ok(format!("added store {} ({})", store.code, store.name))
        }
    }

    async fn add_user(
        &self,
        username: String,
        display_name: Option<String>,
        role: Role,
        store_code: Option<String>,
    ) -> Result<String, Failed> {
        let password = read_password()?;
        let new = NewAccount { username, display_name, role, store_code, password };
        let account = accounts::add(&self.desk, &self.actor, new).await.map_err(explain)?;
        if !self.json {
            return Ok(format!("added {} {}", account.role.as_str(), account.username));
        }
        to_json(&serde_json::json!({
            "id": account.id, "username": account.username, "display_name": account.display_name,
            "role": account.role.as_str(), "store_code": account.store_code,
        }))
    }

    /// Says what was found even when it is bad, and fails then.
    async fn verify(&self, out: &mut impl Write) -> Result<(), Failed> {
        let audit = self.desk.ledger().audit().await.map_err(explain)?;
        let said = if self.json {
            to_json(&audit)?
        } else {
            let mut said = format!(
                "{} streams, {} changes, {} of them erased in part, {} records",
                audit.origins, audit.changes, audit.erased, audit.records
            );
            for fault in &audit.faults {
                said.push('\n');
                said.push_str(fault);
            }
            said
        };
        say(out, &said)?;
        match audit.faults.len() {
            0 => Ok(()),
            n => Err(Failed(format!(
                "found {n} faults: what is kept was altered or damaged; keep the folder as it is and compare it with a backup"
            ))),
        }
    }
}

fn read_password() -> Result<String, Failed> {
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock().take(MAX_PASSWORD_BYTES);
    stdin
        .read_line(&mut line)
        .map_err(|error| Failed(format!("cannot read the password from standard input: {error}")))?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failed("there is no password on standard input; pipe it in, one line".to_owned()));
    }
    Ok(password.to_owned())
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, Failed> {
    serde_json::to_string(value).map_err(failed)
}

fn say(out: &mut impl Write, text: &str) -> Result<(), Failed> {
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failed(format!("cannot write to standard output: {error}")))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// A refusal in one line, for whoever typed the command.
fn explain(error: Error) -> Failed {
    Failed(match error {
        Error::Refused(Refusal::Invalid(fields)) => {
            let said: Vec<String> = fields.iter().map(|field| format!("{}: {}", field.field, field.message)).collect();
            said.join("; ")
        }
        Error::Refused(Refusal::Conflict(why) | Refusal::Forbidden(why)) => why,
        Error::Refused(Refusal::NotFound) => "there is no such thing; check what was named".to_owned(),
        Error::Refused(Refusal::Gone | Refusal::Stale | Refusal::TooOften { .. } | Refusal::NotEnrolled) => {
            "this folder cannot do that".to_owned()
        }
        Error::Full => "the disk is full; make room and try again".to_owned(),
        error => error.to_string(),
    })
}
