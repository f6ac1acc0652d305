//! When contents may go, and how fast.

use crate::replicator::view::View;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// While something more urgent waits, an original moves on at most this rarely: slow, never starved.
const STEP: Duration = Duration::from_secs(10);

/// Which originals go to headquarters by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Originals {
    /// All, as soon as the line is free.
    #[default]
    Always,
    /// Those that somebody at headquarters asks for.
    OnDemand,
    /// All, at a time of the day; those asked for at any time.
    Within(Window),
}

/// A time of the day by the machine's clock, in minutes after midnight; may reach over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from_min: u16,
    until_min: u16,
}

impl Window {
    /// Whether `minute` of the day lies in it.
    #[must_use]
    pub const fn contains(self, minute: u16) -> bool {
        if self.from_min <= self.until_min {
            self.from_min <= minute && minute < self.until_min
        } else {
            self.from_min <= minute || minute < self.until_min
        }
    }
}

impl FromStr for Originals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let window = || {
            let (from, until) = text.split_once('-')?;
            Some(Window { from_min: minute(from)?, until_min: minute(until)? })
        };
        match text {
            "always" => Ok(Self::Always),
            "on-demand" => Ok(Self::OnDemand),
            _ => window().map(Self::Within).ok_or_else(|| {
                format!("{text:?} is no time for originals: give always, on-demand or a window such as 22:00-06:00")
            }),
        }
    }
}

/// What headquarters gets of photos, when and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Originals.
    pub originals: Originals,
    /// All contents together, in bytes per second; none: as fast as the line takes them.
    pub max_bytes_per_s: Option<u64>,
    /// Originals, of that; none: as fast as all together.
    pub originals_max_bytes_per_s: Option<u64>,
}

impl Policy {
    /// Whether originals that nobody asked for may go at that time.
    #[must_use]
    pub fn originals_may_go(&self, now_ms: i64) -> bool {
        match self.originals {
            Originals::Always => true,
            Originals::OnDemand => false,
            Originals::Within(window) => {
                let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(TimeZone::system());
                let (hour, minute) = (now.hour().unsigned_abs(), now.minute().unsigned_abs());
                window.contains(u16::from(hour) * 60 + u16::from(minute))
            }
        }
    }
}

/// What the lanes share.
pub(super) struct Lanes {
    pub(super) policy: Policy,
    /// Whether small contents wait, or may wait.
    pub(super) urgent: watch::Sender<bool>,
    view: watch::Receiver<View>,
    /// When the line is free again, at the speed that is allowed: for all, and for originals.
    free: Mutex<Instant>,
    free_for_originals: Mutex<Instant>,
}

/// Takes the line for `bytes` at `rate`, in bytes per second; answers when they may go.
fn take(free: &Mutex<Instant>, bytes: usize, rate: u64) -> Instant {
    let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
    let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
    let at = (*free).max(Instant::now());
    *free = at + takes;
    at
}

impl Lanes {
    pub(super) fn new(policy: Policy, view: watch::Receiver<View>) -> Self {
        let free = || Mutex::new(Instant::now());
        Self {
            policy,
            urgent: watch::Sender::new(true),
            view,
            free: free(),
            free_for_originals: free(),
        }
    }

    /// Waits until `bytes` more may go.
    pub(super) async fn turn(&self, bytes: usize, is_original: bool) {
        if is_original {
            let (mut urgent, mut view) = (self.urgent.subscribe(), self.view.clone());
            let quiet = async {
                loop {
                    // Its sender lives as long as the session does.
                    let _ = urgent.wait_for(|urgent| !urgent).await;
                    let _ = view.wait_for(|view| view.backlog.pending_changes == 0).await;
                    if !*urgent.borrow() {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(STEP, quiet).await;
        }
        if let Some(rate) = self.policy.originals_max_bytes_per_s.filter(|_| is_original) {
            sleep_until(take(&self.free_for_originals, bytes, rate)).await;
        }
        if let Some(rate) = self.policy.max_bytes_per_s {
            sleep_until(take(&self.free, bytes, rate)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_reach_over_midnight() {
        let Ok(Originals::Within(night)) = "22:00-06:30".parse() else {
            panic!()
        };
        for (minute, is) in [(22 * 60, true), (23 * 60 + 59, true), (0, true), (389, true), (390, false), (720, false)]
        {
            assert_eq!(night.contains(minute), is, "{minute}");
        }
        let Ok(Originals::Within(noon)) = "12:00-13:00".parse() else {
            panic!()
        };
        assert!(noon.contains(720) && !noon.contains(780) && !noon.contains(0));
        for wrong in ["", "night", "25:00-01:00", "1-2", "10:60-11:00"] {
            assert!(wrong.parse::<Originals>().is_err(), "{wrong}");
        }
        assert_eq!(("always".parse(), "on-demand".parse()), (Ok(Originals::Always), Ok(Originals::OnDemand)));
    }

    #[tokio::test]
    async fn together_they_are_no_faster_than_allowed() {
        let (view, seen) = watch::channel(View::default());
        let policy = Policy { max_bytes_per_s: Some(10_000), ..Policy::default() };
        let lanes = Lanes::new(policy, seen);
        lanes.urgent.send_replace(false);
        let begun = Instant::now();
        futures::future::join_all((0..10).map(|n| lanes.turn(50, n % 2 == 0))).await;
        // The last one begins when nine have gone.
        assert!(begun.elapsed() >= Duration::from_millis(45));
        drop(view);
    }

    #[tokio::test(start_paused = true)]
    async fn originals_have_a_cap_of_their_own_and_nothing_else_waits_for_it() {
        let (_view, seen) = watch::channel(View::default());
        let policy = Policy { originals_max_bytes_per_s: Some(1000), ..Policy::default() };
        let lanes = Lanes::new(policy, seen);
        lanes.urgent.send_replace(false);
        let begun = Instant::now();
        futures::future::join_all((0..100).map(|_| lanes.turn(1000, false))).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        futures::future::join_all((0..4).map(|_| lanes.turn(1000, true))).await;
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test]
    async fn an_original_holds_still_for_what_is_small_and_for_records() {
        let (view, seen) = watch::channel(View::default());
        let lanes = std::sync::Arc::new(Lanes::new(Policy::default(), seen));
        lanes.urgent.send_replace(false);
        lanes.turn(1, true).await;
        lanes.urgent.send_replace(true);
        lanes.turn(1, false).await;
        let waiting = std::sync::Arc::clone(&lanes);
        let original = tokio::spawn(async move { waiting.turn(1, true).await });
        tokio::task::yield_now().await;
        view.send_modify(|view| view.backlog.pending_changes = 1);
        lanes.urgent.send_replace(false);
        tokio::task::yield_now().await;
        assert!(!original.is_finished());
        view.send_modify(|view| view.backlog.pending_changes = 0);
        original.await.unwrap();
    }
}
