//! What a request that changes nothing needs to know, remembered, so that "you have it already" is said without a look into the
//! ledger.
//!
//! As in [`crate::cache`], whatever is remembered is found under everything it follows from: a session under the number of
//! commits so far, the `ETag` of an answer under the ledger's generation and whoever may see it. A change leads to another
//! key, so nothing is ever removed because of one.

use crate::actor::Actor;
use std::sync::Arc;
use uuid::Uuid;

/// Most sessions that are remembered.
const SESSIONS: usize = 2048;
/// Most answers that are remembered.
const ANSWERS: usize = 8192;

/// An answer and what it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The ledger's generation.
    pub stamp: i64,
    /// Whose: what may be seen depends on the person.
    pub actor_id: Uuid,
    /// Their role and store, which are the ledger's to change.
    pub sight: (&'static str, Option<String>),
    /// What was asked for.
    pub what: What,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// An incident.
    Incident(Uuid),
    /// A content of a photo.
    Content(Uuid, crate::photos::Variant),
}

impl Question {
    /// What `actor` asks while the ledger is at `stamp`.
    #[must_use]
    pub fn of(stamp: i64, actor: &Actor, what: What) -> Self {
        let sight = (actor.role.as_str(), actor.store_code.clone());
        Self { stamp, actor_id: actor.id, sight, what }
    }
}

/// A session that was looked up.
#[derive(Clone)]
struct Session {
    actor: Actor,
    known_ms: i64,
    expires_ms: i64,
}

/// The memory.
pub struct Recall {
    sessions: quick_cache::sync::Cache<(u64, [u8; 32]), Session>,
    answers: quick_cache::sync::Cache<Question, Arc<str>>,
}

impl Default for Recall {
    fn default() -> Self {
        Self {
            sessions: quick_cache::sync::Cache::new(SESSIONS),
            answers: quick_cache::sync::Cache::new(ANSWERS),
        }
    }
}

impl Recall {
    /// Who is behind a session, when nothing was committed since `commits` and it has not ended at `now_ms`.
    #[must_use]
    pub fn session(&self, commits: u64, token_hash: [u8; 32], now_ms: i64) -> Option<Actor> {
        let session = self.sessions.get(&(commits, token_hash))?;
        // A clock that was set back is for the ledger to judge.
        (session.known_ms..session.expires_ms).contains(&now_ms).then_some(session.actor)
    }

    /// Remembers a session that was looked up at `known_ms` and ends at `expires_ms`.
    pub fn keep_session(&self, commits: u64, token_hash: [u8; 32], actor: Actor, known_ms: i64, expires_ms: i64) {
        self.sessions.insert((commits, token_hash), Session { actor, known_ms, expires_ms });
    }

    /// The `ETag`, without quotes, of what was answered to that before.
    #[must_use]
    pub fn tag(&self, question: &Question) -> Option<Arc<str>> {
        self.answers.get(question)
    }

    /// Remembers the `ETag`, without quotes, of an answer.
    pub fn keep_tag(&self, question: Question, tag: &str) {
        self.answers.insert(question, tag.into());
    }
}

impl std::fmt::Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recall")
            .field("sessions", &self.sessions.len())
            .field("answers", &self.answers.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Role;

    fn actor(role: Role) -> Actor {
        Actor {
            id: Uuid::nil(),
            username: "kim".to_owned(),
            display_name: "Kim".to_owned(),
            role,
            store_code: Some("042".to_owned()),
        }
    }

    #[test]
    fn a_session_is_known_until_something_is_committed_or_it_ends() {
        let recall = Recall::default();
        recall.keep_session(7, [1; 32], actor(Role::Manager), 500, 1000);
        assert!(recall.session(7, [1; 32], 999).is_some());
        assert!(recall.session(7, [1; 32], 1000).is_none());
        assert!(recall.session(7, [1; 32], 499).is_none(), "a clock that was set back");
        assert!(recall.session(8, [1; 32], 999).is_none());
        assert!(recall.session(7, [2; 32], 999).is_none());
    }

    #[test]
    fn an_answer_is_known_to_whoever_may_still_see_it() {
        let recall = Recall::default();
        let what = What::Incident(Uuid::nil());
        recall.keep_tag(Question::of(1, &actor(Role::Manager), what), "a");
        assert_eq!(recall.tag(&Question::of(1, &actor(Role::Manager), what)), Some("a".into()));
        assert_eq!(recall.tag(&Question::of(2, &actor(Role::Manager), what)), None);
        assert_eq!(recall.tag(&Question::of(1, &actor(Role::Employee), what)), None);
        let moved = Actor { store_code: Some("117".to_owned()), ..actor(Role::Manager) };
        assert_eq!(recall.tag(&Question::of(1, &moved, what)), None);
    }
}
