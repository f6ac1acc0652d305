//! Sending one content, from the byte that headquarters has.

use super::Broken;
use super::pace::Lanes;
use crate::replicator::hub::{Failure, Transfer};
use crate::replicator::session::Session;
use bytes::Bytes;
use chassis::blobs::Reading;
use chassis::outbound::{Body, Method};
use desk::ledger::{AtHub, Lane, Piece};
use desk::photos::travels::Travel;
use futures::{Stream, StreamExt as _};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use sync_protocol::message::{HaveItem, path};
use tokio::time::{Instant, sleep};

/// Bytes between two looks at whether others wait.
const PORTION: usize = 16 * 1024;
/// A content that does not move for so long is begun anew, on another connection.
const STALLED: Duration = Duration::from_secs(90);
/// How long headquarters may take after the last byte was handed over: a full send buffer on a slow line, too.
const ANSWER: Duration = Duration::from_secs(180);

/// How often who waits for a turn says so.
const IN_A_QUEUE: Duration = Duration::from_secs(10);
/// Time between two looks at whether originals may still go.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(5);

/// Why a content is not sent.
pub(super) enum Unsent {
    /// It, for a reason of its own.
    Alone(String),
    /// Headquarters has more or less of it than it said: asking again tells.
    Moved,
    /// Nothing can be sent now.
    Broken(Broken),
}

/// Sends what is left of a content.
pub(super) async fn content(
    session: &Session,
    lanes: &Arc<Lanes>,
    piece: &Piece,
    item: &HaveItem,
) -> Result<(), Unsent> {
    let reading = session.desk.blobs().open_read(piece.sha256).await;
    let reading = reading.map_err(|error| Unsent::Alone(format!("it cannot be read: {error}")))?;
    let reading = reading.filter(|reading| reading.size_bytes == piece.size_bytes);
    let reading = reading.ok_or_else(|| Unsent::Alone("it is not in its place, or damaged".to_owned()))?;
    let is_original = piece.lane == Lane::Original;
    if is_original {
        let noted = session.desk.ledger().note_at_hub(vec![piece.sha256], AtHub::Sending).await;
        noted.map_err(|error| Unsent::Broken(Broken::Ledger(error)))?;
    }
    let (method, path, first) = match item.upload {
        Some(id) => (Method::PATCH, format!("{}/{}", path::UPLOADS, id.hyphenated()), item.offset_bytes),
        None => (Method::POST, path::UPLOADS.to_owned(), 0),
    };
    if first > piece.size_bytes {
        return Err(Unsent::Alone("headquarters says that it has more than there is".to_owned()));
    }
    let left = piece.size_bytes - first;
    let travel = Travel::begin(&session.desk, piece.sha256, first);
    let progress = Arc::new(Progress::new(travel, first));
    let bytes = paced(reading, first, left, Arc::clone(lanes), Arc::clone(&progress), is_original);
    let metadata = format!("sha256 {}", base64(&item.sha256));
    let transfer = Transfer {
        method,
        path,
        headers: vec![
            ("tus-resumable", "1.0.0".to_owned()),
            ("content-type", "application/offset+octet-stream".to_owned()),
            ("content-length", left.to_string()),
            ("upload-offset", first.to_string()),
            ("upload-length", piece.size_bytes.to_string()),
            ("upload-metadata", metadata),
        ],
        body: Body::wrap_stream(bytes),
    };
    let sent = tokio::select! {
        biased;
        sent = session.hub.transfer(transfer) => sent,
        () = progress.stalled() => {
            metrics::counter!("aincident_stalls_total").increment(1);
            Err(Failure::NoHub { why: format!("a photo did not move for {} s", STALLED.as_secs()), retry_after: None })
        }
        // What headquarters has of it counts when the time comes again.
        () = closed(session, lanes), if is_original && !item.wanted => return Err(Unsent::Moved),
    };
    match sent {
        Ok(_) => Ok(()),
        // Another offset, or an upload that expired.
        Err(Failure::Refused(refused)) if matches!(refused.status, 404 | 409 | 410) && item.upload.is_some() => {
            Err(Unsent::Moved)
        }
        Err(Failure::Refused(refused)) if matches!(refused.status, 409 | 413 | 422) => {
            Err(Unsent::Alone(refused.detail))
        }
        Err(failure) => Err(Unsent::Broken(Broken::Hub(failure))),
    }
}

/// Returns when the time for originals is over.
async fn closed(session: &Session, lanes: &Lanes) {
    while lanes.policy.originals_may_go(session.now_ms()) {
        sleep(LOOK_AT_THE_CLOCK).await;
    }
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

/// When something last moved, and whether all of it has.
struct Progress {
    begun: Instant,
    moved_ms: AtomicU64,
    across_bytes: AtomicU64,
    travel: Travel,
    ended: std::sync::atomic::AtomicBool,
}

impl Progress {
    fn new(travel: Travel, across_bytes: u64) -> Self {
        Self {
            begun: Instant::now(),
            moved_ms: AtomicU64::new(0),
            across_bytes: across_bytes.into(),
            travel,
            ended: false.into(),
        }
    }

    /// So many bytes more were handed to the line.
    fn sent(&self, bytes: usize) {
        let before = self.across_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.travel.at(before + bytes as u64);
    }

    fn moved(&self) {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// Returns when nothing moved for too long.
    async fn stalled(&self) {
        loop {
            let patience = if self.ended.load(Ordering::Relaxed) { ANSWER } else { STALLED };
            let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
            let still = self.begun.elapsed().saturating_sub(moved);
            match patience.checked_sub(still) {
                Some(left) if !left.is_zero() => sleep(left).await,
                _ => return,
            }
        }
    }
}

/// The content in portions, each when its turn has come.
fn paced(
    reading: Reading,
    first: u64,
    length: u64,
    lanes: Arc<Lanes>,
    progress: Arc<Progress>,
    is_original: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let portions = reading.stream(first, length).flat_map(|read| {
        let portions: Vec<io::Result<Bytes>> = match read {
            Ok(bytes) => (0..bytes.len())
                .step_by(PORTION)
                .map(|at| Ok(bytes.slice(at..(at + PORTION).min(bytes.len()))))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(portions)
    });
    let at_end = Arc::clone(&progress);
    let portions = portions.then(move |portion| {
        let (lanes, progress) = (Arc::clone(&lanes), Arc::clone(&progress));
        async move {
            if let Ok(bytes) = &portion {
                let mut turn = pin!(lanes.turn(bytes.len(), is_original));
                // To wait for a turn is not to stand still.
                while tokio::time::timeout(IN_A_QUEUE, &mut turn).await.is_err() {
                    progress.moved();
                }
                metrics::counter!("aincident_blob_sent_bytes_total").increment(bytes.len() as u64);
                progress.sent(bytes.len());
            }
            progress.moved();
            portion
        }
    });
    portions.chain(
        futures::stream::once(async move {
            at_end.ended.store(true, Ordering::Relaxed);
            at_end.moved();
        })
        .filter_map(|()| async { None }),
    )
}
