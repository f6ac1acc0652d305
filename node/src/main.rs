//! `aincident-node`: reads its options, does what they say, and says in one line why it could not.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

use aincident_node::config::{Cli, Command, KeepConfig, UsageError};
use aincident_node::{app, aside, enrolment, keep, report, trust, verify};
use clap::{CommandFactory as _, Parser as _};

/// For SQLite's allocations too: half the memory of the system's allocator under many short-lived threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something failed; one line on standard error says what.
const FAILED: u8 = 1;
/// The command line (or what stands in for it) is wrong; the same as clap's own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Some(ended) = desk::photos::heic::child() {
        return ended;
    }
    let command = Cli::parse().command;
    let mut handed_over = None;
    if matches!(command, Command::Serve(_)) {
        chassis::memory::give_back_at_once();
        match chassis::systemd::socket::inherited() {
            Ok(listener) => handed_over = listener,
            Err(why) => return complain(&why, FAILED),
        }
    }
    let mut runtime = match &command {
        Command::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, FAILED),
    };
    match run(command, handed_over, &runtime) {
        Ok(()) => ExitCode::SUCCESS,
        // Tried again by whoever watches over the program.
        Err(Ended::Usage(error)) if error.is_unread() => complain(&error, FAILED),
        Err(Ended::Usage(error)) => complain(&error, USAGE),
        Err(Ended::Failed(why)) => complain(&why, FAILED),
    }
}

fn run(command: Command, handed_over: Option<TcpListener>, runtime: &tokio::runtime::Runtime) -> Result<(), Ended> {
    match command {
        Command::Serve(args) => {
            let again = args.clone();
            let config = args.resolve()?;
            as_owner(&config.data_dir)?;
            runtime
                .block_on(app::run(config, handed_over, Box::new(move |theirs| again.clone().resolve_over(theirs))))
                .map_err(failed)
        }
        Command::Enroll(args) => {
            let config = args.resolve()?;
            as_owner(&config.data_dir)?;
            let told = runtime.block_on(enrolment::run(config, &mut std::io::stdout())).map_err(failed)?;
            writeln!(std::io::stdout().lock(), "{told}").map_err(failed)
        }
        Command::Backup(args) => keep(args.resolve()?, runtime),
        Command::Restore(args) => keep(args.resolve()?, runtime),
        Command::Doctor(args) => keep(args.resolve()?, runtime),
        Command::SupportBundle(args) => keep(args.resolve()?, runtime),
        Command::Quarantine(command) => {
            let config = command.resolve()?;
            as_owner(&config.data_dir)?;
            runtime.block_on(aside::run(config, &mut std::io::stdout())).map_err(failed)
        }
        Command::Trust(args) => {
            let config = args.resolve()?;
            as_owner(&config.data_dir)?;
            runtime.block_on(trust::run(config, &mut std::io::stdout())).map_err(failed)
        }
        Command::Verify(args) => {
            let config = args.resolve()?;
            as_owner(&config.data_dir)?;
            runtime.block_on(verify::run(config, &mut std::io::stdout())).map_err(failed)
        }
        Command::Status(args) => {
            let config = args.resolve()?;
            as_owner(&config.data_dir)?;
            runtime.block_on(report::run(config, &mut std::io::stdout())).map_err(failed)
        }
        Command::CheckConfig(args) => args.run(&mut std::io::stdout()).map_err(failed),
        Command::Manual { to } => chassis::manual::write(&Cli::command(), &to).map_err(failed),
    }
}

fn keep(config: KeepConfig, runtime: &tokio::runtime::Runtime) -> Result<(), Ended> {
    as_owner(&config.data_dir)?;
    runtime.block_on(keep::run(config, &mut std::io::stdout())).map_err(failed)
}

/// What root does in a folder is done as the folder's owner, and belongs to it.
fn as_owner(folder: &Path) -> Result<(), Ended> {
    let wrong = |error| failed(format!("cannot work as the owner of {}: {error}", folder.display()));
    chassis::owner::work_as_owner_of(folder).map_err(wrong)
}

enum Ended {
    Usage(UsageError),
    Failed(String),
}

impl From<UsageError> for Ended {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

fn failed(error: impl std::fmt::Display) -> Ended {
    Ended::Failed(error.to_string())
}

/// One line, whatever the error's text holds.
fn complain(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let line = error.to_string().replace(['\n', '\r'], " ");
    let _ = writeln!(std::io::stderr(), "aincident-node: {line}");
    ExitCode::from(code)
}
