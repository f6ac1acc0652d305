//! Whether this node and headquarters hold the same history of this node's stream, and up to where. Pure, but for
//! [`agreed`], which asks headquarters.
//!
//! They part when the folder was restored from a backup or copied: numbers that were used once are used again for other
//! changes. The last number both hold with the same bytes is found by halving: a push without changes names a link,
//! and headquarters says whether it is its own. At most 64 questions, whatever the stream's length; usually one.

use std::time::Duration;

use sync_protocol::batch::{MEDIA_TYPE, Push};
use sync_protocol::chain::Link;
use sync_protocol::message::{PushAnswer, PushResult, path};
use uuid::Uuid;

use super::hub::{Call, Failure, MOST_JSON_BYTES};
use super::session::Session;

/// A push without changes is answered long before.
const DEADLINE: Duration = Duration::from_secs(20);

/// Two histories of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parted {
    /// The stream.
    pub origin: Uuid,
    /// They are the same up to a number that is not above this one.
    pub most: u64,
    /// Whether they are the same up to just `most`.
    pub is_exact: bool,
    /// Changes that the node is known to have lost.
    pub lost: u64,
    /// What was found, for people.
    pub why: &'static str,
}

/// The folder went back in time.
const RESTORED: &str =
    "headquarters holds more of this node's changes than the node does, so this folder was restored from a backup";
/// Other changes were recorded under the same numbers.
pub(super) const FORKED: &str =
    "headquarters holds other changes under this node's numbers, so this folder was restored from a backup or copied";
/// The stream is somebody else's.
pub(super) const NOT_YOURS: &str = "headquarters says that this node's numbers belong to another node";

/// Judges what `hello` tells of the stream `origin`, of which `seq` numbers are here. `ours`: this node's link at `applied_seq`,
/// where it holds that many.
pub(super) fn judge(origin: Uuid, seq: u64, ours: Option<Link>, applied_seq: u64, head: Link) -> Option<Parted> {
    let lost = applied_seq.saturating_sub(seq);
    let parted = |most, why| Some(Parted { origin, most, is_exact: false, lost, why });
    match ours {
        _ if applied_seq > seq => parted(seq, RESTORED),
        // A stream that headquarters never saw has nothing to contradict.
        Some(ours) if applied_seq > 0 && ours != head => parted(applied_seq.saturating_sub(1), FORKED),
        // The same up to there. What is missing at headquarters is sent, again where it lost it.
        _ => None,
    }
}

/// A search for the last number that both histories share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    /// Both share this one; 0 is shared by all.
    same: u64,
    /// They do not share the number after `most`.
    most: u64,
    first: bool,
}

impl Search {
    /// The number to ask for next; `None` when `same` is the answer.
    const fn next(&self) -> Option<u64> {
        match self.most - self.same {
            0 => None,
            // Mostly the shorter history is the beginning of the longer one.
            _ if self.first => Some(self.most),
            open => Some(self.same + open.div_ceil(2)),
        }
    }

    const fn told(&mut self, asked: u64, is_same: bool) {
        self.first = false;
        if is_same {
            self.same = asked;
        } else {
            self.most = asked - 1;
        }
    }
}

/// Why the last number agreed on could not be found.
pub(super) enum NotFound {
    /// Headquarters.
    Failure(Failure),
    /// The node's own ledger.
    Ledger(desk::Error),
}

/// The last number up to which both histories are the same.
pub(super) async fn agreed(session: &Session, parted: &Parted) -> Result<u64, NotFound> {
    let mut search = Search { same: 0, most: parted.most, first: true };
    while let Some(asked) = search.next().filter(|_| !parted.is_exact) {
        let link = session.desk.ledger().own_link(asked).await.map_err(NotFound::Ledger)?;
        let Some(link) = link else {
            return Err(NotFound::Ledger(desk::Error::Fault("the stream ended meanwhile".to_owned())));
        };
        let call = Call {
            path: path::PUSH,
            media_type: MEDIA_TYPE,
            body: Push::encode(parted.origin, asked.saturating_add(1), link, &[] as &[String]),
            deadline: DEADLINE,
            most_bytes: MOST_JSON_BYTES,
        };
        let body = session.hub.call(call).await.map_err(NotFound::Failure)?;
        let answer: PushAnswer =
            serde_json::from_slice(&body).map_err(|error| NotFound::Failure(Failure::nonsense(error)))?;
        let is_same = match answer.result {
            _ if answer.hub_id != session.enrolment.hub_id => {
                return Err(NotFound::Failure(Failure::nonsense("another hub answers")));
            }
            PushResult::Accepted { .. } => true,
            PushResult::Fork { .. } => false,
            PushResult::Gap { .. } => {
                return Err(NotFound::Failure(Failure::nonsense("it holds less than it just said")));
            }
        };
        search.told(asked, is_same);
    }
    Ok(if parted.is_exact { parted.most } else { search.same })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link::start(Uuid::nil()).extend(text.as_bytes())
    }

    #[test]
    fn hello_tells_apart_a_hub_behind_a_restored_folder_and_a_fork() {
        let judge = |seq, ours, applied_seq, head| {
            judge(Uuid::nil(), seq, ours, applied_seq, head).map(|parted| (parted.most, parted.why))
        };
        assert_eq!(judge(5, Some(link("a")), 5, link("a")), None, "in step");
        assert_eq!(judge(5, Some(link("a")), 3, link("a")), None, "headquarters is behind");
        assert_eq!(judge(0, Some(link("a")), 0, link("a")), None, "nothing yet");
        assert_eq!(judge(5, None, 9, link("a")), Some((5, RESTORED)));
        assert_eq!(judge(5, Some(link("b")), 5, link("a")), Some((4, FORKED)));
        assert_eq!(judge(5, Some(link("b")), 3, link("a")), Some((2, FORKED)));
    }

    #[test]
    fn every_last_number_agreed_on_is_found_with_few_questions() {
        for most in 0..70_u64 {
            for agreed in 0..=most {
                let (mut search, mut asked) = (Search { same: 0, most, first: true }, 0);
                while let Some(number) = search.next() {
                    search.told(number, number <= agreed);
                    asked += 1;
                }
                assert_eq!(search.same, agreed, "of {most}");
                assert!(asked <= 8, "{asked} questions for {agreed} of {most}");
            }
        }
        let mut search = Search { same: 0, most: u64::MAX, first: true };
        let mut asked = 0;
        while let Some(number) = search.next() {
            search.told(number, number <= 12_345);
            asked += 1;
        }
        assert!(search.same == 12_345 && asked <= 66, "{asked}");
    }
}
