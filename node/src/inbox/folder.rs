//! The folder itself: what is in it, and moving things about. Everything here waits for a disk.

use chassis::folder::sync_folder;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most files in one look; the rest has its turn when these are gone.
const MOST_SEEN: usize = 100_000;
/// How many folders deep files are looked for.
const DEEPEST: u32 = 4;
/// Where things go that were taken, and that were not.
const DONE: &str = "done";
const FAILED: &str = "failed";
/// File systems of other machines: they tell of nothing.
const REMOTE: [&str; 9] = ["9p", "afs", "cifs", "davfs", "fuse.sshfs", "nfs", "nfs4", "smb3", "vboxsf"];
/// What programs call a file while they write it, and what systems leave about.
const UNFINISHED: [&str; 6] = [".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart"];
const LITTER: [&str; 3] = ["thumbs.db", "desktop.ini", "ehthumbs.db"];

/// What is seen of a file without opening it; another one means that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size_bytes: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
}

impl From<&Metadata> for Seen {
    fn from(about: &Metadata) -> Self {
        Self {
            size_bytes: about.len(),
            modified: about.modified().ok(),
            inode: (about.dev(), about.ino()),
        }
    }
}

/// A file in the folder.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The folders below the drop folder, where it is in one, with `/` between them.
    pub(super) folder: Option<String>,
    pub(super) name: String,
    pub(super) seen: Seen,
}

/// Makes the folder; whether it is on another machine.
pub(super) fn prepare(root: &Path) -> io::Result<bool> {
    for folder in [root.to_owned(), root.join(DONE), root.join(FAILED)] {
        fs::create_dir_all(&folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    }
    let root = root.canonicalize()?;
    // A machine without /proc is taken to be its own.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    Ok(is_remote(&mounts, &root))
}

fn is_remote(mounts: &str, path: &Path) -> bool {
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        path.starts_with(at).then_some((at.len(), kind))
    });
    mounted.max_by_key(|(length, _)| *length).is_some_and(|(_, kind)| REMOTE.contains(&kind))
}

/// The files in the folder and in the folders below it, by name.
pub(super) fn look(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut below = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
            tracing::debug!(file = ?entry.file_name(), "a name that is no text is left alone");
            continue;
        };
        // Of the entry itself: a link is neither a file nor a folder here.
        let kind = entry.file_type()?;
        if kind.is_dir() && name != DONE && name != FAILED && !name.starts_with('.') {
            below.push((name, entry.path()));
        } else if kind.is_file() && is_meant(&name) && found.len() < MOST_SEEN {
            add(&mut found, entry.path(), None, name)?;
        }
    }
    for (folder, path) in below {
        // One folder that cannot be read must not hold up all others.
        if let Err(error) = look_below(&path, &folder, 1, &mut found) {
            tracing::warn!(%error, folder = %path.display(), "a folder in the drop folder cannot be read; make it readable to this program");
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The files of a folder in the drop folder, and of those below it: cameras put theirs into several.
fn look_below(path: &Path, folder: &str, depth: u32, found: &mut Vec<Found>) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
            continue;
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEEPEST && !name.starts_with('.') {
            look_below(&entry.path(), &format!("{folder}/{name}"), depth + 1, found)?;
        } else if kind.is_file() && is_meant(&name) && found.len() < MOST_SEEN {
            add(found, entry.path(), Some(folder.to_owned()), name)?;
        }
    }
    Ok(())
}

fn add(found: &mut Vec<Found>, path: PathBuf, folder: Option<String>, name: String) -> io::Result<()> {
    match fs::symlink_metadata(&path) {
        Ok(about) => found.push(Found { seen: Seen::from(&about), path, folder, name }),
        // Gone since the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether a file of that name is meant to be taken.
fn is_meant(name: &str) -> bool {
    let lower = name.to_lowercase();
    !lower.starts_with('.')
        && !lower.starts_with('~')
        && !lower.ends_with('~')
        && !LITTER.contains(&lower.as_str())
        && !UNFINISHED.iter().any(|end| lower.ends_with(end))
}

/// Whether the file is still what was seen, though not by its name alone.
pub(super) fn still(file: &File, seen: Seen) -> io::Result<bool> {
    Ok(Seen::from(&file.metadata()?) == seen)
}

/// Opens a file, not what a link leads to.
pub(super) fn open(path: &Path) -> io::Result<(File, Seen)> {
    let file = File::open(path)?;
    let (about, entry) = (file.metadata()?, fs::symlink_metadata(path)?);
    if !entry.is_file() || Seen::from(&about).inode != Seen::from(&entry).inode {
        return Err(io::Error::other("it is a link; put the file itself there"));
    }
    Ok((file, Seen::from(&about)))
}

/// What in a name may name an incident: an id or a reference at its beginning.
pub(super) fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let stem = text.split_once('.').map_or(text, |(stem, _)| stem);
    let first = stem.split([' ', '_', '(', ',']).next().unwrap_or_default();
    // A reference has four parts; an id has five. Whatever hangs on behind it with a dash is cut off.
    let cut = |parts: usize| stem.match_indices('-').nth(parts - 1).map_or(first, |(at, _)| &stem[..at]);
    let looks_like = |word: &&str| {
        uuid::Uuid::try_parse(word).is_ok() || word.split('-').count() >= 4 && word.len() <= 40 && word.is_ascii()
    };
    let mut words = vec![first, cut(4), cut(5)];
    words.dedup();
    words.into_iter().filter(looks_like)
}

/// Moves a file away: to `done`, or with the reason why not beside it to `failed`. One that was replaced since it was read stays;
/// false then.
pub(super) fn put_away(root: &Path, file: &Found, reason: Option<&str>) -> io::Result<bool> {
    let mut to = root.join(if reason.is_some() { FAILED } else { DONE });
    if let Some(folder) = &file.folder {
        to.push(folder);
        fs::create_dir_all(&to)?;
    }
    let target = free(&to, &file.name)?;
    let is_it = |path: &Path| match fs::symlink_metadata(path) {
        Ok(about) => Ok(Seen::from(&about) == file.seen),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    if !is_it(&file.path)? {
        return Ok(false);
    }
    fs::rename(&file.path, &target)?;
    if !is_it(&target)? {
        // Replaced in that very moment: back with it, it was not read.
        fs::rename(&target, &file.path)?;
        return Ok(false);
    }
    if let Some(reason) = reason {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".reason.txt");
        let mut note = File::create(target.with_file_name(name))?;
        writeln!(note, "{reason}")?;
        note.sync_all()?;
    }
    sync_folder(&to)?;
    Ok(true)
}

/// A name in `folder` that nothing has yet.
fn free(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let (stem, end) = name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
    for n in 1..10_000 {
        let name = if n == 1 { name.to_owned() } else { format!("{stem} ({n}){end}") };
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Err(io::Error::other("too many files of that name; clear the folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<&str> {
        names_in(text).collect()
    }

    #[test]
    fn a_reference_or_an_id_at_the_beginning_names_the_incident() {
        assert_eq!(named("042-2026-000017-K7"), ["042-2026-000017-K7"]);
        for name in ["042-2026-000017-K7.jpg", "042-2026-000017-K7 door.jpg", "042-2026-000017-K7_1.jpg"] {
            assert!(named(name).contains(&"042-2026-000017-K7"), "{name}: {:?}", named(name));
        }
        assert!(named("042-2026-000017-K7-door.jpg").contains(&"042-2026-000017-K7"));
        let id = "01975a3e-0000-7000-8000-000000000000";
        assert!(named(id).contains(&id) && named(&format!("{id}.png")).contains(&id));
        assert!(named(&format!("{id} 2.png")).contains(&id));
        assert!(named("IMG_0001.jpg").is_empty() && named("").is_empty());
    }

    #[test]
    fn what_is_half_written_or_litter_is_not_meant() {
        for name in ["a.jpg", "IMG 1.HEIC", "scan.pdf"] {
            assert!(is_meant(name), "{name}");
        }
        for name in [".a.jpg", "a.jpg.part", "a.tmp", "~$a.docx", "Thumbs.db", "a.jpg~", "x.crdownload"] {
            assert!(!is_meant(name), "{name}");
        }
    }

    #[test]
    fn a_folder_of_another_machine_is_known_by_its_mount() {
        let mounts = "/dev/sda / ext4 rw 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\n//pc/s /mnt/nas/local ext4 rw 0 0\n";
        for (path, remote) in [("/srv/inbox", false), ("/mnt/nas/inbox", true), ("/mnt/nas/local/i", false)] {
            assert_eq!(is_remote(mounts, Path::new(path)), remote, "{path}");
        }
    }
}
