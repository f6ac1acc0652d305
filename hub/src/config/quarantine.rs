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
    #[arg(long, env = "AINCIDENT_HUB_SETTLED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    settled: Option<bool>,
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
            Self::List(ListArgs { place, output, settled }) => {
                let given = Layer { settled, ..Layer::default() };
                resolve(place, output, given, |layer| Ok(Command::List { settled: layer.settled.unwrap_or(false) }))
            }
            Self::Show(ChangeArgs { id, place, output }) => {
                resolve(place, output, Layer::default(), |_| Ok(Command::Show { id }))
            }
            Self::Retry(ReasonArgs { change: ChangeArgs { id, place, output }, reason }) => {
                let given = Layer { reason, ..Layer::default() };
                resolve(place, output, given, |layer| Ok(Command::Retry { id, reason: layer.reason.take() }))
            }
            Self::Discard(ReasonArgs { change: ChangeArgs { id, place, output }, reason }) => {
                let given = Layer { reason, ..Layer::default() };
                resolve(place, output, given, |layer| {
                    let reason = needed(layer.reason.take(), "--reason", "AINCIDENT_HUB_REASON")?;
                    Ok(Command::Discard { id, reason })
                })
            }
        }
    }
}

fn resolve(
    place: PlaceArgs,
    output: OutputArgs,
    given: Layer,
    command: impl FnOnce(&mut Layer) -> Result<Command, UsageError>,
) -> Result<AdminConfig, UsageError> {
    let (data_dir, mut layer) = place.layered(Layer { json: output.json, ..given })?;
    let task = Task::Quarantine(command(&mut layer)?);
    Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
}
