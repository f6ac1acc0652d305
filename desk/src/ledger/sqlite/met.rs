//! What a change meets here on its way into its record. Most meet nothing, and one question tells so instead of eight.

use super::fail::Done;
use chassis::sqlite::rusqlite::{Connection, params};
use sync_protocol::change::ChangeId;
use uuid::Uuid;

/// What is here of a record, and of one change of it, before that change is kept. False means: there is nothing to look for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    /// The record itself.
    pub(super) record: bool,
    /// Orders that name fields of it.
    pub(super) erased: bool,
    /// Changes of it in quarantine.
    pub(super) aside: bool,
    /// Changes in quarantine of what belongs to it.
    pub(super) children: bool,
    /// A person's decision against the change.
    pub(super) decided: bool,
    /// Whether its values have been found right already.
    pub(super) is_valid: bool,
}

impl Met {
    /// For whoever has to look for everything.
    pub(super) const UNKNOWN: Self = Self {
        record: true,
        erased: true,
        aside: true,
        children: true,
        decided: true,
        is_valid: false,
    };

    /// Whether there is nothing that could be in the change's way.
    pub(super) const fn is_nothing(&self) -> bool {
        !(self.record || self.erased || self.aside || self.children || self.decided)
    }
}

/// Looks, in the transaction that takes the change. `record`: where its body could be read.
pub(super) fn met(db: &Connection, record: Option<Uuid>, change: ChangeId) -> Done<Met> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM records WHERE record_id = ?1), \
                    EXISTS (SELECT 1 FROM erased_fields WHERE record_id = ?1), \
                    EXISTS (SELECT 1 FROM quarantine WHERE record_id = ?1 AND settled = 0), \
                    EXISTS (SELECT 1 FROM quarantine WHERE parent_id = ?1 AND settled = 0), \
                    EXISTS (SELECT 1 FROM settlements WHERE origin = ?2 AND seq = ?3 AND decided = 1)",
        )?
        .query_row(params![record, change.origin, change.seq as i64], |row| {
            Ok(Met {
                record: row.get(0)?,
                erased: row.get(1)?,
                aside: row.get(2)?,
                children: row.get(3)?,
                decided: row.get(4)?,
                is_valid: false,
            })
        })?)
}
