//! Fetching contents that only headquarters has: the small ones of every photo, originals when somebody asks.

use super::pace::Lanes;
use super::{Broken, Resting, SOON, adopt};
use crate::replicator::board::Part;
use crate::replicator::hub::Failure;
use crate::replicator::session::{Session, Waiting};
use chassis::blobs::{Incoming, Sha256, Steps};
use chassis::disk::Content;
use desk::photos::travels::Travel;
use std::collections::HashSet;
use std::io;
use sync_protocol::message::path;
use sync_protocol::record::MAX_PHOTO_BYTES;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Contents in one look at what is missing.
const LOOK: u32 = 32;

/// Fetches for as long as it is polled.
pub(super) async fn run(session: &Session, lanes: &Lanes) {
    let mut waiting = Waiting::new(session.pace);
    let (mut committed, mut wanted) = (session.desk.ledger().committed(), session.desk.wanted());
    let mut resting = Resting::default();
    loop {
        session.ready(&mut waiting).await;
        committed.mark_unchanged();
        wanted.mark_unchanged();
        match round(session, lanes, &mut resting).await {
            Ok(true) => waiting.succeeded(),
            Ok(false) => {
                waiting.succeeded();
                session.board.well(Part::Fetch);
                resting.forget_old();
                tokio::select! {
                    biased;
                    _ = committed.changed() => {}
                    _ = wanted.changed() => {}
                    () = sleep(resting.pause()) => {}
                }
            }
            Err(Broken::Hub(failure)) => session.lane_failed(Part::Fetch, &mut waiting, &failure).await,
            Err(Broken::Ledger(error)) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

/// Fetches what somebody waits for, then what is missing; false when there is nothing.
async fn round(session: &Session, lanes: &Lanes, resting: &mut Resting) -> Result<bool, Broken> {
    let mut digests = session.desk.wanted().borrow().clone();
    let missing = session.desk.ledger().pieces_missing(LOOK).await?;
    digests.extend(missing.iter().map(|piece| piece.sha256));
    let mut seen = HashSet::new();
    digests.retain(|digest| !resting.rests(*digest) && seen.insert(*digest));
    // They are there when there is room again: nobody failed.
    if !digests.is_empty() && session.desk.blobs().guard().admit(Content::Pulled).is_err() {
        return Ok(false);
    }
    for sha256 in &digests {
        if adopt(session, *sha256).await? {
            session.desk.stop_wanting(*sha256);
            continue;
        }
        match content(session, lanes, *sha256).await {
            Ok(true) => {}
            Ok(false) => resting.later(*sha256, SOON),
            Err(Stopped::Alone(why)) => {
                tracing::warn!(%sha256, why, "a photo's content was not fetched; it is tried again later");
                resting.failed(*sha256, session.desk.ids().random_u64());
            }
            Err(Stopped::Broken(broken)) => return Err(broken),
        }
        session.desk.stop_wanting(*sha256);
    }
    Ok(!digests.is_empty())
}

enum Stopped {
    Alone(String),
    Broken(Broken),
}

/// Fetches one content, from the byte that is here; false where headquarters has none, either.
async fn content(session: &Session, lanes: &Lanes, sha256: Sha256) -> Result<bool, Stopped> {
    let disk = |error: io::Error| Stopped::Alone(format!("the disk: {error}"));
    let blobs = session.desk.blobs();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256.as_bytes()[..16]);
    let id = Uuid::from_bytes(bytes);
    let here = blobs.part_length(id).await;
    let address = format!("{}/{sha256}", path::BLOBS);
    let answer = session.hub.fetch(&address, sha256, here).await;
    let mut response = match answer {
        Ok(Some(response)) => response,
        Ok(None) => return Ok(false),
        Err(failure) => return Err(Stopped::Broken(Broken::Hub(failure))),
    };
    let mut incoming = blobs.resume(id, if response.is_part { here } else { 0 }).await.map_err(disk)?;
    let travel = Travel::begin(&session.desk, sha256, incoming.length());
    let (mut steps, mut durable) = (Steps::new(Instant::now()), incoming.length());
    loop {
        match response.next().await {
            Ok(Some(piece)) if incoming.length() + piece.len() as u64 <= MAX_PHOTO_BYTES => {
                metrics::counter!("aincident_blob_received_bytes_total").increment(piece.len() as u64);
                // What is not read yet holds up whoever sends it.
                lanes.turn(piece.len(), false).await;
                incoming.write(piece).await.map_err(disk)?;
                travel.at(incoming.length());
                if steps.is_due(incoming.length() - durable, Instant::now()) {
                    steps.begin(Instant::now());
                    durable = incoming.sync().await.map_err(disk)?;
                    steps.done(Instant::now());
                }
            }
            Ok(Some(_)) => {
                incoming.discard().await.map_err(disk)?;
                return Err(Stopped::Alone("headquarters sends more than a photo may be".to_owned()));
            }
            Ok(None) => break,
            Err(failure) => return Err(cut(incoming, failure).await),
        }
    }
    match incoming.keep(Some(sha256)).await {
        Ok(kept) => {
            let now_ms = session.desk.now_ms();
            let noted = session.desk.ledger().keep_named_blob(kept.sha256, kept.size_bytes, now_ms).await;
            if !noted.map_err(|error| Stopped::Broken(Broken::Ledger(error)))? {
                // It was erased while it came.
                blobs.remove(kept.sha256).await.map_err(disk)?;
            }
            session.contact();
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Stopped::Alone("what came is not what was asked for".to_owned()))
        }
        Err(error) => Err(disk(error)),
    }
}

/// What came before a cut stays for the next try.
async fn cut(mut incoming: Incoming, failure: Failure) -> Stopped {
    match incoming.sync().await {
        Ok(_) => Stopped::Broken(Broken::Hub(failure)),
        Err(error) => Stopped::Alone(format!("the disk: {error}")),
    }
}
