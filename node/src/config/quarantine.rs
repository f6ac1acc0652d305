//! Options of `quarantine`.

use super::{Layer, StatusArgs, UsageError, needed};
use clap::{Args, Subcommand};
use desk::quarantine::command::Command;
use std::path::PathBuf;
use sync_protocol::change::ChangeId;

/// Changes that could not be put into their records, here or at headquarters.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List them, with the reason of each.
    List(ListArgs),
    /// Show one, as it came.
    Show(ChangeArgs),
    /// Have one tried again by the present rules, here or at headquarters.
    Retry(ReasonArgs),
    /// Decide against one: it stays kept, out of its record for good, and what waited behind it goes on.
    Discard(ReasonArgs),
}

/// Options of `quarantine list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    plain: StatusArgs,
    /// Those that people decided against, instead of open ones.
    #[arg(long, env = "AINCIDENT_NODE_SETTLED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    settled: Option<bool>,
}

/// A change.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The change, as `quarantine list` shows it.
    #[arg(value_name = "ID")]
    id: ChangeId,
    #[command(flatten)]
    plain: StatusArgs,
}

/// A change, and why.
#[derive(Debug, Args)]
pub struct ReasonArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", env = "AINCIDENT_NODE_REASON")]
    reason: Option<String>,
}

/// `quarantine`, ready to go.
#[derive(Debug)]
pub struct QuarantineConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether a machine reads the answer.
    pub json: bool,
    /// What is wanted.
    pub command: Command,
}

impl QuarantineCommand {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<QuarantineConfig, UsageError> {
        match self {
            Self::List(ListArgs { plain, settled }) => {
                let given = Layer { settled, ..Layer::default() };
                resolve(plain, given, |layer| Ok(Command::List { settled: layer.settled.unwrap_or(false) }))
            }
            Self::Show(ChangeArgs { id, plain }) => resolve(plain, Layer::default(), |_| Ok(Command::Show { id })),
            Self::Retry(ReasonArgs { change: ChangeArgs { id, plain }, reason }) => {
                let given = Layer { reason, ..Layer::default() };
                resolve(plain, given, |layer| Ok(Command::Retry { id, reason: layer.reason.take() }))
            }
            Self::Discard(ReasonArgs { change: ChangeArgs { id, plain }, reason }) => {
                let given = Layer { reason, ..Layer::default() };
                resolve(plain, given, |layer| {
                    let reason = needed(layer.reason.take(), "--reason", "AINCIDENT_NODE_REASON")?;
                    Ok(Command::Discard { id, reason })
                })
            }
        }
    }
}

fn resolve(
    plain: StatusArgs,
    given: Layer,
    command: impl FnOnce(&mut Layer) -> Result<Command, UsageError>,
) -> Result<QuarantineConfig, UsageError> {
    let (data_dir, mut layer) = plain.place.layered(Layer { json: plain.json, ..given })?;
    let command = command(&mut layer)?;
    Ok(QuarantineConfig { data_dir, json: layer.json.unwrap_or(false), command })
}
