//! Lanes: jobs of a kind that go to one receiver. Pure: time and randomness are parameters.
//!
//! While nobody is there, a lane is closed, for longer and longer; then one job is tried and finds out. So a receiver that is away for
//! weeks costs a try every other minute, however much waits for it, and takes no room from other receivers.

use super::MOST_AHEAD_MS;
use crate::outbound::Backoff;
use std::collections::HashMap;
use std::time::Duration;

/// The pauses of a lane where nobody is there.
const PACE: Backoff = Backoff { floor: Duration::from_secs(2), cap: Duration::from_secs(120) };
/// The longest that a receiver can have its lane closed for: an hour.
const LONGEST: Duration = Duration::from_millis(MOST_AHEAD_MS.unsigned_abs());
/// Lanes that are remembered; beyond that those where nothing is at work begin anew.
const MOST_LANES: usize = 256;

/// The lanes of one kind.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Jobs at work at a time in one that works.
    in_lane: usize,
    lanes: HashMap<String, Lane>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    at_work: usize,
    /// Times in a row that nobody was there.
    failures: u32,
    /// Closed until then; milliseconds since 1970.
    until_ms: i64,
    /// Whether jobs of it were put off since one of it was done.
    waits: bool,
}

impl Lane {
    /// How long it is still closed. One that would be for longer than any can be was closed by a clock that has been set back since.
    fn closed_for_ms(&self, now_ms: i64) -> i64 {
        match self.until_ms.saturating_sub(now_ms) {
            left if left > MOST_AHEAD_MS => 0,
            left => left.max(0),
        }
    }
}

impl Lanes {
    /// Lanes with at most `in_lane` jobs at work in each.
    pub(super) fn new(in_lane: usize) -> Self {
        Self { in_lane: in_lane.max(1), lanes: HashMap::new() }
    }

    /// Lanes of which no job may begin now.
    pub(super) fn closed(&self, now_ms: i64) -> Vec<String> {
        let is_closed = |lane: &Lane| {
            let most = if lane.failures > 0 { 1 } else { self.in_lane };
            lane.at_work >= most || lane.closed_for_ms(now_ms) > 0
        };
        self.lanes.iter().filter(|(_, lane)| is_closed(lane)).map(|(name, _)| name.clone()).collect()
    }

    /// Until the next one opens by itself; none where none is closed.
    pub(super) fn opens_in(&self, now_ms: i64) -> Option<Duration> {
        let left = self.lanes.values().map(|lane| lane.closed_for_ms(now_ms)).filter(|left_ms| *left_ms > 0).min()?;
        Some(Duration::from_millis(left.unsigned_abs()))
    }

    /// A job of `name` begins.
    pub(super) fn begin(&mut self, name: &str) {
        if self.lanes.len() >= MOST_LANES {
            self.lanes.retain(|_, lane| lane.at_work > 0);
        }
        self.of(name).at_work += 1;
    }

    /// A job of `name` has ended, in whatever way.
    pub(super) fn end(&mut self, name: &str) {
        let lane = self.of(name);
        lane.at_work = lane.at_work.saturating_sub(1);
        if lane.at_work == 0 && lane.failures == 0 && lane.until_ms == 0 && !lane.waits {
            self.lanes.remove(name);
        }
    }

    /// Nobody was there, or whoever was takes nothing for `wait`. Answers until when the lane is closed; milliseconds since 1970.
    pub(super) fn away(&mut self, name: &str, wait: Duration, random: u64, now_ms: i64) -> i64 {
        let lane = self.of(name);
        lane.waits = true;
        // Those that were under way together find out together: that is one time.
        if lane.closed_for_ms(now_ms) == 0 {
            lane.failures = lane.failures.saturating_add(1);
            lane.until_ms = later(now_ms, PACE.delay(lane.failures, random));
        }
        lane.until_ms = lane.until_ms.max(later(now_ms, wait.min(LONGEST)));
        lane.until_ms
    }

    /// Nobody was asked, because that makes no sense for `wait`. Answers until when the lane is closed; milliseconds since 1970.
    pub(super) fn hold(&mut self, name: &str, wait: Duration, now_ms: i64) -> i64 {
        let lane = self.of(name);
        if lane.closed_for_ms(now_ms) == 0 {
            lane.until_ms = now_ms;
        }
        lane.until_ms = lane.until_ms.max(later(now_ms, wait.min(LONGEST)));
        lane.until_ms
    }

    /// Somebody was there, and put this one job off.
    pub(super) fn put_off(&mut self, name: &str) {
        let lane = self.of(name);
        *lane = Lane { at_work: lane.at_work, waits: true, ..Lane::default() };
    }

    /// Somebody was there. Answers whether others of the lane were put off before.
    pub(super) fn answered(&mut self, name: &str) -> bool {
        let lane = self.of(name);
        let waits = lane.waits;
        *lane = Lane { at_work: lane.at_work, ..Lane::default() };
        waits
    }

    fn of(&mut self, name: &str) -> &mut Lane {
        self.lanes.entry(name.to_owned()).or_default()
    }
}

/// The moment that is `by` after `now_ms`; milliseconds since 1970.
pub(super) fn later(now_ms: i64, by: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_795_132_800_000;

    #[test]
    fn a_lane_where_nobody_is_closes_for_longer_and_longer_and_has_one_job_at_a_time() {
        let mut lanes = Lanes::new(2);
        lanes.begin("mail");
        assert!(lanes.closed(T0).is_empty());
        lanes.begin("mail");
        assert_eq!(lanes.closed(T0), ["mail"]);
        // Both find out: that is one failure, and the lane is closed for the shortest pause.
        let first = lanes.away("mail", Duration::ZERO, u64::MAX, T0);
        assert_eq!(lanes.away("mail", Duration::ZERO, u64::MAX, T0), first);
        lanes.end("mail");
        lanes.end("mail");
        assert!((T0 + 2000..=T0 + 4000).contains(&first), "{}", first - T0);
        assert_eq!(lanes.closed(first - 1), ["mail"]);
        assert_eq!(lanes.opens_in(first - 1), Some(Duration::from_millis(1)));
        assert!(lanes.closed(first).is_empty());
        // One looks; a second one does not.
        lanes.begin("mail");
        assert_eq!(lanes.closed(first), ["mail"]);
        let mut now = first;
        for _ in 0..20 {
            now = lanes.away("mail", Duration::ZERO, u64::MAX, now);
        }
        let longest = lanes.away("mail", Duration::ZERO, u64::MAX, now) - now;
        assert!((110_000..=120_000).contains(&longest), "{longest}");
        assert!(lanes.answered("mail") && !lanes.answered("mail"));
        lanes.end("mail");
        assert!(lanes.lanes.is_empty(), "a lane that works is forgotten: {lanes:?}");
    }

    #[test]
    fn a_receiver_says_for_how_long_up_to_an_hour_and_a_clock_that_is_set_back_closes_nothing() {
        let mut lanes = Lanes::new(2);
        lanes.begin("a");
        assert_eq!(lanes.away("a", Duration::from_secs(600), 0, T0), T0 + 600_000);
        assert_eq!(lanes.away("a", Duration::from_secs(86_400), 0, T0), T0 + MOST_AHEAD_MS);
        lanes.end("a");
        assert_eq!(lanes.closed(T0), ["a"]);
        assert!(lanes.closed(T0 - 1).is_empty() && lanes.opens_in(T0 - 1).is_none());
        // What nobody was asked for makes no pause longer than it was said.
        let mut held = Lanes::new(2);
        held.begin("b");
        assert_eq!(held.hold("b", Duration::from_secs(7), T0), T0 + 7000);
        assert_eq!(held.hold("b", Duration::from_secs(3), T0), T0 + 7000);
        assert_eq!(held.hold("b", Duration::from_secs(3), T0 + 8000), T0 + 11_000);
    }
}
