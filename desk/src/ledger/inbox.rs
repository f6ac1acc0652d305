//! Files that came without an incident.

use crate::error::Error;
use async_trait::async_trait;
use chassis::blobs::Sha256;
use serde::Serialize;
use uuid::Uuid;

/// A file that waits for a person to say where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InboxItem {
    /// It.
    pub id: Uuid,
    /// As it was called in the folder.
    pub filename: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// When it was found; RFC 3339, UTC.
    pub found_at: String,
}

/// Files that came without an incident.
#[async_trait]
pub trait Inbox {
    /// Adds one whose content is durable; one with the same content is there already.
    async fn add_inbox_item(
        &self,
        id: Uuid,
        sha256: Sha256,
        size_bytes: u64,
        filename: String,
        now_ms: i64,
    ) -> Result<(), Error>;
    /// All, oldest first, at most `limit`.
    async fn inbox_items(&self, limit: u32) -> Result<Vec<InboxItem>, Error>;
    /// One.
    async fn inbox_item(&self, id: Uuid) -> Result<Option<InboxItem>, Error>;
    /// Takes one off the list; false where there is none.
    async fn remove_inbox_item(&self, id: Uuid) -> Result<bool, Error>;
}
