//! Overwriting what was deleted.
//!
//! SQLite is told to overwrite deleted rows with zeros (`chassis::sqlite`), which leaves three places: the text indexes, which
//! keep deleted words until their segments are merged; pages that were given free whole; and the log. So the segments are
//! merged into one each, a step a transaction; then free pages are overwritten and the log is cut.

use super::super::SqliteLedger;
use crate::error::Error;
use chassis::heavy;
use chassis::sqlite::rusqlite::Connection;

/// Pages of a text index merged in one transaction: a fraction of a second.
const MERGED_PAGES: i64 = 500;
/// More steps than any index needs; then the rest is left to the next order.
const MOST_STEPS: u32 = 100_000;
/// The text indexes.
const INDEXES: [&str; 2] = ["incident_words", "incident_names"];

pub(super) async fn wipe(ledger: &SqliteLedger) -> Result<bool, Error> {
    for index in INDEXES {
        // A negative number begins a merge of everything, as `optimize` is, which takes its time in one step.
        let mut pages = -MERGED_PAGES;
        for _ in 0..MOST_STEPS {
            let sql = format!("INSERT INTO {index} ({index}, rank) VALUES ('merge', ?1)");
            let did = ledger
                .write(move |db: &Connection| {
                    let before = db.total_changes();
                    db.execute(&sql, [pages])?;
                    Ok(db.total_changes() - before)
                })
                .await?;
            // FTS5 says so: less than two changes are its own note that there was nothing to do.
            if did < 2 {
                break;
            }
            pages = MERGED_PAGES;
        }
    }
    let db = ledger.db.clone();
    let wiped = heavy::run(move || db.wipe()).await;
    wiped
        .map_err(|gone| Error::Fault(gone.to_string()))?
        .map_err(|error| Error::Unavailable(error.to_string()))
}
