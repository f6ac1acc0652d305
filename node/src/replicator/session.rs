//! What the loops of one enrolment share: the link's state, the gate that it opens for the lanes, and what a failure
//! means. One session lasts until the enrolment changes or a stall makes the replicator begin anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::outbound::{Backoff, Pin};
use desk::Desk;
use desk::ledger::Enrolment;
use sync_protocol::message::{Limits, MAX_BELIEVED, NodeStatus, refusal};
use sync_protocol::scope::Scope;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::board::{Board, Part};
use super::hub::{Failure, Hub, MOST_TRANSFER};
use super::link::{LONGEST_RETRY_AFTER, Lane, Link, Phase, Stop, Tick};
use super::rounds::{Round, Rounds};
use super::standing::Parted;
use super::view::View;

/// An answer that took longer tells less of headquarters' clock than the time since the one before.
const TELLING_MS: i64 = 20_000;

/// What `hello` told, for the lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// Grows with every answered `hello`.
    pub no: u64,
    /// Grows whenever the hub answers again after it did not.
    pub breaks: u64,
    /// The protocol version that both speak.
    pub protocol: u32,
    /// The hub's limits.
    pub limits: Limits,
    /// The scopes to pull.
    pub scopes: Vec<Scope>,
    /// The origin that `hello` was about.
    pub origin: Uuid,
    /// The last number the hub holds of it.
    pub applied_seq: u64,
    /// The last number of it that the hub had acknowledged when `hello` was said: what was acknowledged since it may not have counted.
    pub acknowledged: u64,
}

/// What the loops share.
pub(super) struct Session {
    pub desk: Desk,
    pub hub: Hub,
    pub enrolment: Enrolment,
    pub board: Arc<Board>,
    pub view: watch::Receiver<View>,
    pub pace: Backoff,
    link: Mutex<Link>,
    bell: Notify,
    gate: watch::Sender<Option<Welcome>>,
    sent: watch::Sender<bool>,
    began: Instant,
    parted: watch::Sender<Option<Parted>>,
    rounds: Rounds,
}

/// A lane and what it needs to know to wait.
pub(super) struct Waiting {
    lane: Lane,
    breaks: u64,
    failed: u32,
}

impl Waiting {
    pub(super) const fn new(pace: Backoff) -> Self {
        Self { lane: Lane::new(pace), breaks: 0, failed: 0 }
    }

    /// A request did what it should, or the hub is back after a break: nothing to wait for.
    pub(super) fn succeeded(&mut self) {
        self.lane.succeeded();
        self.failed = 0;
    }

    /// Nothing failed, but the next request shall wait.
    pub(super) fn hold(&mut self, now: Tick, pause: Duration) {
        self.lane.hold(now, pause);
    }
}

impl Session {
    pub(super) fn new(
        desk: Desk,
        hub: Hub,
        enrolment: Enrolment,
        board: Arc<Board>,
        view: watch::Receiver<View>,
        pace: Backoff,
    ) -> Self {
        Self {
            desk,
            hub,
            enrolment,
            board,
            view,
            pace,
            link: Mutex::new(Link::new(pace, 0)),
            bell: Notify::new(),
            gate: watch::Sender::new(None),
            sent: watch::Sender::new(false),
            began: Instant::now(),
            parted: watch::Sender::new(None),
            rounds: Rounds::default(),
        }
    }

    /// Its rounds are those of `rounds`.
    pub(super) fn counted_by(self, rounds: Rounds) -> Self {
        Self { rounds, ..self }
    }

    /// Begins a round of the loop `of`, which asks headquarters one question at most, with a deadline of `deadline`.
    pub(super) fn round(&self, of: &'static str, deadline: Duration) -> Round {
        self.rounds.begin(of, deadline + MOST_TRANSFER)
    }

    /// Milliseconds since the session began.
    pub(super) fn now(&self) -> Tick {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since 1970, by the node's clock.
    pub(super) fn now_ms(&self) -> i64 {
        self.desk.now_ms()
    }

    fn instant(&self, tick: Tick) -> Instant {
        self.began + Duration::from_millis(tick)
    }

    /// `tick` by the wall clock, for people.
    fn wall_ms(&self, tick: Tick) -> i64 {
        let ahead = tick.saturating_sub(self.now());
        self.desk.now_ms().saturating_add(i64::try_from(ahead).unwrap_or(i64::MAX))
    }

    /// Looks at the link, or moves it on; closes the gate and wakes `hello` as that demands.
    pub(super) fn link<R>(&self, act: impl FnOnce(&mut Link, Tick) -> R) -> R {
        let now = self.now();
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (link.phase(), link.hello_at());
        let result = act(&mut link, now);
        let after = (link.phase(), link.hello_at());
        drop(link);
        if before != after {
            metrics::gauge!("aincident_link_breaker").set(breaker(after.0));
            if after.0 != Phase::Online {
                self.gate.send_if_modified(|gate| gate.take().is_some());
            }
            self.bell.notify_one();
        }
        result
    }

    /// Lets the lanes go. After a break, what ailed them before it is no longer news.
    pub(super) fn welcome(&self, welcome: Welcome) {
        let breaks = self.gate.borrow().as_ref().map(|earlier| earlier.breaks);
        if breaks != Some(welcome.breaks) {
            self.board.well(Part::Push);
            self.board.well(Part::Pull);
            self.board.well(Part::Offer);
            self.board.well(Part::Photos);
            self.board.well(Part::Fetch);
        }
        self.gate.send_replace(Some(welcome));
    }

    /// Waits until `hello` is due. Something recorded meanwhile may make it due at once.
    pub(super) async fn until_hello(&self, view: &mut watch::Receiver<View>) {
        let mut seq = view.borrow_and_update().backlog.seq;
        loop {
            let at = self.link(|link, _| link.hello_at());
            if at <= self.now() {
                return;
            }
            tokio::select! {
                biased;
                () = sleep_until(self.instant(at)) => {}
                () = self.bell.notified() => {}
                Ok(()) = view.changed() => {
                    let recorded = view.borrow_and_update().backlog.seq;
                    if recorded > seq {
                        self.link(Link::nudge);
                    }
                    seq = recorded;
                }
            }
        }
    }

    /// Waits until a lane may start its next request.
    pub(super) async fn ready(&self, waiting: &mut Waiting) -> Welcome {
        let mut gate = self.gate.subscribe();
        loop {
            let open = gate.wait_for(Option::is_some).await.ok().and_then(|welcome| welcome.clone());
            // The sender lives as long as `self`, so the gate always opens at some time.
            let Some(welcome) = open else { continue };
            if welcome.breaks != waiting.breaks {
                waiting.breaks = welcome.breaks;
                waiting.succeeded();
            }
            if waiting.lane.due() <= self.now() {
                return welcome;
            }
            tokio::select! {
                biased;
                () = sleep_until(self.instant(waiting.lane.due())) => {}
                _ = gate.changed() => {}
            }
        }
    }

    /// Waits until `hello` is answered anew after `no`.
    pub(super) async fn welcome_after(&self, no: u64) {
        let mut gate = self.gate.subscribe();
        // The sender lives as long as `self`.
        let _ = gate.wait_for(|welcome| welcome.as_ref().is_some_and(|welcome| welcome.no > no)).await;
    }

    /// Two histories of the node's stream: ends the session. Never returns; nothing must be asked or stored any more.
    pub(super) async fn part(&self, parted: Parted) {
        self.parted.send_replace(Some(parted));
        std::future::pending::<()>().await;
    }

    /// Waits until a loop has found two histories.
    pub(super) async fn parted(&self) -> Parted {
        let mut parted = self.parted.subscribe();
        loop {
            // The sender lives as long as `self`.
            if let Some(found) = parted.wait_for(Option::is_some).await.ok().and_then(|found| found.clone()) {
                return found;
            }
        }
    }

    /// Notes whether everything recorded here is at the hub.
    pub(super) fn note_sent(&self, all: bool) {
        self.sent.send_replace(all);
    }

    /// Waits until everything recorded here is at the hub.
    pub(super) async fn all_sent(&self) {
        // The sender lives as long as `self`.
        let _ = self.sent.subscribe().wait_for(|all| *all).await;
    }

    /// The hub told its epoch. Where it is not the one known, everything is pulled from the beginning and what is held of
    /// others is offered: in a session of its own, so this does not return then.
    pub(super) async fn saw_epoch(&self, epoch: Uuid) {
        if epoch == self.enrolment.epoch {
            return;
        }
        tracing::warn!(%epoch, "headquarters was restored from a backup; sending again what it lacks, and pulling everything again");
        metrics::counter!("aincident_epochs_total").increment(1);
        while let Err(error) = self.desk.ledger().see_epoch(epoch).await {
            let what = format!("the node's own ledger cannot be used: {error}");
            self.board.trouble(Part::Ledger, what, None);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending().await
    }

    /// A proven answer came.
    pub(super) fn contact(&self) {
        self.board.contact(self.desk.now_ms());
    }

    /// What a failed request of a lane means for the lane and for the link.
    pub(super) async fn lane_failed(&self, part: Part, waiting: &mut Waiting, failure: &Failure) {
        if self.settled(failure).await {
            return;
        }
        if let Some(wait) = self.moderated(failure) {
            waiting.lane.hold(self.now(), wait.min(LONGEST_RETRY_AFTER));
            return;
        }
        let random = self.desk.ids().random_u64();
        waiting.lane.failed(self.now(), failure.retry_after(), random);
        waiting.failed = waiting.failed.saturating_add(1);
        if failure.is_unheard() {
            self.link(Link::lane_failed);
        } else {
            self.contact();
        }
        // Of a single cut `hello` will tell; a lane that keeps failing has something to say itself.
        if waiting.failed > 1 || !failure.is_unheard() {
            self.board.trouble(part, failure.to_string(), Some(self.wall_ms(waiting.lane.due())));
        }
    }

    /// The node's own ledger failed a lane: no reason to ask the hub anything.
    pub(super) fn ledger_failed(&self, waiting: &mut Waiting, error: &desk::Error) {
        waiting.lane.failed(self.now(), None, self.desk.ids().random_u64());
        let what = format!("the node's own ledger cannot be used: {error}");
        self.board.trouble(Part::Ledger, what, Some(self.wall_ms(waiting.lane.due())));
    }

    /// `hello` failed.
    pub(super) async fn hello_failed(&self, failure: &Failure) {
        if self.settled(failure).await {
            return;
        }
        if let Some(wait) = self.moderated(failure) {
            self.link(|link, now| link.hello_held(now, wait));
            return;
        }
        let random = self.desk.ids().random_u64();
        let next = self.link(|link, now| {
            link.hello_failed(now, failure.retry_after(), random);
            link.hello_at()
        });
        let (why, next) = (failure.to_string(), Some(self.wall_ms(next)));
        if failure.is_unheard() {
            self.board.no_contact(why, next, matches!(failure, Failure::Stranger { .. }));
        } else {
            self.contact();
            self.board.trouble(Part::Link, why, next);
        }
    }

    /// For how long to wait, where the hub is there and was only asked too often: nothing is wrong then.
    fn moderated(&self, failure: &Failure) -> Option<Duration> {
        let wait = failure.asked_too_often()?;
        self.contact();
        metrics::counter!("aincident_moderated_total").increment(1);
        Some(wait)
    }

    /// Failures that need no pause: true when the request may be made again, or the link was stopped.
    async fn settled(&self, failure: &Failure) -> bool {
        let refused = match failure {
            Failure::Replaced => return true,
            Failure::NoHub { .. } | Failure::Stranger { .. } | Failure::Nonsense(_) => return false,
            Failure::Refused(refused) => refused,
        };
        let stop = match refused.kind.as_str() {
            refusal::RETIRED => {
                // `hello` tells by whom, and that nothing is to be fetched any more.
                self.link(Link::ask_again);
                return true;
            }
            refusal::REVOKED => Stop::Revoked,
            refusal::WRONG_HUB => Stop::WrongHub,
            refusal::VERSION => Stop::Version,
            refusal::SUPERSEDED => {
                // An `enroll` or another rotation may have brought a newer secret than the one in memory.
                let newer = self.desk.ledger().credential().await.ok().flatten();
                if newer.is_some_and(|secret| self.hub.use_secret(secret)) {
                    self.link(Link::ask_again);
                    return true;
                }
                Stop::Copy
            }
            _ => return false,
        };
        self.stop(stop);
        true
    }

    /// Syncs nothing until headquarters has acted.
    pub(super) fn stop(&self, stop: Stop) {
        self.contact();
        self.link(|link, now| link.stop(now, stop));
        self.board.well(Part::Link);
        self.board.trouble(Part::Stop, stop.in_words(), None);
    }

    /// What the node tells of itself for the fleet list.
    pub(super) fn node_status(&self) -> NodeStatus {
        let view = self.view.borrow();
        NodeStatus {
            pending_blobs: view.contents.0,
            pending_blob_bytes: view.contents.1,
            disk_low: self.desk.blobs().guard().is_low(),
            settings: Some(self.desk.settings_report().borrow().clone()).filter(|report| !report.version.is_empty()),
            believes: self.enrolment.believed().into_iter().take(MAX_BELIEVED).map(Pin::to_hex).collect(),
            ..node_status(view.backlog.pending_changes, view.backlog.quarantined, self.board.now().clock_offset_ms)
        }
    }

    /// Has headquarters hear at once what became of its settings, whenever that changes, for as long as it is polled: a pull may
    /// wait for half a minute before the next one tells.
    pub(super) async fn tell_settings(&self) {
        let mut report = self.desk.settings_report();
        report.mark_unchanged();
        while report.changed().await.is_ok() {
            // In any other phase what is said next tells of it.
            self.link(|link, now| {
                if link.phase() == Phase::Online {
                    link.ask_again(now);
                }
            });
        }
    }

    /// Notes what time it is at headquarters, by the answer, which says `hub_ms`, to what was sent at `sent_boot_ms`.
    pub(super) fn measure(&self, sent_boot_ms: i64, hub_ms: i64) {
        let (now_ms, boot_ms) = (self.desk.now_ms(), self.desk.boot_ms());
        let reckoning = self.desk.reckoning();
        // The longer it took the less it tells; what was told before is known better.
        if boot_ms.saturating_sub(sent_boot_ms) <= TELLING_MS || reckoning.hub_ms(boot_ms).is_none() {
            reckoning.begin(told_at(hub_ms, sent_boot_ms, boot_ms), boot_ms);
        }
        if let (Some(offset_ms), Some(booted)) = (reckoning.offset_ms(now_ms, boot_ms), self.desk.booted()) {
            self.board.offset(offset_ms, booted);
        }
    }
}

/// What a node tells of itself for the fleet list.
pub(crate) fn node_status(pending_changes: u64, quarantined: u64, clock_offset_ms: i64) -> NodeStatus {
    NodeStatus {
        pending_changes,
        quarantined,
        clock_offset_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..NodeStatus::default()
    }
}

/// The hub's clock at `received_boot_ms`, when an answer arrived that says `hub_ms`: the hub read its clock, as far as anyone can
/// tell, half-way between sending and receiving.
#[must_use]
pub(crate) const fn told_at(hub_ms: i64, sent_boot_ms: i64, received_boot_ms: i64) -> i64 {
    hub_ms.saturating_add(received_boot_ms.saturating_sub(sent_boot_ms) / 2)
}

/// The cursors to ask with: `held` for each of `scopes`, none for a scope never pulled or when all begins anew.
pub(crate) fn cursors(
    scopes: &[Scope],
    held: &BTreeMap<Scope, Option<String>>,
    anew: bool,
) -> BTreeMap<Scope, Option<String>> {
    let cursor = |scope: &Scope| if anew { None } else { held.get(scope).cloned().flatten() };
    scopes
        .iter()
        .filter(|scope| **scope != Scope::Hub)
        .map(|scope| (scope.clone(), cursor(scope)))
        .collect()
}

/// The breaker as a number: 0 closed, 1 half open, 2 open, 3 stopped by headquarters.
const fn breaker(phase: Phase) -> f64 {
    match phase {
        Phase::Online => 0.0,
        Phase::Fresh | Phase::Checking => 1.0,
        Phase::Offline => 2.0,
        Phase::Stopped(_) => 3.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headquarters_time_takes_half_the_round_trip_into_account() {
        assert_eq!(told_at(1200, 1000, 1400), 1400);
        assert_eq!(told_at(0, 1000, 1400), 200);
        assert_eq!(told_at(i64::MAX, 1000, 1400), i64::MAX);
    }

    #[test]
    fn a_scope_never_pulled_has_no_cursor_and_headquarters_own_is_never_asked_for() {
        let held =
            BTreeMap::from([(Scope::Company, Some("c".to_owned())), (Scope::Store("9".into()), Some("9".into()))]);
        let scopes = [Scope::Company, Scope::Store("042".into()), Scope::Hub];
        let asked = cursors(&scopes, &held, false);
        assert_eq!(asked, BTreeMap::from([(Scope::Company, Some("c".to_owned())), (Scope::Store("042".into()), None)]));
        assert!(cursors(&scopes, &held, true).values().all(Option::is_none));
    }
}
