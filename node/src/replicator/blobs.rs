//! The contents of photos: sent to headquarters, and fetched where only headquarters has them.
//!
//! Records first: a content is sent once the changes that name it are. Then smallest first: thumbnails and display images in
//! one lane, originals in another, which holds still while a record or a small content waits. What is fetched is a third.
//!
//! Nothing here remembers what was sent. Each round asks which contents headquarters has (`have`): what is there is noted as
//! verified, and by nothing else; what is not goes on at the byte that is durable there. So a cut, a crash or a restart of
//! either side costs what was under way in that second.
//!
//! A single content that cannot be sent waits for itself, longer each time; the others go on.

mod fetch;
mod pace;
mod send;

pub use pace::{Originals, Policy, Window};

use super::board::Part;
use super::hub::Failure;
use super::session::{Session, Waiting};
use chassis::blobs::Sha256;
use chassis::outbound::Backoff;
use desk::ledger::{AtHub, Lane, Piece};
use futures::StreamExt as _;
use pace::Lanes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::message::{Have, HaveAnswer, HaveItem, HaveRequest, path};
use tokio::time::{Instant, sleep};

/// How long the answer to a question may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// What could not be sent is asked after again at least this often.
const AGAIN: Duration = Duration::from_secs(30);
/// Originals that may not go by themselves now are asked after again this often: somebody may want one.
const CLOSED: Duration = Duration::from_secs(60);
/// Contents in one question about originals that may not go.
const ASKED_CLOSED: u32 = 400;
/// What headquarters has no record of yet is asked after again at least this often.
const SOON: Duration = Duration::from_secs(5);
/// The pauses of a single content that cannot be sent.
const ALONE: Backoff = Backoff { floor: Duration::from_secs(2), cap: Duration::from_secs(600) };
/// Records that headquarters does not take hold contents back at most so long.
const RECORDS_FIRST: Duration = Duration::from_secs(20);

/// Which contents a lane carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cargo {
    /// Thumbnails and display images.
    Small,
    /// Originals.
    Originals,
}

impl Cargo {
    /// Contents in one question. An original takes long enough to ask anew.
    const fn asked(self) -> u32 {
        match self {
            Self::Small => 64,
            Self::Originals => 6,
        }
    }

    /// Contents on their way at once: on a line that loses packets, one connection does not fill it.
    const fn at_once(self) -> usize {
        match self {
            Self::Small => 2,
            Self::Originals => 3,
        }
    }

    /// Where the ledger's list of what waits begins for it.
    const fn begin(self) -> Option<(Lane, i64)> {
        match self {
            Self::Small => None,
            Self::Originals => Some((Lane::Display, i64::MAX)),
        }
    }

    fn carries(self, piece: &Piece) -> bool {
        (piece.lane == Lane::Original) == (self == Self::Originals)
    }
}

/// Why a round broke off.
enum Broken {
    Hub(Failure),
    Ledger(desk::Error),
}

impl From<desk::Error> for Broken {
    fn from(error: desk::Error) -> Self {
        Self::Ledger(error)
    }
}

/// What is not asked after for a while.
#[derive(Default)]
struct Resting {
    until: HashMap<Sha256, (Instant, u32)>,
}

impl Resting {
    fn rests(&self, sha256: Sha256) -> bool {
        self.until.get(&sha256).is_some_and(|(until, _)| *until > Instant::now())
    }

    /// Nobody failed, but there is nothing to be done now.
    fn later(&mut self, sha256: Sha256, pause: Duration) {
        let failures = self.until.get(&sha256).map_or(0, |(_, failures)| *failures);
        self.until.insert(sha256, (Instant::now() + pause, failures));
    }

    fn failed(&mut self, sha256: Sha256, random: u64) {
        let failures = self.until.get(&sha256).map_or(0, |(_, failures)| *failures).saturating_add(1);
        self.until.insert(sha256, (Instant::now() + ALONE.delay(failures, random), failures));
    }

    fn forget_old(&mut self) {
        let long_ago = Instant::now().checked_sub(ALONE.cap);
        self.until.retain(|_, (until, _)| long_ago.is_none_or(|long_ago| *until > long_ago));
    }
}

/// Sends and fetches for as long as it is polled.
pub(super) async fn run(session: &Session, policy: Policy) {
    let lanes = Arc::new(Lanes::new(policy, session.view.clone()));
    tokio::join!(up(session, &lanes, Cargo::Small), up(session, &lanes, Cargo::Originals), fetch::run(session));
}

async fn up(session: &Session, lanes: &Arc<Lanes>, cargo: Cargo) {
    let mut waiting = Waiting::new(session.pace);
    let mut committed = session.desk.ledger().committed();
    let mut resting = Resting::default();
    loop {
        session.ready(&mut waiting).await;
        committed.mark_unchanged();
        records_first(session).await;
        let round = round(session, lanes, cargo, &mut resting).await;
        if cargo == Cargo::Small {
            lanes.urgent.send_replace(matches!(round, Ok(true)));
        }
        match round {
            Ok(true) => waiting.succeeded(),
            Ok(false) => {
                waiting.succeeded();
                session.board.well(Part::Photos);
                resting.forget_old();
                tokio::select! {
                    biased;
                    _ = committed.changed() => {}
                    () = sleep(SOON) => {}
                }
            }
            Err(Broken::Hub(failure)) => session.lane_failed(Part::Photos, &mut waiting, &failure).await,
            Err(Broken::Ledger(error)) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

/// Waits until the records are sent, though not for ever: those that headquarters does not take must not hold up the rest.
async fn records_first(session: &Session) {
    let mut view = session.view.clone();
    let sent = async {
        // Not by the view alone, which may be a moment older than the record that names a content.
        while session.desk.ledger().backlog().await.is_ok_and(|backlog| backlog.pending_changes > 0) {
            if view.changed().await.is_err() {
                return;
            }
        }
    };
    // Whether they were sent or it took too long makes no difference.
    let _ = tokio::time::timeout(RECORDS_FIRST, sent).await;
}

/// Looks through what waits until something was sent (true) or there is nothing to send (false).
async fn round(session: &Session, lanes: &Arc<Lanes>, cargo: Cargo, resting: &mut Resting) -> Result<bool, Broken> {
    let mut after = cargo.begin();
    loop {
        let open = cargo == Cargo::Small || lanes.policy.originals_may_go(session.now_ms());
        let most = if open { cargo.asked() } else { ASKED_CLOSED };
        let page = session.desk.ledger().pieces_waiting(after, most).await?;
        let Some(last) = page.last().filter(|last| cargo.carries(last) || page.iter().any(|p| cargo.carries(p))) else {
            return Ok(false);
        };
        after = Some((last.lane, last.photo_no));
        let mut asked: BTreeMap<Sha256, Piece> = BTreeMap::new();
        for piece in page {
            if cargo.carries(&piece) && !resting.rests(piece.sha256) {
                asked.entry(piece.sha256).or_insert(piece);
            }
        }
        if asked.is_empty() {
            continue;
        }
        let items = have(session, &asked).await?;
        let mut moved = note(session, &items, &asked).await?;
        let mut to_send = Vec::new();
        for item in items {
            let Some(piece) = item.sha256.parse().ok().and_then(|digest| asked.remove(&digest)) else {
                continue;
            };
            match item.state {
                Have::Here => {}
                Have::Missing if piece.here && (open || item.wanted) => to_send.push((piece, item)),
                Have::Missing => resting.later(piece.sha256, if open { AGAIN } else { CLOSED }),
                Have::Unknown => resting.later(piece.sha256, SOON),
            }
        }
        // In the order in which they wait: thumbnails of all before display images.
        to_send.sort_by_key(|(piece, _)| (piece.lane, piece.photo_no));
        moved |= !to_send.is_empty();
        send_all(session, lanes, cargo, to_send, resting).await?;
        if moved {
            return Ok(true);
        }
    }
}

async fn have(session: &Session, asked: &BTreeMap<Sha256, Piece>) -> Result<Vec<HaveItem>, Broken> {
    let request = HaveRequest { sha256: asked.keys().map(ToString::to_string).collect() };
    let answer: HaveAnswer = session.hub.ask(path::HAVE, &request, DEADLINE).await.map_err(Broken::Hub)?;
    session.contact();
    if answer.items.iter().map(|item| &item.sha256).ne(request.sha256.iter()) {
        return Err(Broken::Hub(Failure::nonsense("an answer about other contents than those asked after")));
    }
    Ok(answer.items)
}

/// Notes what headquarters has; whether there was any.
async fn note(session: &Session, items: &[HaveItem], asked: &BTreeMap<Sha256, Piece>) -> Result<bool, Broken> {
    let here = items.iter().filter(|item| item.state == Have::Here);
    let here: Vec<Sha256> = here
        .filter_map(|item| item.sha256.parse().ok())
        .filter(|digest| asked.contains_key(digest))
        .collect();
    if here.is_empty() {
        return Ok(false);
    }
    session.desk.ledger().note_at_hub(here, AtHub::Verified).await?;
    Ok(true)
}

async fn send_all(
    session: &Session,
    lanes: &Arc<Lanes>,
    cargo: Cargo,
    to_send: Vec<(Piece, HaveItem)>,
    resting: &mut Resting,
) -> Result<(), Broken> {
    if cargo == Cargo::Small {
        lanes.urgent.send_replace(!to_send.is_empty());
    }
    let sending = to_send.into_iter().map(|(piece, item)| async move {
        let sent = send::content(session, lanes, &piece, &item).await;
        (piece.sha256, sent)
    });
    let mut sending = futures::stream::iter(sending).buffer_unordered(cargo.at_once());
    while let Some((sha256, sent)) = sending.next().await {
        match sent {
            Ok(()) => {}
            Err(send::Unsent::Alone(why)) => {
                tracing::warn!(%sha256, why, "a photo's content was not sent; it is tried again later");
                resting.failed(sha256, session.desk.ids().random_u64());
            }
            Err(send::Unsent::Moved) => {}
            Err(send::Unsent::Broken(broken)) => return Err(broken),
        }
    }
    Ok(())
}
