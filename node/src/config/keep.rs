//! Options of `backup`, `restore` and `doctor`.

use super::{Layer, StatusArgs, UsageError, needed};
use clap::Args;
use std::path::PathBuf;

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// The file to write; never one that is there already.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_TO")]
    to: Option<PathBuf>,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// The backup.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_FROM")]
    from: Option<PathBuf>,
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

/// `backup`, `restore` or `doctor`, ready to go.
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
    },
    /// `restore`.
    Restore {
        /// The file.
        from: PathBuf,
        /// Whether to set aside what is there.
        replace: bool,
    },
    /// `doctor`.
    Doctor {
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
        let task = KeepTask::Backup { to: needed(layer.to, "--to", "AINCIDENT_NODE_TO")? };
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
        let task = KeepTask::Restore { from, replace: layer.replace.unwrap_or(false) };
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl DoctorArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<KeepConfig, UsageError> {
        let given = Layer { json: self.plain.json, full: self.full, ..Layer::default() };
        let (data_dir, layer) = self.plain.place.layered(given)?;
        let task = KeepTask::Doctor { full: layer.full.unwrap_or(false) };
        Ok(KeepConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}
