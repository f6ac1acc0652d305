//! `backup`, `restore`, `doctor` and `support-bundle`: what is done with all that a node keeps.

use std::io::Write;

use chassis::backup::{Manifest, series};
use chassis::clock::{SystemClock, format_rfc3339};
use chassis::disk::Bounds;
use chassis::folder::{DataFolder, FolderError};
use chassis::ids::Ids;
use desk::Desk;
use desk::backup::{self, Program};
use desk::doctor::{self, Finding, Health, Surroundings};
use desk::ledger::Identity;
use desk::support::{self, Ask};
use tokio_util::sync::CancellationToken;

use crate::config::{Headquarters, KeepConfig, KeepTask, StatusConfig};
use crate::report;
use crate::settings;
use crate::site::{self, SiteError};
use crate::status::Status;

const ABOUT: (Program, &str) = (Program::Node, env!("CARGO_PKG_VERSION"));
/// How many files lie between two lines of progress.
const TOLD_EVERY: u64 = 1000;

/// Why it was not done; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The folder cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Backup or restore.
    #[error(transparent)]
    Backup(#[from] backup::Failed),
    /// There is nothing to back up.
    #[error("{0}")]
    Empty(String),
    /// Something is broken.
    #[error("{0} of {1} checks failed; each line says what to do")]
    Broken(usize, usize),
    /// Nobody could be told.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<FolderError> for KeepError {
    fn from(error: FolderError) -> Self {
        Self::Site(error.into())
    }
}

/// Does it, and says on `out` what came of it.
///
/// # Errors
/// [`KeepError`].
pub async fn run(config: KeepConfig, out: &mut impl Write) -> Result<(), KeepError> {
    if let KeepTask::VerifyBackup { from, passphrase } = config.task {
        // It need not be of this machine.
        let file = from.display().to_string();
        let manifest = backup::verify(from, passphrase).await?;
        let what = format!("{file} is a whole backup of {}", manifest.program);
        return tell(out, &manifest, config.json, &what);
    }
    if let KeepTask::Scheduled { schedule, .. } = &config.task
        && let Some(said) = series::idle(schedule.as_ref(), &config.data_dir).map_err(KeepError::Empty)?
    {
        writeln!(out, "{said}")?;
        return Ok(());
    }
    let folder = DataFolder::open(&config.data_dir)?;
    match config.task {
        KeepTask::VerifyBackup { .. } => Ok(()),
        KeepTask::Backup { to, passphrase } => {
            let (desk, _) = site::open(&folder, CancellationToken::new()).await?;
            let file = to.display().to_string();
            let progress = |files: u64| {
                if files.is_multiple_of(TOLD_EVERY) {
                    let _ = writeln!(std::io::stderr(), "{files} files written");
                }
            };
            let manifest = backup::make(&desk, &folder, ABOUT, to, passphrase, progress).await?;
            tell(out, &manifest, config.json, &format!("backed up into {file} and read back"))
        }
        KeepTask::Scheduled { schedule: None, .. } => Ok(()),
        KeepTask::Scheduled { schedule: Some(mut schedule), said_here } => {
            let (desk, _) = site::open(&folder, CancellationToken::new()).await?;
            if let Some(holding) = settings::holding(&desk).await {
                let theirs = Headquarters::of(&holding);
                schedule.keep_daily = theirs.keep_daily.filter(|_| !said_here.0).unwrap_or(schedule.keep_daily);
                schedule.keep_weekly = theirs.keep_weekly.filter(|_| !said_here.1).unwrap_or(schedule.keep_weekly);
            }
            let round = backup::by_schedule(&desk, &folder, ABOUT, schedule, |_| ()).await?;
            tell(out, &round.manifest, config.json, &round.told())
        }
        KeepTask::Restore(what) => {
            let now_ms = SystemClock::shared().now_ms();
            let restored = backup::restore(&folder, Program::Node, what, &Ids::system(), now_ms).await?;
            let what = "restored; from its next start on it records under new numbers, and what it had since comes back from headquarters";
            tell(out, &restored.manifest, config.json, &restored.told(what))
        }
        KeepTask::Support(ask) => support_bundle(&folder, &ask, out).await,
        KeepTask::Doctor { around, full } => {
            let (desk, identity) = site::open(&folder, CancellationToken::new()).await?;
            let found = findings(&desk, &identity, &folder, &around, full).await;
            drop(desk);
            say(&found, config.json, out)
        }
    }
}

fn tell(out: &mut impl Write, manifest: &Manifest, json: bool, what: &str) -> Result<(), KeepError> {
    let (files, bytes, made_at) = (manifest.members.len(), manifest.size_bytes(), format_rfc3339(manifest.made_ms));
    if json {
        let value = serde_json::json!({
            "files": files, "size_bytes": bytes, "made_at": made_at, "version": manifest.version,
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{what}: {files} files, {bytes} bytes, as of {made_at}")?;
    }
    Ok(())
}

/// Says what was found, and fails where something is broken.
fn say(found: &[Finding], json: bool, out: &mut impl Write) -> Result<(), KeepError> {
    if json {
        writeln!(out, "{}", serde_json::json!({ "checks": found }))?;
    } else {
        for finding in found {
            writeln!(out, "{}", finding.line())?;
        }
    }
    match found.iter().filter(|finding| finding.state == Health::Fail).count() {
        0 => Ok(()),
        n => Err(KeepError::Broken(n, found.len())),
    }
}

async fn findings(
    desk: &Desk,
    identity: &Identity,
    folder: &DataFolder,
    around: &Surroundings,
    full: bool,
) -> Vec<Finding> {
    let mut found = doctor::examine(desk, folder, around, full).await;
    found.push(match identity {
        Identity::Node(_) => link(folder, around.disk).await,
        Identity::Hub { .. } | Identity::Unenrolled => Finding::new(
            "enrolment",
            Health::Warn,
            "not enrolled: get a one-time code from headquarters and run aincident-node enroll",
        ),
    });
    found
}

/// Writes the archive for whoever is to help.
async fn support_bundle(folder: &DataFolder, ask: &Ask, out: &mut impl Write) -> Result<(), KeepError> {
    let (desk, identity) = site::open(folder, CancellationToken::new()).await?;
    let found = findings(&desk, &identity, folder, &ask.around, false).await;
    let mut bundle = support::begin(&desk, folder, (ABOUT.0.name(), ABOUT.1), ask, &found).await?;
    let status = match status_of(folder, ask.around.disk).await {
        Ok(status) => serde_json::json!(status),
        Err(error) => serde_json::json!({ "error": error.to_string() }),
    };
    let added = bundle.add("status.json", &support::pretty(&status)).and_then(|()| bundle.end());
    let bytes = added.map_err(backup::Failed::from)?;
    writeln!(out, "{} written, {bytes} bytes; look it over before it leaves the house", ask.to.display())?;
    Ok(())
}

async fn status_of(folder: &DataFolder, disk: Bounds) -> Result<Status, report::ReportError> {
    report::status_of(&StatusConfig { data_dir: folder.path().to_owned(), json: true, disk }).await
}

async fn link(folder: &DataFolder, disk: Bounds) -> Finding {
    match status_of(folder, disk).await {
        Ok(status) if status.hub_reachable && status.last_error.is_none() => {
            Finding::new("link", Health::Ok, status.state)
        }
        // A store works on without headquarters: nothing is broken here.
        Ok(status) => Finding::new("link", Health::Warn, status.last_error.unwrap_or(status.state)),
        Err(error) => Finding::new("link", Health::Fail, error.to_string()),
    }
}
