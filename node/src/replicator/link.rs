//! When to call the hub: pure decisions, no I/O. The time is handed in as milliseconds on a clock that only goes
//! forward, randomness as a number.
//!
//! Two machines. [`Link`] is the breaker all lanes share. It is closed while the hub answers; the first failure of
//! a lane makes it ask again (`hello`); while that fails it is open and only `hello` is tried, at growing, random
//! intervals, for as long as it takes: being offline is no failure of anything else. [`Lane`] is push or pull:
//! each has its own pause after a failure of its own, so that one of them being ill never slows the other.
//!
//! A decision by headquarters (revoked, another hub, …) stops the link: nothing is synced until a `hello`, asked
//! rarely, is answered otherwise. That way a mistake made at headquarters heals without anybody in the store.

use std::time::Duration;

use chassis::outbound::Backoff;

/// Milliseconds on a clock that only goes forward, since some start.
pub type Tick = u64;

/// Something recorded here may bring the next try forward, but not more often than this.
const NUDGE_GAP: Duration = Duration::from_secs(5);
/// `hello` is said again after this long, also when all is well.
const HELLO_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The same where headquarters spoke an older version: once it is upgraded, what waits for that shall not wait for a day.
const HELLO_OLDER_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often a stopped link asks whether it may go on.
const RECHECK: Duration = Duration::from_secs(5 * 60);
/// The same for what may be a copy: a restored backup is let in once the hub has noticed that its former self is gone.
const RECHECK_COPY: Duration = Duration::from_secs(20);
/// The longest `Retry-After` that is believed: one wrong answer must not silence a node for a day.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The pauses between tries unless the configuration says otherwise: short enough that a hub which comes up has
/// everything within a minute.
pub const PACE: Backoff = Backoff { floor: Duration::from_secs(1), cap: Duration::from_secs(30) };

/// Why headquarters has to act before syncing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Headquarters revoked the node.
    Revoked,
    /// The hub is not the one of the enrolment.
    WrongHub,
    /// A newer credential of this node is in use: this folder is a copy or an old backup.
    Copy,
    /// No protocol version in common.
    Version,
}

impl Stop {
    /// For a person: what it means, and what to do.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Revoked => {
                "headquarters revoked this node; what is recorded here stays here; to sync again, enrol with a new code and --replace"
            }
            Self::WrongHub => {
                "another hub answers at this address; nothing is sent to it; correct the address, or enrol at that hub with --replace"
            }
            Self::Copy => {
                "a newer copy of this node talks to headquarters, so this folder is a copy or an old backup; enrol it with a new code and --replace"
            }
            Self::Version => {
                "headquarters and this node have no protocol version in common; install the version headquarters uses"
            }
        }
    }
}

/// Where the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was tried yet.
    Fresh,
    /// The hub answers.
    Online,
    /// A lane failed; the next `hello` will tell.
    Checking,
    /// `hello` fails.
    Offline,
    /// Headquarters has to act.
    Stopped(Stop),
}

/// The breaker in front of the hub.
#[derive(Clone, Debug)]
pub struct Link {
    pace: Backoff,
    phase: Phase,
    failures: u32,
    hello_at: Tick,
    held_until: Tick,
    nudged_at: Option<Tick>,
}

impl Link {
    /// A link that says `hello` at once.
    #[must_use]
    pub const fn new(pace: Backoff, now: Tick) -> Self {
        Self {
            pace,
            phase: Phase::Fresh,
            failures: 0,
            hello_at: now,
            held_until: 0,
            nudged_at: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// When to say `hello` next.
    #[must_use]
    pub const fn hello_at(&self) -> Tick {
        self.hello_at
    }

    /// Whether lanes may start requests.
    #[must_use]
    pub const fn is_open_for_lanes(&self) -> bool {
        matches!(self.phase, Phase::Online)
    }

    /// `hello` was answered as it should be. `is_older`: in a version before the newest.
    pub fn hello_succeeded(&mut self, now: Tick, is_older: bool) {
        self.phase = Phase::Online;
        self.failures = 0;
        self.held_until = 0;
        self.hello_at = after(now, if is_older { HELLO_OLDER_EVERY } else { HELLO_EVERY });
    }

    /// `hello` was not answered, or not by the hub. `random` is uniform over `u64`.
    pub fn hello_failed(&mut self, now: Tick, retry_after: Option<Duration>, random: u64) {
        self.phase = Phase::Offline;
        self.failures = self.failures.saturating_add(1);
        self.held_until = after(now, retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
        self.hello_at = after(now, self.pace.delay(self.failures, random)).max(self.held_until);
    }

    /// The hub is there and says that it was asked too often: the link stands as it stood, and `hello` waits.
    pub fn hello_held(&mut self, now: Tick, wait: Duration) {
        self.held_until = after(now, wait.min(LONGEST_RETRY_AFTER));
        self.hello_at = self.held_until;
    }

    /// A lane got no proven answer: ask at once whether the hub is there.
    pub fn lane_failed(&mut self, now: Tick) {
        if self.phase == Phase::Online {
            self.phase = Phase::Checking;
            self.hello_at = now;
        }
    }

    /// Headquarters has to act.
    pub fn stop(&mut self, now: Tick, why: Stop) {
        self.phase = Phase::Stopped(why);
        self.failures = 0;
        self.hello_at = after(now, if why == Stop::Copy { RECHECK_COPY } else { RECHECK });
    }

    /// Asks again at once; for a credential that was replaced while a request was under way.
    pub fn ask_again(&mut self, now: Tick) {
        if !matches!(self.phase, Phase::Stopped(_)) {
            self.phase = Phase::Checking;
            self.hello_at = now.max(self.held_until);
        }
    }

    /// Something was recorded here: try again at once, though not too often and never against `Retry-After`.
    pub fn nudge(&mut self, now: Tick) {
        let too_soon = self.nudged_at.is_some_and(|last| now < after(last, NUDGE_GAP));
        if self.phase != Phase::Offline || too_soon || self.hello_at <= now || self.held_until > now {
            return;
        }
        self.nudged_at = Some(now);
        self.failures = 0;
        self.hello_at = now;
    }
}

/// One direction's own pause after its own failures.
#[derive(Clone, Debug)]
pub struct Lane {
    pace: Backoff,
    failures: u32,
    due: Tick,
}

impl Lane {
    /// A lane that may go at once.
    #[must_use]
    pub const fn new(pace: Backoff) -> Self {
        Self { pace, failures: 0, due: 0 }
    }

    /// When the next request may start.
    #[must_use]
    pub const fn due(&self) -> Tick {
        self.due
    }

    /// A request did what it should.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.due = 0;
    }

    /// Nothing failed, but the next request shall not start before `pause` is over.
    pub fn hold(&mut self, now: Tick, pause: Duration) {
        self.due = after(now, pause);
    }

    /// A request failed. `random` is uniform over `u64`.
    pub fn failed(&mut self, now: Tick, retry_after: Option<Duration>, random: u64) {
        self.failures = self.failures.saturating_add(1);
        let held = after(now, retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
        self.due = after(now, self.pace.delay(self.failures, random)).max(held);
    }
}

/// Notices that nothing moves though it could.
#[derive(Clone, Debug)]
pub struct Watchdog {
    stall: Duration,
    waiting: Option<(Tick, u64)>,
}

/// How long a backlog may stand still while the hub answers, unless a test is in a hurry.
pub const STALL: Duration = Duration::from_secs(120);

impl Watchdog {
    /// One that allows a backlog to stand still for `stall`.
    #[must_use]
    pub const fn new(stall: Duration) -> Self {
        Self { stall, waiting: None }
    }

    /// Looks once. `backlog`: changes that could be sent now; `acknowledged`: a number that grows with every answer.
    /// True when nothing moved for the time allowed while online; says so once, then counts anew.
    pub fn look(&mut self, now: Tick, online: bool, backlog: u64, acknowledged: u64) -> bool {
        if !online || backlog == 0 {
            self.waiting = None;
            return false;
        }
        match self.waiting {
            Some((since, seen)) if seen == acknowledged => {
                let stalled = now >= after(since, self.stall);
                if stalled {
                    self.waiting = None;
                }
                stalled
            }
            _ => {
                self.waiting = Some((now, acknowledged));
                false
            }
        }
    }
}

fn after(now: Tick, span: Duration) -> Tick {
    now.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
