//! The node's folder, opened. `serve` and the commands share it: they work on one database at the same time, and
//! only `serve` takes the folder's lock.

use std::path::Path;
use std::sync::Arc;

use chassis::blobs::Blobs;
use chassis::clock::SystemClock;
use chassis::disk::Guard;
use chassis::folder::{DataFolder, FolderError};
use chassis::ids::Ids;
use desk::cache::{Memory, SharedCache};
use desk::ledger::Identity;
use desk::ledger::sqlite::SqliteLedger;
use desk::{Desk, Storage};
use tokio_util::sync::CancellationToken;

/// Why the node's folder cannot be used; one line, with what to do about it.
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
    /// It is headquarters'.
    #[error("this folder belongs to a hub; choose another --data-dir")]
    NotANode,
}

/// What a command keeps of answers: next to nothing.
const COMMAND_CACHE_BYTES: u64 = 64 * 1024;

/// Where a machine's id is: of systemd, and of D-Bus where that came before it.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// A digest of this machine and the folder, as 64 hexadecimal characters: the same after a backup was restored here, another one
/// for a copy on a second PC or beside this one. None where the machine has no id.
#[must_use]
pub fn machine(folder: &DataFolder) -> Option<String> {
    let read = |path| std::fs::read_to_string(path).ok().map(|id: String| id.trim().to_owned());
    let id = MACHINE_IDS.into_iter().filter_map(read).find(|id| !id.is_empty())?;
    let path = folder.path().canonicalize().ok()?;
    let mut hasher = blake3::Hasher::new_derive_key("aincident 2026-11 node machine");
    hasher.update(id.as_bytes()).update(b"\n").update(path.as_os_str().as_encoded_bytes());
    Some(hasher.finalize().to_hex().to_string())
}

/// Opens the ledger in `folder`, for a command that runs beside the serving node.
///
/// # Errors
/// When the database cannot be used, or belongs to a hub.
pub async fn open(folder: &DataFolder, stop: CancellationToken) -> Result<(Desk, Identity), SiteError> {
    open_with(folder, stop, Arc::new(Memory::new(COMMAND_CACHE_BYTES)), Guard::default()).await
}

/// Opens the ledger in `folder`, whose disk `guard` watches. The desk's endless answers end when `stop` is cancelled.
///
/// # Errors
/// When the database cannot be used, or belongs to a hub.
pub async fn open_with(
    folder: &DataFolder,
    stop: CancellationToken,
    cache: SharedCache,
    guard: Guard,
) -> Result<(Desk, Identity), SiteError> {
    let ids = Ids::system();
    let ledger = open_ledger(&folder.database(), &ids, guard.clone())?;
    let blobs =
        Blobs::open(&folder.blobs()).map_err(|error| SiteError::Blobs(folder.blobs().display().to_string(), error))?;
    let storage = Storage::sqlite(ledger, blobs.guarded(guard), cache);
    match storage.ledger.identity().await.map_err(|error| SiteError::Ledger(error.to_string()))? {
        Identity::Hub { .. } => Err(SiteError::NotANode),
        identity => {
            let desk = Desk::until(storage, SystemClock::shared(), ids, stop);
            reckon(&desk).await.map_err(|error| SiteError::Ledger(error.to_string()))?;
            Ok((desk, identity))
        }
    }
}

/// For the control arm of the power-cut test only: with `1` in it the node does not wait for the disk.
const TEST_SYNCHRONOUS_OFF: &str = "AINCIDENT_NODE_TEST_SYNCHRONOUS_OFF";

/// Reckons headquarters' time from what was last known of it, before anything is recorded: from when the machine was started, or,
/// where that was another start, from how far ahead its clock was. What was behind may have been set right meanwhile, and nothing may be ordered
/// later than a clock that is right.
///
/// # Errors
/// When the ledger cannot be used.
pub async fn reckon(desk: &Desk) -> Result<(), desk::Error> {
    if let Identity::Node(_) = desk.ledger().identity().await? {
        let kept = desk.ledger().link_state().await?;
        match kept.booted.filter(|booted| !booted.id.is_empty() && booted.id == desk.clock().boot_id()) {
            Some(booted) => desk.reckoning().begin(booted.hub_ms, 0),
            None => {
                let ahead_ms = kept.clock_offset_ms.max(0);
                desk.reckoning().begin(desk.now_ms().saturating_sub(ahead_ms), desk.boot_ms());
            }
        }
    }
    Ok(())
}

/// How far this machine's clock and headquarters' may be apart before nothing lasting is done because of this one's, in milliseconds.
const CLOCKS_APART_MS: u64 = 24 * 3_600_000;

/// Whether headquarters' clock, as far as it is known, contradicts this machine's.
#[must_use]
pub fn is_clock_doubted(desk: &Desk) -> bool {
    let offset_ms = desk.reckoning().offset_ms(desk.now_ms(), desk.boot_ms());
    offset_ms.is_some_and(|offset_ms| offset_ms.unsigned_abs() > CLOCKS_APART_MS)
}

fn open_ledger(path: &Path, ids: &Ids, guard: Guard) -> Result<SqliteLedger, SiteError> {
    let synchronous_off = std::env::var_os(TEST_SYNCHRONOUS_OFF).is_some_and(|value| value == "1");
    if synchronous_off {
        tracing::warn!("{TEST_SYNCHRONOUS_OFF} is set: A POWER CUT LOSES WHAT WAS ACKNOWLEDGED; it is for a test only");
    }
    let ledger = SqliteLedger::open_relieved(path, ids.clone(), synchronous_off, Arc::new(guard));
    ledger.map_err(|error| SiteError::Ledger(error.to_string()))
}
