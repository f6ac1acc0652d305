//! A data folder in one file, or in a folder of backups that share their contents, and back.
//!
//! One file ([`write`], format 1): a tar. First `ledger.sqlite`, a consistent copy of the database; then `blobs/SHA256`, every
//! content that was there; last `manifest.json`, which names all of them with length and digest. So it can be written in one go
//! while the folder is served, and whatever breaks off has no manifest.
//!
//! One of a folder ([`Repository`], format 2): a tar of `manifest.json`, `ledger.sqlite`, and what is damaged of the contents. The
//! others lie beside it, each once however many backups name it: `contents/ab/SHA256`. The manifest is the first, so that what a
//! backup names is found out without reading all of it.
//!
//! Encrypted, each file is an age file (see [`Keys`]): one file for the passphrase; a folder's for a key of its own, which lies
//! there as `key.age`, for the passphrase. Contents are `contents/ab/SHA256.age` then.
//!
//! What makes it safe: it is written under another name, flushed, read back and checked whole, and only then gets its own. It
//! is checked whole again before a single byte of it is unpacked; the database gets its name last, so that a folder in which
//! unpacking was cut off still counts as empty. Names other than the ones above, links and special files are refused.

pub mod copies;
mod open;
mod pack;
mod repository;
pub mod room;
mod seal;
pub mod series;
mod unpack;

pub use open::verify;
pub use pack::write;
pub use repository::{Repository, Swept};
pub use seal::{Keys, Passphrase, PassphraseFrom};
pub use unpack::unpack;

use crate::blobs::{Sha256, contents, digest_of};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The layout of one file with everything in it.
const SINGLE: u32 = 1;
/// The layout of one whose contents lie beside it.
const SHARING: u32 = 2;
/// The database.
const LEDGER: &str = "ledger.sqlite";
/// What everything is named in.
const MANIFEST: &str = "manifest.json";
/// Where contents lie in a tar.
const INSIDE: &str = "blobs/";
/// Where contents lie beside one.
const BESIDE: &str = "contents/";
/// How the name of an encrypted content ends.
const SEALED: &str = ".age";
/// The largest manifest that is read, in bytes: a million contents.
const MAX_MANIFEST_BYTES: u64 = 256 * 1024 * 1024;
/// What is read or written at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// What is backed up: a copy of the ledger that nobody writes to, and the contents below a folder.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Which program's folder it is.
    pub program: &'a str,
    /// That program's version.
    pub version: &'a str,
    /// Now; milliseconds since 1970.
    pub made_ms: i64,
    /// The copy.
    pub ledger: &'a Path,
    /// The folder of contents.
    pub blobs: &'a Path,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout's version.
    pub format: u32,
    /// Which program's folder it was.
    pub program: String,
    /// That program's version.
    pub version: String,
    /// When it was made; milliseconds since 1970.
    pub made_ms: i64,
    /// Everything in it, and then everything that lies beside it.
    pub members: Vec<Member>,
}

impl Manifest {
    /// How long its members are, all together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.size_bytes).sum()
    }
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `ledger.sqlite`, `blobs/SHA256`, or `contents/ab/SHA256` beside the backup, with `.age` where it is encrypted there.
    pub name: String,
    /// Its length, unencrypted.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl Member {
    /// Whether it lies beside the backup.
    fn is_beside(&self) -> bool {
        self.name.starts_with(BESIDE)
    }
}

/// What was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What the backup holds.
    pub manifest: Manifest,
    /// Contents of the site that are not what their names say. The backup holds them as they are, or a whole one of before.
    pub damaged: Vec<Sha256>,
}

/// Why there is no backup, or nothing was restored; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Reading or writing failed.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The file, or the folder that it is to be in, is not there.
    #[error("there is no {0}, or no folder for it: check the name, and that what belongs there is mounted")]
    Missing(String),
    /// The file is there already.
    #[error("{0} is there already and is not overwritten; name another file")]
    Exists(String),
    /// The file is no whole backup.
    #[error("{0} is no whole backup: {1}; nothing was changed, use another one")]
    Damaged(String, String),
    /// It is another program's.
    #[error("{0} is a backup of {1}, and this is {2}")]
    Another(String, String, &'static str),
    /// It was made by a newer version.
    #[error("{0} was made by a newer version (format {1}); install that version first")]
    Newer(String, u32),
    /// There is no folder to make it in.
    #[error("there is no folder {0}; make it, mount what belongs there, or name another one")]
    NoFolder(String),
    /// Another one is being made.
    #[error("another scheduled backup of this folder is under way; wait for it")]
    UnderWay,
    /// There is no room for it, or for what is in it.
    #[error("there is no room for that in {place}: {} MiB have to be free, and {} MiB are; make room, or name another place", needed_bytes >> 20, free_bytes >> 20)]
    NoRoom {
        /// The folder.
        place: String,
        /// What it takes.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// It is encrypted, and there is no passphrase.
    #[error("{0} is encrypted; give its passphrase with --passphrase-file FILE or --passphrase-stdin")]
    Sealed(String),
    /// The folder's backups are encrypted, and there is no passphrase.
    #[error("the backups in {0} are encrypted; set backup.passphrase_file, or name another folder")]
    SealedFolder(String),
    /// The passphrase is another one.
    #[error(
        "the passphrase does not open {0}; give the one it was made with, and if this is that one, its beginning is damaged; nothing was changed"
    )]
    WrongPassphrase(String),
    /// The key beside it is another one.
    #[error(
        "{0} belongs to another key than the key.age beside it; put it back into the folder that it was made in; nothing was changed"
    )]
    AnotherKey(String),
    /// The key is not beside it.
    #[error(
        "{0} needs the key.age of the folder that it was made in, and contents, too; put it back there; nothing was changed"
    )]
    NoKey(String),
    /// Files in a folder are encrypted with its key, and that is not there.
    #[error(
        "{0} is encrypted with a key.age that is not in its folder any more; put that file back, or name another folder"
    )]
    LostKey(String),
    /// The passphrase cannot be used.
    #[error("{0}")]
    Passphrase(String),
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => BackupError::Missing(path.display().to_string()),
        _ => BackupError::Io(path.display().to_string(), error),
    }
}

/// Longest reason for damage that is told, in characters.
const MOST_TOLD: usize = 120;

fn damaged(path: &Path, why: impl Into<String>) -> BackupError {
    // Whoever reads archives puts pieces of them into what it says.
    let told = why.into().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TOLD).collect();
    BackupError::Damaged(path.display().to_string(), told)
}

/// Counts and hashes what goes through it.
struct Through<R> {
    from: R,
    hasher: sha2::Sha256,
    size_bytes: u64,
}

impl<R: Read> Through<R> {
    fn new(from: R) -> Self {
        Self { from, hasher: sha2::Sha256::new(), size_bytes: 0 }
    }

    fn end(self) -> (u64, Sha256) {
        (self.size_bytes, Sha256::from_bytes(self.hasher.finalize().into()))
    }
}

impl<R: Read> Read for Through<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hasher.update(&into[..read]);
        self.size_bytes += read as u64;
        Ok(read)
    }
}

/// Gives `part`, which is whole, the name `to`, not over a file that has it. Memory sticks and some shares know no second name for a
/// file: there it is looked for one, and `part` is renamed.
pub(crate) fn take_name(part: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(part, to).or_else(|error| {
        if to.symlink_metadata().is_ok() {
            return Err(error);
        }
        fs::rename(part, to)
    })
}

/// The name under which the backup `to` is written.
pub(crate) fn part_of(to: &Path) -> PathBuf {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
