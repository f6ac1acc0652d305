//! Options of `quarantine`.

use super::{AdminConfig, Layer, OutputArgs, PlaceArgs, Task, UsageError, needed};
use clap::{Args, Subcommand};
use desk::quarantine::command::Command;
use sync_protocol::change::ChangeId;

/// Changes that could not be put into their records.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List them, with the reason of each.
    List(ListArgs),
    /// Show one, as it came.
    Show(ChangeArgs),
    /// Have one tried again by the present rules.
    Retry(ReasonArgs),
    /// Decide against one: it stays kept, out of its record for good, and what waited behind it goes on.
    Discard(ReasonArgs),
}

/// Options of `quarantine list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Those that people decided against, instead of open ones.
    #[arg(long)]
    settled: bool,
}

/// A change.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// The change, as `quarantine list` shows it.
    #[arg(value_name = "ID")]
    id: ChangeId,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A change, and why.
#[derive(Debug, Args)]
pub struct ReasonArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", env = "AINCIDENT_HUB_REASON")]
    reason: Option<String>,
}

impl QuarantineCommand {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        match self {
            Self::List(ListArgs { place, output, settled }) => resolve(place, output, Command::List { settled }),
            Self::Show(ChangeArgs { id, place, output }) => resolve(place, output, Command::Show { id }),
            Self::Retry(ReasonArgs { change: ChangeArgs { id, place, output }, reason }) => {
                resolve(place, output, Command::Retry { id, reason })
            }
            Self::Discard(ReasonArgs { change: ChangeArgs { id, place, output }, reason }) => {
                let reason = needed(reason, "--reason", "AINCIDENT_HUB_REASON")?;
                resolve(place, output, Command::Discard { id, reason })
            }
        }
    }
}

fn resolve(place: PlaceArgs, output: OutputArgs, command: Command) -> Result<AdminConfig, UsageError> {
    let (data_dir, layer) = place.layered(Layer { json: output.json, ..Layer::default() })?;
    Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task: Task::Quarantine(command) })
}
