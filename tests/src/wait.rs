//! Waiting for something to become true. The only place of the harness that pauses, but for the link's own delays.

use std::time::{Duration, Instant};

/// The first pause between two looks; each next one is half as long again, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer, and returns it.
///
/// # Panics
/// When there is none within `deadline`; the message names `what`.
pub async fn wait_for<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < deadline, "waited {:.1} s in vain for {what}", started.elapsed().as_secs_f64());
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Like [`wait_for`], for a condition.
///
/// # Panics
/// When it does not hold within `deadline`.
pub async fn wait_until(what: &str, deadline: Duration, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, deadline, async || holds().await.then_some(())).await;
}

/// Lets a load run for `time`: for tests that break something in the middle of it.
pub async fn let_run(time: Duration) {
    tokio::time::sleep(time).await;
}
