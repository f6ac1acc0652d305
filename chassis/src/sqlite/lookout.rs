//! Notices commits of other processes.
//!
//! `PRAGMA data_version` changes on a connection when any other connection has committed, our own writer
//! included. So a small thread asks it on a connection of its own, and when the number has moved it asks
//! the writer to look at its number, which moves for other processes only. Now and then it measures the files, too.

use std::path::{Path, PathBuf};
use std::sync::mpsc as channel;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::error::OpenError;
use super::open;
use super::writer::Message;

/// How often to look; a few microseconds each.
const INTERVAL: Duration = Duration::from_millis(150);
/// After how many looks the files are measured: about ten seconds.
const MEASURED_EVERY: u32 = 64;

pub(super) struct Lookout {
    stop: Option<channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    pub(super) fn start(path: &Path, writer: mpsc::Sender<Message>) -> Result<Self, OpenError> {
        let connection = open::reader(path).map_err(|cause| OpenError::from_sqlite(path, cause))?;
        let mut seen = data_version(&connection).ok();
        let (stop, stopped) = channel::channel();
        let files = [path.to_owned(), open::log_of(path)];
        let mut looks = 0_u32;
        let watch = move || {
            measure(&files);
            while let Err(channel::RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(MEASURED_EVERY) {
                    measure(&files);
                }
                let Ok(now) = data_version(&connection) else {
                    continue;
                };
                // A full queue means the writer is about to commit; it is asked again next time.
                if seen != Some(now) && writer.try_send(Message::Look).is_ok() {
                    seen = Some(now);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-lookout".to_owned())
            .spawn(watch)
            .map_err(|cause| OpenError::io(path, cause))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

/// How large the database and its log are. A log that only grows is one that somebody reads in for too long.
#[allow(clippy::cast_precision_loss, reason = "no file is so large")]
fn measure([database, log]: &[PathBuf; 2]) {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len()) as f64;
    metrics::gauge!("sqlite_database_bytes").set(size(database));
    metrics::gauge!("sqlite_wal_bytes").set(size(log));
}

impl Drop for Lookout {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
