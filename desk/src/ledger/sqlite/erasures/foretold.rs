//! What an order will leave of the changes that headquarters holds, told by the order itself: no site ever holds what is left
//! without the hub's seal on it, so that it can always be given back to a hub that was restored.

use super::super::fail::Done;
use super::super::{feed, histories, sums};
use super::{name_of, told_of, what_of};
use chassis::sqlite::rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::Field;
use sync_protocol::erasure::redact;
use sync_protocol::hlc::Hlc;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Most changes told of in an order itself, which has to fit into a body; `unlisted` tells of the rest.
const MOST: usize = 1000;

/// The fields `left/CHANGE` of an order in `scope` that says `set`.
pub(in super::super) fn foretold(
    db: &Connection,
    scope: &Scope,
    set: &BTreeMap<Field, Value>,
) -> Done<BTreeMap<Field, Value>> {
    type Row = (Uuid, i64, String, Option<i64>, i64, String, Option<[u8; 16]>);
    let key = histories::hub_key(db)?;
    let mut statement = db.prepare_cached(
        "SELECT o.origin, c.seq, o.site, c.received_ms, c.hlc, c.body, c.digest FROM changes c \
         JOIN origins o ON o.origin_no = c.origin_no WHERE c.record_id = ?1 AND typeof(c.body) = 'text' ORDER BY c.change_no",
    )?;
    let mut told = BTreeMap::new();
    for (record, fields) in what_of(set.iter().map(|(field, value)| (field.as_str(), value))) {
        let named: BTreeSet<Field> = fields.into_iter().collect();
        let rows: Vec<Row> = statement.query_map([record], |row| row.try_into())?.collect::<Result<_, _>>()?;
        for (origin, seq, site, received_ms, hlc, body, kept) in rows {
            let (placed, seq) = (Hlc::from_i64(hlc), seq as u64);
            if told.len() >= MOST || !sums::is_whole(kept, placed, &body) {
                continue;
            }
            let Some(left) = redact(&body, |field| named.contains(field)) else {
                continue;
            };
            let digest = blake3::hash(left.as_bytes());
            let line = feed::line(scope, origin, seq, received_ms, placed, left)?;
            told.insert(name_of(&line), told_of(digest, key.line(&line, &site, placed)));
        }
    }
    Ok(told)
}
