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
use chassis::backup::{
    self, BackupError, Keys, Manifest, PassphraseFrom, Repository, Subject, Swept, Written, copies, room,
};
use chassis::blobs::Blobs;
use chassis::clock::format_rfc3339;
use chassis::folder::{DataFolder, FolderError, sync_folder};
use chassis::ids::Ids;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// How the names of folders begin in which replaced ledgers are.
const REPLACED: &str = "replaced-";
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
    /// There is a backup, of a site that is damaged.
    #[error(
        "{0} was written and read back, but the site is damaged: {1}; backups of before stay as they are; run doctor --full"
    )]
    Doubtful(String, String),
}

fn ledger(error: impl std::fmt::Display) -> Failed {
    Failed::Ledger(error.to_string())
}

async fn off<T: Send + 'static>(job: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|gone| Err(ledger(gone)))
}

/// Where a backup goes.
enum Target {
    /// Into one file.
    File(Keys),
    /// Into a folder of backups.
    Folder(Arc<Repository>),
}

impl Target {
    /// How many bytes of contents are written.
    fn new_bytes(&self, blobs: &Path) -> Result<u64, BackupError> {
        match self {
            Self::File(_) => room::contents_bytes(blobs),
            Self::Folder(repository) => repository.lacking_bytes(blobs),
        }
    }

    fn write(&self, subject: &Subject<'_>, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<Written, BackupError> {
        match self {
            Self::File(keys) => backup::write(subject, to, keys, progress),
            Self::Folder(repository) => repository.write(subject, to, progress),
        }
    }
}

/// Backs the folder of `desk` up into the file `to`, encrypted where there is a passphrase. `progress` hears how many files are
/// written.
///
/// # Errors
/// [`Failed`]; there is no file `to` then, but for [`Failed::Doubtful`].
pub async fn make(
    desk: &Desk,
    folder: &DataFolder,
    about: (Program, &'static str),
    to: PathBuf,
    passphrase: PassphraseFrom,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<Manifest, Failed> {
    let target = off(move || Ok(Target::File(Keys::of_passphrase(passphrase.read()?)))).await?;
    make_in(desk, folder, about, Arc::new(target), to, progress).await
}

/// Backs up into `target`, under the name `to`.
async fn make_in(
    desk: &Desk,
    folder: &DataFolder,
    about: (Program, &'static str),
    target: Arc<Target>,
    to: PathBuf,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<Manifest, Failed> {
    let (here, place, aim) = (folder.clone(), to.clone(), Arc::clone(&target));
    let _in_use = off(move || {
        let in_use = copies::hold(here.path())?;
        let ledger_bytes = database_bytes(&here.database());
        let new_bytes = aim.new_bytes(&here.blobs())?.saturating_add(ledger_bytes);
        room::check(here.path(), ledger_bytes, &place, new_bytes)?;
        Ok(in_use)
    })
    .await?;
    let copy = copies::path(folder.path(), desk.ids().new_v7(desk.now_ms()));
    let made = make_from(desk, folder, about, &copy, (target, to), progress).await;
    remove_database(&copy);
    made
}

/// How long a database is, with what it has not taken in yet.
fn database_bytes(path: &Path) -> u64 {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    [path.to_owned(), wal.into()]
        .iter()
        .map(|part| part.metadata().map_or(0, |about| about.len()))
        .sum()
}

/// Copies the ledger to `copy`, and backs that up.
async fn make_from(
    desk: &Desk,
    folder: &DataFolder,
    (program, version): (Program, &'static str),
    copy: &Path,
    (target, to): (Arc<Target>, PathBuf),
    mut progress: impl FnMut(u64) + Send + 'static,
) -> Result<Manifest, Failed> {
    let (from, at) = (folder.database(), copy.to_owned());
    let mut faults = off(move || {
        chassis::sqlite::copy(&from, &at).map_err(ledger)?;
        chassis::sqlite::verify(&at).map_err(ledger)
    })
    .await?;
    let heads = if faults.is_empty() { heads(copy, desk.ids()).await? } else { BTreeMap::new() };
    let (at, blobs, made_ms, name) = (copy.to_owned(), folder.blobs(), desk.now_ms(), to.display().to_string());
    let written = off(move || {
        let subject = Subject { program: program.name(), version, made_ms, ledger: &at, blobs: &blobs };
        Ok(target.write(&subject, &to, &mut progress)?)
    })
    .await?;
    if let Some(content) = written.damaged.first() {
        faults.push(format!("{} contents are not what their names say, such as {content}", written.damaged.len()));
    }
    if !faults.is_empty() {
        return Err(Failed::Doubtful(name, faults.join("; ")));
    }
    if program == Program::Hub {
        desk.ledger().note_durable(heads).await.map_err(ledger)?;
        let details = json!({ "files": written.manifest.members.len(), "size_bytes": written.manifest.size_bytes() });
        desk.ledger().note_act(act(name::BACKED_UP, desk.now_ms(), details)).await.map_err(ledger)?;
    }
    Ok(written.manifest)
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
    /// What became of contents that none names any more.
    pub swept: Swept,
}

impl Round {
    /// What was done, in words.
    #[must_use]
    pub fn told(&self) -> String {
        let what =
            format!("backed up into {} and read back, {} older ones removed", self.file.display(), self.removed.len());
        match &self.swept {
            Swept::Removed(0) => what,
            Swept::Removed(contents) => format!("{what} and {contents} contents that none names any more"),
            Swept::Kept(why) => format!("{what}; no content was removed, what cannot be read may name it: {why}"),
        }
    }
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
    let (into, passphrase) = (schedule.folder.clone(), schedule.passphrase.clone());
    let repository = Arc::new(off(move || Ok(Repository::open(&into, passphrase.read()?)?)).await?);
    let target = Arc::new(Target::Folder(Arc::clone(&repository)));
    let file = series.begin(&schedule.folder, about.0.name(), desk.now_ms())?;
    let manifest = match make_in(desk, folder, about, target, file.clone(), progress).await {
        Ok(manifest) => manifest,
        Err(error @ Failed::Doubtful(..)) => {
            series.doubt(&file)?;
            return Err(error);
        }
        // Headquarters could not note that its changes are durable: the file is whole all the same, and stays listed. One that is
        // there after any other failure is somebody else's, such as another site's in a folder that both use.
        Err(error @ Failed::Ledger(_)) if file.exists() => return Err(error),
        Err(error) => {
            series.take_back(&file)?;
            return Err(error);
        }
    };
    let (removed, swept) = off(move || Ok((series.prune(&schedule)?, repository.sweep()?))).await?;
    Ok(Round { manifest, file, removed, swept })
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
        let _ = fs::remove_file(name);
    }
    let _ = fs::remove_file(chassis::sqlite::before_upgrade(path));
}

/// What is restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// The backup.
    pub from: PathBuf,
    /// Where its passphrase is, should it be encrypted.
    pub passphrase: PassphraseFrom,
    /// What is there is set aside, into a folder within it; nothing is deleted.
    pub replace: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup held.
    pub manifest: Manifest,
    /// Where the ledger is that was there before.
    pub aside: Option<PathBuf>,
}

impl Restored {
    /// A sentence about the ledger that was set aside, behind `what`.
    #[must_use]
    pub fn told(&self, what: &str) -> String {
        match &self.aside {
            None => what.to_owned(),
            Some(aside) => format!(
                "{what}. The old ledger is kept in {}: no erasure reaches it, delete it when it is not needed",
                aside.display()
            ),
        }
    }
}

/// Reads a backup whole, and answers what it holds; nothing is changed.
///
/// # Errors
/// [`Failed`].
pub async fn verify(from: PathBuf, passphrase: PassphraseFrom) -> Result<Manifest, Failed> {
    off(move || Ok(backup::verify(&from, &Keys::of_file(&from, &passphrase)?)?)).await
}

/// Restores a backup into `folder`, which nobody serves.
///
/// # Errors
/// [`Failed`]; the folder has no ledger then, or the one it had.
pub async fn restore(
    folder: &DataFolder,
    program: Program,
    what: Restore,
    ids: &Ids,
    now_ms: i64,
) -> Result<Restored, Failed> {
    let _lock = folder.lock()?;
    let there = folder.database().exists();
    if there && !what.replace {
        return Err(Failed::NotEmpty(folder.path().display().to_string()));
    }
    let (here, part) = (folder.clone(), folder.join("ledger.sqlite.restoring"));
    let at = part.clone();
    let manifest = off(move || {
        // Whether it is whole and the right one, before anything is touched.
        let (from, keys) = (&what.from, Keys::of_file(&what.from, &what.passphrase)?);
        let manifest = backup::verify(from, &keys)?;
        if manifest.program != program.name() {
            return Err(BackupError::Another(from.display().to_string(), manifest.program, program.name()).into());
        }
        remove_database(&at);
        let blobs = here.blobs();
        Blobs::open(&blobs).map_err(|error| BackupError::Io(blobs.display().to_string(), error))?;
        room::check_restore(&manifest, here.path(), &blobs)?;
        backup::unpack(from, &keys, &manifest, &blobs, &at)?;
        Ok(manifest)
    })
    .await?;
    let settled = match mark(&part, program, ids, (manifest.made_ms, now_ms)).await {
        Ok(()) => exchange(folder, &part, there, now_ms),
        Err(error) => Err(error),
    };
    remove_database(&part);
    settled.map(|aside| Restored { manifest, aside })
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

/// Puts the ledger `part` in its place. The one that is `there` is set aside, and put back where that fails; says where it is.
fn exchange(folder: &DataFolder, part: &Path, there: bool, now_ms: i64) -> Result<Option<PathBuf>, Failed> {
    let aside = there.then(|| folder.join(format!("{REPLACED}{now_ms}")));
    if let Some(aside) = &aside {
        fs::create_dir(aside).map_err(|error| BackupError::Io(aside.display().to_string(), error))?;
    }
    let database = folder.database();
    let exchanged = aside.as_deref().map_or(Ok(()), |aside| set_aside(folder, aside)).and_then(|()| {
        fs::File::open(part)?.sync_all()?;
        fs::rename(part, &database)?;
        sync_folder(folder.path())
    });
    let Err(error) = exchanged else { return Ok(aside) };
    let failed = BackupError::Io(database.display().to_string(), error);
    match aside {
        None => Err(failed.into()),
        Some(aside) => match put_back(folder, &aside) {
            Ok(()) => Err(failed.into()),
            Err(error) => Err(Failed::Ledger(format!(
                "{failed}; what was there is in {} and could not be put back ({error}): move it back by hand, or restore again",
                aside.display()
            ))),
        },
    }
}

/// Moves the ledger and all that follows from it into a folder of its own; contents stay where they are.
fn set_aside(folder: &DataFolder, aside: &Path) -> std::io::Result<()> {
    move_all(folder.path(), aside)?;
    sync_folder(aside).and_then(|()| sync_folder(folder.path()))
}

/// Moves what was set aside back.
fn put_back(folder: &DataFolder, aside: &Path) -> std::io::Result<()> {
    move_all(aside, folder.path())?;
    fs::remove_dir(aside)?;
    sync_folder(folder.path())
}

fn move_all(from: &Path, to: &Path) -> std::io::Result<()> {
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "witness", "cache"] {
        match fs::rename(from.join(name), to.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Where ledgers are that were replaced, from the folder on, in the order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn replaced(folder: &DataFolder) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(REPLACED) && entry.file_type()?.is_dir() {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn scratch() -> (Scratch, DataFolder) {
        let path = std::env::temp_dir().join(format!("desk-backup-{:016x}", Ids::system().random_u64()));
        let folder = DataFolder::open(&path).unwrap();
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "witness"] {
            fs::write(folder.join(name), format!("old {name}")).unwrap();
        }
        (Scratch(path), folder)
    }

    #[test]
    fn a_ledger_that_cannot_be_exchanged_is_put_back_with_all_that_belongs_to_it() {
        let (_scratch, folder) = scratch();
        // The new one is gone.
        let failed = exchange(&folder, &folder.join("none"), true, 7).unwrap_err().to_string();
        assert!(!failed.contains('\n'), "{failed}");
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "witness"] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), format!("old {name}"));
        }
        assert_eq!(replaced(&folder).unwrap(), [""; 0]);
        // There is something where it was to be set aside: nothing is moved.
        fs::create_dir(folder.join("replaced-7")).unwrap();
        fs::write(folder.join("replaced-7").join("ledger.sqlite"), "older").unwrap();
        fs::write(folder.join("part"), "new").unwrap();
        assert!(exchange(&folder, &folder.join("part"), true, 7).is_err());
        assert_eq!(fs::read_to_string(folder.database()).unwrap(), "old ledger.sqlite");
    }

    #[test]
    fn an_exchanged_ledger_leaves_the_old_one_aside_and_that_is_told() {
        let (_scratch, folder) = scratch();
        fs::write(folder.join("part"), "new").unwrap();
        let aside = exchange(&folder, &folder.join("part"), true, 8).unwrap().unwrap();
        assert_eq!(fs::read_to_string(folder.database()).unwrap(), "new");
        assert!(!folder.join("ledger.sqlite-wal").exists() && aside.join("witness").exists());
        assert_eq!(replaced(&folder).unwrap(), ["replaced-8"]);
    }
}
