//! How much the hub takes on at once. Five thousand nodes that come back in the same second must not take it down:
//! who finds no room is sent away before the body is read, and told to come back at a time of its own.

use super::refused::Refused;
use chassis::ids::Ids;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Pushes whose body is arriving or waits to be taken; each may hold [`sync_protocol::message::Limits::push_bytes`].
const ARRIVING: usize = 32;
/// Pushes that are unpacked and applied; each may hold eight times its bytes.
const TAKING: usize = 8;
/// Pages that are read and packed.
const READING: usize = 16;
/// Pulls that wait for something to come; a pull beyond that is answered at once.
const WAITING: usize = 20_000;
/// Contents that arrive or leave; each holds less than 1 MiB.
const BYTES: usize = 256;
/// Requests of one node: hello, push, pull, and contents in three lanes.
const PER_NODE: u32 = 12;
/// `Retry-After` is somewhere in between, so that those sent away together do not come back together.
const RETRY_SECONDS: std::ops::RangeInclusive<u64> = 2..=20;

/// What there is room for.
#[derive(Debug)]
pub struct Admission {
    arriving: Arc<Semaphore>,
    taking: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    by_node: Arc<Mutex<HashMap<Uuid, u32>>>,
    ids: Ids,
}

/// Room that is given back when this goes out of scope.
pub type Room = OwnedSemaphorePermit;

impl Admission {
    pub(super) fn new(ids: Ids) -> Self {
        let room = |n| Arc::new(Semaphore::new(n));
        Self {
            arriving: room(ARRIVING),
            taking: room(TAKING),
            reading: room(READING),
            waiting: room(WAITING),
            bytes: room(BYTES),
            by_node: Arc::default(),
            ids,
        }
    }

    /// Room for one more request of a node.
    ///
    /// # Errors
    /// [`Refused::Busy`].
    pub fn request(&self, node_id: Uuid) -> Result<Line, Refused> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_node.entry(node_id).or_insert(0);
        if *open >= PER_NODE {
            drop(by_node);
            return Err(self.busy());
        }
        *open += 1;
        drop(by_node);
        Ok(Line { node_id, by_node: Arc::clone(&self.by_node) })
    }

    /// Whether a request of the node is under way: one that waits for news nearly always is.
    #[must_use]
    pub fn is_on_the_line(&self, node_id: Uuid) -> bool {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&node_id)
    }

    /// Room for the body of a push, now or not at all.
    ///
    /// # Errors
    /// [`Refused::Busy`].
    pub fn arrive(&self) -> Result<Room, Refused> {
        Arc::clone(&self.arriving).try_acquire_owned().map_err(|_| self.busy())
    }

    /// Room for one more content that arrives or leaves, now or not at all.
    ///
    /// # Errors
    /// [`Refused::Busy`].
    pub fn bytes(&self) -> Result<Room, Refused> {
        Arc::clone(&self.bytes).try_acquire_owned().map_err(|_| self.busy())
    }

    /// Waits for its turn to take a push.
    pub(super) async fn take(&self) -> Option<Room> {
        Arc::clone(&self.taking).acquire_owned().await.ok()
    }

    /// Waits for its turn to read a page.
    pub(super) async fn read(&self) -> Option<Room> {
        Arc::clone(&self.reading).acquire_owned().await.ok()
    }

    /// Room for one more pull that waits.
    pub(super) fn wait(&self) -> Option<Waiting> {
        let room = Arc::clone(&self.waiting).try_acquire_owned().ok()?;
        metrics::gauge!("hub_pulls_waiting").increment(1.0);
        Some(Waiting { _room: room })
    }

    /// No room, and when to come back.
    #[must_use]
    pub fn busy(&self) -> Refused {
        let (least, most) = (RETRY_SECONDS.start(), RETRY_SECONDS.end());
        let seconds = least + self.ids.random_u64() % (most - least + 1);
        Refused::Busy { retry_after: Duration::from_secs(seconds) }
    }
}

/// One request of a node, for as long as it lasts.
#[derive(Debug)]
pub struct Line {
    node_id: Uuid,
    by_node: Arc<Mutex<HashMap<Uuid, u32>>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_node.get_mut(&self.node_id) {
            *open -= 1;
            if *open == 0 {
                by_node.remove(&self.node_id);
            }
        }
    }
}

/// A pull that waits, for as long as it does.
#[derive(Debug)]
pub(super) struct Waiting {
    _room: Room,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("hub_pulls_waiting").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_so_many_requests_at_once_and_gets_room_back() {
        let admission = Admission::new(Ids::seeded(1));
        let node = Uuid::from_u128(1);
        let mut lines: Vec<Line> = (0..PER_NODE).map(|_| admission.request(node).unwrap()).collect();
        assert!(matches!(admission.request(node), Err(Refused::Busy { .. })));
        assert!(admission.request(Uuid::from_u128(2)).is_ok());
        lines.pop();
        drop(admission.request(node).unwrap());
        lines.clear();
        assert!(admission.by_node.lock().unwrap().is_empty());
    }

    #[test]
    fn who_is_sent_away_comes_back_at_a_time_of_its_own() {
        let admission = Admission::new(Ids::seeded(2));
        let times: std::collections::BTreeSet<u64> =
            (0..100).filter_map(|_| admission.busy().retry_after()).map(|after| after.as_secs()).collect();
        assert!(times.len() > 10 && times.iter().all(|seconds| RETRY_SECONDS.contains(seconds)), "{times:?}");
    }
}
