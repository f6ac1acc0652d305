//! One machine's clock: the run's virtual time, and how far off the machine is.

use chassis::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// When every run begins: 2026-11-20T00:00:00Z.
pub const T0: i64 = 1_795_132_800_000;
/// A year, in milliseconds.
pub const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// The clock.
pub struct SimClock {
    began: Instant,
    off_ms: AtomicI64,
    /// When the machine was last started.
    booted_ms: AtomicI64,
}

impl SimClock {
    /// One that is right. `began`: when the run did.
    pub fn new(began: Instant) -> Arc<Self> {
        Arc::new(Self { began, off_ms: 0.into(), booted_ms: 0.into() })
    }

    /// Sets it `off_ms` away from the right time.
    pub fn set_off(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::Relaxed);
    }

    /// The machine is started.
    pub fn boot(&self) {
        self.booted_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// How far it is off.
    pub fn off(&self) -> i64 {
        self.off_ms.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        T0 + self.elapsed_ms() + self.off()
    }

    fn boot_ms(&self) -> i64 {
        self.elapsed_ms() - self.booted_ms.load(Ordering::Relaxed)
    }

    fn boot_id(&self) -> String {
        self.booted_ms.load(Ordering::Relaxed).to_string()
    }
}
