//! Devices that people share, and their PINs.

use super::Failures;
use crate::error::Error;
use async_trait::async_trait;

/// Somebody who has shown the password on a device, and may be let in there by a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Familiar {
    /// Whose account.
    pub username: String,
    /// What people see.
    pub display_name: String,
    /// Whether the account may log in at all.
    pub active: bool,
    /// What the password was when it was shown; see [`Devices::know`].
    pub proof: [u8; 32],
    /// PHC string of the password now.
    pub password_hash: String,
    /// When the password was shown.
    pub password_ms: i64,
    /// PHC string of the PIN; none where none was set.
    pub pin_hash: Option<String>,
    /// Wrong PINs that were not forgotten when the last one was counted.
    pub failures: u32,
    /// When the last one was.
    pub last_ms: i64,
}

/// Who may come back to which device.
#[async_trait]
pub trait Devices {
    /// Notes that `username` has shown the password whose digest is `proof` on the device that went by `before`, and goes by `device`
    /// from now on. At most `most` people are kept of a device, those that were there last, and nobody who was there before `since_ms`.
    async fn know_person(
        &self,
        before: Option<[u8; 32]>,
        device: [u8; 32],
        username: String,
        proof: [u8; 32],
        times: (i64, i64),
        most: u32,
    ) -> Result<(), Error>;
    /// The people of a device, by name.
    async fn familiars(&self, device: [u8; 32]) -> Result<Vec<Familiar>, Error>;
    /// Counts a PIN as wrong before it is looked at: `counted` holds from now on. False where somebody else has just tried, too, and
    /// what `stood` does not any more.
    async fn count_pin(
        &self,
        device: [u8; 32],
        username: String,
        stood: Failures,
        counted: Failures,
    ) -> Result<bool, Error>;
    /// The PIN was right: what was `counted` of it is taken back, to what stood before, and a session begins in place of the one that
    /// was open.
    async fn switch_person(
        &self,
        device: [u8; 32],
        username: String,
        counted_and_before: (Failures, Failures),
        ends: Option<[u8; 32]>,
        token_hash: [u8; 32],
        times: (i64, i64),
    ) -> Result<(), Error>;
    /// The device forgets somebody.
    async fn forget_person(&self, device: [u8; 32], username: String) -> Result<(), Error>;
    /// When the PIN was set; none where there is none.
    async fn pin_set_ms(&self, username: &str) -> Result<Option<i64>, Error>;
    /// Sets the PIN, as a PHC string, or removes it.
    async fn set_pin(&self, username: String, pin_hash: Option<String>, now_ms: i64) -> Result<(), Error>;
}
