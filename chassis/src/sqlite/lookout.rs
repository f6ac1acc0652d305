//! Notices commits of other processes.
//!
//! `PRAGMA data_version` changes on a connection when any other connection has committed, our own writer
//! included. So a small thread asks it on a connection of its own, and when the number has moved it asks
//! the writer to look at its number, which moves for other processes only.

use std::path::Path;
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

pub(super) struct Lookout {
    stop: Option<channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lookout {
    pub(super) fn start(path: &Path, writer: mpsc::Sender<Message>) -> Result<Self, OpenError> {
        let connection = open::reader(path).map_err(|cause| OpenError::from_sqlite(path, cause))?;
        let mut seen = data_version(&connection).ok();
        let (stop, stopped) = channel::channel();
        let watch = move || {
            while let Err(channel::RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
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
