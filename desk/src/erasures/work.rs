//! What a site does about orders by itself: files of contents, bytes in free pages, kept answers; then it says that it is done.
//!
//! At start and after every commit it asks for what is undone; everything it does can be done again, so a crash in between
//! costs nothing. Nothing is said to be done before it is.

use super::copies;
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Draft, Identity, Listing, Recording, Staged, Undone};
use chassis::clock::format_rfc3339;
use chassis::heavy;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use sync_protocol::change::Field;
use sync_protocol::record::ERASURE;
use sync_protocol::scope::Scope;
use tokio::time::Instant;
use uuid::Uuid;

/// Who it is.
const BY: &str = "system:erasures";
/// Commits gather for this long: many at once cost one look.
const GATHER: Duration = Duration::from_millis(250);
/// What could not be done is tried again after this long.
const AGAIN: Duration = Duration::from_secs(10);
/// An answer that was being made from what was there before is kept no longer than this.
const ANSWERED: Duration = Duration::from_secs(60);
/// Orders, contents, and changes of one order looked at in one go.
const MOST: u32 = 1000;

/// Works for as long as it is polled.
pub async fn keep(desk: &Desk) {
    let mut committed = desk.ledger().committed();
    let mut clear_at: Option<Instant> = None;
    loop {
        committed.mark_unchanged();
        let again = match round(desk).await {
            Ok(Round::Nothing) => None,
            Ok(Round::Done) => {
                clear_at = Some(Instant::now() + ANSWERED);
                None
            }
            Ok(Round::Later) => Some(Instant::now() + AGAIN),
            Err(error) => {
                tracing::warn!(%error, "an erasure cannot be carried out; it is tried again");
                Some(Instant::now() + AGAIN)
            }
        };
        tokio::time::sleep(GATHER).await;
        let wake_at = [again, clear_at].into_iter().flatten().min();
        tokio::select! {
            changed = committed.changed() => if changed.is_err() { return },
            () = until(wake_at) => {}
        }
        if clear_at.is_some_and(|at| at <= Instant::now()) {
            desk.cache().clear().await;
            clear_at = None;
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
pub enum Round {
    /// There was nothing to do.
    Nothing,
    /// Everything was done, and said.
    Done,
    /// A long read is in the way.
    Later,
}

/// Does what is undone.
///
/// # Errors
/// When the ledger or the files cannot be used.
pub async fn round(desk: &Desk) -> Result<Round, Error> {
    let ledger = desk.ledger();
    let own = match desk.identity().await? {
        Identity::Hub { hub_id, .. } => {
            while let Some(listing) = ledger.unlisted(MOST).await? {
                list(desk, listing).await?;
            }
            hub_id
        }
        Identity::Node(enrolment) => enrolment.node_id,
        Identity::Unenrolled => return Ok(Round::Nothing),
    };
    // Of a photo that came after its order, too.
    contents(desk).await?;
    let undone = ledger.erasures_undone(MOST).await?;
    if undone.is_empty() {
        return Ok(Round::Nothing);
    }
    if !ledger.wipe().await? {
        tracing::info!("somebody reads for long; what was erased leaves the log after that");
        return Ok(Round::Later);
    }
    desk.cache().clear().await;
    for order in undone {
        confirm(desk, own, order).await?;
    }
    Ok(Round::Done)
}

/// Removes the files of contents that no photo names any more, uploads of them included.
async fn contents(desk: &Desk) -> Result<(), Error> {
    loop {
        let erased = desk.ledger().erased_contents(MOST).await?;
        if erased.is_empty() {
            return Ok(());
        }
        for &sha256 in &erased {
            if let Some(uploads) = desk.ledger().forget_erased(sha256).await? {
                for id in uploads {
                    desk.blobs().discard(id).await.map_err(crate::photos::disk)?;
                }
                // A fetch that was cut, under the name that the node gives it.
                let mut name = [0; 16];
                name.copy_from_slice(&sha256.as_bytes()[..16]);
                desk.blobs().discard(Uuid::from_bytes(name)).await.map_err(crate::photos::disk)?;
                desk.blobs().remove(sha256).await.map_err(crate::photos::disk)?;
                desk.blobs().remove_aside(sha256).await.map_err(crate::photos::disk)?;
                desk.stop_wanting(sha256);
                metrics::counter!("blobs_removed_total", "what" => "erased").increment(1);
            }
        }
        let (folders, looked_for) = (desk.copies().to_vec(), erased.iter().copied().collect());
        let removed = heavy::run(move || copies::remove(&folders, &looked_for)).await;
        let removed = removed.map_err(|gone| Error::Fault(gone.to_string()))?;
        removed.map_err(crate::photos::disk)?;
        for sha256 in erased {
            desk.ledger().note_erased(sha256).await?;
        }
    }
}

/// Tells, in the order's record, the digests of what is left.
async fn list(desk: &Desk, listing: Listing) -> Result<(), Error> {
    tell(desk, listing.id, listing.scope, listing.left).await
}

async fn confirm(desk: &Desk, own: Uuid, order: Undone) -> Result<(), Error> {
    let said = json!({
        "at": format_rfc3339(desk.now_ms()), "changes": order.changes, "contents": order.contents,
    });
    tell(desk, order.id, order.scope, BTreeMap::from([(format!("done/{}", own.hyphenated()), said)])).await?;
    tracing::info!(erasure = %order.id, changes = order.changes, contents = order.contents, "an erasure was carried out");
    Ok(())
}

async fn tell(desk: &Desk, id: Uuid, scope: Scope, set: BTreeMap<Field, Value>) -> Result<(), Error> {
    let plan = move |_: &Staged| Ok(vec![Draft { kind: ERASURE, id, scope, new: false, set, number_year: None }]);
    let recording = Recording::of(Vec::new(), BY, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    Ok(())
}
