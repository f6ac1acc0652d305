//! What a way between two places does to bytes: it is narrow, long and loses some.
//!
//! What goes over it shares its width, connection by connection. Where it loses, it behaves to each connection as a plain TCP
//! does: what is lost comes again later and holds up what follows it, and halves the window, which grows by a segment for
//! each round trip; so one connection alone does not fill a long line that loses.

use super::Weather;
use crate::random::Rng;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Bytes in a segment of a line that loses.
pub const SEGMENT: usize = 1400;
/// Bytes at once on a line that loses nothing.
pub const PORTION: usize = 16 * 1024;
/// Segments that may be under way in the beginning.
const FIRST_WINDOW: f64 = 10.0;
/// Fewer segments under way, and a loss is noticed by time only.
const FEW: f64 = 4.0;
/// How long that takes besides the round trip.
const TIMEOUT: Duration = Duration::from_secs(1);

/// When the narrow part of the way is free again.
pub type Free = Mutex<Instant>;

/// One connection's side of it.
pub struct Road {
    rng: Rng,
    /// Segments.
    window: f64,
    /// Below this the window doubles each round trip.
    threshold: f64,
    /// When each portion under way is acknowledged, and how long it is.
    under_way: VecDeque<(Instant, usize)>,
    /// Nothing arrives before what was sent before it.
    last: Instant,
    /// Losses until then are one loss.
    recovered: Instant,
}

impl Road {
    /// A connection that begins.
    pub fn new(rng: Rng) -> Self {
        let now = Instant::now();
        Self {
            rng,
            window: FIRST_WINDOW,
            threshold: f64::INFINITY,
            under_way: VecDeque::new(),
            last: now,
            recovered: now,
        }
    }

    /// Takes `bytes` onto the way; returns once the next ones may follow, with when these arrive.
    pub async fn take(&mut self, weather: &Weather, free: &Free, bytes: usize) -> Instant {
        if weather.loss > 0.0 {
            self.room_for(bytes).await;
        }
        let wire = match weather.kbps {
            0 => Duration::ZERO,
            kbps => Duration::from_secs_f64(bytes as f64 / (f64::from(kbps) * 125.0)),
        };
        let sent = {
            let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(Instant::now()) + wire;
            *free
        };
        if !wire.is_zero() {
            sleep_until(sent).await;
        }
        let round_trip = weather.latency * 2;
        let mut arrives = sent + weather.latency;
        if weather.loss > 0.0 && self.rng.chance(weather.loss) {
            arrives += round_trip + self.lose(sent, round_trip);
        }
        self.last = self.last.max(arrives);
        if weather.loss > 0.0 {
            self.under_way.push_back((self.last + weather.latency, bytes));
        }
        self.last
    }

    /// Waits until the window has room.
    async fn room_for(&mut self, bytes: usize) {
        loop {
            let now = Instant::now();
            while let Some(&(acknowledged, length)) = self.under_way.front().filter(|(at, _)| *at <= now) {
                let segments = length as f64 / SEGMENT as f64;
                self.window += if self.window < self.threshold { segments } else { segments / self.window };
                debug_assert!(acknowledged <= now);
                self.under_way.pop_front();
            }
            let under_way: usize = self.under_way.iter().map(|(_, length)| length).sum();
            match self.under_way.front() {
                Some(&(at, _)) if (under_way + bytes) as f64 > self.window * SEGMENT as f64 => sleep_until(at).await,
                _ => return,
            }
        }
    }

    /// A segment is lost; how much longer than a round trip it takes to come again.
    fn lose(&mut self, sent: Instant, round_trip: Duration) -> Duration {
        if sent < self.recovered {
            return Duration::ZERO;
        }
        self.recovered = sent + round_trip;
        let few = self.window < FEW;
        self.window = (self.window / 2.0).max(2.0);
        self.threshold = self.window;
        if few { TIMEOUT } else { Duration::ZERO }
    }
}
