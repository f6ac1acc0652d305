//! One machine's disk: folders that power cuts, copies and backups can be made of, and the fate of each write.

use crate::faults::{Coverage, Fault};
use chassis::sqlite::{Disk, Moment, WriteError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// Whose disk it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Node,
    Hub,
}

/// The fate of each write of one process.
pub struct SimDisk {
    of: Of,
    coverage: Arc<Coverage>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The power is gone: nothing is written any more, whoever still tries.
    dead: bool,
    /// The power goes at this moment of a write, after so many other ones.
    cut: Option<(Moment, u64)>,
    full_until: Option<Instant>,
    broken_until: Option<Instant>,
}

impl SimDisk {
    pub fn new(of: Of, coverage: &Arc<Coverage>) -> Arc<Self> {
        Arc::new(Self { of, coverage: Arc::clone(coverage), state: Mutex::default() })
    }

    pub fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    pub fn kill(&self) {
        self.state.lock().unwrap().dead = true;
    }

    /// The power goes at `moment` of the write after `writes` others.
    pub fn cut_at(&self, moment: Moment, writes: u64) {
        self.state.lock().unwrap().cut = Some((moment, writes));
    }

    pub fn fill_for(&self, span: Duration) {
        self.state.lock().unwrap().full_until = Some(Instant::now() + span);
    }

    pub fn break_for(&self, span: Duration) {
        self.state.lock().unwrap().broken_until = Some(Instant::now() + span);
    }

    pub fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        (state.cut, state.full_until, state.broken_until) = (None, None, None);
    }

    fn reached(&self, node: Fault, hub: Fault) {
        self.coverage.reached(if self.of == Of::Node { node } else { hub });
    }
}

impl Disk for SimDisk {
    fn allows(&self, moment: Moment) -> Result<(), WriteError> {
        let mut state = self.state.lock().unwrap();
        if state.dead {
            return Err(WriteError::Stopped);
        }
        if let Some((at, left)) = state.cut
            && at == moment
        {
            state.cut = left.checked_sub(1).map(|left| (at, left));
            if state.cut.is_none() {
                state.dead = true;
                match moment {
                    Moment::Begin => self.reached(Fault::NodeDownBefore, Fault::HubDownBefore),
                    Moment::Commit => self.reached(Fault::NodeDownInCommit, Fault::HubDownInCommit),
                    Moment::Committed => self.reached(Fault::NodeDownAfter, Fault::HubDownAfter),
                }
                return Err(WriteError::Stopped);
            }
        }
        let now = Instant::now();
        if moment == Moment::Begin && state.broken_until.is_some_and(|until| until > now) {
            self.reached(Fault::NodeDiskBroken, Fault::HubDiskBroken);
            return Err(WriteError::Unavailable);
        }
        if moment == Moment::Commit && state.full_until.is_some_and(|until| until > now) {
            self.reached(Fault::NodeDiskFull, Fault::HubDiskFull);
            return Err(WriteError::Full);
        }
        Ok(())
    }
}

/// A folder that goes when it is dropped; with `AINCIDENT_SIM_KEEP` it stays, and is named.
pub struct Scratch(PathBuf);

impl Scratch {
    /// In memory where the machine has such a place.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let no = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("aincident-sim-{}-{no}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("AINCIDENT_SIM_KEEP").is_some() {
            println!("kept: {}", self.0.display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What of a folder is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// The database without what lies beside it.
    Database,
}

/// The database file of a folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("ledger.sqlite")
}

/// Copies what a power cut would leave of `from`: the database with its log, not the log's index.
pub fn copy(from: &Path, to: &Path, part: Part) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        let _ = std::fs::remove_file(to.join(name));
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    let _ = std::fs::remove_file(to.join("ledger.sqlite-shm"));
    if part == Part::All {
        let _ = std::fs::remove_file(to.join("witness"));
        if from.join("witness").exists() {
            std::fs::copy(from.join("witness"), to.join("witness")).unwrap();
        }
        let _ = std::fs::remove_dir_all(to.join("blobs"));
        tree(&from.join("blobs"), &to.join("blobs"));
    }
}

fn tree(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            tree(&entry.path(), &target);
        } else {
            // Only where there is something: a folder of contents has hundreds of empty ones.
            std::fs::create_dir_all(to).unwrap();
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What the power cut that just happened in `from` leaves, in `to`: a folder of its own, so that whatever of the old process
/// still moves in memory moves elsewhere.
pub fn after_power_cut(from: &Path, to: &Path) {
    copy(from, to, Part::Database);
    for name in ["witness", "blobs"] {
        if from.join(name).exists() {
            std::fs::rename(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Puts an empty ledger into `folder`: bringing one up to date takes longer than a run.
pub fn empty_ledger(folder: &Path) {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = EMPTY.get_or_init(|| {
        let scratch = Scratch::new();
        let disk = SimDisk::new(Of::Node, &Coverage::new());
        let path = database(scratch.path());
        // Closing writes the log back: the file is all there is.
        drop(desk::ledger::sqlite::SqliteLedger::open_in_place(&path, chassis::ids::Ids::seeded(0), disk).unwrap());
        std::fs::read(path).unwrap()
    });
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(database(folder), bytes).unwrap();
}
