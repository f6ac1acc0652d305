//! What can go wrong with the database, by who has to do something about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a database cannot be opened (or upgraded, copied, checked); one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be read or written.
    #[error("cannot use the database {}: {cause}; check the path, the free space and who owns it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a database; nothing was changed; move it away or restore a backup", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the database {} is damaged ({detail}); nothing was changed; keep the file and restore a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A newer version wrote the file.
    #[error(
        "the database {} has schema {found}, this program knows schemas up to {newest}; nothing was changed; install the newer version again",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest schema this program knows.
        newest: i32,
    },
    /// An upgrade failed and was rolled back, or the file's history is not this program's.
    #[error("cannot bring the database {} up to date: {detail}", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Another process holds the database for too long.
    #[error("another process is using the database {}; try again when it is done", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Anything else SQLite reports.
    #[error("cannot use the database {}: {cause}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, cause }
    }

    pub(super) fn from_sqlite(path: &Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, detail: one_line(&cause) },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            _ => Self::Sqlite { path, cause },
        }
    }
}

/// Why nothing of a write was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The disk is full. Reading goes on; writing works again once there is room.
    #[error("the disk is full")]
    Full,
    /// The disk or the file failed; for the log, not for a client.
    #[error("the database cannot be written: {0}")]
    Io(String),
    /// Another process held the file, or the queue was full, for too long.
    #[error("the database is busy")]
    Busy,
    /// The disk failed a moment ago and has not proved itself since.
    #[error("the database takes no writes until the disk works again")]
    Unavailable,
    /// The job panicked and was undone.
    #[error("a write failed unexpectedly")]
    Panicked,
    /// The database is being closed.
    #[error("the database is closed")]
    Stopped,
}

/// Why a read gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It was interrupted at its deadline.
    #[error("the read took too long")]
    TooLong,
    /// No connection could be had; for the log, not for a client.
    #[error("the database cannot be read: {0}")]
    Io(String),
    /// The job panicked.
    #[error("a read failed unexpectedly")]
    Panicked,
    /// The database or the runtime is being closed.
    #[error("the database is closed")]
    Stopped,
}

/// An error a write job may return. The writer looks through it for SQLite errors which mean that the whole
/// transaction is lost (disk full, I/O error …) rather than this one job.
pub trait StoreError {
    /// The SQLite error behind this one, if that is what it is.
    fn sqlite(&self) -> Option<&rusqlite::Error>;
}

impl StoreError for rusqlite::Error {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        Some(self)
    }
}

impl StoreError for std::convert::Infallible {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        None
    }
}

/// An error that takes the whole batch with it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) error: WriteError,
    /// The connection can no longer be trusted.
    pub(super) reopen: bool,
}

impl Fault {
    /// The fault behind `error`, when it is more than the failure of one statement.
    pub(super) fn behind(error: &rusqlite::Error) -> Option<Self> {
        let (kind, reopen) = match error.sqlite_error_code()? {
            ErrorCode::DiskFull => (WriteError::Full, false),
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::FileLockingProtocolFailed => (WriteError::Io(one_line(error)), true),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::OutOfMemory => {
                (WriteError::Io(one_line(error)), false)
            }
            _ => return None,
        };
        Some(Self { error: kind, reopen })
    }

    /// A job left the transaction that it shares with others in a state that it cannot be brought back from.
    pub(super) fn untidy() -> Self {
        let what = "a job ended the transaction it shares with others";
        Self { error: WriteError::Io(what.to_owned()), reopen: false }
    }

    /// As [`Fault::behind`], for statements whose failure always takes the batch with it: BEGIN, RELEASE, COMMIT.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        Self::behind(error).unwrap_or_else(|| {
            let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
            Self {
                error: if busy { WriteError::Busy } else { WriteError::Io(one_line(error)) },
                reopen: false,
            }
        })
    }
}

pub(super) fn one_line(error: &impl ToString) -> String {
    error.to_string().replace('\n', " ")
}
