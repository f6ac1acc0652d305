//! What people are typing.

use crate::error::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A form as far as somebody has filled it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormDraft {
    /// It: made where it is typed, and not the id of any incident.
    pub id: Uuid,
    /// Its fields.
    pub fields: Vec<Pair>,
    /// When it was last changed.
    pub changed_ms: i64,
}

/// A field of a form, or a filter of a list, with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The field's name.
    pub name: String,
    /// Its value. A name with several values is there several times.
    pub value: String,
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Kept,
    /// It was sent or thrown away before.
    Over,
    /// Its owner has as many as one may have.
    Full,
}

/// Keeping drafts. Each belongs to one person, and stays on its site.
#[async_trait]
pub trait Drafts {
    /// Somebody's that were changed since `since_ms`, the newest first.
    async fn drafts(&self, username: &str, since_ms: i64) -> Result<Vec<FormDraft>, Error>;
    /// One of them.
    async fn draft(&self, username: &str, id: Uuid, since_ms: i64) -> Result<Option<FormDraft>, Error>;
    /// Keeps one, where its owner has fewer than `most` others changed since `since_ms`.
    async fn keep_draft(&self, username: String, draft: FormDraft, since_ms: i64, most: u32) -> Result<Kept, Error>;
    /// Throws one away, for good: what comes late does not bring it back. False where there was none.
    async fn end_draft(&self, username: String, id: Uuid, now_ms: i64) -> Result<bool, Error>;
    /// Forgets those that were not changed since `since_ms`; how many.
    async fn forget_drafts(&self, since_ms: i64) -> Result<usize, Error>;
}
