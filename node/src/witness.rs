//! The witness: how far this node's own stream was, in a small file beside the ledger, so that a ledger that was put back
//! to an earlier state or exchanged is found out before anything is recorded, also when headquarters is out of reach.
//!
//! A ledger cannot be behind its witness for another reason. The witness is written from what a reader of the ledger
//! sees; SQLite shows a commit to readers after it has flushed it (`synchronous=FULL`), and only then is the witness
//! written. A crash or a power cut at any point leaves the witness as old as the ledger or older. A stream never gets
//! shorter while it is the node's own, and when another one takes its place the ledger still knows the old one.
//!
//! The other way round proves nothing: a witness that is behind, missing or damaged is written anew. Whoever puts the
//! whole folder back puts the witness back too; then `hello` finds out (see [`crate::replicator`]).
//!
//! It is written off the request path, at most once a second, and at the end.

use std::time::Duration;

use chassis::folder::DataFolder;
use chassis::mark::Mark;
use desk::Desk;
use desk::ledger::{Backlog, Beginning, Identity};
use serde::{Deserialize, Serialize};
use sync_protocol::chain::Link;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is written at most.
const EVERY: Duration = Duration::from_secs(1);
/// Where the machine says who it is.
const MACHINE_ID: &str = "/etc/machine-id";

/// What the witness saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    origin: Uuid,
    seq: u64,
    head: Link,
    /// A digest of the machine's id; null where it has none.
    machine: Option<String>,
}

/// The ledger beside the witness.
struct Beside {
    /// The stream the node records under, and its last number.
    origin: Uuid,
    seq: u64,
    /// Its link at the witness's number, where it goes that far.
    link: Option<Link>,
    /// Whether it has ever had the witness's stream.
    knows: bool,
}

/// What is wrong with a ledger beside its witness, in words; `None` when nothing is. Pure.
fn judge(seen: &Seen, beside: &Beside) -> Option<String> {
    let put_back = "the database was put back from a backup or exchanged";
    match (seen.origin == beside.origin, beside.link) {
        (false, _) if beside.knows => None,
        (false, _) => Some(format!("{put_back}: it does not know the stream this folder recorded under")),
        (true, Some(link)) if link == seen.head => None,
        (true, Some(_)) => Some(format!("{put_back}: it holds another history than this folder recorded")),
        (true, None) => {
            Some(format!("{put_back}: this folder had recorded {} changes and it holds {}", seen.seq, beside.seq))
        }
    }
}

/// The witness of one folder.
#[derive(Debug)]
pub struct Witness {
    mark: Mark,
    machine: Option<String>,
}

impl Witness {
    /// The witness beside the ledger in `folder`.
    #[must_use]
    pub fn new(folder: &DataFolder) -> Self {
        let id = std::fs::read_to_string(MACHINE_ID).ok();
        let machine = id.map(|id| blake3::hash(format!("aincident machine\n{}", id.trim()).as_bytes()).to_string());
        Self { mark: Mark::new(folder.path(), "witness"), machine }
    }

    /// Asks the witness about the ledger, before anything is recorded in it. One that was put back goes on under a new
    /// stream at once: its old numbers were used for other changes.
    ///
    /// # Errors
    /// When the ledger cannot be used.
    pub async fn check(&self, desk: &Desk) -> Result<(), desk::Error> {
        let ledger = desk.ledger();
        if !matches!(ledger.identity().await?, Identity::Node(_)) {
            return Ok(());
        }
        if ledger.is_restored().await? {
            let backlog = ledger.backlog().await?;
            let agreed_seq = backlog.seq.saturating_sub(backlog.pending_changes);
            let why = "this folder was restored from a backup".to_owned();
            let beginning = Beginning { of: backlog.origin, agreed_seq, lost: 0, why, now_ms: desk.now_ms() };
            // For as long as headquarters was away: some seconds for ten thousand.
            tracing::info!(
                count = backlog.pending_changes,
                "what headquarters does not have yet is recorded under new numbers"
            );
            if let Some(anew) = ledger.begin_anew(beginning).await? {
                tracing::warn!(ended = %backlog.origin, begun = %anew.origin, "this folder was restored from a backup; what is recorded from now on goes under a new stream");
            }
            return Ok(());
        }
        let seen = match self.mark.read().map(|text| text.map(|text| serde_json::from_str::<Seen>(&text))) {
            Ok(Some(Ok(seen))) => seen,
            Ok(None) => {
                tracing::info!("there is no witness beside the ledger yet; it is made");
                return Ok(());
            }
            Ok(Some(Err(_))) | Err(_) => {
                tracing::warn!("the witness beside the ledger cannot be read; it is made anew");
                return Ok(());
            }
        };
        if seen.machine.is_some() && seen.machine != self.machine {
            tracing::warn!("this folder was served by another machine before");
        }
        let backlog = ledger.backlog().await?;
        let beside = Beside {
            origin: backlog.origin,
            seq: backlog.seq,
            link: ledger.own_link(seen.seq).await?,
            knows: ledger.origin_head(seen.origin).await?.is_some(),
        };
        let Some(why) = judge(&seen, &beside) else {
            return Ok(());
        };
        // What headquarters acknowledged it has; of the rest nobody knows, and what it gets twice it shows once.
        let agreed_seq = backlog.seq.saturating_sub(backlog.pending_changes);
        let lost = if seen.origin == backlog.origin {
            seen.seq.saturating_sub(backlog.seq)
        } else {
            0
        };
        let beginning = Beginning { of: backlog.origin, agreed_seq, lost, why: why.clone(), now_ms: desk.now_ms() };
        if let Some(anew) = ledger.begin_anew(beginning).await? {
            tracing::error!(
                ended = %backlog.origin, begun = %anew.origin, agreed_seq, recorded_again = anew.recorded_again,
                "{why}; what is recorded from now on goes under a new stream, and what headquarters holds comes down"
            );
        }
        Ok(())
    }

    /// Writes what it sees after commits, until `stop` is cancelled.
    pub async fn keep(&self, desk: &Desk, stop: CancellationToken) {
        let mut committed = desk.ledger().committed();
        let mut last = None;
        while !stop.is_cancelled() {
            committed.mark_unchanged();
            self.write(desk, &mut last).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = committed.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Writes what it sees, once nothing is recorded any more.
    pub async fn close(&self, desk: &Desk) {
        self.write(desk, &mut None).await;
    }

    async fn write(&self, desk: &Desk, last: &mut Option<Seen>) {
        if !matches!(desk.ledger().identity().await, Ok(Identity::Node(_))) {
            return;
        }
        let Ok(Backlog { origin, seq, head: Some(head), .. }) = desk.ledger().backlog().await else {
            return;
        };
        let seen = Seen { origin, seq, head, machine: self.machine.clone() };
        if last.as_ref() == Some(&seen) {
            return;
        }
        let (mark, text) = (self.mark.clone(), serde_json::to_string(&seen).unwrap_or_default());
        match chassis::heavy::run(move || mark.write(&text)).await {
            Ok(Ok(())) => *last = Some(seen),
            // A witness that is behind proves less and is never wrong.
            Ok(Err(error)) => tracing::debug!(%error, "the witness could not be written"),
            Err(error) => tracing::debug!(%error, "the witness could not be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ledger_that_went_back_or_was_exchanged_is_behind_its_witness() {
        let (origin, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let head = Link::start(origin).extend(b"x");
        let seen = Seen { origin, seq: 7, head, machine: None };
        let judge = |origin, seq, link, knows| judge(&seen, &Beside { origin, seq, link, knows }).is_some();
        assert!(!judge(origin, 7, Some(head), true), "as it was");
        assert!(!judge(origin, 9, Some(head), true), "the witness may be behind");
        assert!(judge(origin, 6, None, true), "restored");
        assert!(judge(origin, 8, Some(Link::start(origin)), true), "restored, and written to without the witness");
        assert!(!judge(other, 0, None, true), "enrolled anew");
        assert!(judge(other, 90, Some(head), false), "exchanged");
    }
}
