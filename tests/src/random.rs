//! Randomness that can be repeated: every test prints its seed, and `AINCIDENT_TEST_SEED` sets it.

/// A small generator (SplitMix64). Not for secrets: those come from [`secret`].
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A fresh sequence, or that of `AINCIDENT_TEST_SEED`; prints which, under the name of the test.
    ///
    /// # Panics
    /// When `AINCIDENT_TEST_SEED` is not a number.
    #[must_use]
    pub fn announced(test: &str) -> Self {
        let seed = match std::env::var("AINCIDENT_TEST_SEED") {
            Ok(text) => text.parse().expect("AINCIDENT_TEST_SEED is a number"),
            Err(_) => chassis::ids::Ids::system().random_u64() >> 32,
        };
        crate::tell(&format!("{test}: seed {seed} (AINCIDENT_TEST_SEED={seed} repeats it)"));
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// A number from `from` up to, not including, `end`.
    pub fn between(&mut self, from: u64, end: u64) -> u64 {
        from + self.below(end.saturating_sub(from))
    }

    /// True in `share` of all cases (0.0 to 1.0).
    pub fn chance(&mut self, share: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// One of `items`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// A generator of its own, for a task that runs beside this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

/// A password nobody has used before: 16 letters and digits that are not easily confused.
#[must_use]
pub fn secret() -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ234679";
    let bytes = chassis::ids::Ids::system().random_bytes::<16>();
    bytes.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}
