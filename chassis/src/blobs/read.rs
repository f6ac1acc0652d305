//! Reading content.

use super::{Blobs, Sha256, off};
use bytes::Bytes;
use futures::Stream;
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// How much is read at a time.
const PORTION_BYTES: u64 = 256 * 1024;

/// Content, opened.
#[derive(Debug)]
pub struct Reading {
    file: File,
    /// How long it is.
    pub size_bytes: u64,
}

impl Blobs {
    /// Opens a content; `None` where it is not here.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn open_read(&self, digest: Sha256) -> io::Result<Option<Reading>> {
        let path = self.path(digest);
        off(move || match File::open(path) {
            Ok(file) => Ok(Some(Reading { size_bytes: file.metadata()?.len(), file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// A content, whole, where it is here and at most `limit` bytes.
    ///
    /// # Errors
    /// When the disk fails, or it is larger.
    pub async fn read(&self, digest: Sha256, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut reading) = self.open_read(digest).await? else {
            return Ok(None);
        };
        off(move || {
            if reading.size_bytes > limit {
                return Err(io::Error::other("a file is larger than it may be here"));
            }
            let mut bytes = Vec::with_capacity(usize::try_from(reading.size_bytes).unwrap_or(0));
            reading.file.read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        })
        .await
    }
}

impl Reading {
    /// All of it, a portion at a time, and the last portion only if the whole is what `digest` says: otherwise `bad` is called, and
    /// the stream ends with an error, so that nobody takes what came for the whole.
    pub fn checked(
        self,
        digest: Sha256,
        bad: impl FnOnce() + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let until = self.size_bytes;
        let begin = (self.file, 0_u64, sha2::Sha256::new(), Some(bad));
        futures::stream::try_unfold(begin, move |(file, at, hasher, mut bad)| async move {
            let wanted = until.saturating_sub(at).min(PORTION_BYTES);
            // One of no length has an end, too; there is none like that.
            if wanted == 0 {
                return Ok(None);
            }
            let read = off(move || {
                let (mut file, mut hasher) = (file, hasher);
                file.seek(SeekFrom::Start(at))?;
                let mut portion = vec![0; usize::try_from(wanted).unwrap_or(0)];
                file.read_exact(&mut portion)?;
                hasher.update(&portion);
                Ok((portion, file, hasher))
            });
            let (portion, file, hasher) = match read.await {
                Ok(read) => read,
                Err(error) => {
                    bad.take().into_iter().for_each(|bad| bad());
                    return Err(error);
                }
            };
            let at = at + wanted;
            if at == until && Sha256(hasher.clone().finalize().into()) != digest {
                bad.take().into_iter().for_each(|bad| bad());
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content is not what its name says"));
            }
            Ok(Some((Bytes::from(portion), (file, at, hasher, bad))))
        })
    }

    /// The bytes from `first`, at most `length` of them, a portion at a time.
    pub fn stream(self, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let until = first.saturating_add(length).min(self.size_bytes);
        futures::stream::try_unfold((self.file, first), move |(file, at)| async move {
            let wanted = until.saturating_sub(at).min(PORTION_BYTES);
            if wanted == 0 {
                return Ok(None);
            }
            off(move || {
                let mut file = file;
                file.seek(SeekFrom::Start(at))?;
                let mut portion = vec![0; usize::try_from(wanted).unwrap_or(0)];
                file.read_exact(&mut portion)?;
                Ok(Some((Bytes::from(portion), (file, at + wanted))))
            })
            .await
        })
    }
}
