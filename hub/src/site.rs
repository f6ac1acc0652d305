//! The hub's folder: opened, and made a hub's the first time. `serve` and the administration commands share it: they
//! work on one database at the same time, and only `serve` takes the folder's lock.

use chassis::blobs::Blobs;
use chassis::clock::SystemClock;
use chassis::disk::Guard;
use chassis::folder::{DataFolder, FolderError};
use chassis::ids::Ids;
use desk::cache::Memory;
use desk::ledger::Identity;
use desk::ledger::sqlite::SqliteLedger;
use desk::{Desk, Storage};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::intake::NotAHub;

/// What answers are kept in memory, at most, in bytes.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Why the hub's folder cannot be used; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The folder itself.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder of files in it.
    #[error("{0}: {1}; make the folder writable to this user")]
    Blobs(String, std::io::Error),
    /// The database in it; says what to do.
    #[error("{0}")]
    Ledger(String),
    /// It is a store's.
    #[error(transparent)]
    NotAHub(#[from] NotAHub),
}

/// Opens the ledger in `folder` and makes it a hub's if it is nobody's yet. The desk's endless answers end when
/// `stop` is cancelled.
///
/// # Errors
/// When the database cannot be used, or belongs to a node.
pub async fn open(folder: &DataFolder, stop: CancellationToken) -> Result<(Desk, Identity), SiteError> {
    open_guarded(folder, stop, Guard::default()).await
}

/// [`open`], where `guard` watches the folder's disk.
///
/// # Errors
/// As [`open`].
pub async fn open_guarded(
    folder: &DataFolder,
    stop: CancellationToken,
    guard: Guard,
) -> Result<(Desk, Identity), SiteError> {
    let (clock, ids) = (SystemClock::shared(), Ids::system());
    let ledger = SqliteLedger::open_relieved(&folder.database(), ids.clone(), false, Arc::new(guard.clone()))
        .map_err(|error| SiteError::Ledger(error.to_string()))?;
    let blobs =
        Blobs::open(&folder.blobs()).map_err(|error| SiteError::Blobs(folder.blobs().display().to_string(), error))?;
    let storage = Storage::sqlite(ledger, blobs.guarded(guard), Arc::new(Memory::new(CACHE_BYTES)));
    let ledger = Arc::clone(&storage.ledger);
    let now_ms = clock.now_ms();
    let found = ledger.identity().await.map_err(explain)?;
    let identity = match found {
        Identity::Unenrolled => ledger.become_hub(ids.new_v7(now_ms), ids.new_v7(now_ms)).await.map_err(explain)?,
        // A hub of before there were keys; its next answer has seals.
        Identity::Hub { hub_id, epoch } if ledger.hub_key().await.is_err() => {
            ledger.become_hub(hub_id, epoch).await.map_err(explain)?
        }
        found => found,
    };
    match identity {
        Identity::Hub { .. } => Ok((Desk::until(storage, clock, ids, stop), identity)),
        Identity::Node(_) | Identity::Unenrolled => Err(NotAHub.into()),
    }
}

fn explain(error: desk::Error) -> SiteError {
    SiteError::Ledger(error.to_string())
}
