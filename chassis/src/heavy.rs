//! Work that keeps a processor busy, or waits for the disk, for longer than a loop shared with everything else should
//! be held up.
//!
//! On a runtime of several threads it is done beside the loop. On a runtime of one thread it is done in place: whoever
//! chose that wants everything to happen in one order, as a simulation does, and a second thread would undo it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The work panicked, or the runtime is being shut down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Does `job`, and answers what it answered.
///
/// # Errors
/// [`Failed`].
pub async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return catch_unwind(AssertUnwindSafe(job)).map_err(|_| Failed("the work panicked".to_owned()));
    }
    tokio::task::spawn_blocking(job).await.map_err(|gone| Failed(gone.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn elsewhere() -> bool {
        let here = std::thread::current().id();
        run(move || std::thread::current().id() != here).await.unwrap()
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_in_place() {
        assert!(!elsewhere().await);
        assert!(run(|| panic!("as planned")).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_runtime_of_several_threads_is_not_held_up() {
        assert!(elsewhere().await);
        assert!(run(|| panic!("as planned")).await.is_err());
    }
}
