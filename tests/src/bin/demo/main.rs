//! The demo: one hub and two stores on this machine, an outage, the replication as it happens, and the proof that
//! nothing was lost. `DEMO=once` ends after the proof; otherwise everything runs until Ctrl-C.
//!
//! The story is told in [`story`], what it looks like in [`screen`], what is compared in [`proof`], photos come from [`darkroom`]. Nothing here talks to
//! the programs but through their command lines and their HTTP API.

mod darkroom;
mod proof;
mod screen;
mod story;

use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let once = std::env::var("DEMO").is_ok_and(|value| value == "once");
    // Whatever goes wrong is told in one line; the programs' logs follow from the harness.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("something unexpected happened");
        eprintln!("\ndemo failed: {text}");
    }));
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        eprintln!("demo failed: cannot listen for Ctrl-C");
        return ExitCode::FAILURE;
    };
    let ended = tokio::select! {
        ended = AssertUnwindSafe(story::tell(once)).catch_unwind() => ended.ok(),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    // In the middle of the story, what runs was dropped with it: the programs are killed, the folder is removed.
    let Some(running) = ended else { return ExitCode::FAILURE };
    if !once {
        screen::line("Everything keeps running. Ctrl-C ends it and removes the scratch folder.");
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        screen::line("");
    }
    running.end().await;
    screen::line("All programs ended, the scratch folder is removed.");
    ExitCode::SUCCESS
}
