//! Writing without a thread: a job runs where it is asked for, in a transaction of its own, and is committed before
//! anything else happens. For simulations, where one order of events is the point and a simulated disk decides what
//! becomes of each transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::{Fault, StoreError, WriteError};
use super::writer::Shared;
use super::{Writing, locked};

/// How far a transaction is when its disk is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done yet.
    Begin,
    /// Everything was done and nothing is on the disk. An error rolls the transaction back.
    Commit,
    /// It is on the disk. An error is all that whoever asked for it hears.
    Committed,
}

/// Decides what becomes of each transaction.
pub trait Disk: Send + Sync {
    /// Whether the transaction goes on from `moment`.
    ///
    /// # Errors
    /// What whoever asked for it is told.
    fn allows(&self, moment: Moment) -> Result<(), WriteError>;
}

pub(super) struct InPlace {
    connection: Mutex<Connection>,
    writing: Writing,
    disk: Arc<dyn Disk>,
}

impl InPlace {
    pub(super) fn new(connection: Connection, writing: Writing, disk: Arc<dyn Disk>) -> Self {
        Self { connection: Mutex::new(connection), writing, disk }
    }

    pub(super) fn write<T, E: StoreError>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
        shared: &Shared,
    ) -> Result<Result<T, E>, WriteError> {
        let failed = |cause: rusqlite::Error| Fault::of(&cause).error;
        self.disk.allows(Moment::Begin)?;
        let mut connection = locked(&self.connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let before = transaction.total_changes();
        let answer = match catch_unwind(AssertUnwindSafe(|| job(&transaction))) {
            Err(_) => return Err(WriteError::Panicked),
            Ok(Err(error)) => {
                return match error.sqlite().and_then(Fault::behind) {
                    Some(fault) => Err(fault.error),
                    None => Ok(Err(error)),
                };
            }
            Ok(Ok(answer)) => answer,
        };
        let is_changed = transaction.total_changes() != before;
        if is_changed {
            self.writing.finish(&transaction).map_err(failed)?;
        }
        self.disk.allows(Moment::Commit)?;
        transaction.commit().map_err(failed)?;
        drop(connection);
        if is_changed {
            shared.bump();
        }
        self.disk.allows(Moment::Committed)?;
        Ok(Ok(answer))
    }
}
