//! What headquarters sets for its nodes, as its records made it.

use crate::error::Error;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::change::Field;
use sync_protocol::scope::Scope;

/// What is set in one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsRow {
    /// The company, or a store.
    pub scope: Scope,
    /// The values that stand.
    pub fields: BTreeMap<Field, Value>,
    /// When the last of them was set, milliseconds since 1970.
    pub changed_ms: i64,
}

/// What is set.
#[async_trait]
pub trait Settings {
    /// What is set for the company and for `store`, where anything is; every store's where none is named.
    async fn settings(&self, store: Option<String>) -> Result<Vec<SettingsRow>, Error>;
}
