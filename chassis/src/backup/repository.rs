//! A folder of backups that share their contents.
//!
//! `PROGRAM-MOMENT.backup` is one backup without its contents, `contents/ab/SHA256` a content that any of them may name. A content is
//! written aside, hashed on its way, read back, and then gets its name; one that is there is not written again, but read again
//! once a week, and mended from the site's own where it was lost.
//!
//! A content is removed only when every `*.backup` in the folder could be read, whoever made it or put it there, and none of them
//! names it.

use super::pack::{append, append_manifest, finish, manifest, settle};
use super::{
    BESIDE, BackupError, INSIDE, Keys, LEDGER, Member, PIECE_BYTES, Passphrase, SEALED, SHARING, Subject, Through,
    Written, contents, damaged, digest_of, io_at, open, part_of,
};
use crate::blobs::Sha256;
use crate::folder::{lock_file, sync_folder};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tar::Builder;

/// A content of the folder is read again on one of so many days.
const READ_AGAIN_DAYS: i64 = 7;
/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A folder of backups, for as long as one is made in it.
#[derive(Debug)]
pub struct Repository {
    folder: PathBuf,
    keys: Keys,
    /// None where the folder is on a share that has no locks.
    lock: Option<File>,
}

/// What became of contents that no backup names any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// So many were removed.
    Removed(u64),
    /// None was, for a backup that may name them cannot be read; why.
    Kept(String),
}

/// How it stands with a content of the site.
enum Content {
    /// It is in the folder.
    Whole(Member),
    /// Neither here nor there is it what its name says.
    Damaged(u64, Sha256),
    /// It was removed meanwhile: nothing named it.
    Gone,
}

/// Gives a content that cannot be opened a name that nothing is written to and nothing removed from.
fn set_aside(path: &Path) -> Result<(), BackupError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".unopened");
    fs::rename(path, &aside).map_err(io_at(path))
}

impl Repository {
    /// Takes the folder. With a passphrase its backups are encrypted; its key is made where it has none.
    ///
    /// # Errors
    /// When there is no such folder, somebody else has it, or the passphrase does not open its key.
    pub fn open(folder: &Path, passphrase: Option<Passphrase>) -> Result<Self, BackupError> {
        if !folder.is_dir() {
            return Err(BackupError::NoFolder(folder.display().to_string()));
        }
        let shared = folder.join(BESIDE);
        DirBuilder::new().recursive(true).mode(0o700).create(&shared).map_err(io_at(&shared))?;
        let lock = shared.join("lock");
        let file = lock_file(&lock).map_err(io_at(&lock))?;
        let lock = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(BackupError::UnderWay),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the folder of backups is on a file system without locks");
                None
            }
        };
        Ok(Self { folder: folder.to_owned(), keys: Keys::of_folder(folder, passphrase)?, lock })
    }

    /// How much of the contents below `blobs` the folder does not have yet, in bytes.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn lacking_bytes(&self, blobs: &Path) -> Result<u64, BackupError> {
        let mut lacking = 0;
        for (path, digest) in contents(blobs).map_err(io_at(blobs))? {
            if !self.folder.join(self.name_of(digest)).is_file() {
                lacking += path.metadata().map_or(0, |about| about.len());
            }
        }
        Ok(lacking)
    }

    /// Writes what the folder lacks of the contents, and then the backup `to`, which is in it; reads back what it has written.
    /// Blocks. `progress` hears of each content.
    ///
    /// # Errors
    /// [`BackupError`]; there is no `to` then, and contents that nothing names stay until a later backup.
    pub fn write(
        &self,
        subject: &Subject<'_>,
        to: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written, BackupError> {
        let today = subject.made_ms.div_euclid(DAY_MS);
        let ledger = File::open(subject.ledger).map_err(io_at(subject.ledger))?;
        let (size_bytes, sha256) = digest_of(ledger).map_err(io_at(subject.ledger))?;
        let mut inside = vec![Member { name: LEDGER.to_owned(), size_bytes, sha256 }];
        let mut sources = vec![subject.ledger.to_owned()];
        let (mut beside, mut bad, mut touched) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (path, name) in contents(subject.blobs).map_err(io_at(subject.blobs))? {
            match self.keep(&path, name, today, &mut touched)? {
                Content::Whole(member) => beside.push(member),
                Content::Damaged(size_bytes, sha256) => {
                    bad.push(name);
                    inside.push(Member { name: format!("{INSIDE}{name}"), size_bytes, sha256 });
                    sources.push(path);
                }
                Content::Gone => {}
            }
            progress((inside.len() + beside.len()) as u64);
        }
        for folder in &touched {
            sync_folder(folder).map_err(io_at(folder))?;
        }
        settle(to, &self.keys, |part| {
            let members = inside.iter().cloned().chain(beside).collect();
            let manifest = manifest(subject, SHARING, members);
            let mut tar = Builder::new(self.keys.create(part)?);
            append_manifest(&mut tar, &manifest, part)?;
            for (member, from) in inside.iter().zip(&sources) {
                if append(&mut tar, member.name.clone(), from, part)? != *member {
                    return Err(damaged(from, "it changed while it was read"));
                }
            }
            finish(tar, part)?;
            // Somebody may have tidied the folder meanwhile.
            if let Some(gone) =
                manifest.members.iter().skip(inside.len()).find(|one| !self.folder.join(&one.name).is_file())
            {
                return Err(damaged(to, format!("{} was removed while it was made", gone.name)));
            }
            Ok(Written { manifest, damaged: bad })
        })
    }

    /// Removes the contents that no backup in the folder names. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read, or one cannot be removed.
    pub fn sweep(&self) -> Result<Swept, BackupError> {
        if self.lock.is_none() {
            let why = "its file system knows no locks, so another site may be writing into it";
            return Ok(Swept::Kept(format!("{}: {why}", self.folder.display())));
        }
        let mut named = HashSet::new();
        for entry in fs::read_dir(&self.folder).map_err(io_at(&self.folder))? {
            let path = entry.map_err(io_at(&self.folder))?.path();
            if path.extension().is_none_or(|end| end != "backup") {
                continue;
            }
            match open::named_beside(&path, &self.keys) {
                Ok(names) => named.extend(names),
                Err(error) => return Ok(Swept::Kept(error.to_string())),
            }
        }
        let mut removed = 0;
        let shared = self.folder.join(BESIDE);
        for first in 0..=u8::MAX {
            let folder = shared.join(format!("{first:02x}"));
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io_at(&folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(io_at(&folder))?;
                let file = entry.file_name().to_string_lossy().into_owned();
                let name = file.strip_suffix(".part").unwrap_or(&file);
                let is_ours = name.strip_suffix(SEALED).unwrap_or(name).parse::<Sha256>().is_ok();
                // A part is of a backup that was cut off.
                let stays = name == file && named.contains(&format!("{BESIDE}{first:02x}/{file}"));
                if is_ours && !stays {
                    fs::remove_file(entry.path()).map_err(io_at(&entry.path()))?;
                    removed += u64::from(name == file);
                }
            }
        }
        Ok(Swept::Removed(removed))
    }

    /// Where a content lies, from the folder on.
    fn name_of(&self, digest: Sha256) -> String {
        let (text, end) = (digest.to_string(), if self.keys.seals() { SEALED } else { "" });
        format!("{BESIDE}{}/{text}{end}", &text[..2])
    }

    fn is_whole(&self, path: &Path, name: Sha256) -> Result<bool, BackupError> {
        let bytes: Result<Box<dyn Read>, BackupError> = if self.keys.seals() {
            self.keys.unseal(path)
        } else {
            let file = File::open(path).map_err(io_at(path));
            file.map(|file| Box::new(BufReader::with_capacity(PIECE_BYTES, file)) as Box<dyn Read>)
        };
        match bytes {
            Ok(bytes) => Ok(digest_of(bytes).is_ok_and(|(_, sha256)| sha256 == name)),
            // It may be whole, for somebody who has the other key.
            Err(error @ (BackupError::Io(..) | BackupError::AnotherKey(..))) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Sees to it that a content of the site is in the folder.
    fn keep(
        &self,
        from: &Path,
        name: Sha256,
        today: i64,
        touched: &mut BTreeSet<PathBuf>,
    ) -> Result<Content, BackupError> {
        let member = Member { name: self.name_of(name), size_bytes: 0, sha256: name };
        let to = self.folder.join(&member.name);
        let is_there = to.is_file();
        let is_due = i64::from(name.as_bytes()[0]) % READ_AGAIN_DAYS == today.rem_euclid(READ_AGAIN_DAYS);
        let is_kept = match is_there {
            true if is_due => self.is_whole(&to, name).or_else(|error| match error {
                BackupError::AnotherKey(_) => set_aside(&to).map(|()| false),
                error => Err(error),
            })?,
            is_there => is_there,
        };
        if is_kept {
            let Ok(about) = from.metadata() else {
                return Ok(Content::Gone);
            };
            return Ok(Content::Whole(Member { size_bytes: about.len(), ..member }));
        }
        if is_there {
            tracing::error!(content = %name, "a content in the folder of backups is damaged, and is written again");
        }
        let file = match File::open(from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Gone),
            Err(error) => return Err(io_at(from)(error)),
        };
        let folder = super::folder_of(&to);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_at(folder))?;
        touched.extend([folder.to_owned(), self.folder.join(BESIDE)]);
        let part = part_of(&to);
        let _ = fs::remove_file(&part);
        let written = self.copy(file, &part).and_then(|(size_bytes, sha256)| {
            if sha256 != name {
                return Ok(Content::Damaged(size_bytes, sha256));
            }
            if !self.is_whole(&part, name)? {
                return Err(damaged(&part, "it reads back differently"));
            }
            fs::rename(&part, &to).map_err(io_at(&to))?;
            Ok(Content::Whole(Member { size_bytes, ..member }))
        });
        let _ = fs::remove_file(&part);
        if matches!(written, Ok(Content::Damaged(..))) {
            // Kept as it is: it may be all that is left of it.
            tracing::error!(content = %name, "a content is damaged; the backup holds it as it is");
        }
        written
    }

    fn copy(&self, from: File, part: &Path) -> Result<(u64, Sha256), BackupError> {
        let mut through = Through::new(BufReader::with_capacity(PIECE_BYTES, from));
        let mut file = self.keys.create(part)?;
        io::copy(&mut through, &mut file).map_err(io_at(part))?;
        file.end().map_err(io_at(part))?;
        Ok(through.end())
    }
}
