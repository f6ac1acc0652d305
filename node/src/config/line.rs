//! `[link]` and `[photos]`: the line to headquarters, and photos on it.

use super::UsageError;
use crate::replicator::Tempo;
use crate::replicator::blobs::Policy;
use crate::replicator::link::PACE;
use chassis::outbound::Backoff;
use serde::Deserialize;
use std::time::Duration;

/// `[link]` of the file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinkLayer {
    pub(super) max_backoff_ms: Option<u64>,
}

/// `[photos]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PhotosLayer {
    pub(super) originals: Option<String>,
    pub(super) max_kbit_s: Option<u64>,
    pub(super) originals_max_kbit_s: Option<u64>,
}

pub(super) fn policy(photos: PhotosLayer) -> Result<Policy, UsageError> {
    let originals = photos.originals.map(|text| text.parse()).transpose();
    // 0 is no cap.
    let bytes = |kbit: Option<u64>| kbit.filter(|kbit| *kbit > 0).map(|kbit| kbit.saturating_mul(125));
    Ok(Policy {
        originals: originals.map_err(|why| UsageError::Range(format!("photos.originals: {why}")))?.unwrap_or_default(),
        max_bytes_per_s: bytes(photos.max_kbit_s),
        originals_max_bytes_per_s: bytes(photos.originals_max_kbit_s),
    })
}

pub(super) fn tempo(link: LinkLayer) -> Result<Tempo, UsageError> {
    let Some(ms) = link.max_backoff_ms else {
        return Ok(Tempo::default());
    };
    if !(100..=300_000).contains(&ms) {
        return Err(UsageError::Range(format!("link.max_backoff_ms is {ms}; give 100 to 300000 milliseconds")));
    }
    let max = Duration::from_millis(ms);
    Ok(Tempo { pace: Backoff { floor: PACE.floor.min(max), cap: max }, ..Tempo::default() })
}
