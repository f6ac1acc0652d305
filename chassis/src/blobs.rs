//! File content by its SHA-256: evidence that is kept byte for byte.
//!
//! Layout: `ROOT/ab/abcdef…` (the whole digest as name) holds what is kept, `ROOT/incoming/ID` what is still being written.
//! Nothing in `ab/…` is ever changed.
//!
//! What makes it atomic: bytes are hashed while they are written; a file is synced, then renamed to its digest, then the
//! folder is synced. A name in `ab/…` therefore stands for whole content, whatever the power does. A part in `incoming`
//! counts only as far as its owner has noted an offset that was synced ([`Incoming::sync`]); what lies behind is cut off
//! when it is taken up again.
//!
//! What is found to be something else than its name says is moved to `ROOT/damaged/NAME-…` ([`Blobs::set_aside`]), never deleted.
//!
//! At start there is nothing to do. Parts whose owner is gone are told by age ([`Blobs::stale_parts`]); so is content that was kept
//! for something that did not come about ([`Blobs::resting`], [`Blobs::remove_resting`]).
//!
//! Everything here waits for disks on the blocking threads, never on the async ones. A store elsewhere (S3, say) would stand
//! behind the same verbs.

mod incoming;
mod read;
mod steps;

pub use incoming::{Incoming, Kept};
pub use read::Reading;
pub use steps::Steps;

use crate::disk::Guard;
use crate::heavy;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Where contents are kept that are not what their names say.
const DAMAGED: &str = "damaged";

/// The SHA-256 of some content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest as it is stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest as it is stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A text that is no SHA-256 in 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a SHA-256 in 64 lower-case hexadecimal characters")]
pub struct NoDigest;

impl std::str::FromStr for Sha256 {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Ok(c - b'0'),
            b'a'..=b'f' => Ok(c - b'a' + 10),
            _ => Err(NoDigest),
        };
        let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NoDigest)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// A folder of contents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: Arc<PathBuf>,
    /// Held for the moment in which a content is found to be there, or removed because nobody named it for long.
    gate: Arc<Mutex<()>>,
    guard: Guard,
}

impl Blobs {
    /// The folder `root`, made where there is none, readable to its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        make(&root.join("incoming"))?;
        make(&root.join(DAMAGED))?;
        // All at once, so that none is ever made while somebody waits for an answer.
        for first in 0..=u8::MAX {
            make(&root.join(format!("{first:02x}")))?;
        }
        File::open(root)?.sync_all()?;
        Ok(Self { root: Arc::new(root.to_owned()), gate: Arc::default(), guard: Guard::default() })
    }

    /// The same folder, into which nothing is written while `guard` says that there is no room.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// What watches the room of its disk.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Where the content with that digest is, or would be.
    #[must_use]
    pub fn path(&self, digest: Sha256) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(name)
    }

    fn part(&self, id: Uuid) -> PathBuf {
        self.root.join("incoming").join(id.hyphenated().to_string())
    }

    /// Whether the content is here.
    pub async fn contains(&self, digest: Sha256) -> bool {
        let path = self.path(digest);
        off(move || fs::exists(path)).await.unwrap_or(false)
    }

    /// Reads the whole content and compares: false where it is damaged or gone.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn verify(&self, digest: Sha256) -> io::Result<bool> {
        let path = self.path(digest);
        off(move || match File::open(path) {
            Ok(file) => Ok(digest_of(file)?.1 == digest),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    /// Moves a content aside that is not what its name says, and answers what it is called there; `None` where it is whole, or
    /// not here. `tag` makes the name another one than that of an earlier time.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn set_aside(&self, digest: Sha256, tag: i64) -> io::Result<Option<String>> {
        let (path, gate, root) = (self.path(digest), Arc::clone(&self.gate), Arc::clone(&self.root));
        off(move || {
            // Not while somebody puts the right bytes in its place.
            let _gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            match File::open(&path) {
                Ok(file) => {
                    if digest_of(file)?.1 == digest {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
            let (folder, name) = (root.join(DAMAGED), format!("{digest}-{tag}"));
            fs::rename(&path, folder.join(&name))?;
            File::open(folder)?.sync_all()?;
            if let Some(from) = path.parent() {
                File::open(from)?.sync_all()?;
            }
            Ok(Some(name))
        })
        .await
    }

    /// Keeps `bytes` that are in memory already.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub async fn put(&self, id: Uuid, bytes: Vec<u8>) -> io::Result<Kept> {
        let mut incoming = self.begin(id).await?;
        incoming.write(bytes.into()).await?;
        incoming.keep(None).await
    }

    /// Removes a content; fine where there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove(&self, digest: Sha256) -> io::Result<()> {
        let path = self.path(digest);
        off(move || gone_is_fine(fs::remove_file(path))).await
    }

    /// Removes what was set aside of a content; fine where nothing was.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_aside(&self, digest: Sha256) -> io::Result<()> {
        let (folder, prefix) = (self.root.join(DAMAGED), format!("{digest}-"));
        off(move || {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
                    gone_is_fine(fs::remove_file(entry.path()))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Contents that were kept, or found to be there, longer than `age` ago, from those whose digest begins with the byte
    /// `first`. `now`: by the clock of the file system.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn resting(&self, first: u8, now: SystemTime, age: Duration) -> io::Result<Vec<Sha256>> {
        let folder = self.root.join(format!("{first:02x}"));
        off(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some(digest) = digest.filter(|_| is_older(&entry.path(), now, age).unwrap_or(false)) {
                    found.push(digest);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Removes a content that nobody names, unless it was found to be there meanwhile: whoever did will name it.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_resting(&self, digest: Sha256, now: SystemTime, age: Duration) -> io::Result<bool> {
        let (path, gate) = (self.path(digest), Arc::clone(&self.gate));
        off(move || {
            let _gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = is_older(&path, now, age)?;
            if gone {
                gone_is_fine(fs::remove_file(&path))?;
            }
            Ok(gone)
        })
        .await
    }

    /// How long the part that `id` wrote is; none: 0. Not all of it need have been synced: for who checks the whole by
    /// its digest.
    pub async fn part_length(&self, id: Uuid) -> u64 {
        let part = self.part(id);
        off(move || fs::metadata(part)).await.map_or(0, |part| part.len())
    }

    /// Removes the part that `id` wrote; fine where there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn discard(&self, id: Uuid) -> io::Result<()> {
        let part = self.part(id);
        off(move || gone_is_fine(fs::remove_file(part))).await
    }

    /// Parts that nobody wrote to for `age`: cut off, unless their owner means to go on. `now`: by the clock of the file system.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn stale_parts(&self, now: SystemTime, age: Duration) -> io::Result<Vec<Uuid>> {
        let folder = self.root.join("incoming");
        off(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let id = entry.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
                if let Some(id) = id.filter(|_| is_older(&entry.path(), now, age).unwrap_or(false)) {
                    found.push(id);
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Runs `job` where it may wait.
async fn off<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    heavy::run(job).await.unwrap_or_else(|failed| Err(io::Error::other(failed)))
}

/// Every content's file and digest below `root`, in the order of the digests. Blocks.
///
/// # Errors
/// When the folder cannot be read.
pub fn contents(root: &Path) -> io::Result<Vec<(PathBuf, Sha256)>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?;
        if folder.file_name() == "incoming" || !folder.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let digest = entry.file_name().to_string_lossy().parse::<Sha256>();
            if let (true, Ok(digest)) = (entry.file_type()?.is_file(), digest) {
                found.push((entry.path(), digest));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Length and digest of all that comes `from` there. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(mut from: impl io::Read) -> io::Result<(u64, Sha256)> {
    let (hasher, length) = hashed(&mut from)?;
    Ok((length, Sha256(hasher.finalize().into())))
}

fn hashed(from: &mut impl io::Read) -> io::Result<(sha2::Sha256, u64)> {
    let (mut hasher, mut length) = (sha2::Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((hasher, length)),
            read => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

fn is_older(path: &Path, now: SystemTime, age: Duration) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(about) => Ok(about.is_file() && about.modified()?.checked_add(age).is_some_and(|until| until < now)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
