//! One token that says "finish up", set by a signal or by the program itself.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The program is asked to end. Cheap to clone; all clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// How long what is in flight may take once the program is asked to end.
    pub const DEADLINE: Duration = Duration::from_secs(10);

    /// One that no signal sets; see [`Shutdown::begin`].
    #[must_use]
    pub fn manual() -> Self {
        Self::default()
    }

    /// Set by SIGTERM or SIGINT. Further signals change nothing: a terminal and the script around the program
    /// often both send one, and [`Shutdown::DEADLINE`] ends it anyway.
    ///
    /// # Errors
    ///
    /// When the operating system refuses the signal handlers. Must be called inside a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let token = shutdown.token();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "shutting down");
            token.cancel();
        });
        Ok(shutdown)
    }

    /// The token for loops and streams to watch.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks the program to end.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether the program was asked to end.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the program is asked to end.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Waits until the program is asked to end and [`Shutdown::DEADLINE`] has passed since.
    pub async fn deadline(&self) {
        self.token.cancelled().await;
        tokio::time::sleep(Self::DEADLINE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_hear_it() {
        let shutdown = Shutdown::manual();
        let token = shutdown.clone().token();
        assert!(!shutdown.begun());
        shutdown.begin();
        token.cancelled().await;
        shutdown.wait().await;
    }
}
