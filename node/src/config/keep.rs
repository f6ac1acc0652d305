//! Options of `backup`, `restore` and `doctor`.

use super::{Layer, StatusArgs, UsageError, needed};
use chassis::backup::PassphraseFrom;
use chassis::backup::series::{Schedule, ScheduleLayer};
use clap::Args;
use desk::backup::Restore;
use desk::doctor::Surroundings;
use desk::support::Ask;
use std::path::PathBuf;

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// The file to write; never one that is there already.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_TO")]
    to: Option<PathBuf>,
    /// As the timer of the package does it: make the next one in the folder of the configuration, and remove older ones that need
    /// not stay.
    #[arg(long, conflicts_with = "to")]
    scheduled: bool,
    /// Write nothing: read this backup whole, with the contents beside it, and say whether it can be restored.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "scheduled"])]
    verify: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

/// Where the passphrase is that backups are encrypted with.
#[derive(Debug, Default, Args)]
pub struct PassphraseArgs {
    /// A file that holds the passphrase which the backup is encrypted with, in one line; others may not read it [default: the
    /// systemd credential `backup-passphrase`; without one, nothing is encrypted].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_BACKUP_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
    /// The passphrase comes on standard input, one line.
    #[arg(long, conflicts_with = "passphrase_file")]
    passphrase_stdin: bool,
}

impl PassphraseArgs {
    /// What is said here, else what the configuration says.
    fn over(self, below: Option<&ScheduleLayer>) -> PassphraseFrom {
        let below = below.and_then(|backup| backup.passphrase_file.clone());
        PassphraseFrom { file: self.passphrase_file.or(below), stdin: self.passphrase_stdin }
    }
}

/// Where backups go that are made by themselves, and how many of them stay.
#[derive(Debug, Default, Args)]
pub struct ScheduleArgs {
    /// With --scheduled, the folder that they are made in: a whole path [default: none, nothing is made].
    #[arg(long, value_name = "DIR", env = "AINCIDENT_NODE_BACKUP_FOLDER")]
    folder: Option<PathBuf>,
    /// With --scheduled, how many days keep their last one, 1 to 366 [default: 7].
    #[arg(long, value_name = "DAYS", env = "AINCIDENT_NODE_BACKUP_KEEP_DAILY")]
    keep_daily: Option<u32>,
    /// With --scheduled, how many weeks keep their last one, 0 to 520 [default: 4].
    #[arg(long, value_name = "WEEKS", env = "AINCIDENT_NODE_BACKUP_KEEP_WEEKLY")]
    keep_weekly: Option<u32>,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// The backup.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_FROM")]
    from: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Set aside what the folder holds, into a folder within it.
    #[arg(long, env = "AINCIDENT_NODE_REPLACE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replace: Option<bool>,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// Read every file and compare it with its digest.
    #[arg(long, env = "AINCIDENT_NODE_FULL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    full: Option<bool>,
}

/// Options of `support-bundle`.
#[derive(Debug, Args)]
pub struct SupportArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// The archive to write (`tar.gz`); never one that is there already.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_TO")]
    to: Option<PathBuf>,
    /// A log to put its end in, `-` for standard input [default: the journal, where this account may read it].
    #[arg(long = "log", value_name = "FILE")]
    log_file: Option<PathBuf>,
}

/// `backup`, `restore`, `doctor` or `support-bundle`, ready to go.
#[derive(Debug)]
pub struct KeepConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether a machine reads the answer.
    pub json: bool,
    /// What to do.
    pub task: KeepTask,
}

/// What is done with all that is kept.
#[derive(Debug)]
pub enum KeepTask {
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
    /// `backup --scheduled`.
    Scheduled {
        /// Without one there is nothing to do.
        schedule: Option<Schedule>,
        /// Whether it is said here how many days keep one, and how many weeks: else headquarters may say so.
        said_here: (bool, bool),
    },
    /// `restore`.
    Restore(Restore),
    /// `support-bundle`.
    Support(Ask),
    /// `doctor`.
    Doctor {
        /// What the configuration file names.
        around: Surroundings,
        /// Whether every file is read.
        full: bool,
    },
}

impl BackupArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<KeepConfig, UsageError> {
        let given = Layer { json: self.plain.json, to: self.to, ..Layer::default() };
        let (data_dir, layer) = self.plain.place.layered(given)?;
        let passphrase = self.passphrase.over(layer.backup.as_ref());
        let given = self.schedule;
        let given = ScheduleLayer {
            folder: given.folder,
            keep_daily: given.keep_daily,
            keep_weekly: given.keep_weekly,
            passphrase_file: None,
        };
        let task = if self.scheduled {
            let file = layer.backup.unwrap_or_default();
            let said_here =
                (given.keep_daily.or(file.keep_daily).is_some(), given.keep_weekly.or(file.keep_weekly).is_some());
            let schedule = given.over(Some(file)).map_err(UsageError::Range)?;
            KeepTask::Scheduled {
                schedule: schedule.map(|schedule| Schedule { passphrase, ..schedule }),
                said_here,
            }
        } else if let Some(from) = self.verify {
            KeepTask::VerifyBackup { from, passphrase }
        } else {
            KeepTask::Backup { to: needed(layer.to, "--to", "AINCIDENT_NODE_TO")?, passphrase }
        };
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl RestoreArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<KeepConfig, UsageError> {
        let given = Layer {
            json: self.plain.json,
            from: self.from,
            replace: self.replace,
            ..Layer::default()
        };
        let (data_dir, layer) = self.plain.place.layered(given)?;
        let from = needed(layer.from, "--from", "AINCIDENT_NODE_FROM")?;
        let passphrase = self.passphrase.over(layer.backup.as_ref());
        let task = KeepTask::Restore(Restore { from, passphrase, replace: layer.replace.unwrap_or(false) });
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl DoctorArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<KeepConfig, UsageError> {
        let config = self.plain.place.file();
        let given = Layer { json: self.plain.json, full: self.full, ..Layer::default() };
        let (data_dir, mut layer) = self.plain.place.layered(given)?;
        let task = KeepTask::Doctor { around: around(config, &mut layer), full: layer.full.unwrap_or(false) };
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl SupportArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<KeepConfig, UsageError> {
        let config = self.plain.place.file();
        let given = Layer { json: self.plain.json, to: self.to, ..Layer::default() };
        let (data_dir, mut layer) = self.plain.place.layered(given)?;
        let around = around(config, &mut layer);
        let to = needed(layer.to, "--to", "AINCIDENT_NODE_TO")?;
        let task = KeepTask::Support(Ask { to, log: self.log_file, around });
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

/// What the configuration file names, for `doctor`.
fn around(config: Option<PathBuf>, layer: &mut Layer) -> Surroundings {
    let (mail, webhooks, tls) = (layer.mail.take(), layer.webhooks.take(), layer.tls.take());
    Surroundings::of(config, layer.code.is_some(), mail, webhooks, tls, layer.backup.take(), layer.disk.take())
}
