//! The hub itself, for headquarters' people: which program, and which of its histories stands.

use super::see;
use chassis::clock::format_rfc3339;
use desk::actor::Actor;
use desk::ledger::Identity;
use desk::{Desk, Error, ledger};
use serde::Serialize;
use sync_protocol::{OLDEST_VERSION, VERSION};
use uuid::Uuid;

/// One of the hub's histories.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Epoch {
    /// Which one it is, from 1.
    pub number: u32,
    /// Its name.
    pub epoch: Uuid,
    /// Since when it stands; null for the first.
    pub since: Option<String>,
    /// Why it began; null for the first.
    pub reason: Option<String>,
}

impl From<ledger::Epoch> for Epoch {
    fn from(epoch: ledger::Epoch) -> Self {
        Self {
            number: epoch.number,
            epoch: epoch.epoch,
            since: Some(format_rfc3339(epoch.since_ms)),
            reason: Some(epoch.reason),
        }
    }
}

/// The hub as its people see it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HubItem {
    /// Its lasting identity.
    pub hub_id: Uuid,
    /// Its program's version.
    pub version: String,
    /// The versions of the sync protocol that it speaks.
    pub protocols: Vec<u32>,
    /// Which of its histories stands: a number above 1 says that it was put back to an older state and got back from its
    /// nodes what it had forgotten.
    pub epoch: Epoch,
}

/// The hub itself.
///
/// # Errors
/// [`desk::Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn program(desk: &Desk, actor: &Actor) -> Result<HubItem, Error> {
    see(actor)?;
    // Not from the desk, which remembers the epoch that stood when the program started.
    let Identity::Hub { hub_id, epoch } = desk.ledger().identity().await? else {
        return Err(Error::Fault("the ledger is no hub's".to_owned()));
    };
    let latest = desk.ledger().epochs(1).await?.into_iter().next().map(Epoch::from);
    let first = Epoch { number: 1, epoch, since: None, reason: None };
    Ok(HubItem {
        hub_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocols: (OLDEST_VERSION..=VERSION).collect(),
        epoch: latest.unwrap_or(first),
    })
}
