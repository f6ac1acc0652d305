//! Why the hub refuses a node's request. What became of a change is no refusal: that is an answer.

use std::time::Duration;
use sync_protocol::message::refusal;

/// A refusal, in the words of the protocol. Nothing of the request was applied.
#[derive(Debug)]
pub enum Refused {
    /// The credential is missing, unknown or wrong.
    UnknownNode,
    /// Headquarters revoked the node.
    Revoked,
    /// Another node took this one's place: it may send, and gets nothing more.
    Retired,
    /// A newer credential of this node is in use.
    Superseded,
    /// The node belongs to another hub.
    WrongHub,
    /// The scope or origin is not the node's.
    NotYours(&'static str),
    /// The enrolment code is unknown, used or too old: one text for all three.
    BadCode,
    /// No protocol version in common.
    Version,
    /// The cursor is of another epoch or not of this hub.
    BadCursor,
    /// Not what the endpoint takes; says why.
    Malformed(String),
    /// More than the limits allow; says which.
    TooLarge(String),
    /// Too many wrong enrolment codes.
    TooMany {
        /// When the next one is looked at.
        retry_after: Duration,
    },
    /// The node asks more often than it may.
    TooOften {
        /// When its next request is taken.
        retry_after: Duration,
    },
    /// No room now.
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// The hub itself failed.
    Failed(desk::Error),
}

impl Refused {
    /// HTTP status and the last part of the problem's `type`; none for what is the hub's own fault.
    #[must_use]
    pub const fn status_and_code(&self) -> (u16, Option<&'static str>) {
        match self {
            Self::UnknownNode => (401, Some(refusal::UNKNOWN_NODE)),
            Self::Revoked => (403, Some(refusal::REVOKED)),
            Self::Retired => (403, Some(refusal::RETIRED)),
            Self::Superseded => (401, Some(refusal::SUPERSEDED)),
            Self::WrongHub => (409, Some(refusal::WRONG_HUB)),
            Self::NotYours(_) => (403, Some(refusal::NOT_YOURS)),
            Self::BadCode => (403, Some(refusal::BAD_CODE)),
            Self::Version => (426, Some(refusal::VERSION)),
            Self::BadCursor => (409, Some(refusal::BAD_CURSOR)),
            Self::Malformed(_) => (400, Some(refusal::MALFORMED)),
            Self::TooLarge(_) => (413, Some(refusal::TOO_LARGE)),
            Self::TooMany { .. } => (429, Some(refusal::TOO_MANY)),
            Self::TooOften { .. } => (429, Some(refusal::TOO_OFTEN)),
            Self::Busy { .. } => (503, Some(refusal::BUSY)),
            Self::Failed(_) => (500, None),
        }
    }

    /// What to tell the person who reads the node's status page.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::UnknownNode => "this hub does not know the node's credential: enrol the node again with a new code".to_owned(),
            Self::Revoked => "headquarters revoked this node: its recordings stay on it; ask headquarters for a new enrolment code".to_owned(),
            Self::Retired => "another PC took this one's place: what it still holds is taken, and it gets nothing more".to_owned(),
            Self::Superseded => {
                "a newer credential of this node is in use: this is a copy or an old backup of another machine; enrol it anew".to_owned()
            }
            Self::WrongHub => "the node belongs to another hub: check the hub's address".to_owned(),
            Self::NotYours(what) => format!("{what} does not belong to this node"),
            Self::BadCode => "the enrolment code is not good: ask headquarters for a new one".to_owned(),
            Self::Version => "node and hub have no protocol version in common: upgrade the older one".to_owned(),
            Self::BadCursor => "the cursor is not of this hub's present history: pull from the beginning".to_owned(),
            Self::Malformed(why) | Self::TooLarge(why) => why.clone(),
            Self::TooMany { .. } => "too many wrong enrolment codes: wait before the next one".to_owned(),
            Self::TooOften { .. } => "this node asks too often: come back later".to_owned(),
            Self::Busy { .. } => "the hub has no room now: come back later".to_owned(),
            Self::Failed(_) => "the hub failed; its log says why".to_owned(),
        }
    }

    /// For `Retry-After`, where it is worth coming back.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after } | Self::TooOften { retry_after } | Self::Busy { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}
