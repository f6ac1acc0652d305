//! A data folder in one file, and back.
//!
//! Layout: a tar. First `ledger.sqlite`, a consistent copy of the database; then `blobs/SHA256`, every content that was there;
//! last `manifest.json`, which names all of them with length and digest. So it can be written in one go while the folder is
//! served, and whatever breaks off has no manifest.
//!
//! What makes it safe: it is written under another name, flushed, read back and checked whole, and only then gets its own. It
//! is checked whole again before a single byte of it is unpacked; the database gets its name last, so that a folder in which
//! unpacking was cut off still counts as empty. Names other than the ones above, links and special files are refused.

pub mod series;

use crate::blobs::Sha256;
use crate::folder::sync_folder;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// The version of the layout above.
const FORMAT: u32 = 1;
/// The database.
const LEDGER: &str = "ledger.sqlite";
/// What everything is named in.
const MANIFEST: &str = "manifest.json";
/// The largest manifest that is read, in bytes: a million contents.
const MAX_MANIFEST_BYTES: u64 = 256 * 1024 * 1024;

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
    /// Everything in it.
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
    /// `ledger.sqlite` or `blobs/SHA256`.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
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
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => BackupError::Missing(path.display().to_string()),
        _ => BackupError::Io(path.display().to_string(), error),
    }
}

fn damaged(path: &Path, why: impl Into<String>) -> BackupError {
    BackupError::Damaged(path.display().to_string(), why.into())
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

/// Writes a backup of `ledger` (a copy that nobody writes to) and the contents below `blobs` to `to`, and reads it back.
/// Blocks. `progress` hears of each content.
///
/// # Errors
/// [`BackupError`]; what was half-written is removed.
pub fn write(
    (program, version): (&str, &str),
    made_ms: i64,
    ledger: &Path,
    blobs: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Manifest, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.display().to_string()));
    }
    let part = part_of(to);
    let written = pack((program, version), made_ms, ledger, blobs, &part, progress)
        .and_then(|manifest| {
            if verify(&part)? == manifest {
                Ok(manifest)
            } else {
                Err(damaged(&part, "it reads back differently"))
            }
        })
        .and_then(|manifest| {
            // Not over a file that came meanwhile.
            take_name(&part, to).map_err(io_at(to))?;
            let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            sync_folder(folder).map_err(io_at(to))?;
            Ok(manifest)
        });
    let _ = fs::remove_file(&part);
    written
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

fn pack(
    (program, version): (&str, &str),
    made_ms: i64,
    ledger: &Path,
    blobs: &Path,
    part: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Manifest, BackupError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part).map_err(io_at(part))?;
    let mut tar = Builder::new(BufWriter::with_capacity(1 << 20, file));
    let mut members = vec![append(&mut tar, LEDGER.to_owned(), ledger, part)?];
    for path in contents(blobs).map_err(io_at(blobs))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match append(&mut tar, format!("blobs/{name}"), &path, part) {
            Ok(member) if member.sha256.to_string() != name => {
                // Kept as it is: it may be all that is left of it.
                tracing::error!(content = name, "a content is damaged; the backup holds it as it is");
                members.push(member);
            }
            Ok(member) => members.push(member),
            // Removed since the folder was read: nothing named it.
            Err(BackupError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
        progress(members.len() as u64);
    }
    let manifest = Manifest {
        format: FORMAT,
        program: program.to_owned(),
        version: version.to_owned(),
        made_ms,
        members,
    };
    let text = serde_json::to_vec(&manifest).map_err(|error| damaged(part, error.to_string()))?;
    let mut header = head(text.len() as u64);
    tar.append_data(&mut header, MANIFEST, text.as_slice()).map_err(io_at(part))?;
    let mut file = tar.into_inner().map_err(io_at(part))?;
    file.flush().map_err(io_at(part))?;
    file.get_ref().sync_all().map_err(io_at(part))?;
    Ok(manifest)
}

fn append(tar: &mut Builder<BufWriter<File>>, name: String, from: &Path, part: &Path) -> Result<Member, BackupError> {
    let file = File::open(from).map_err(io_at(from))?;
    let size_bytes = file.metadata().map_err(io_at(from))?.len();
    let mut through = Through::new(BufReader::with_capacity(1 << 20, file.take(size_bytes)));
    let mut header = head(size_bytes);
    tar.append_data(&mut header, &name, &mut through).map_err(io_at(part))?;
    let (read, sha256) = through.end();
    if read != size_bytes {
        return Err(damaged(from, "it became shorter while it was read"));
    }
    Ok(Member { name, size_bytes, sha256 })
}

fn head(size_bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size_bytes);
    header
}

/// Every content's file, in the order of the digests.
fn contents(blobs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(blobs)? {
        let folder = folder?;
        if folder.file_name() == "incoming" || !folder.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().parse::<Sha256>().is_ok() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a backup whole and compares it with what it says of itself. Blocks.
///
/// # Errors
/// [`BackupError`].
pub fn verify(from: &Path) -> Result<Manifest, BackupError> {
    walk(from, &mut |_, entry| {
        let mut through = Through::new(entry);
        io::copy(&mut through, &mut io::sink())?;
        Ok(through.end())
    })
}

type Take<'a> = &'a mut dyn FnMut(&str, &mut Entry<'_, BufReader<File>>) -> io::Result<(u64, Sha256)>;

/// Hands every member to `take`, which answers its length and digest, and compares with the manifest at the end.
fn walk(from: &Path, take: Take<'_>) -> Result<Manifest, BackupError> {
    let file = File::open(from).map_err(io_at(from))?;
    let mut archive = Archive::new(BufReader::with_capacity(1 << 20, file));
    let wrong = |error: io::Error| damaged(from, error.to_string());
    let mut found = Vec::new();
    let mut manifest = None;
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        if manifest.is_some() || entry.header().entry_type() != EntryType::Regular {
            return Err(damaged(from, "it holds something that does not belong there"));
        }
        let name = String::from_utf8(entry.path_bytes().into_owned());
        let name = name.map_err(|_| damaged(from, "it holds a name that is no text"))?;
        if name == MANIFEST {
            let mut text = Vec::new();
            entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut text).map_err(wrong)?;
            manifest = Some(text);
            continue;
        }
        let is_content = name.strip_prefix("blobs/").is_some_and(|digest| digest.parse::<Sha256>().is_ok());
        if !is_content && name != LEDGER {
            return Err(damaged(from, format!("it holds {name:?}, which does not belong there")));
        }
        let (size_bytes, sha256) = take(&name, &mut entry).map_err(wrong)?;
        found.push(Member { name, size_bytes, sha256 });
    }
    let text = manifest.ok_or_else(|| damaged(from, "it breaks off"))?;
    let format = serde_json::from_slice::<Format>(&text).map_err(|error| damaged(from, error.to_string()))?.format;
    if format > FORMAT {
        return Err(BackupError::Newer(from.display().to_string(), format));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(from, error.to_string()))?;
    if manifest.members != found || manifest.members.first().is_none_or(|first| first.name != LEDGER) {
        return Err(damaged(from, "what it holds is not what it says"));
    }
    Ok(manifest)
}

/// The one member that every later version has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Unpacks a backup of `program`: its contents below `blobs`, its database to `ledger`, a name that the folder's own
/// database does not have. Everything is flushed on return. Blocks.
///
/// # Errors
/// [`BackupError`]; the database is not there then.
pub fn unpack(program: &'static str, from: &Path, blobs: &Path, ledger: &Path) -> Result<Manifest, BackupError> {
    let manifest = verify(from)?;
    if manifest.program != program {
        return Err(BackupError::Another(from.display().to_string(), manifest.program, program));
    }
    let unpacked = walk(from, &mut |name, entry| {
        let to = match name.strip_prefix("blobs/") {
            Some(digest) => blobs.join(&digest[..2]).join(digest),
            None => ledger.to_owned(),
        };
        let _ = fs::remove_file(&to);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to)?;
        let mut through = Through::new(entry);
        io::copy(&mut through, &mut file)?;
        file.sync_all()?;
        Ok(through.end())
    });
    let flush = || {
        for first in 0..=u8::MAX {
            sync_folder(&blobs.join(format!("{first:02x}")))?;
        }
        Ok(())
    };
    let unpacked = unpacked.and_then(|again| {
        flush().map_err(io_at(blobs))?;
        // The file may have been exchanged between the two readings.
        if again == manifest {
            Ok(again)
        } else {
            Err(damaged(from, "it changed while it was read"))
        }
    });
    if unpacked.is_err() {
        let _ = fs::remove_file(ledger);
    }
    unpacked
}

#[cfg(test)]
mod tests;
