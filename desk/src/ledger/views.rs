//! Filters of the list that people have given a name.

use super::Pair;
use crate::error::Error;
use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

/// A filter with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct View {
    /// It.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// What it is made of, as in the address of the list's page: days for `from` and `to`.
    pub filters: Vec<Pair>,
}

/// What became of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is kept.
    Kept,
    /// Its owner has one of that name.
    Taken,
    /// Its owner has as many as one may have.
    Full,
}

/// Keeping views. Each belongs to one person, and stays on its site.
#[async_trait]
pub trait Views {
    /// Somebody's, by name.
    async fn views(&self, username: &str) -> Result<Vec<View>, Error>;
    /// Keeps one, where its owner has fewer than `most`.
    async fn add_view(&self, username: String, view: View, now_ms: i64, most: u32) -> Result<Added, Error>;
    /// Removes one; false where its owner has none such.
    async fn remove_view(&self, username: String, id: Uuid) -> Result<bool, Error>;
}
