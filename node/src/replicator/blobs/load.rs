//! What a lane has on its way, and what comes next.

use super::{Broken, Cargo, Resting, send};
use crate::replicator::session::Session;
use chassis::blobs::Sha256;
use desk::ledger::{Lane, Piece};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use sync_protocol::message::HaveItem;

/// Display images on their way at once: one fewer than small contents may be, so that a thumbnail always finds room.
const DISPLAYS: usize = 2;

/// A content that was sent, or was not.
pub(super) type Arrived = (Sha256, Result<(), send::Unsent>);

/// Contents on their way.
pub(super) struct Load<'a> {
    cargo: Cargo,
    /// Those that headquarters does not have, in the order in which they go.
    pub(super) queue: VecDeque<(Piece, HaveItem)>,
    /// Those on their way.
    pub(super) under_way: FuturesUnordered<BoxFuture<'a, Arrived>>,
    /// The same by digest.
    pub(super) moving: HashMap<Sha256, Lane>,
    /// What came of those that are not on their way any more, until it is settled.
    pub(super) arrived: Vec<Arrived>,
}

impl Load<'_> {
    pub(super) fn new(cargo: Cargo) -> Self {
        Self {
            cargo,
            queue: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            moving: HashMap::new(),
            arrived: Vec::new(),
        }
    }

    /// Whether one more may go.
    pub(super) fn has_room(&self) -> bool {
        self.moving.len() < self.cargo.at_once()
    }

    /// Whether nothing is on its way, or about to be.
    pub(super) fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.queue.is_empty()
    }

    /// What was found goes before what is left of an older look, or instead of it.
    pub(super) fn take(&mut self, found: Vec<(Piece, HaveItem)>) {
        let thumbnails = found.first().is_some_and(|(piece, _)| piece.lane == Lane::Thumbnail);
        if self.cargo == Cargo::Originals || thumbnails {
            self.queue.clear();
        }
        // Nothing found while display images wait: they stay.
        self.queue.extend(found);
    }

    /// The next to go, where there is room; it counts as on its way.
    pub(super) fn next(&mut self) -> Option<(Piece, HaveItem)> {
        if !self.has_room() {
            return None;
        }
        let displays = self.moving.values().filter(|lane| **lane == Lane::Display).count();
        let (piece, _) = self.queue.front()?;
        if piece.lane == Lane::Display && displays >= DISPLAYS {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.moving.insert(next.0.sha256, next.0.lane);
        Some(next)
    }

    /// Settles what arrived.
    ///
    /// # Errors
    /// What broke one off breaks off all.
    pub(super) fn settle(&mut self, session: &Session, resting: &mut Resting) -> Result<(), Broken> {
        for (sha256, sent) in self.arrived.drain(..) {
            self.moving.remove(&sha256);
            match sent {
                Ok(()) | Err(send::Unsent::Moved) => {}
                Err(send::Unsent::Alone(why)) => {
                    tracing::warn!(%sha256, why, "a photo's content was not sent; it is tried again later");
                    resting.failed(sha256, session.desk.ids().random_u64());
                }
                Err(send::Unsent::Broken(broken)) => return Err(broken),
            }
        }
        Ok(())
    }
}

/// The answer of `question`; what is under way goes on meanwhile. None when one of that breaks off: there is no use in asking.
pub(super) async fn beside<T>(
    under_way: &mut FuturesUnordered<BoxFuture<'_, Arrived>>,
    arrived: &mut Vec<Arrived>,
    question: impl Future<Output = T>,
) -> Option<T> {
    let mut question = pin!(question);
    loop {
        tokio::select! {
            biased;
            answer = &mut question => return Some(answer),
            Some(one) = under_way.next() => {
                let broken = matches!(one.1, Err(send::Unsent::Broken(_)));
                arrived.push(one);
                if broken {
                    return None;
                }
            }
        }
    }
}
