//! What can go wrong at the desk: a request is refused, or the storage failed. Two audiences, two texts: what the
//! client sees says what to do; what the log gets says what happened.

use chassis::disk::NoRoom;
use sync_protocol::record::FieldError;

/// Why a request is refused. Each is a decision, not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such thing, or none that the asker may know of.
    NotFound,
    /// It was deleted; a manager can bring it back.
    Gone,
    /// The asker may not do this; the text says who may.
    Forbidden(String),
    /// It contradicts what is there.
    Conflict(String),
    /// `If-Match` names a version that is no longer current.
    Stale,
    /// Fields that cannot be taken.
    Invalid(Vec<FieldError>),
    /// It was asked for too often.
    TooOften {
        /// Whole seconds until it may be asked for again.
        retry_after_s: u64,
    },
    /// The site cannot do this yet: it is not enrolled.
    NotEnrolled,
}

impl Refusal {
    /// One field that cannot be taken.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }
}

/// A verb of the desk or the ledger that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Refused.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// Nothing was written: the disk is full.
    #[error("the disk is full")]
    Full,
    /// Nothing was taken: the disk has no room for photos and files. Reports are taken.
    #[error("{NoRoom}")]
    NoRoom,
    /// Nothing was written, and it is worth trying again soon.
    #[error("the ledger cannot be used now: {0}")]
    Unavailable(String),
    /// A question that took too long to answer.
    #[error("the question took too long")]
    TooLong,
    /// A change is not what was recorded: the disk has damaged it. The scrub looks at once, and the other side has it; the text is for the
    /// log only.
    #[error("{0}")]
    Damaged(String),
    /// A fault in the program or the data; the text is for the log only.
    #[error("{0}")]
    Fault(String),
}

impl From<NoRoom> for Error {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
