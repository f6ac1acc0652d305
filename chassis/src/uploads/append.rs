//! Taking in more of an upload.

use super::{Turn, Upload, UploadError, Uploads};
use crate::blobs::{Incoming, Steps};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sha2::Digest as _;
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Longest pause between two pieces.
const IDLE: Duration = Duration::from_secs(60);

/// What the bytes of one request must digest to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-1, 20 bytes.
    Sha1(Vec<u8>),
    /// SHA-256, 32 bytes.
    Sha256(Vec<u8>),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the upload stands now.
    pub upload: Upload,
    /// Whether the bytes ended before their end: cut off, far too slow, or a newer request took over.
    pub cut: bool,
}

enum Sum {
    None,
    Sha1(sha1::Sha1, Vec<u8>),
    Sha256(sha2::Sha256, Vec<u8>),
}

impl Sum {
    fn new(checksum: Option<Checksum>) -> Self {
        match checksum {
            None => Self::None,
            Some(Checksum::Sha1(expected)) => Self::Sha1(sha1::Sha1::new(), expected),
            Some(Checksum::Sha256(expected)) => Self::Sha256(sha2::Sha256::new(), expected),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Sha1(sum, _) => sum.update(bytes),
            Self::Sha256(sum, _) => sum.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self {
            Self::None => true,
            Self::Sha1(sum, expected) => sum.finalize().as_slice() == expected,
            Self::Sha256(sum, expected) => sum.finalize().as_slice() == expected,
        }
    }
}

impl Uploads {
    /// Appends `bytes` behind the first `at` bytes of an upload; when it is whole thereby, hands it on. What arrived before
    /// the bytes ended counts, unless there is a checksum over all of them.
    ///
    /// Polled to its end even where the client is gone: spawn it.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn append<E>(
        &self,
        owner: &str,
        id: Uuid,
        at: u64,
        checksum: Option<Checksum>,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<Appended, UploadError> {
        self.find(owner, id).await?;
        let mut turn = self.turn(id).await;
        let mut upload = self.find(owner, id).await?;
        if upload.offset_bytes != at {
            return Err(UploadError::Offset(upload.offset_bytes));
        }
        if upload.result.is_some() {
            return Ok(Appended { upload, cut: false });
        }
        if upload.offset_bytes < upload.length_bytes {
            self.inner.blobs.guard().admit(self.inner.content).map_err(io::Error::from)?;
        }
        let mut part = self.part(&upload, &mut turn).await?;
        let summed = checksum.is_some();
        let mut sum = Sum::new(checksum);
        let ended = self.take_in(&mut upload, &mut part, &mut sum, bytes, &turn).await;
        let whole_request = matches!(ended, Ok(true));
        if summed && !(whole_request && sum.fits()) {
            // Whatever lies behind the noted offset is cut off the next time.
            drop(part);
            return match ended {
                Ok(true) => Err(UploadError::Checksum),
                Ok(false) => Ok(Appended { upload, cut: true }),
                Err(error) => Err(error),
            };
        }
        match ended {
            Ok(complete) => {
                self.checkpoint(&mut upload, &mut part).await?;
                *turn.part = Some(part);
                if upload.offset_bytes < upload.length_bytes {
                    return Ok(Appended { upload, cut: !complete });
                }
                let upload = self.complete(upload, &mut turn).await?;
                Ok(Appended { upload, cut: false })
            }
            Err(error) => Err(error),
        }
    }

    /// Reads until the end (true), a cut, a newer request, or until it comes too slowly (false).
    async fn take_in<E>(
        &self,
        upload: &mut Upload,
        part: &mut Incoming,
        sum: &mut Sum,
        mut bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
        turn: &Turn,
    ) -> Result<bool, UploadError> {
        let mut steps = Steps::new(Instant::now());
        let mut pace = self.inner.destination.pace();
        loop {
            let asked = Instant::now();
            let next = tokio::select! {
                biased;
                () = turn.leave.cancelled() => return Ok(false),
                next = tokio::time::timeout(IDLE, bytes.next()) => next,
            };
            let piece = match next {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => return Ok(true),
                Ok(Some(Err(_))) | Err(_) => return Ok(false),
            };
            if !pace.keeps_up(piece.len(), asked.elapsed()) {
                return Ok(false);
            }
            if part.length() + piece.len() as u64 > upload.length_bytes {
                return Err(UploadError::TooLong);
            }
            if !matches!(sum, Sum::None) {
                sum.update(&piece);
            }
            part.write(piece).await.map_err(full)?;
            let due = steps.is_due(part.length() - upload.offset_bytes, Instant::now());
            if due && matches!(sum, Sum::None) && part.length() < upload.length_bytes {
                steps.begin(Instant::now());
                self.checkpoint(upload, part).await?;
                steps.done(Instant::now());
            }
        }
    }

    /// Syncs what arrived, then notes it.
    async fn checkpoint(&self, upload: &mut Upload, part: &mut Incoming) -> Result<(), UploadError> {
        if part.length() == upload.offset_bytes {
            return Ok(());
        }
        upload.offset_bytes = part.sync().await.map_err(full)?;
        upload.expires_ms = self.expiry();
        self.inner.store.advance(upload.id, upload.offset_bytes, upload.expires_ms).await
    }
}

/// A disk that fails while more is taken in.
fn full(error: io::Error) -> UploadError {
    UploadError::Disk(error)
}
