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
            measure_log(&connection);
            while let Err(channel::RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(MEASURED_EVERY) {
                    measure(&files);
                    measure_log(&connection);
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

/// How long the log is, and how much of it was moved into the database, in pages. Moves nothing: what waits is moved when there is
/// enough of it.
fn log_pages(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?)))
}

#[allow(clippy::cast_precision_loss, reason = "no log is so long")]
fn measure_log(connection: &Connection) {
    if let Ok((pages, moved)) = log_pages(connection) {
        metrics::gauge!("sqlite_wal_pages").set(pages.max(0) as f64);
        metrics::gauge!("sqlite_wal_moved_pages").set(moved.max(0) as f64);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn the_log_s_pages_are_told_without_moving_any() {
        let folder = scratch("log-pages");
        let path = folder.join("a.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (b); INSERT INTO a VALUES (1);")
            .unwrap();
        let reader = open::reader(&path).unwrap();
        let _: i64 = reader.query_row("SELECT b FROM a", [], |row| row.get(0)).unwrap();
        let (pages, moved) = log_pages(&reader).unwrap();
        assert!(pages > 0 && moved == 0, "{pages} {moved}");
        writer.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        let (pages, moved) = log_pages(&reader).unwrap();
        assert!(pages > 0 && moved == pages, "{pages} {moved}");
    }
}
