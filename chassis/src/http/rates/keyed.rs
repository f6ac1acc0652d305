//! What is remembered of each of a bounded number of keys.
//!
//! Where all places are taken, what has faded goes first: it says no more than nothing. Else the one that will have faded first goes, which
//! has used least. So nobody who is held back is forgotten for others, and whoever comes new is never held back for them: an
//! attacker with more addresses than there are places gets no more than each of them may.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

/// Parts that are locked by themselves.
const SHARDS: usize = 32;

/// Something that is worth nothing after a while.
pub(super) trait Fades: Copy + Default {
    /// From when on it says no more than its default, in the time of [`Keyed::with`].
    fn faded_at(&self) -> u64;
}

/// See the module.
pub(super) struct Keyed<K, V> {
    shards: Vec<Mutex<HashMap<K, V>>>,
    hasher: RandomState,
    most_in_shard: usize,
}

impl<K: Copy + Eq + Hash, V: Fades> Keyed<K, V> {
    /// Room for `most` keys.
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            most_in_shard: most.div_ceil(SHARDS),
        }
    }

    /// Does something with what is remembered of `key`, or with the default, and remembers what becomes of it.
    pub(super) fn with<T>(&self, key: K, now: u64, act: impl FnOnce(&mut V) -> T) -> T {
        let at = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = shard.get_mut(&key) {
            return act(value);
        }
        let mut value = V::default();
        let done = act(&mut value);
        if value.faded_at() > now {
            if shard.len() >= self.most_in_shard {
                make_room(&mut shard, self.most_in_shard, now);
            }
            shard.insert(key, value);
        }
        done
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

fn make_room<K: Copy + Eq + Hash, V: Fades>(shard: &mut HashMap<K, V>, most: usize, now: u64) {
    shard.retain(|_, value| value.faded_at() > now);
    if shard.len() >= most {
        let first = shard.iter().min_by_key(|(_, value)| value.faded_at()).map(|(key, _)| *key);
        if let Some(key) = first {
            shard.remove(&key);
        }
    }
}
