//! Who the node is and what waits to be sent, read anew after every commit, whoever made it: a person's report must
//! leave at once, and an `enroll` in another process must be noticed without a restart.

use std::time::Duration;

use desk::Desk;
use desk::ledger::{Backlog, Enrolment, Identity};
use tokio::sync::watch;

/// After a look, commits gather for this long: many at once cost one look.
const GATHER: Duration = Duration::from_millis(20);
/// A ledger that cannot be read is asked again after this long.
const AGAIN: Duration = Duration::from_secs(1);

/// What the loops act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The enrolment, once there is one.
    pub enrolment: Option<Enrolment>,
    /// What waits.
    pub backlog: Backlog,
    /// Contents of photos that wait, and their length in bytes; up to a second old.
    pub contents: (u64, u64),
}

/// Reads once.
pub async fn look(desk: &Desk) -> Result<View, desk::Error> {
    let ledger = desk.ledger();
    let enrolment = match ledger.identity().await? {
        Identity::Node(enrolment) => Some(enrolment),
        Identity::Hub { .. } | Identity::Unenrolled => None,
    };
    let backlog = if enrolment.is_some() { ledger.backlog().await? } else { Backlog::default() };
    Ok(View { enrolment, backlog, contents: (0, 0) })
}

/// Keeps the count of contents in `view` up to date. It walks all that wait, so it is made once a second at most.
pub async fn count(desk: &Desk, view: &watch::Sender<View>) {
    let mut committed = desk.ledger().committed();
    loop {
        committed.mark_unchanged();
        if let Ok(contents) = desk.ledger().pieces_pending().await {
            metrics::gauge!("aincident_pending_blobs").set(contents.0 as f64);
            metrics::gauge!("aincident_pending_blob_bytes").set(contents.1 as f64);
            view.send_if_modified(|view| std::mem::replace(&mut view.contents, contents) != contents);
        }
        tokio::time::sleep(AGAIN).await;
        if committed.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps `view` up to date for as long as it is polled.
pub async fn keep(desk: &Desk, view: &watch::Sender<View>) {
    let mut committed = desk.ledger().committed();
    loop {
        committed.mark_unchanged();
        match look(desk).await {
            Ok(seen) => {
                metrics::gauge!("aincident_pending_changes").set(seen.backlog.pending_changes as f64);
                metrics::gauge!("aincident_quarantined_changes").set(seen.backlog.quarantined as f64);
                view.send_if_modified(|view| {
                    if view.enrolment != seen.enrolment {
                        desk.forget_identity();
                    }
                    let seen = View { contents: view.contents, ..seen };
                    let is_new = *view != seen;
                    *view = seen;
                    is_new
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the ledger cannot be read now");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        tokio::time::sleep(GATHER).await;
        if committed.changed().await.is_err() {
            return;
        }
    }
}
