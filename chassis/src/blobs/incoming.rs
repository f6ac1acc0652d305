//! Content that is being written.

use super::{Blobs, Sha256, digest_of, hashed, off};
use bytes::{Bytes, BytesMut};
use sha2::Digest as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How much is gathered before a blocking thread is asked to hash and write it.
const GATHER_BYTES: usize = 512 * 1024;

/// Content that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its digest.
    pub sha256: Sha256,
    /// Its length.
    pub size_bytes: u64,
    /// Whether it had been here before.
    pub already: bool,
}

/// What a blocking thread works on.
struct Part {
    file: File,
    hasher: sha2::Sha256,
}

/// A part being written. Hashing and writing one portion go on while the next one is gathered.
pub struct Incoming {
    blobs: Blobs,
    id: Uuid,
    /// `None` while a blocking thread has it, or after that failed.
    part: Option<Part>,
    working: Option<JoinHandle<io::Result<Part>>>,
    gathered: BytesMut,
    length: u64,
}

impl Blobs {
    /// Begins a part of its own name; one that is there already is begun anew.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn begin(&self, id: Uuid) -> io::Result<Incoming> {
        self.resume(id, 0).await
    }

    /// Goes on with the part `id` behind its first `at` bytes, which had been synced: they are read again for the digest,
    /// and whatever lies behind them is cut off.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the part is shorter than that or gone; when the disk fails.
    pub async fn resume(&self, id: Uuid, at: u64) -> io::Result<Incoming> {
        let path = self.part(id);
        let part = off(move || {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
            let (hasher, length) = hashed(&mut (&mut file).take(at))?;
            if length < at {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a part of an upload is not on the disk any more",
                ));
            }
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            Ok(Part { file, hasher })
        })
        .await?;
        Ok(Incoming {
            blobs: self.clone(),
            id,
            part: Some(part),
            working: None,
            gathered: BytesMut::new(),
            length: at,
        })
    }
}

impl Incoming {
    /// How long it is so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// When the disk fails or is full, or has no room for contents ([`crate::disk::NoRoom`]); then only [`Incoming::discard`] is left.
    pub async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.blobs.guard.go_on()?;
        self.length += bytes.len() as u64;
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= GATHER_BYTES {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Gives what is gathered to a blocking thread, once that has done with the portion before.
    async fn hand_over(&mut self) -> io::Result<()> {
        let mut part = self.take_part().await?;
        let portion = self.gathered.split().freeze();
        self.working = Some(tokio::spawn(off(move || {
            part.hasher.update(&portion);
            part.file.write_all(&portion)?;
            Ok(part)
        })));
        Ok(())
    }

    async fn take_part(&mut self) -> io::Result<Part> {
        if let Some(working) = self.working.take() {
            let worked = working.await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
            if worked.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
                self.blobs.guard.doubt();
            }
            return worked;
        }
        self.part.take().ok_or_else(|| io::Error::other("writing this part has failed before"))
    }

    async fn written(&mut self) -> io::Result<Part> {
        if !self.gathered.is_empty() {
            self.hand_over().await?;
        }
        self.take_part().await
    }

    /// Waits until everything is on the disk; answers the length, which may be noted as durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn sync(&mut self) -> io::Result<u64> {
        let part = self.written().await?;
        self.part = Some(
            off(move || {
                part.file.sync_data()?;
                Ok(part)
            })
            .await?,
        );
        Ok(self.length)
    }

    /// The digest of what is written so far.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn digest(&mut self) -> io::Result<Sha256> {
        let part = self.written().await?;
        let digest = Sha256(part.hasher.clone().finalize().into());
        self.part = Some(part);
        Ok(digest)
    }

    /// Keeps the part under its digest, durable on return.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where it is not what was `expected` (the part is removed); when the disk fails.
    pub async fn keep(mut self, expected: Option<Sha256>) -> io::Result<Kept> {
        let part = self.written().await?;
        let (blobs, from, size_bytes) = (self.blobs.clone(), self.blobs.part(self.id), self.length);
        off(move || {
            let sha256 = Sha256(part.hasher.finalize().into());
            if expected.is_some_and(|expected| expected != sha256) {
                fs::remove_file(from)?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content is not what it was said to be"));
            }
            let to = blobs.path(sha256);
            let Some(folder) = to.parent() else {
                return Err(io::Error::other("a blob has a folder"));
            };
            let already = is_there(&blobs, &to, size_bytes, sha256, fs::metadata(&from)?.modified()?)?;
            if already {
                fs::remove_file(from)?;
            } else {
                part.file.sync_all()?;
                fs::rename(from, &to)?;
            }
            // For one that is there, too: whoever put it there may not have come so far yet.
            File::open(folder)?.sync_all()?;
            Ok(Kept { sha256, size_bytes, already })
        })
        .await
    }

    /// Gives the part up.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn discard(mut self) -> io::Result<()> {
        // Whatever came of the writing does not matter any more.
        let _ = self.take_part().await;
        self.blobs.discard(self.id).await
    }
}

/// Whether the content is there, whole. It is young again then, by the clock of the file system: it will be named in a moment. One
/// that is damaged is to be replaced: the bytes at hand are known to be right.
fn is_there(blobs: &Blobs, to: &Path, size_bytes: u64, sha256: Sha256, now: SystemTime) -> io::Result<bool> {
    let _gate = blobs.gate.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(there) = File::open(to) else { return Ok(false) };
    if there.metadata()?.len() != size_bytes || digest_of(there)?.1 != sha256 {
        return Ok(false);
    }
    File::open(to)?.set_modified(now)?;
    Ok(true)
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
