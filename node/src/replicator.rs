//! Keeping the store in step with headquarters, for as long as the node serves, whatever the line does.
//!
//! Parts: [`view`] watches the ledger (who the node is, what waits); [`board`] holds what people may know; and, for
//! one enrolment, a [`session`] runs loops that never wait for one another: [`hello`] (is it our hub, and is it
//! there), [`push`], [`pull`] and [`blobs`]. [`link`] and [`batch`] decide when and how much, and do nothing else.
//!
//! Nothing here remembers what was sent: that is in the ledger, so the process may end at any moment. A session ends
//! when the enrolment changes, and when a backlog stood still for two minutes though the hub answered: whatever was
//! stuck then, client and connections included, is thrown away and begun anew. A loop that panics takes its session
//! along and is begun anew as well.

mod authorities;
pub mod batch;
pub mod blobs;
pub mod board;
mod hello;
pub mod hub;
pub mod link;
mod offer;
pub mod proof;
pub(crate) mod pull;
mod push;
mod retired;
mod rounds;
pub(crate) mod session;
mod standing;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use chassis::outbound::{Backoff, Carrier};
use chassis::pulse::Pulse;
use chassis::systemd::Vital;
use desk::Desk;
use desk::ledger::{Anew, Beginning, Enrolment};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use board::{Board, Live, Part};
use chassis::clock::format_rfc3339;
use hub::Hub;
use link::{PACE, Phase, STALL, Watchdog};
use rounds::Rounds;
use session::Session;
use standing::{NotFound, Parted};
use view::View;

/// How often the watchdog looks while a backlog may stand still.
const LOOKS: u32 = 24;
/// New beginnings in a row wait for this long, times two for each, so that a hub that is wrong about everything does not
/// make a stream a second.
const ANEW_AFTER: Duration = Duration::from_secs(2);
/// The longest such pause.
const ANEW_AFTER_MOST: Duration = Duration::from_secs(300);
/// How often it is looked whether the machine's clock was set.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// The pause before a session that could not begin, or that panicked, is begun again.
const AGAIN: Duration = Duration::from_secs(2);

/// How patient the replicator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    /// The pauses between tries.
    pub pace: Backoff,
    /// How long a backlog may stand still while the hub answers.
    pub stall: Duration,
    /// What headquarters gets of photos, when and how fast.
    pub contents: blobs::Policy,
    /// How often it is made sure that both sides hold the same.
    pub proof: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            pace: PACE,
            stall: STALL,
            contents: blobs::Policy::default(),
            proof: proof::EVERY,
        }
    }
}

/// The machine that syncs. Cheap to clone; clones share one board.
#[derive(Clone)]
pub struct Replicator {
    desk: Desk,
    tempo: watch::Sender<Tempo>,
    machine: Option<String>,
    carrier: Option<Arc<dyn Carrier>>,
    board: Arc<Board>,
    view: watch::Sender<View>,
    pulse: Pulse,
    rounds: Rounds,
}

impl Replicator {
    /// A replicator for the site of `desk`.
    #[must_use]
    pub fn new(desk: Desk, tempo: Tempo) -> Self {
        Self {
            desk,
            tempo: watch::Sender::new(tempo),
            machine: None,
            carrier: None,
            board: Arc::new(Board::new(Live::default())),
            view: watch::Sender::new(View::default()),
            pulse: Pulse::default(),
            rounds: Rounds::default(),
        }
    }

    /// Tells the hub where the node runs: [`crate::site::machine`].
    #[must_use]
    pub fn on_machine(mut self, machine: Option<String>) -> Self {
        self.machine = machine;
        self
    }

    /// The same, once it has looked at what there is: whoever is served or told of the node from now on is told the truth at once.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn looked(self) -> Result<Self, desk::Error> {
        let view = view::look(&self.desk).await?;
        if view.enrolment.is_some() {
            self.board.reset(Live::from_kept(&self.desk.ledger().link_state().await?));
        }
        self.view.send_replace(view);
        Ok(self)
    }

    /// Reaches the hub by `carrier` and not over the network: for simulations.
    #[must_use]
    pub fn carried_by(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// Keeps to `tempo` from now on: the session under way ends and another one begins, where it makes a difference.
    pub fn keep_to(&self, tempo: Tempo) {
        self.tempo.send_if_modified(|now| std::mem::replace(now, tempo) != tempo);
    }

    /// What it knows of itself.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// What waits to be sent, as it last looked.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Tells whether its loops still turn: all of them are one task, and so is what answers here; and each round of theirs ends in
    /// its time.
    #[must_use]
    pub fn vital(&self) -> Vital {
        let (pulse, rounds) = (self.pulse.clone(), self.rounds.clone());
        Vital::new("replicator", move || {
            let (pulse, rounds) = (pulse.clone(), rounds.clone());
            async move {
                pulse.felt().await;
                rounds.in_time()
            }
        })
    }

    /// Syncs until `stop` is cancelled, then keeps what is known of the link and returns.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let mut work = tokio::spawn(self.clone().work());
            tokio::select! {
                biased;
                () = stop.cancelled() => work.abort(),
                ended = &mut work => {
                    let why = ended.err().map(|error| error.to_string()).unwrap_or_default();
                    tracing::error!(%why, "the replicator failed and is begun anew");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        if self.view.borrow().enrolment.is_some()
            && let Err(error) = self.desk.ledger().set_link_state(self.board.now().to_kept()).await
        {
            tracing::debug!(%error, "the link's state could not be kept");
        }
    }

    async fn work(self) {
        tokio::select! {
            biased;
            () = view::keep(&self.desk, &self.view) => {}
            () = view::count(&self.desk, &self.view) => {}
            () = self.pulse.beats() => {}
            () = self.measure() => {}
            () = self.sessions() => {}
        }
    }

    /// One session after the other.
    async fn sessions(&self) {
        let mut view = self.view.subscribe();
        let mut tempi = self.tempo.subscribe();
        let mut last: Option<Enrolment> = None;
        let mut begun = 0_u32;
        loop {
            let Some(enrolment) =
                view.wait_for(|view| view.enrolment.is_some()).await.ok().and_then(|view| view.enrolment.clone())
            else {
                return;
            };
            // A new epoch of the same hub is no new enrolment: what is known of the link stays.
            let renewed =
                last.as_ref().is_some_and(|last| *last == Enrolment { epoch: last.epoch, ..enrolment.clone() });
            if renewed {
                last = Some(enrolment.clone());
            } else {
                tracing::info!(node = %enrolment.node_id, store = enrolment.store_code, hub = enrolment.hub_url, "syncing");
                let kept = self.desk.ledger().link_state().await.unwrap_or_default();
                self.board.reset(Live::from_kept(&kept));
                last = Some(enrolment.clone());
            }
            let tempo = *tempi.borrow_and_update();
            let session = match self.begin(enrolment.clone(), tempo.pace).await {
                Ok(session) => session,
                Err(why) => {
                    self.board.trouble(Part::Ledger, why, None);
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            let mut parted = None;
            tokio::select! {
                biased;
                _ = view.wait_for(|view| view.enrolment.as_ref() != Some(&enrolment)) => {}
                found = session.parted() => parted = Some(found),
                // Its sender lives as long as this does.
                _ = tempi.changed() => tracing::info!("the link keeps to other settings from now on"),
                () = stalled(&session, tempo.stall) => self.stall(tempo.stall),
                () = session.tell_settings() => {}
                () = hello::run(&session) => {}
                () = push::run(&session) => {}
                () = pull::run(&session) => {}
                () = offer::run(&session) => {}
                () = blobs::run(&session, tempo.contents) => {}
                () = proof::run(&session, tempo.proof) => {}
                () = self.board.keep(self.desk.ledger()) => {}
            }
            // The loops are gone: no page that left the old stream out can be stored after the new beginning.
            if let Some(parted) = parted {
                match self.heal(&session, &parted).await {
                    Ok(Some(anew)) => {
                        begun = begun.saturating_add(1);
                        // The loops act on the view, which has to know the new stream first.
                        let _ = view.wait_for(|view| view.backlog.origin == anew.origin).await;
                        let pause = ANEW_AFTER.saturating_mul(1 << (begun - 1).min(8)).min(ANEW_AFTER_MOST);
                        tokio::time::sleep(if begun > 1 { pause } else { Duration::ZERO }).await;
                    }
                    Ok(None) => tokio::time::sleep(AGAIN).await,
                    Err(why) => {
                        self.board.trouble(Part::Fork, format!("{}; {why}", parted.why), None);
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    /// Shows how far the node's clock is off while headquarters cannot be asked (somebody may set it at any time), and for how long
    /// the oldest of what waits has waited.
    async fn measure(&self) {
        loop {
            tokio::time::sleep(CLOCK_EVERY).await;
            let (now_ms, boot_ms) = (self.desk.now_ms(), self.desk.boot_ms());
            if let Some(offset_ms) = self.desk.reckoning().offset_ms(now_ms, boot_ms) {
                self.board.was_set(offset_ms);
                metrics::gauge!("clock_offset_seconds").set(seconds(offset_ms));
            }
            let oldest_ms = self.view.borrow().backlog.oldest_ms;
            // Its place in the order goes by headquarters' time, too.
            let order_ms = self.desk.reckoning().order_ms(now_ms, boot_ms);
            let waited_ms = oldest_ms.map_or(0, |oldest_ms| order_ms.saturating_sub(oldest_ms).max(0));
            metrics::gauge!("aincident_oldest_pending_seconds").set(seconds(waited_ms));
        }
    }

    async fn begin(&self, enrolment: Enrolment, pace: Backoff) -> Result<Session, String> {
        let secret =
            self.desk.ledger().credential().await.map_err(|e| format!("the credential cannot be read: {e}"))?;
        let secret = secret.ok_or("the node's credential is gone; enrol it with a new code and --replace")?;
        let outbound = match &self.carrier {
            Some(carrier) => hub::carried(carrier),
            None => hub::clients((&enrolment).into()).map_err(|e| e.to_string())?,
        };
        let (ids, clock) = (self.desk.ids().clone(), Arc::clone(self.desk.clock()));
        let hub = Hub::new(outbound, &enrolment.hub_url, enrolment.node_id, secret, ids, clock)
            .on_machine(self.machine.clone());
        let session = Session::new(self.desk.clone(), hub, enrolment, self.board(), self.view.subscribe(), pace);
        Ok(session.counted_by(self.rounds.clone()))
    }

    /// Goes on under a new stream from where both histories agree.
    async fn heal(&self, session: &Session, parted: &Parted) -> Result<Option<Anew>, String> {
        metrics::counter!("aincident_forks_total").increment(1);
        let agreed_seq = standing::agreed(session, parted).await.map_err(|error| match error {
            NotFound::Failure(failure) => format!("where they part could not be asked: {failure}"),
            NotFound::Ledger(error) => format!("the node's own ledger cannot be used: {error}"),
        })?;
        let now_ms = self.desk.now_ms();
        let beginning = Beginning {
            of: parted.origin,
            agreed_seq,
            lost: parted.lost,
            why: parted.why.to_owned(),
            now_ms,
        };
        let anew = self
            .desk
            .ledger()
            .begin_anew(beginning)
            .await
            .map_err(|error| format!("the node's own ledger cannot be used: {error}"))?;
        self.board.well(Part::Fork);
        if let Some(anew) = &anew {
            tracing::error!(
                ended = %parted.origin, begun = %anew.origin, agreed_seq, recorded_again = anew.recorded_again,
                at = format_rfc3339(now_ms),
                "{}; what headquarters does not hold was recorded again under a new stream, and everything is pulled again",
                parted.why
            );
        }
        Ok(anew)
    }

    fn stall(&self, stall: Duration) {
        metrics::counter!("aincident_stalls_total").increment(1);
        let waited_s = stall.as_secs();
        tracing::error!(waited_s, "changes wait and headquarters answers, but nothing moved; beginning anew");
        let what = format!("nothing moved for {waited_s} s though headquarters answers; the connection was begun anew");
        self.board.trouble(Part::Stall, what, None);
    }
}

/// For figures.
#[allow(clippy::cast_precision_loss, reason = "a time between two clocks, to the second")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Returns when a backlog has stood still for too long though the hub answers.
async fn stalled(session: &Session, stall: Duration) {
    let mut dog = Watchdog::new(stall);
    loop {
        tokio::time::sleep(stall / LOOKS).await;
        let backlog = session.view.borrow().backlog.clone();
        let online = session.link(|link, _| link.phase()) == Phase::Online;
        let acknowledged = backlog.seq.saturating_sub(backlog.pending_changes);
        if dog.look(session.now(), online, backlog.pending_changes, acknowledged) {
            return;
        }
    }
}
