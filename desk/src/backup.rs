//! Backup and restore of a site's folder: what [`chassis::backup`] does with files, and what the ledger has to know of it.
//!
//! A backup is made beside whoever serves the folder. At a hub it makes the changes of nodes that are in it *durable*: from then
//! on they are in two places. A restored ledger is marked before it gets its name, so that whoever serves it first knows: a hub
//! begins a new epoch, a node a new stream, and neither gives out a number a second time.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::ledger::acts::name;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Acts as _, Histories as _, Identity, NewAct, Site as _};
use chassis::backup::series::{Schedule, Series};
use chassis::backup::{self, BackupError, Manifest};
use chassis::blobs::Blobs;
use chassis::clock::format_rfc3339;
use chassis::folder::{DataFolder, FolderError, sync_folder};
use chassis::ids::Ids;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Streams asked for at once.
const STREAMS: u32 = 1000;

/// Whose folder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Headquarters'.
    Hub,
    /// A store's.
    Node,
}

impl Program {
    /// The program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hub => "aincident-hub",
            Self::Node => "aincident-node",
        }
    }

    const fn fits(self, identity: &Identity) -> bool {
        match identity {
            Identity::Hub { .. } => matches!(self, Self::Hub),
            Identity::Node(_) => matches!(self, Self::Node),
            Identity::Unenrolled => true,
        }
    }
}

/// Why there is no backup, or nothing was restored; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The file.
    #[error(transparent)]
    File(#[from] BackupError),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is something in the folder already.
    #[error(
        "{0} holds a ledger already; restore into an empty folder, or add --replace to have what is there set aside"
    )]
    NotEmpty(String),
    /// The ledger.
    #[error("{0}")]
    Ledger(String),
}

fn ledger(error: impl std::fmt::Display) -> Failed {
    Failed::Ledger(error.to_string())
}

async fn off<T: Send + 'static>(job: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|gone| Err(ledger(gone)))
}

/// Backs the folder of `desk` up into the file `to`. `progress` hears how many files are written.
///
/// # Errors
/// [`Failed`]; there is no file `to` then.
pub async fn make(
    desk: &Desk,
    folder: &DataFolder,
    (program, version): (Program, &'static str),
    to: PathBuf,
    mut progress: impl FnMut(u64) + Send + 'static,
) -> Result<Manifest, Failed> {
    let now_ms = desk.now_ms();
    let copy = folder.join(format!("backup-{}.tmp", desk.ids().new_v7(now_ms).hyphenated()));
    let (database, blobs) = (folder.database(), folder.blobs());
    let (from, at) = (database, copy.clone());
    let made = async {
        off(move || chassis::sqlite::copy(&from, &at).map_err(ledger)).await?;
        let heads = heads(&copy, desk.ids()).await?;
        let at = copy.clone();
        let manifest = off(move || {
            let about = (program.name(), version);
            Ok(backup::write(about, now_ms, &at, &blobs, &to, &mut progress)?)
        })
        .await?;
        if program == Program::Hub {
            desk.ledger().note_durable(heads).await.map_err(ledger)?;
            let details = json!({ "files": manifest.members.len(), "size_bytes": manifest.size_bytes() });
            desk.ledger().note_act(act(name::BACKED_UP, desk.now_ms(), details)).await.map_err(ledger)?;
        }
        Ok(manifest)
    }
    .await;
    remove_database(&copy);
    made
}

/// An act of whoever sits at the machine's prompt, or of its timer. It names no file: a path may say who somebody is.
fn act(act: &'static str, at_ms: i64, details: Value) -> NewAct {
    let by = Actor::system("cli").username;
    NewAct { at_ms, by, act, subject: String::new(), store_code: String::new(), details }
}

/// A backup made by the schedule.
#[derive(Debug)]
pub struct Round {
    /// What it holds.
    pub manifest: Manifest,
    /// Its file.
    pub file: PathBuf,
    /// Older ones that need not stay any more and were removed.
    pub removed: Vec<PathBuf>,
}

/// Makes the next backup of a series, and removes older ones that need not stay, once it is whole and was read back.
///
/// # Errors
/// [`Failed`]; nothing was removed then, unless that is what failed.
pub async fn by_schedule(
    desk: &Desk,
    folder: &DataFolder,
    about: (Program, &'static str),
    schedule: Schedule,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<Round, Failed> {
    let mut series = Series::open(folder.path())?;
    let file = series.begin(&schedule.folder, about.0.name(), desk.now_ms())?;
    let manifest = match make(desk, folder, about, file.clone(), progress).await {
        Ok(manifest) => manifest,
        // Headquarters could not note that its changes are durable: the file is whole all the same, and stays listed. One that is
        // there after any other failure is somebody else's, such as another site's in a folder that both use.
        Err(error @ Failed::Ledger(_)) if file.exists() => return Err(error),
        Err(error) => {
            series.take_back(&file)?;
            return Err(error);
        }
    };
    let removed = off(move || Ok(series.prune(&schedule)?)).await?;
    Ok(Round { manifest, file, removed })
}

/// Up to which number each stream of others is in a copy of a ledger.
async fn heads(copy: &Path, ids: &Ids) -> Result<BTreeMap<Uuid, u64>, Failed> {
    let opened = SqliteLedger::open(copy, ids.clone()).map_err(ledger)?;
    let mut heads = BTreeMap::new();
    let mut after = None;
    loop {
        let page = opened.held_of_others(after, STREAMS).await.map_err(ledger)?;
        let Some(last) = page.keys().next_back().copied() else {
            return Ok(heads);
        };
        after = Some(last);
        heads.extend(page);
    }
}

/// A database and what lies beside it while it is open.
fn remove_database(path: &Path) {
    for end in ["", "-wal", "-shm", ".upgrade-lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
    let _ = std::fs::remove_file(chassis::sqlite::before_upgrade(path));
}

/// Restores the backup `from` into `folder`, which nobody serves. `replace`: what is there is set aside first, into a folder
/// within it; nothing is deleted.
///
/// # Errors
/// [`Failed`]; the folder has no ledger then, or the one it had.
pub async fn restore(
    folder: &DataFolder,
    program: Program,
    from: PathBuf,
    replace: bool,
    ids: &Ids,
    now_ms: i64,
) -> Result<Manifest, Failed> {
    let _lock = folder.lock()?;
    let there = folder.database().exists();
    if there && !replace {
        return Err(Failed::NotEmpty(folder.path().display().to_string()));
    }
    // Whether it is whole and the right one, before anything is touched.
    let (file, name) = (from.clone(), program.name());
    let manifest = off(move || Ok(backup::verify(&file)?)).await?;
    if manifest.program != name {
        return Err(BackupError::Another(from.display().to_string(), manifest.program, name).into());
    }
    let part = folder.join("ledger.sqlite.restoring");
    remove_database(&part);
    if there {
        set_aside(folder, now_ms)?;
    }
    let (blobs, at) = (folder.blobs(), part.clone());
    let manifest = off(move || {
        Blobs::open(&blobs).map_err(|error| BackupError::Io(blobs.display().to_string(), error))?;
        Ok(backup::unpack(name, &from, &blobs, &at)?)
    })
    .await?;
    let marked = mark(&part, program, ids, (manifest.made_ms, now_ms)).await;
    let database = folder.database();
    let settled = marked.and_then(|()| {
        let failed = |error| Failed::File(BackupError::Io(database.display().to_string(), error));
        std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
        std::fs::rename(&part, &database).map_err(failed)?;
        sync_folder(folder.path()).map_err(failed)
    });
    remove_database(&part);
    settled.map(|()| manifest)
}

async fn mark(part: &Path, program: Program, ids: &Ids, (made_ms, now_ms): (i64, i64)) -> Result<(), Failed> {
    let opened = SqliteLedger::open(part, ids.clone()).map_err(ledger)?;
    let identity = opened.identity().await.map_err(ledger)?;
    if !program.fits(&identity) {
        return Err(Failed::Ledger("the backup's ledger is another program's; nothing was restored".to_owned()));
    }
    if matches!(identity, Identity::Hub { .. }) {
        let details = json!({ "made_at": format_rfc3339(made_ms) });
        opened.note_act(act(name::RESTORED, now_ms, details)).await.map_err(ledger)?;
    }
    opened.mark_restored().await.map_err(ledger)
}

/// Moves the ledger and all that follows from it into a folder of its own; contents stay where they are.
fn set_aside(folder: &DataFolder, now_ms: i64) -> Result<(), Failed> {
    let aside = folder.join(format!("replaced-{now_ms}"));
    let failed = |error| Failed::File(BackupError::Io(aside.display().to_string(), error));
    std::fs::create_dir(&aside).map_err(failed)?;
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "witness", "cache"] {
        match std::fs::rename(folder.join(name), aside.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    sync_folder(&aside).and_then(|()| sync_folder(folder.path())).map_err(failed)
}
