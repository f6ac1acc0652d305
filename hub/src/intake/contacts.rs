//! When each node last called and what it told of itself, without a write for every request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use sync_protocol::message::NodeStatus;
use tokio::time::Instant;
use uuid::Uuid;

/// A contact that brings nothing new is written down this often at most.
const EVERY: Duration = Duration::from_secs(5);

/// What was last written down of each node: one entry for each enrolled node that called since the start.
#[derive(Debug, Default)]
pub struct Contacts {
    noted: Mutex<HashMap<Uuid, (Instant, NodeStatus)>>,
}

impl Contacts {
    /// What to write down of a contact at `now` in which the node told `status` (`None`: told nothing); `None` when it
    /// can wait.
    pub fn note(&self, node_id: Uuid, status: Option<NodeStatus>, now: Instant) -> Option<NodeStatus> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get_mut(&node_id) {
            None => {
                // Without a status of its own a first contact would wipe out the one in the ledger.
                let status = status?;
                noted.insert(node_id, (now, status.clone()));
                Some(status)
            }
            Some((at, last)) => {
                let status = status.unwrap_or_else(|| last.clone());
                if status == *last && now.duration_since(*at) < EVERY {
                    return None;
                }
                *at = now;
                last.clone_from(&status);
                Some(status)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_written_down_when_something_is_new_or_some_time_passed() {
        let contacts = Contacts::default();
        let (node, begin) = (Uuid::from_u128(1), Instant::now());
        let status = |pending_changes| NodeStatus { pending_changes, ..NodeStatus::default() };
        assert_eq!(contacts.note(node, None, begin), None);
        assert_eq!(contacts.note(node, Some(status(1)), begin), Some(status(1)));
        assert_eq!(contacts.note(node, Some(status(1)), begin), None);
        assert_eq!(contacts.note(node, Some(status(2)), begin), Some(status(2)));
        assert_eq!(contacts.note(node, None, begin), None);
        assert_eq!(contacts.note(node, None, begin + EVERY), Some(status(2)));
    }
}
