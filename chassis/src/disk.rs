//! The room of the disk that a data folder is on: watched, so that contents (photos, files, what can be made again) are left out in
//! time, and kept in reserve for what must not be.
//!
//! Layout: [`Guard`] asks the file system every few seconds on a blocking thread and keeps the answer where whoever takes contents
//! reads it without waiting ([`Guard::admit`]). The file `reserve` in the folder is real room that nobody else can take; when a
//! transaction meets a full disk the writer has some of it given free ([`Relief`]) and tries once more.
//!
//! At start the reserve is made where it is not there, and whenever there is plenty of room again after it was given from.

mod bounds;
mod reserve;

#[cfg(test)]
mod tests;

pub use bounds::{Bounds, DiskLayer};

use crate::sqlite::Relief;
use reserve::Reserve;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the file system is asked.
const EVERY: Duration = Duration::from_secs(2);
/// A disk with more room than this above its floor does not become full while one transaction is written, in bytes.
const FAR_BYTES: u64 = 256 << 20;

/// With less room than this a disk counts as full, in bytes: a database needs some to mend itself.
const FULL_BYTES: u64 = 1 << 20;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Room {
    /// Enough for everything.
    Plenty,
    /// Below the floor: contents are not taken.
    Low,
    /// The reserve is not whole, and there is no room to make it so: what is written may have been given room from it.
    Reserve,
}

impl Room {
    const ALL: [Self; 3] = [Self::Plenty, Self::Low, Self::Reserve];

    /// As machines read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::Low => "low",
            Self::Reserve => "reserve",
        }
    }

    /// What follows from figures, where it was `self` before. Who was below the floor has to come an eighth above it, so that it does
    /// not go to and fro.
    /// A reserve that is missing says nothing by itself: it may not have been made yet, or only just not have found room.
    fn after(self, free_bytes: u64, floor_bytes: u64, missing_bytes: u64) -> Self {
        let is_short = free_bytes < self.enough(floor_bytes);
        if missing_bytes > 0 && (is_short || free_bytes < 2 * missing_bytes) {
            Self::Reserve
        } else if is_short {
            Self::Low
        } else {
            Self::Plenty
        }
    }

    fn enough(self, floor_bytes: u64) -> u64 {
        if self == Self::Plenty { floor_bytes } else { floor_bytes + floor_bytes / 8 }
    }
}

/// What is not taken below the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file of a form.
    Photo,
    /// A file in pieces, from a person's device.
    Upload,
    /// A file of a drop folder.
    Dropped,
    /// What this site fetches from the other one.
    Pulled,
    /// What the other site sends.
    Pushed,
    /// A picture made of another one.
    Picture,
    /// What can be made again and is kept only to be quick.
    Kept,
}

impl Content {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Upload => "upload",
            Self::Dropped => "dropped",
            Self::Pulled => "pulled",
            Self::Pushed => "pushed",
            Self::Picture => "picture",
            Self::Kept => "kept",
        }
    }
}

/// There is no room for contents; what is small is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is nearly full, so no photos and files are taken; make room on it")]
pub struct NoRoom;

impl NoRoom {
    /// Whether it is what stands behind a failure of the disk.
    #[must_use]
    pub fn is_behind(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

impl From<NoRoom> for io::Error {
    fn from(no_room: NoRoom) -> Self {
        Self::new(io::ErrorKind::StorageFull, no_room)
    }
}

/// The room of a disk, for people and machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// What this program may still write, in bytes.
    pub free_bytes: u64,
    /// Below this photos and files are not taken, in bytes; 0: they always are.
    pub floor_bytes: u64,
    /// Room in reserve for what must not be refused, in bytes.
    pub reserve_bytes: u64,
    /// `plenty`, `low` (photos and files are not taken) or `reserve` (nor is the reserve whole).
    pub state: Room,
}

impl DiskReport {
    /// Whether photos and files are not taken.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.floor_bytes > 0 && self.state != Room::Plenty
    }
}

/// Looks at the disk of `folder` once, beside whoever serves it: changes nothing. Blocks.
///
/// # Errors
/// When the file system cannot be asked.
pub fn survey(folder: &Path, bounds: Bounds) -> io::Result<DiskReport> {
    let space = Space::of(folder)?;
    let bounds = bounds.on(space.total_bytes);
    let reserve = Reserve::found(folder, bounds.reserve_bytes);
    let state = Room::Plenty.after(space.free_bytes, bounds.floor_bytes, reserve.missing_bytes());
    Ok(DiskReport {
        free_bytes: space.free_bytes,
        floor_bytes: bounds.floor_bytes,
        reserve_bytes: reserve.held_bytes(),
        state,
    })
}

/// What a file system says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// What this account may still write, in bytes.
    pub(crate) free_bytes: u64,
    /// How large it is, in bytes; 0 where it does not tell, as some shares do.
    pub(crate) total_bytes: u64,
}

impl Space {
    /// Of the file system that `folder` is on. Blocks.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let told = rustix::fs::statvfs(folder)?;
        // What is left for root alone is no room for a service.
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Ok(Self { free_bytes: bytes(told.f_bavail), total_bytes: bytes(told.f_blocks) })
    }
}

/// Watches the room of a folder's disk. Cheap to clone; the default watches nothing and admits everything.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    watched: Option<Arc<Watched>>,
}

#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    bounds: Mutex<Bounds>,
    free_bytes: AtomicU64,
    floor_bytes: AtomicU64,
    reserve_bytes: AtomicU64,
    room: AtomicU8,
    /// Whether it was said that the file system cannot be asked.
    is_silent: AtomicBool,
    reserve: Mutex<Reserve>,
    doubt: Notify,
}

impl Guard {
    /// Watches the disk of `folder`, and makes the reserve in it. Blocks for as long as the file system takes to give that.
    #[must_use]
    pub fn open(folder: &Path, bounds: Bounds) -> Self {
        let watched = Arc::new(Watched {
            folder: folder.to_owned(),
            bounds: Mutex::new(bounds),
            free_bytes: AtomicU64::new(u64::MAX),
            floor_bytes: AtomicU64::new(0),
            reserve_bytes: AtomicU64::new(0),
            room: AtomicU8::new(Room::Plenty as u8),
            is_silent: AtomicBool::new(false),
            reserve: Mutex::new(Reserve::found(folder, 0)),
            doubt: Notify::new(),
        });
        watched.look(&mut watched.reserve());
        Self { watched: Some(watched) }
    }

    /// One that says `report` whatever the disk does: for tests and simulations. Not to be kept going.
    #[must_use]
    pub fn fixed(report: DiskReport) -> Self {
        let watched = Watched {
            folder: PathBuf::new(),
            bounds: Mutex::new(Bounds::default()),
            free_bytes: report.free_bytes.into(),
            floor_bytes: report.floor_bytes.into(),
            reserve_bytes: report.reserve_bytes.into(),
            room: AtomicU8::new(report.state as u8),
            is_silent: AtomicBool::new(true),
            reserve: Mutex::new(Reserve::found(Path::new(""), 0)),
            doubt: Notify::new(),
        };
        Self { watched: Some(Arc::new(watched)) }
    }

    /// Has other bounds from now on.
    pub fn set(&self, bounds: Bounds) {
        if let Some(watched) = &self.watched {
            *watched.bounds.lock().unwrap_or_else(PoisonError::into_inner) = bounds;
            watched.doubt.notify_one();
        }
    }

    /// Whether photos and files are not taken.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.report().is_some_and(|report| report.is_low())
    }

    /// Whether `content` may be taken now; one that may not is counted.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn admit(&self, content: Content) -> Result<(), NoRoom> {
        if self.is_low() {
            metrics::counter!("disk_refused_contents_total", "kind" => content.as_str()).increment(1);
            return Err(NoRoom);
        }
        Ok(())
    }

    /// Whether more of a content that was admitted may be taken.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn go_on(&self) -> Result<(), NoRoom> {
        if self.is_low() { Err(NoRoom) } else { Ok(()) }
    }

    /// What there is to say of it to whoever asks; nothing where there is room.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let report = self.report()?;
        match report.state {
            Room::Plenty => None,
            Room::Low => Some("the disk is nearly full: photos and files are not taken, reports are".to_owned()),
            Room::Reserve if report.is_low() => {
                Some("the disk is full: reports are taken from a reserve, photos and files are not".to_owned())
            }
            Room::Reserve => Some("the disk is full: reports are taken from a reserve".to_owned()),
        }
    }

    /// As last measured; `None` where nothing is watched.
    #[must_use]
    pub fn report(&self) -> Option<DiskReport> {
        let watched = self.watched.as_ref()?;
        Some(DiskReport {
            free_bytes: watched.free_bytes.load(Ordering::Relaxed),
            floor_bytes: watched.floor_bytes.load(Ordering::Relaxed),
            reserve_bytes: watched.reserve_bytes.load(Ordering::Relaxed),
            state: watched.room(),
        })
    }

    /// Has the disk looked at soon: somebody met a full one.
    pub fn doubt(&self) {
        if let Some(watched) = &self.watched {
            watched.doubt.notify_one();
        }
    }

    /// Watches until `stop` is cancelled.
    pub async fn keep(self, stop: CancellationToken) {
        let Some(watched) = self.watched else { return };
        loop {
            let here = Arc::clone(&watched);
            let looked = tokio::task::spawn_blocking(move || here.look(&mut here.reserve())).await;
            if let Err(gone) = looked {
                tracing::warn!(%gone, "the room of the disk cannot be watched");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = watched.doubt.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

impl Relief for Guard {
    fn is_near(&self) -> bool {
        let Some(watched) = &self.watched else { return false };
        let far = watched.floor_bytes.load(Ordering::Relaxed) + FAR_BYTES;
        Space::of(&watched.folder).map_or(true, |space| space.free_bytes < far)
    }

    fn is_full(&self) -> bool {
        let Some(watched) = &self.watched else { return false };
        Space::of(&watched.folder).is_ok_and(|space| space.free_bytes < FULL_BYTES)
    }

    fn give(&self) -> bool {
        let Some(watched) = &self.watched else { return false };
        let mut reserve = watched.reserve();
        let given_bytes = reserve.give();
        if given_bytes > 0 {
            let left_bytes = reserve.held_bytes();
            tracing::warn!(
                given_bytes,
                left_bytes,
                "the disk is full: room was given from the reserve; make room on it"
            );
        }
        watched.look(&mut reserve);
        given_bytes > 0
    }
}

impl Watched {
    fn reserve(&self) -> MutexGuard<'_, Reserve> {
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> Room {
        let at = usize::from(self.room.load(Ordering::Relaxed));
        Room::ALL.get(at).copied().unwrap_or(Room::Plenty)
    }

    /// Asks the file system, and makes the reserve whole where there is room for it.
    fn look(&self, reserve: &mut Reserve) {
        let looked = self.measure(reserve);
        let is_silent = looked.is_err();
        if let Err(cause) = looked
            && !self.is_silent.load(Ordering::Relaxed)
        {
            tracing::warn!(%cause, folder = %self.folder.display(), "the file system does not say how much room it has");
        }
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    fn measure(&self, reserve: &mut Reserve) -> io::Result<()> {
        let mut space = Space::of(&self.folder)?;
        let bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let (bounds, before) = (bounds.on(space.total_bytes), self.room());
        reserve.want(bounds.reserve_bytes);
        let missing = reserve.missing_bytes();
        // So that the reserve itself does not bring the disk below its floor.
        let spare = before.enough(bounds.floor_bytes).max(missing);
        if missing > 0 && space.free_bytes >= spare + missing {
            reserve.fill();
            space = Space::of(&self.folder)?;
        }
        let now = before.after(space.free_bytes, bounds.floor_bytes, reserve.missing_bytes());
        self.free_bytes.store(space.free_bytes, Ordering::Relaxed);
        self.floor_bytes.store(bounds.floor_bytes, Ordering::Relaxed);
        self.reserve_bytes.store(reserve.held_bytes(), Ordering::Relaxed);
        self.room.store(now as u8, Ordering::Relaxed);
        metrics::gauge!("disk_free_bytes").set(space.free_bytes as f64);
        metrics::gauge!("disk_floor_bytes").set(bounds.floor_bytes as f64);
        metrics::gauge!("disk_reserve_bytes").set(reserve.held_bytes() as f64);
        metrics::gauge!("disk_reserve_missing_bytes").set(reserve.missing_bytes() as f64);
        let (free_mib, floor_mib) = (space.free_bytes >> 20, bounds.floor_bytes >> 20);
        match (before, now) {
            (before, now) if before == now => {}
            (_, Room::Plenty) => tracing::info!(free_mib, floor_mib, "the disk has room again: everything is taken"),
            (_, Room::Low) => {
                tracing::warn!(
                    free_mib,
                    floor_mib,
                    "the disk is nearly full: photos and files are not taken, reports are; make room on it"
                );
            }
            (_, Room::Reserve) => {
                let reserve_mib = reserve.held_bytes() >> 20;
                tracing::error!(
                    free_mib,
                    floor_mib,
                    reserve_mib,
                    "the disk is full, or too full for its reserve: make room on it"
                );
            }
        }
        Ok(())
    }
}
