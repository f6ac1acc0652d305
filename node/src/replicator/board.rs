//! What the loops know of themselves, for people: one value that they note and that status, metrics and the log show.
//!
//! Each part of the replicator has at most one trouble, from its first failure to its next success. The log hears of
//! both ends and of nothing in between, so a node that is offline for weeks writes two lines. The ledger is told so
//! that `status` can answer when nothing runs; at most once a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use desk::ledger::{Booted, LinkState, SharedLedger};
use tokio::sync::watch;

/// A clock that moves by more than this in a few seconds was set.
const SET_MS: u64 = 2000;
/// How often the ledger is told at most.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Contacts that change nothing else are kept this often.
const CONTACT_EVERY_MS: i64 = 15_000;

/// A part of the replicator that can be in trouble; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Headquarters has to act.
    Stop,
    /// The hub holds other changes under this node's numbers, and it could not be settled yet.
    Fork,
    /// A backlog stands still though the hub answers.
    Stall,
    /// Reaching the hub.
    Link,
    /// Sending changes.
    Push,
    /// Fetching changes.
    Pull,
    /// Giving back what headquarters has forgotten.
    Offer,
    /// Sending photos.
    Photos,
    /// Fetching photos.
    Fetch,
    /// Holding what headquarters holds.
    Proof,
    /// Reading or writing the node's own ledger.
    Ledger,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop | Self::Link => "link",
            Self::Fork | Self::Stall | Self::Push => "push",
            Self::Pull => "pull",
            Self::Offer => "offer",
            Self::Photos => "photos",
            Self::Fetch => "fetch",
            Self::Proof => "proof",
            Self::Ledger => "ledger",
        }
    }
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub what: String,
    /// When it is tried again, by the node's clock.
    pub next_try_ms: Option<i64>,
}

/// Everything the loops know of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether the last try got a proven answer.
    pub hub_reachable: bool,
    /// When a proven answer last came, by the node's clock.
    pub last_contact_ms: Option<i64>,
    /// The node's clock minus the hub's.
    pub clock_offset_ms: i64,
    /// The machine's start by the hub's clock.
    pub booted: Option<Booted>,
    /// What is wrong now.
    pub troubles: BTreeMap<Part, Trouble>,
}

impl Live {
    /// As it was when last kept.
    #[must_use]
    pub fn from_kept(kept: &LinkState) -> Self {
        Self {
            // What was true before the program started says nothing about now.
            hub_reachable: false,
            last_contact_ms: kept.last_contact_ms,
            clock_offset_ms: kept.clock_offset_ms,
            booted: kept.booted.clone(),
            troubles: BTreeMap::new(),
        }
    }

    /// As the ledger keeps it.
    #[must_use]
    pub fn to_kept(&self) -> LinkState {
        LinkState {
            hub_reachable: self.hub_reachable,
            last_contact_ms: self.last_contact_ms,
            last_error: self.troubles.values().next().map(|trouble| trouble.what.clone()),
            next_try_ms: self.troubles.values().filter_map(|trouble| trouble.next_try_ms).min(),
            clock_offset_ms: self.clock_offset_ms,
            booted: self.booted.clone(),
            // The ledger counts these.
            pulled_changes: 0,
            notice: None,
        }
    }
}

/// Where the loops note, and others look.
#[derive(Debug)]
pub struct Board {
    live: watch::Sender<Live>,
    /// Whether the log has heard of a stranger since the link was last well.
    stranger: AtomicBool,
}

impl Board {
    /// A board that starts with `live`.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self { live: watch::Sender::new(live), stranger: AtomicBool::new(false) }
    }

    /// Follows the board.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    /// What it says now.
    #[must_use]
    pub fn now(&self) -> Live {
        self.live.borrow().clone()
    }

    /// Begins anew: another enrolment, or the program's start.
    pub fn reset(&self, live: Live) {
        self.live.send_replace(live);
    }

    /// A proven answer came.
    pub fn contact(&self, now_ms: i64) {
        self.live.send_modify(|live| {
            live.hub_reachable = true;
            live.last_contact_ms = Some(now_ms);
        });
    }

    /// No proven answer came. Said in one go with the reason: nobody reads "unreachable" without a why. `by_stranger`: something
    /// else answered; the log hears of that once more, where the trouble began as a line that broke.
    pub fn no_contact(&self, why: impl Into<String>, next_try_ms: Option<i64>, by_stranger: bool) {
        let why = why.into();
        let is_news = by_stranger && !self.stranger.swap(true, Ordering::Relaxed);
        if is_news && self.live.borrow().troubles.contains_key(&Part::Link) {
            tracing::warn!(part = Part::Link.name(), reason = %why, "something else answers where headquarters was");
        }
        self.note(Part::Link, Trouble { what: why, next_try_ms }, |live| live.hub_reachable = false);
    }

    /// `part` does not do what it should.
    pub fn trouble(&self, part: Part, what: impl Into<String>, next_try_ms: Option<i64>) {
        self.note(part, Trouble { what: what.into(), next_try_ms }, |_| {});
    }

    fn note(&self, part: Part, trouble: Trouble, and: impl FnOnce(&mut Live)) {
        self.live.send_modify(|live| {
            if !live.troubles.contains_key(&part) {
                tracing::warn!(part = part.name(), reason = %trouble.what, "cannot sync; nothing is lost, it is tried again");
            }
            live.troubles.insert(part, trouble);
            and(live);
        });
    }

    /// `part` does what it should.
    pub fn well(&self, part: Part) {
        if part == Part::Link {
            self.stranger.store(false, Ordering::Relaxed);
        }
        self.live.send_if_modified(|live| {
            let was = live.troubles.remove(&part);
            if was.is_some() {
                tracing::info!(part = part.name(), "syncs again");
            }
            was.is_some()
        });
    }

    /// Notes how far the node's clock is from the hub's, and when the machine was started by that one.
    pub fn offset(&self, offset_ms: i64, booted: Booted) {
        self.live.send_modify(|live| {
            live.clock_offset_ms = offset_ms;
            // Every answer tells a few milliseconds more or less; that is no reason to write.
            let is_same = |was: &Booted| was.id == booted.id && was.hub_ms.abs_diff(booted.hub_ms) <= SET_MS;
            if !live.booted.as_ref().is_some_and(is_same) {
                live.booted = Some(booted);
            }
        });
    }

    /// Notes that the node's clock was set: by now it must be `offset_ms` from the hub's. A clock that only runs a little fast or
    /// slow is no news.
    pub fn was_set(&self, offset_ms: i64) {
        self.live.send_if_modified(|live| {
            let is_news = live.clock_offset_ms.abs_diff(offset_ms) > SET_MS;
            if is_news {
                tracing::warn!(was_ms = live.clock_offset_ms, offset_ms, "this machine's clock was set");
                live.clock_offset_ms = offset_ms;
            }
            is_news
        });
    }

    /// Keeps what the board says in the ledger, for as long as it is polled.
    pub async fn keep(&self, ledger: &SharedLedger) {
        let mut live = self.watch();
        let mut kept: Option<LinkState> = None;
        loop {
            let now = live.borrow_and_update().to_kept();
            if is_worth_keeping(kept.as_ref(), &now) {
                match ledger.set_link_state(now.clone()).await {
                    Ok(()) => kept = Some(now),
                    Err(error) => tracing::debug!(%error, "the link's state could not be kept"),
                }
                tokio::time::sleep(KEEP_EVERY).await;
            }
            if live.changed().await.is_err() {
                return;
            }
        }
    }
}

/// An answer to a waiting pull every 25 seconds is no reason to write to a disk for years.
fn is_worth_keeping(kept: Option<&LinkState>, now: &LinkState) -> bool {
    let Some(kept) = kept else { return true };
    let since = now.last_contact_ms.unwrap_or(0).saturating_sub(kept.last_contact_ms.unwrap_or(0));
    let same_but_contact = LinkState { last_contact_ms: kept.last_contact_ms, ..now.clone() } == *kept;
    !same_but_contact || since.abs() >= CONTACT_EVERY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_trouble_is_the_one_that_is_told_and_success_ends_only_its_own() {
        let board = Board::new(Live::default());
        board.trouble(Part::Push, "sending fails", Some(20));
        board.trouble(Part::Link, "no answer", Some(10));
        let kept = board.now().to_kept();
        assert_eq!((kept.last_error.as_deref(), kept.next_try_ms), (Some("no answer"), Some(10)));
        board.well(Part::Link);
        assert_eq!(board.now().to_kept().last_error.as_deref(), Some("sending fails"));
        board.well(Part::Push);
        assert_eq!(board.now().to_kept().last_error, None);
    }

    #[test]
    fn a_restart_does_not_claim_that_the_hub_answers() {
        let kept = LinkState {
            hub_reachable: true,
            clock_offset_ms: 7,
            last_contact_ms: Some(5),
            ..LinkState::default()
        };
        let live = Live::from_kept(&kept);
        assert!(!live.hub_reachable && live.clock_offset_ms == 7 && live.last_contact_ms == Some(5));
    }

    #[test]
    fn contacts_alone_are_kept_now_and_then() {
        let kept = LinkState { last_contact_ms: Some(1000), ..LinkState::default() };
        let later = |ms| LinkState { last_contact_ms: Some(ms), ..LinkState::default() };
        assert!(is_worth_keeping(None, &kept));
        assert!(!is_worth_keeping(Some(&kept), &later(15_999)));
        assert!(is_worth_keeping(Some(&kept), &later(16_000)));
        assert!(is_worth_keeping(Some(&kept), &LinkState { clock_offset_ms: 1, ..kept.clone() }));
    }
}
