//! Uploads that go on where they were cut.
//!
//! Layout: what is known of an upload is a row behind [`UploadStore`]; its bytes are a part in the folder of [`Blobs`] under the
//! same id. Only what was synced is noted, so the noted offset never promises bytes that a power cut takes.
//!
//! What makes it safe: one request at a time writes to an upload. A newer one takes over: the older is told to stop, notes
//! what it has, and lets go, because after a cut line the older one usually waits for bytes that never come. When all is
//! there, the digest is noted first, then the content is kept, then its [`Destination`] takes it, and what that made of it is
//! noted last. Whoever asks after a crash in between gets the rest done first, so a destination may be asked twice and must not
//! mind.
//!
//! At start [`Uploads::recover`] finishes what was whole, and sweeps what expired.

mod append;

pub use append::{Appended, Checksum};

use crate::blobs::{Blobs, Incoming, Kept, Sha256};
use crate::clock::SharedClock;
use crate::disk::Content;
use crate::http::Problem;
use crate::ids::Ids;
use crate::pace::Pace;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Most uploads of one owner that are not finished.
pub const MOST_OPEN: usize = 200;
/// Most uploads whose digest so far is kept in memory while nobody writes to them.
const MOST_IDLE: usize = 64;
/// How many expired uploads are removed at a time.
const SWEEP: u32 = 100;

/// What the client says of an upload.
pub type Metadata = BTreeMap<String, String>;

/// An upload as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its address, hard to guess.
    pub id: Uuid,
    /// Who began it: nobody else learns of it.
    pub owner: String,
    /// How long it will be, in bytes.
    pub length_bytes: u64,
    /// How much of it is durable, in bytes.
    pub offset_bytes: u64,
    /// What the client said of it.
    pub metadata: Metadata,
    /// When it is forgotten unless more arrives; milliseconds since 1970.
    pub expires_ms: i64,
    /// Its digest, once whole.
    pub sha256: Option<Sha256>,
    /// What its destination made of it.
    pub result: Option<String>,
}

/// Where uploads are kept. Every verb is a durable transaction of its own.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// Adds an upload; false where its owner has `most` unfinished ones.
    async fn create(&self, upload: Upload, most: usize) -> Result<bool, UploadError>;
    /// One upload.
    async fn get(&self, id: Uuid) -> Result<Option<Upload>, UploadError>;
    /// The unfinished ones of an owner, oldest first.
    async fn open_of(&self, owner: &str) -> Result<Vec<Upload>, UploadError>;
    /// Notes that more is durable.
    async fn advance(&self, id: Uuid, offset_bytes: u64, expires_ms: i64) -> Result<(), UploadError>;
    /// Notes the digest of the whole.
    async fn whole(&self, id: Uuid, sha256: Sha256) -> Result<(), UploadError>;
    /// Notes what the destination made of it.
    async fn finish(&self, id: Uuid, result: String) -> Result<(), UploadError>;
    /// Removes an upload; fine where there is none.
    async fn remove(&self, id: Uuid) -> Result<(), UploadError>;
    /// How many bytes are durable of an unfinished upload that says in its description (`sha256`, in hexadecimal) that it will be
    /// that content; the furthest one of several.
    async fn arriving(&self, sha256: Sha256) -> Result<Option<u64>, UploadError>;
    /// Uploads that are whole and have no result, of owners whose name begins with `owners`.
    async fn unfinished(&self, owners: &'static str, limit: u32) -> Result<Vec<Upload>, UploadError>;
    /// Uploads that expired before `now_ms`, of owners whose name begins with `owners`.
    async fn expired(&self, owners: &'static str, now_ms: i64, limit: u32) -> Result<Vec<Uuid>, UploadError>;
}

/// What becomes of what arrives.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Whether `owner` may send something of that length and description: asked before any byte. The digest that the content
    /// must have, where that is known.
    async fn admit(&self, owner: &str, length_bytes: u64, metadata: &Metadata) -> Result<Option<Sha256>, Problem>;
    /// Takes what is kept; answers what it made of it, for the client. May be asked twice.
    async fn take(&self, upload: &Upload, kept: Kept) -> Result<String, Problem>;
    /// How fast bytes have to come; what comes more slowly is cut, and goes on from there.
    fn pace(&self) -> Pace {
        Pace::default()
    }
}

/// Why something cannot be done to an upload.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is none of that id for that owner.
    #[error("there is no such upload")]
    NotFound,
    /// It was not touched for too long.
    #[error("the upload expired: begin it anew")]
    Expired,
    /// The client stands elsewhere.
    #[error("the upload stands at byte {0}")]
    Offset(u64),
    /// More than was announced.
    #[error("that is more than was announced")]
    TooLong,
    /// The bytes are not what their checksum says.
    #[error("the bytes do not fit their checksum; they were not taken")]
    Checksum,
    /// The content is not what its digest says; the upload is removed.
    #[error("the content is not what it was said to be; begin it anew")]
    Digest,
    /// Too many at once.
    #[error("there are {MOST_OPEN} unfinished uploads; finish or remove some")]
    TooMany,
    /// The destination refuses; the upload is removed.
    #[error("{0:?}")]
    Refused(Box<Problem>),
    /// The disk.
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    /// Where uploads are kept.
    #[error("{0}")]
    Store(String),
}

/// Uploads of one kind. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn UploadStore>,
    blobs: Blobs,
    destination: Arc<dyn Destination>,
    clock: SharedClock,
    ids: Ids,
    owners: &'static str,
    lifetime: Duration,
    content: Content,
    slots: Mutex<HashMap<Uuid, Slot>>,
}

/// Who writes to an upload now.
#[derive(Clone, Default)]
struct Slot {
    /// The digest so far, between two requests.
    part: Arc<AsyncMutex<Option<Incoming>>>,
    /// Cancelled by the next one to come.
    leave: CancellationToken,
}

/// The right to write to an upload, until a newer request takes over.
struct Turn {
    part: OwnedMutexGuard<Option<Incoming>>,
    leave: CancellationToken,
}

impl Uploads {
    /// Uploads for `destination`, of owners whose name begins with `owners`: several kinds may share a store. One that is not
    /// touched for `lifetime` is forgotten.
    #[must_use]
    pub fn new(
        store: Arc<dyn UploadStore>,
        blobs: Blobs,
        destination: Arc<dyn Destination>,
        clock: SharedClock,
        ids: Ids,
        owners: &'static str,
        lifetime: Duration,
    ) -> Self {
        let (content, slots) = (Content::Upload, Mutex::default());
        Self {
            inner: Arc::new(Inner { store, blobs, destination, clock, ids, owners, lifetime, content, slots }),
        }
    }

    /// The same, counted as `content` where there is no room for them; before the first one.
    #[must_use]
    pub fn counted_as(mut self, content: Content) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.content = content;
        }
        self
    }

    fn expiry(&self) -> i64 {
        let lifetime = i64::try_from(self.inner.lifetime.as_millis()).unwrap_or(i64::MAX);
        self.inner.clock.now_ms().saturating_add(lifetime)
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`UploadError::Refused`], [`UploadError::TooMany`], or when it cannot be kept.
    pub async fn create(&self, owner: &str, length_bytes: u64, metadata: Metadata) -> Result<Upload, UploadError> {
        self.inner.blobs.guard().admit(self.inner.content).map_err(io::Error::from)?;
        let admitted = self.inner.destination.admit(owner, length_bytes, &metadata).await;
        admitted.map_err(|problem| UploadError::Refused(Box::new(problem)))?;
        let upload = Upload {
            id: self.inner.ids.new_v7(self.inner.clock.now_ms()),
            owner: owner.to_owned(),
            length_bytes,
            offset_bytes: 0,
            metadata,
            expires_ms: self.expiry(),
            sha256: None,
            result: None,
        };
        if !self.inner.store.create(upload.clone(), MOST_OPEN).await? {
            return Err(UploadError::TooMany);
        }
        Ok(upload)
    }

    /// Where an upload stands. One whose last bytes came but whose end did not is finished first.
    ///
    /// # Errors
    /// [`UploadError::NotFound`], [`UploadError::Expired`], and as [`Uploads::append`] for the end.
    pub async fn get(&self, owner: &str, id: Uuid) -> Result<Upload, UploadError> {
        let upload = self.find(owner, id).await?;
        if upload.result.is_some() || upload.offset_bytes < upload.length_bytes {
            if upload.result.is_none() && self.is_written_to(id) {
                // Whoever asks has lost the line of whoever writes: what that has is worth a wait.
                drop(self.turn(id).await);
                return self.find(owner, id).await;
            }
            return Ok(upload);
        }
        let mut turn = self.turn(id).await;
        let upload = self.find(owner, id).await?;
        if upload.result.is_some() {
            return Ok(upload);
        }
        self.complete(upload, &mut turn).await
    }

    /// The owner's unfinished uploads, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn open_of(&self, owner: &str) -> Result<Vec<Upload>, UploadError> {
        let now_ms = self.inner.clock.now_ms();
        let mut open = self.inner.store.open_of(owner).await?;
        open.retain(|upload| upload.expires_ms > now_ms);
        Ok(open)
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// [`UploadError::NotFound`], or when it cannot be removed.
    pub async fn terminate(&self, owner: &str, id: Uuid) -> Result<(), UploadError> {
        self.find(owner, id).await?;
        let turn = self.turn(id).await;
        self.forget(id, turn).await
    }

    /// Finishes what was whole when the program ended, and removes what expired. Called at start, and then now and then.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn recover(&self) -> Result<(), UploadError> {
        for upload in self.inner.store.unfinished(self.inner.owners, SWEEP).await? {
            let mut turn = self.turn(upload.id).await;
            if let Err(error) = self.complete(upload, &mut turn).await {
                tracing::warn!(%error, "an upload that was whole cannot be finished");
            }
        }
        let expired = self.inner.store.expired(self.inner.owners, self.inner.clock.now_ms(), SWEEP).await?;
        for id in expired {
            let turn = self.turn(id).await;
            self.forget(id, turn).await?;
        }
        Ok(())
    }

    async fn find(&self, owner: &str, id: Uuid) -> Result<Upload, UploadError> {
        let found = self.inner.store.get(id).await?;
        let upload = found.filter(|upload| upload.owner == owner).ok_or(UploadError::NotFound)?;
        if upload.expires_ms <= self.inner.clock.now_ms() {
            return Err(UploadError::Expired);
        }
        Ok(upload)
    }

    fn is_written_to(&self, id: Uuid) -> bool {
        let slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&id).is_some_and(|slot| slot.part.try_lock().is_err())
    }

    /// Takes over: whoever writes to the upload now stops, notes what it has, and lets go.
    async fn turn(&self, id: Uuid) -> Turn {
        let slot = {
            let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() >= MOST_IDLE {
                // What nobody writes to can be read again from the disk.
                slots.retain(|one, slot| *one == id || Arc::strong_count(&slot.part) > 1);
            }
            let slot = slots.entry(id).or_default();
            slot.leave.cancel();
            slot.leave = CancellationToken::new();
            slot.clone()
        };
        Turn { part: slot.part.lock_owned().await, leave: slot.leave }
    }

    async fn forget(&self, id: Uuid, mut turn: Turn) -> Result<(), UploadError> {
        self.inner.store.remove(id).await?;
        match turn.part.take() {
            Some(part) => part.discard().await?,
            None => self.inner.blobs.discard(id).await?,
        }
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }

    /// The part of `upload`, at its noted offset. One whose part is gone is forgotten: [`UploadError::NotFound`].
    async fn part(&self, upload: &Upload, turn: &mut Turn) -> Result<Incoming, UploadError> {
        match turn.part.take() {
            Some(part) if part.length() == upload.offset_bytes => Ok(part),
            _ => match self.inner.blobs.resume(upload.id, upload.offset_bytes).await {
                // A restored database may name a part that was never in the backup: whoever sends it begins anew.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    tracing::warn!(upload = %upload.id, %error, "an upload is begun anew");
                    self.inner.store.remove(upload.id).await?;
                    Err(UploadError::NotFound)
                }
                resumed => Ok(resumed?),
            },
        }
    }

    /// Keeps what is whole and hands it to its destination.
    async fn complete(&self, mut upload: Upload, turn: &mut Turn) -> Result<Upload, UploadError> {
        let kept = match self.kept_before(&upload).await? {
            Some(kept) => kept,
            None => self.keep(&upload, turn).await?,
        };
        match self.inner.destination.take(&upload, kept).await {
            Ok(result) => {
                self.inner.store.finish(upload.id, result.clone()).await?;
                self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload.id);
                (upload.sha256, upload.result) = (Some(kept.sha256), Some(result));
                Ok(upload)
            }
            Err(problem) => {
                // A refusal for good; what may be otherwise later leaves the upload as it is.
                if problem.status.is_client_error() {
                    self.inner.store.remove(upload.id).await?;
                    self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload.id);
                }
                Err(UploadError::Refused(Box::new(problem)))
            }
        }
    }

    /// What a program that ended in between had kept already.
    async fn kept_before(&self, upload: &Upload) -> Result<Option<Kept>, UploadError> {
        let Some(sha256) = upload.sha256 else { return Ok(None) };
        let here = self.inner.blobs.part_length(upload.id).await < upload.length_bytes
            && self.inner.blobs.verify(sha256).await?;
        Ok(here.then_some(Kept { sha256, size_bytes: upload.length_bytes, already: true }))
    }

    async fn keep(&self, upload: &Upload, turn: &mut Turn) -> Result<Kept, UploadError> {
        let mut part = self.part(upload, turn).await?;
        let admitted = self.inner.destination.admit(&upload.owner, upload.length_bytes, &upload.metadata).await;
        let expected = match admitted {
            Ok(expected) => expected,
            Err(problem) if problem.status.is_client_error() => {
                part.discard().await?;
                self.inner.store.remove(upload.id).await?;
                return Err(UploadError::Refused(Box::new(problem)));
            }
            Err(problem) => return Err(UploadError::Refused(Box::new(problem))),
        };
        self.inner.store.whole(upload.id, part.digest().await?).await?;
        match part.keep(expected).await {
            Ok(kept) => Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.inner.store.remove(upload.id).await?;
                Err(UploadError::Digest)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// `metadata` as it is stored.
#[must_use]
pub fn metadata_to_json(metadata: &Metadata) -> String {
    Value::Object(metadata.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
        .to_string()
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uploads").field("blobs", &self.inner.blobs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
