//! How far contents have got that are on their way between the sites: for whoever waits for one.
//!
//! Both ways are in memory, told by whoever sends or fetches; what arrives in an upload is told by that.

use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Lane, PhotoFile, Piece};
use chassis::blobs::Sha256;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use utoipa::ToSchema;

/// Contents under way in this process.
#[derive(Default)]
pub struct Travels {
    bytes: Mutex<HashMap<Sha256, u64>>,
}

/// A content under way, as long as it is held.
pub struct Travel {
    desk: Desk,
    sha256: Sha256,
}

impl Travel {
    /// Tells that a content is under way and that `bytes` of it are across.
    #[must_use]
    pub fn begin(desk: &Desk, sha256: Sha256, bytes: u64) -> Self {
        let travel = Self { desk: desk.clone(), sha256 };
        travel.at(bytes);
        travel
    }

    /// Tells how many bytes of it are across.
    pub fn at(&self, bytes: u64) {
        let mut known = self.desk.travels().bytes.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(self.sha256, bytes);
    }
}

impl Drop for Travel {
    fn drop(&mut self) {
        self.desk.travels().bytes.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.sha256);
    }
}

impl std::fmt::Debug for Travel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Travel").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Where a photo is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Whereabouts {
    /// How much of the original headquarters has, of a hundred.
    #[schema(maximum = 100)]
    pub at_hub_percent: u8,
    /// What of the photo is at this site: `thumbnail`, `display`, `original`.
    pub here: Vec<&'static str>,
}

/// Where a photo is, as far as this site knows.
///
/// # Errors
/// What the ledger says.
pub async fn whereabouts(desk: &Desk, file: &PhotoFile) -> Result<Whereabouts, Error> {
    let here = file
        .pieces
        .iter()
        .filter(|piece| piece.here)
        .map(|piece| match piece.lane {
            Lane::Thumbnail => "thumbnail",
            Lane::Display => "display",
            Lane::Original => "original",
        })
        .collect();
    let at_hub_percent = match (file.photo.at_hub.as_str(), file.piece(Lane::Original)) {
        ("verified", _) => 100,
        (_, Some(original)) => percent(desk, original).await?.unwrap_or(0),
        (_, None) => 0,
    };
    Ok(Whereabouts { at_hub_percent, here })
}

/// How much of a content is across, of a hundred: never all, for that is said once it was read back.
///
/// # Errors
/// What the ledger says.
pub(super) async fn percent(desk: &Desk, piece: &Piece) -> Result<Option<u8>, Error> {
    let known = desk.travels().bytes.lock().unwrap_or_else(PoisonError::into_inner).get(&piece.sha256).copied();
    let bytes = match known {
        Some(bytes) => Some(bytes),
        None => {
            let arriving = desk.upload_store().arriving(piece.sha256).await;
            arriving.map_err(|error| Error::Unavailable(error.to_string()))?
        }
    };
    Ok(bytes.map(|bytes| u8::try_from(bytes.saturating_mul(100) / piece.size_bytes.max(1)).unwrap_or(99).min(99)))
}
