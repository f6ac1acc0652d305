//! What goes wrong inside a transaction, before it becomes an [`Error`].

use crate::error::{Error, Refusal};
use chassis::sqlite::rusqlite;

/// A job that did not happen.
#[derive(Debug)]
pub(crate) enum Fail {
    /// Decided against.
    Refused(Refusal),
    /// SQLite said no.
    Sql(rusqlite::Error),
    /// What is stored makes no sense; the text is for the log.
    Broken(String),
    /// A change is not what was recorded; the text is for the log.
    Damaged(String),
}

impl Fail {
    /// Whether it is what is stored that is wrong, rather than that it could not be read.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Broken(_)
                | Self::Damaged(_)
                | Self::Sql(
                    rusqlite::Error::FromSqlConversionFailure(..)
                        | rusqlite::Error::IntegralValueOutOfRange(..)
                        | rusqlite::Error::InvalidColumnType(..)
                        | rusqlite::Error::Utf8Error(..)
                )
        )
    }
}

/// What every job answers.
pub(crate) type Done<T> = Result<T, Fail>;

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fail> for Error {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Refused(refusal) => Self::Refused(refusal),
            Fail::Sql(error) => Self::Fault(format!("sqlite: {error}")),
            Fail::Broken(text) => Self::Fault(text),
            Fail::Damaged(text) => Self::Damaged(text),
        }
    }
}
