//! `aincident-hub`: reads its options, does what they say, and says in one line why it could not.

use aincident_hub::config::{Cli, Command, Config};
use aincident_hub::{admin, app};
use clap::{CommandFactory as _, Parser as _};
use std::io::Write as _;
use std::process::ExitCode;

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
    let again = match &command {
        Command::Serve(args) => Some(args.clone()),
        _ => None,
    };
    let config = match command.resolve() {
        Ok(config) => config,
        // Tried again by whoever watches over the program.
        Err(error) if error.is_unread() => return complain(&error, FAILED),
        Err(error) => return complain(&error, USAGE),
    };
    let folder = match &config {
        Config::Serve(config) => Some(&config.data_dir),
        Config::Admin(config) => Some(&config.data_dir),
        Config::Check(_) | Config::Manual { .. } => None,
    };
    // What root does in a folder is done as the folder's owner, and belongs to it.
    if let Some(folder) = folder
        && let Err(error) = chassis::owner::work_as_owner_of(folder)
    {
        return complain(&format!("cannot work as the owner of {}: {error}", folder.display()), FAILED);
    }
    let mut handed_over = None;
    if matches!(config, Config::Serve(_)) {
        chassis::memory::give_back_at_once();
        match chassis::systemd::socket::inherited() {
            Ok(listener) => handed_over = listener,
            Err(why) => return complain(&why, FAILED),
        }
    }
    let mut runtime = match &config {
        Config::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, FAILED),
    };
    match config {
        Config::Serve(config) => {
            let again = again.unwrap_or_default();
            end(runtime.block_on(app::run(*config, handed_over, Box::new(move || again.clone().resolve()))))
        }
        Config::Admin(config) => end(runtime.block_on(admin::run(*config, &mut std::io::stdout()))),
        Config::Check(args) => end(args.run(&mut std::io::stdout())),
        Config::Manual { to } => end(chassis::manual::write(&Cli::command(), &to)),
    }
}

fn end<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

/// One line, whatever the error's text holds.
fn complain(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let line = error.to_string().replace(['\n', '\r'], " ");
    let _ = writeln!(std::io::stderr(), "aincident-hub: {line}");
    ExitCode::from(code)
}
