//! Reading the configuration again while the program runs: at each SIGHUP, which is what `systemctl reload` sends.
//!
//! What can be changed is changed; what cannot is named, and waits for a restart; a configuration that is wrong changes nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The SIGHUPs of this process. One that comes while another is being dealt with is dealt with afterwards, several as one.
#[derive(Debug)]
pub struct Hangups {
    signal: Signal,
}

impl Hangups {
    /// Listens from now on: until then a SIGHUP ends the process.
    ///
    /// # Errors
    /// When the operating system refuses the signal handler. Must be called inside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.signal.recv().await.is_none() {
            // The runtime ends.
            std::future::pending::<()>().await;
        }
    }
}

/// A key of the configuration whose value differs from the one in force, and whether it waits for a restart.
pub type Difference = (&'static str, bool);

/// All was taken.
const DONE: &str = "done";
/// Something waits for a restart.
const IN_PART: &str = "in_part";
/// Nothing was taken.
const REFUSED: &str = "refused";
/// What can come of taking other settings, as figures call it.
pub(crate) const OUTCOMES: [&str; 3] = [DONE, IN_PART, REFUSED];

/// Says what came of taking other settings, on `occasion`: what differs, or why nothing was done.
pub fn tell(occasion: &str, outcome: Result<Vec<Difference>, String>) {
    let word = match &outcome {
        Err(_) => REFUSED,
        Ok(differs) if differs.iter().any(|(_, waits)| *waits) => IN_PART,
        Ok(_) => DONE,
    };
    metrics::counter!("configuration_reloads_total", "outcome" => word).increment(1);
    match outcome {
        Err(why) => tracing::error!(%why, "the configuration cannot be used; all settings stay as they are"),
        Ok(differs) => {
            let (waiting, changed): (Vec<_>, Vec<_>) = differs.into_iter().partition(|(_, waits)| *waits);
            for (name, _) in waiting {
                tracing::warn!("{name} was changed in the configuration: it needs a restart");
            }
            let changed: Vec<_> = changed.into_iter().map(|(name, _)| name).collect();
            let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
            tracing::info!(changed, "{occasion}");
        }
    }
}
