//! Photos, and the contents they consist of.

use crate::error::Error;
use async_trait::async_trait;
use chassis::blobs::Sha256;
use serde::Serialize;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A photo, or another file, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Photo {
    /// The photo.
    pub id: Uuid,
    /// As it was uploaded, without folders.
    pub filename: String,
    /// By its content.
    pub media_type: String,
    /// Of the original.
    pub size_bytes: u64,
    /// Of the original, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// Pixels across, upright; `null` where it is no picture.
    #[schema(required = true)]
    pub width: Option<u32>,
    /// Pixels down, upright.
    #[schema(required = true)]
    pub height: Option<u32>,
    /// When it was taken, by the camera's clock; RFC 3339, UTC.
    #[schema(required = true)]
    pub taken_at: Option<String>,
    /// What its taker says about it.
    #[schema(required = true)]
    pub caption: Option<String>,
    /// Username.
    pub uploaded_by: String,
    /// RFC 3339, UTC.
    pub uploaded_at: String,
    /// `processing`, `ready` or `undecodable`.
    #[schema(pattern = "^(processing|ready|undecodable)$")]
    pub state: String,
    /// `waiting`, `sending` or `verified`.
    #[schema(pattern = "^(waiting|sending|verified)$")]
    pub at_hub: String,
}

/// What a photo consists of, smallest first: the order in which it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Its thumbnail.
    Thumbnail,
    /// Its display image.
    Display,
    /// Its original.
    Original,
}

impl Lane {
    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Thumbnail => 0,
            Self::Display => 1,
            Self::Original => 2,
        }
    }

    /// As it is stored; anything else is an original.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Thumbnail,
            1 => Self::Display,
            _ => Self::Original,
        }
    }
}

/// One content of a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The photo's number here.
    pub photo_no: i64,
    /// The photo.
    pub photo_id: Uuid,
    /// Which of its contents.
    pub lane: Lane,
    /// The content.
    pub sha256: Sha256,
    /// Its length.
    pub size_bytes: u64,
    /// Whether it is durable in this site's folder.
    pub here: bool,
}

/// A photo with where it belongs and what it consists of.
#[derive(Clone, Debug)]
pub struct PhotoFile {
    /// As it is read.
    pub photo: Photo,
    /// The incident.
    pub incident_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// Whether the incident is deleted.
    pub deleted: bool,
    /// Those that are known.
    pub pieces: Vec<Piece>,
}

impl PhotoFile {
    /// The content of `lane`, where it is known.
    #[must_use]
    pub fn piece(&self, lane: Lane) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.lane == lane)
    }
}

/// How far a content has got to headquarters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtHub {
    /// Part of it is there.
    Sending,
    /// It is there and was read back.
    Verified,
}

/// Photos, and the contents they consist of. Nothing here checks rights: features do.
#[async_trait]
pub trait Photos {
    /// One photo.
    async fn photo(&self, id: Uuid) -> Result<Option<PhotoFile>, Error>;
    /// Notes that a content is durable in this site's folder; at headquarters it is thereby verified.
    async fn keep_blob(&self, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Result<(), Error>;
    /// The same where a record names it still; false where none does.
    async fn keep_named_blob(&self, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Result<bool, Error>;
    /// Notes that a content is not in this site's folder, or not whole. It counts as missing from then on.
    async fn lose_blob(&self, sha256: Sha256) -> Result<(), Error>;
    /// Forgets a content that was removed, unless it was kept again at or after `before_ms`.
    async fn forget_blob(&self, sha256: Sha256, before_ms: i64) -> Result<(), Error>;
    /// Whether any photo consists of that content, or it waits to be filed.
    async fn is_piece(&self, sha256: Sha256) -> Result<bool, Error>;
    /// Contents that headquarters is not known to have, in the order in which they travel, behind the position `after`.
    async fn pieces_waiting(&self, after: Option<(Lane, i64)>, limit: u32) -> Result<Vec<Piece>, Error>;
    /// The contents of `lane` of an incident's photos.
    async fn pieces_of(&self, incident_id: Uuid, lane: Lane) -> Result<Vec<Piece>, Error>;
    /// How many contents that are here headquarters is not known to have, and their length in bytes.
    async fn pieces_pending(&self) -> Result<(u64, u64), Error>;
    /// Thumbnails and display images that are not here though headquarters has them, at most `limit`.
    async fn pieces_missing(&self, limit: u32) -> Result<Vec<Piece>, Error>;
    /// Node: notes how far contents have got.
    async fn note_at_hub(&self, contents: Vec<Sha256>, at_hub: AtHub) -> Result<(), Error>;
    /// Length of a content that a photo of `scope` consists of, and whether it is here.
    async fn piece_in(&self, scope: Scope, sha256: Sha256) -> Result<Option<(u64, bool)>, Error>;
}
