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
mod load;
mod pace;
mod send;

pub use pace::{Originals, Policy, Window};

use super::board::Part;
use super::hub::Failure;
use super::session::{Session, Waiting};
use chassis::blobs::Sha256;
use chassis::outbound::Backoff;
use desk::ledger::{AtHub, Lane, Piece};
use futures::{FutureExt as _, StreamExt as _};
use load::{Load, beside};
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
/// Where nothing waits it is looked again at least this often: what is new comes with a commit, and that is heard of.
const IDLE: Duration = Duration::from_secs(60);
/// The pauses of a single content that cannot be sent.
const ALONE: Backoff = Backoff { floor: Duration::from_secs(2), cap: Duration::from_secs(600) };
/// Contents that are read from the ledger at a time.
const PAGE: u32 = 64;
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
    /// Contents of a lane in one question. Thumbnails are so small that the question counts; what takes longer is better asked
    /// after anew.
    const fn asked(self, lane: Lane, open: bool) -> usize {
        match (self, lane) {
            (Self::Small, Lane::Thumbnail) => 64,
            (Self::Originals, _) if !open => ASKED_CLOSED as usize,
            _ => 8,
        }
    }

    /// Contents on their way at once: on a line that loses packets, one connection does not fill it.
    const fn at_once(self) -> usize {
        match self {
            Self::Small => 3,
            Self::Originals => 4,
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

    /// When to look again though nothing was heard: what rests comes due, or just came.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        if self.until.values().any(|(until, _)| *until + SOON > now) {
            SOON
        } else {
            IDLE
        }
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
    tokio::join!(
        up(session, &lanes, Cargo::Small),
        up(session, &lanes, Cargo::Originals),
        fetch::run(session, &lanes)
    );
}

async fn up(session: &Session, lanes: &Arc<Lanes>, cargo: Cargo) {
    let mut waiting = Waiting::new(session.pace);
    let mut resting = Resting::default();
    loop {
        let broken = carry(session, lanes, cargo, &mut resting, &mut waiting).await;
        if cargo == Cargo::Small {
            lanes.urgent.send_replace(false);
        }
        match broken {
            Broken::Hub(failure) => session.lane_failed(Part::Photos, &mut waiting, &failure).await,
            Broken::Ledger(error) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

/// Sends what waits until something breaks off. While headquarters is asked what it has, what is on its way goes on, and one
/// content follows the other at once: on a narrow line a pause is lost for good.
async fn carry(
    session: &Session,
    lanes: &Arc<Lanes>,
    cargo: Cargo,
    resting: &mut Resting,
    waiting: &mut Waiting,
) -> Broken {
    let mut committed = session.desk.ledger().committed();
    let mut load = Load::new(cargo);
    let mut due = true;
    loop {
        while let Some((piece, item)) = load.next() {
            let (sha256, lanes) = (piece.sha256, Arc::clone(lanes));
            let sending = async move { (sha256, send::content(session, &lanes, &piece, &item).await) };
            load.under_way.push(sending.boxed());
        }
        if due {
            let question = async {
                session.ready(waiting).await;
                committed.mark_unchanged();
                records_first(session).await;
                if cargo == Cargo::Small {
                    // Until it is known what there is: an original that begins meanwhile fills the line for seconds.
                    lanes.urgent.send_replace(true);
                }
                let thumbnails_only = cargo == Cargo::Small && !load.queue.is_empty();
                look(session, lanes, cargo, resting, &load.moving, thumbnails_only).await
            };
            match beside(&mut load.under_way, &mut load.arrived, question).await {
                None => {}
                Some(Err(broken)) => return broken,
                Some(Ok(found)) => {
                    due = false;
                    waiting.succeeded();
                    load.take(found);
                }
            }
        } else if load.arrived.is_empty() {
            if load.is_empty() {
                session.board.well(Part::Photos);
                resting.forget_old();
            }
            let pause = if load.is_empty() { resting.pause() } else { SOON };
            tokio::select! {
                biased;
                Some(one) = load.under_way.next() => load.arrived.push(one),
                // What is new may be more urgent than all that is under way; what rests may be due.
                _ = committed.changed(), if load.has_room() => due = true,
                () = sleep(pause), if load.has_room() => due = true,
            }
        }
        if cargo == Cargo::Small {
            let urgent = !load.is_empty();
            lanes.urgent.send_if_modified(|was| std::mem::replace(was, urgent) != urgent);
        }
        // What was sent is asked after with what comes next: an original at once, it took long enough.
        due |= !load.arrived.is_empty() && (cargo == Cargo::Originals || load.queue.is_empty());
        if let Err(broken) = load.settle(session, resting) {
            return broken;
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

/// Looks through what waits until there is something to send, or nothing more. `moving`: what is on its way.
async fn look(
    session: &Session,
    lanes: &Lanes,
    cargo: Cargo,
    resting: &mut Resting,
    moving: &HashMap<Sha256, Lane>,
    thumbnails_only: bool,
) -> Result<Vec<(Piece, HaveItem)>, Broken> {
    let mut after = cargo.begin();
    loop {
        let open = cargo == Cargo::Small || lanes.policy.originals_may_go(session.now_ms());
        let page = session.desk.ledger().pieces_waiting(after, if open { PAGE } else { ASKED_CLOSED }).await?;
        let carried = |piece: &Piece| cargo.carries(piece) && (piece.lane == Lane::Thumbnail || !thumbnails_only);
        if !page.iter().any(carried) {
            return Ok(Vec::new());
        }
        let mut asked: BTreeMap<Sha256, Piece> = BTreeMap::new();
        let mut of = None;
        for piece in page {
            if carried(&piece) && !resting.rests(piece.sha256) && !moving.contains_key(&piece.sha256) {
                // One question is about contents of one kind: those after it may not be needed any more.
                if of.is_some_and(|of| of != piece.lane) || asked.len() >= cargo.asked(piece.lane, open) {
                    break;
                }
                of = Some(piece.lane);
                after = Some((piece.lane, piece.photo_no));
                asked.entry(piece.sha256).or_insert(piece);
            } else {
                after = Some((piece.lane, piece.photo_no));
            }
        }
        if asked.is_empty() {
            continue;
        }
        let items = have(session, &asked).await?;
        note(session, &items, &asked).await?;
        let mut to_send = Vec::new();
        for item in items {
            let Some(piece) = item.sha256.parse().ok().and_then(|digest| asked.remove(&digest)) else {
                continue;
            };
            match item.state {
                Have::Here => {}
                Have::Missing if (open || item.wanted) && (piece.here || adopt(session, piece.sha256).await?) => {
                    to_send.push((piece, item));
                }
                Have::Missing => resting.later(piece.sha256, if open { AGAIN } else { CLOSED }),
                Have::Unknown => resting.later(piece.sha256, SOON),
            }
        }
        if !to_send.is_empty() {
            // In the order in which they wait.
            to_send.sort_by_key(|(piece, _)| (piece.lane, piece.photo_no));
            return Ok(to_send);
        }
    }
}

/// Takes up a content whose file is here though the ledger does not know that: one that was put back by itself has forgotten what came
/// since. False where it is not here, or not whole.
async fn adopt(session: &Session, sha256: Sha256) -> Result<bool, Broken> {
    let blobs = session.desk.blobs();
    let Ok(Some(reading)) = blobs.open_read(sha256).await else {
        return Ok(false);
    };
    if !matches!(blobs.verify(sha256).await, Ok(true)) {
        return Ok(false);
    }
    let is_named = session.desk.ledger().keep_named_blob(sha256, reading.size_bytes, session.desk.now_ms()).await?;
    if is_named {
        tracing::warn!(%sha256, "a photo's content was here and the ledger had forgotten it");
    }
    Ok(is_named)
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

/// Notes what headquarters has.
async fn note(session: &Session, items: &[HaveItem], asked: &BTreeMap<Sha256, Piece>) -> Result<(), Broken> {
    let here = items.iter().filter(|item| item.state == Have::Here);
    let here: Vec<Sha256> = here
        .filter_map(|item| item.sha256.parse().ok())
        .filter(|digest| asked.contains_key(digest))
        .collect();
    if !here.is_empty() {
        session.desk.ledger().note_at_hub(here, AtHub::Verified).await?;
    }
    Ok(())
}
