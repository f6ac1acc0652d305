//! Identifiers and randomness from one source, so that a simulation can seed both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// Makes time-ordered identifiers and random bytes. Cheap to clone; clones share one sequence.
#[derive(Clone)]
pub struct Ids {
    state: Arc<Mutex<State>>,
}

struct State {
    source: Source,
    /// The last identifier's time (48 bits) and random part (74 bits) as one number.
    last: u128,
}

enum Source {
    System,
    /// An endless stream from a seed: reproducible, not secret.
    Seeded(Box<blake3::OutputReader>),
}

/// Bits of an identifier that are neither time, version nor variant.
const RANDOM_BITS: u32 = 74;

impl Ids {
    /// Randomness from the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::from(Source::System)
    }

    /// The same sequence for the same seed. Never for secrets outside tests and simulation.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("chassis ids seeded v1");
        hasher.update(&seed.to_le_bytes());
        Self::from(Source::Seeded(Box::new(hasher.finalize_xof())))
    }

    fn from(source: Source) -> Self {
        Self { state: Arc::new(Mutex::new(State { source, last: 0 })) }
    }

    /// A new UUIDv7 for `now_ms` (milliseconds since 1970; before it counts as 1970), greater than every one
    /// made before it: within one millisecond, and when the clock is turned back, the sequence goes on
    /// from the last identifier by a random step.
    ///
    /// # Panics
    ///
    /// When the operating system gives no random bytes.
    #[must_use]
    pub fn new_v7(&self, now_ms: i64) -> Uuid {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = [0_u8; 16];
        if let Some(random) = bytes.get_mut(..10) {
            state.fill(random);
        }
        let random = u128::from_le_bytes(bytes);
        let time = u128::from(now_ms.clamp(0, (1 << 48) - 1).unsigned_abs());
        // The topmost random bit starts at zero: room for all steps one millisecond can bring.
        let fresh = (time << RANDOM_BITS) | (random & ((1 << (RANDOM_BITS - 1)) - 1));
        let next = if time > state.last >> RANDOM_BITS {
            fresh
        } else {
            state.last + 1 + (random & u128::from(u32::MAX))
        };
        state.last = next;
        drop(state);

        let high = next >> 62; // 48 bits time, 12 bits random
        let raw = ((high >> 12) << 80) | (0x7 << 76) | ((high & 0xfff) << 64) | (0b10 << 62) | (next & ((1 << 62) - 1));
        Uuid::from_u128(raw)
    }

    /// `N` random bytes.
    ///
    /// # Panics
    ///
    /// When the operating system gives no random bytes: going on with guessable ones would be worse.
    #[must_use]
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fill(&mut bytes);
        bytes
    }

    /// A random number over all of `u64`, for jitter and the like.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        u64::from_le_bytes(self.random_bytes())
    }
}

impl State {
    fn fill(&mut self, bytes: &mut [u8]) {
        match &mut self.source {
            Source::System => {
                if let Err(cause) = getrandom::fill(bytes) {
                    panic!("the operating system gives no random bytes: {cause}");
                }
            }
            Source::Seeded(stream) => stream.fill(bytes),
        }
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_rise_in_one_millisecond_and_when_the_clock_turns_back() {
        let ids = Ids::seeded(7);
        let mut last = Uuid::nil();
        for step in 0..20_000_i64 {
            let now = if step % 1000 == 999 { 500 } else { 1_700_000_000_000 + step / 5000 };
            let id = ids.new_v7(now);
            assert!(id > last);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            last = id;
        }
    }

    #[test]
    fn an_identifier_carries_its_millisecond() {
        let id = Ids::system().new_v7(1_767_323_045_007);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_767_323_045, 7));
        let _ = Ids::system().new_v7(i64::MIN);
        let _ = Ids::system().new_v7(i64::MAX);
    }

    #[test]
    fn a_seed_repeats_itself_and_the_system_does_not() {
        let make = |ids: &Ids| (ids.new_v7(1), ids.random_bytes::<8>(), ids.new_v7(1));
        assert_eq!(make(&Ids::seeded(1)), make(&Ids::seeded(1)));
        assert_ne!(make(&Ids::seeded(1)), make(&Ids::seeded(2)));
        assert_ne!(make(&Ids::system()), make(&Ids::system()));
    }
}
