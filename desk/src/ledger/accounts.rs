//! Stores, accounts and sessions.

use crate::actor::Account;
use crate::error::Error;
use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Store {
    /// The store's record.
    pub id: Uuid,
    /// Its code, zeros included.
    pub code: String,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub timezone: String,
}

/// Where an account stands with failed logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many since the last success.
    pub count: u32,
    /// When the last one was.
    pub last_ms: i64,
}

/// Reading accounts and keeping sessions.
#[async_trait]
pub trait Accounts {
    /// The account with this username.
    async fn account(&self, username: &str) -> Result<Option<Account>, Error>;
    /// The account with this id.
    async fn account_by_id(&self, id: Uuid) -> Result<Option<Account>, Error>;
    /// All accounts by username; `store`: only that store's.
    async fn accounts(&self, store: Option<String>) -> Result<Vec<Account>, Error>;
    /// All stores by code; `store`: only that one.
    async fn stores(&self, store: Option<String>) -> Result<Vec<Store>, Error>;
    /// The store with this code.
    async fn store(&self, code: &str) -> Result<Option<Store>, Error>;
    /// Opens a session and forgets the account's failed logins; sessions past their end are removed.
    async fn open_session(
        &self,
        token_hash: [u8; 32],
        username: String,
        now_ms: i64,
        expires_ms: i64,
    ) -> Result<(), Error>;
    /// The active account behind a session that has not ended, and when it ends.
    async fn session(&self, token_hash: [u8; 32], now_ms: i64) -> Result<Option<(Account, i64)>, Error>;
    /// Ends a session.
    async fn close_session(&self, token_hash: [u8; 32]) -> Result<(), Error>;
    /// Failed logins of a name.
    async fn failures(&self, username: &str) -> Result<Failures, Error>;
    /// Notes a failed login; names not tried for a day are forgotten.
    async fn note_failure(&self, username: String, now_ms: i64) -> Result<Failures, Error>;
}
