//! Every question to the database, and what its failures mean outside.

use super::SqliteLedger;
use super::fail::{Done, Fail};
use crate::error::Error;
use chassis::sqlite::rusqlite::{self, Connection};
use chassis::sqlite::{ReadError, WriteError};

impl SqliteLedger {
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Done<T> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        self.written(self.db.write_stubbornly(move |tx| job(tx), false).await)
    }

    /// For a job that there is only one of: where the disk is full it is not tried again.
    pub(super) async fn write_once<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.written(self.db.write(move |tx| job(tx)).await)
    }

    /// For a job that leaves nothing behind when it fails.
    pub(super) async fn write_tidily<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Done<T> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        self.written(self.db.write_stubbornly(move |tx| job(tx), true).await)
    }

    fn written<T>(&self, result: Result<Done<T>, WriteError>) -> Result<T, Error> {
        match result {
            Ok(done) => done.map_err(|fail| self.told(fail)),
            Err(WriteError::Full) => Err(Error::Full),
            Err(error @ (WriteError::Busy | WriteError::Unavailable | WriteError::Stopped | WriteError::Io(_))) => {
                Err(Error::Unavailable(error.to_string()))
            }
            Err(error @ WriteError::Panicked) => Err(Error::Fault(error.to_string())),
        }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.answered(self.db.read(job).await)
    }

    /// For a few rows by key or along an index: no hop to another thread.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Done<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.answered(self.db.read_inline(job).await)
    }

    pub(super) fn answered<T>(&self, result: Result<Done<T>, ReadError>) -> Result<T, Error> {
        match result {
            Ok(Err(Fail::Sql(error)))
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                Err(Error::TooLong)
            }
            Ok(done) => done.map_err(|fail| self.told(fail)),
            Err(ReadError::TooLong) => Err(Error::TooLong),
            Err(error @ (ReadError::Io(_) | ReadError::Stopped)) => Err(Error::Unavailable(error.to_string())),
            Err(error @ ReadError::Panicked) => Err(Error::Fault(error.to_string())),
        }
    }

    /// What a failure means outside. One that speaks of damage has the scrub look, and not only when its day comes.
    fn told(&self, fail: Fail) -> Error {
        if fail.is_damage() {
            self.suspicion.notify_one();
        }
        fail.into()
    }
}
