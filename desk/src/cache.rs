//! Derived data: kept so that it need not be made again, never needed for anything to be right.
//!
//! Whatever is kept is kept under a [`Key`] made of everything it follows from: the ledger's generation or an incident's
//! `ETag`, who may see it, what was asked. A change leads to another key; nothing is ever removed because of one, and nothing
//! stale can be found. What is not found any more falls out for want of room.
//!
//! [`Memory`] is the layer that every site has; a node puts a folder behind it.

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::Weighter;
use std::sync::Arc;

/// What is kept; the name is a label of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pages of the incident list.
    List,
    /// Counts.
    Stats,
    /// PDF reports.
    Report,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Stats => "stats",
            Self::Report => "report",
        }
    }
}

/// Everything that something derived follows from, as one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of `parts`, each with its length. This program's version is one of them: another one may derive otherwise.
    #[must_use]
    pub fn of(kind: Kind, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [kind.name().as_bytes(), env!("CARGO_PKG_VERSION").as_bytes()].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// A key that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A cache. It may forget anything at any time.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under `key`.
    async fn get(&self, kind: Kind, key: Key) -> Option<Bytes>;
    /// Keeps `value`, or not. Never waits.
    fn put(&self, kind: Kind, key: Key, value: Bytes);
    /// Forgets everything, on the disk too.
    async fn clear(&self);
}

/// A cache, shared.
pub type SharedCache = Arc<dyn Cache>;

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, _: &Key, value: &Bytes) -> u64 {
        // The value, its key, and about what the cache itself needs for an entry.
        value.len() as u64 + 96
    }
}

/// The layer in memory, bounded by bytes.
pub struct Memory {
    entries: quick_cache::sync::Cache<Key, Bytes, Weight>,
    max_bytes: u64,
}

impl Memory {
    /// A cache of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let expected = usize::try_from(max_bytes / 16_384).unwrap_or(1024).max(16);
        // One part: each of several would have its share of the bytes, and none for a large report.
        let options = quick_cache::OptionsBuilder::new()
            .estimated_items_capacity(expected)
            .weight_capacity(max_bytes)
            .shards(1)
            .build();
        let entries = match options {
            Ok(options) => quick_cache::sync::Cache::with_options(
                options,
                Weight,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            Err(_) => quick_cache::sync::Cache::with_weighter(expected, max_bytes, Weight),
        };
        Self { entries, max_bytes }
    }

    /// Looks without counting.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Bytes> {
        self.entries.get(&key)
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.entries.clear();
    }

    /// Keeps `value`, unless it alone would push out most of everything.
    pub fn keep(&self, key: Key, value: Bytes) {
        if value.len() as u64 <= self.max_bytes / 3 * 2 {
            self.entries.insert(key, value);
        }
        metrics::gauge!("cache_bytes", "layer" => "memory").set(self.entries.weight() as f64);
    }
}

/// Counts a look into a cache.
pub fn count(kind: Kind, layer: &'static str, hit: bool) {
    let outcome = if hit { "hit" } else { "miss" };
    metrics::counter!("cache_requests_total", "kind" => kind.name(), "layer" => layer, "outcome" => outcome)
        .increment(1);
}

#[async_trait]
impl Cache for Memory {
    async fn get(&self, kind: Kind, key: Key) -> Option<Bytes> {
        let found = self.find(key);
        count(kind, "memory", found.is_some());
        found
    }

    fn put(&self, _: Kind, key: Key, value: Bytes) {
        self.keep(key, value);
    }

    async fn clear(&self) {
        self.forget();
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = Memory::new(1_000_000);
        let key = |n: u32| Key::of(Kind::List, &[&n.to_le_bytes()]);
        for n in 0..1000 {
            cache.put(Kind::List, key(n), Bytes::from(vec![n as u8; 10_000]));
            assert!(cache.get(Kind::List, key(n)).await.is_some(), "{n}");
        }
        assert!(cache.entries.weight() <= 1_000_000);
        cache.put(Kind::Report, key(5000), Bytes::from(vec![0; 600_000]));
        assert!(cache.get(Kind::Report, key(5000)).await.is_some());
        assert!(cache.entries.weight() <= 1_000_000);
        cache.put(Kind::Report, key(5001), Bytes::from(vec![0; 700_000]));
        assert!(cache.get(Kind::Report, key(5001)).await.is_none());
    }

    #[test]
    fn a_key_is_of_all_its_parts() {
        let keys = [
            Key::of(Kind::List, &[b"ab", b"c"]),
            Key::of(Kind::List, &[b"a", b"bc"]),
            Key::of(Kind::Stats, &[b"ab", b"c"]),
            Key::of(Kind::List, &[b"ab"]),
        ];
        for (n, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(n + 1).all(|other| other != key));
        }
    }
}
