//! Putting the files in order, at start and every hour: parts of uploads that were cut and that nobody goes on with, content that
//! was kept for something that did not come about, photos whose picture could not be made.
//!
//! Nothing is removed that anything names: first the file, and only where it has rested for [`REST`] and nobody found it to be
//! there meanwhile, then what the ledger knows of it.

use super::job;
use crate::desk::Desk;
use crate::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// How often.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Parts that nobody wrote to for so long were cut off.
const CUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Content that nothing names is kept so long: whoever sent it may try again, and find it.
const REST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Jobs that were set aside, looked at in one round.
const MOST_DEAD: u32 = 1000;

/// Tidies for as long as it is polled.
pub async fn keep(desk: &Desk) {
    loop {
        if let Err(error) = round(desk).await {
            tracing::warn!(%error, "files cannot be put in order; it is tried again");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn round(desk: &Desk) -> Result<(), Error> {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(desk.now_ms()).unwrap_or(0));
    parts(desk, now).await?;
    for first in 0..=u8::MAX {
        rest(desk, first, now).await?;
    }
    unmade(desk).await
}

/// Removes parts of uploads that are no more, and of what was never more than a part.
async fn parts(desk: &Desk, now: SystemTime) -> Result<(), Error> {
    for id in desk.blobs().stale_parts(now, CUT).await.map_err(super::disk)? {
        let upload = desk.upload_store().get(id).await.map_err(|error| Error::Unavailable(error.to_string()))?;
        if upload.is_none() {
            desk.blobs().discard(id).await.map_err(super::disk)?;
            metrics::counter!("blobs_removed_total", "what" => "part").increment(1);
        }
    }
    Ok(())
}

/// Removes content that nothing names.
async fn rest(desk: &Desk, first: u8, now: SystemTime) -> Result<(), Error> {
    let before_ms = desk.now_ms().saturating_sub(i64::try_from(REST.as_millis()).unwrap_or(i64::MAX));
    for sha256 in desk.blobs().resting(first, now, REST).await.map_err(super::disk)? {
        if desk.ledger().is_piece(sha256).await? {
            continue;
        }
        if desk.blobs().remove_resting(sha256, now, REST).await.map_err(super::disk)? {
            tracing::info!(%sha256, "a content that nothing names was removed");
            metrics::counter!("blobs_removed_total", "what" => "content").increment(1);
            desk.ledger().forget_blob(sha256, before_ms).await?;
        }
    }
    Ok(())
}

/// Says of photos whose job was given up that they cannot be shown: nobody should wait for them for ever.
async fn unmade(desk: &Desk) -> Result<(), Error> {
    let dead = desk.jobs().dead(MOST_DEAD).await.map_err(|error| Error::Unavailable(error.to_string()))?;
    for gone in dead.into_iter().filter(|gone| gone.kind == job::KIND) {
        if let Ok(id) = Uuid::try_parse(&gone.key) {
            job::give_up(desk, id, &gone.error).await?;
        }
    }
    Ok(())
}
