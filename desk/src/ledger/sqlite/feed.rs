//! What each scope has to hear of, in commit order.

use super::fail::{Done, Fail};
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use std::collections::HashMap;
use sync_protocol::change::Change;
use sync_protocol::erasure;
use sync_protocol::hlc::Hlc;
use sync_protocol::message::PageLine;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Gives merged changes their numbers in their scope's feed, in order: the last step of a hub's transaction.
pub(super) fn feed(db: &Connection, changes: &[(Scope, i64)]) -> Done<()> {
    let mut heads: HashMap<&Scope, i64> = HashMap::new();
    for (scope, change_no) in changes {
        let name = scope.to_string();
        let head = match heads.get(scope) {
            Some(head) => *head,
            None => db
                .prepare_cached("SELECT seq FROM scopes WHERE scope = ?1")?
                .query_row([&name], |row| row.get(0))
                .optional()?
                .unwrap_or(0),
        } + 1;
        heads.insert(scope, head);
        let body: String = db
            .prepare_cached("SELECT body FROM changes WHERE change_no = ?1")?
            .query_row([change_no], |row| row.get(0))?;
        db.prepare_cached("INSERT INTO feed (scope, seq, change_no, tag) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![name, head, change_no, tag(&body)])?;
    }
    for (scope, head) in heads {
        db.prepare_cached(
            "INSERT INTO scopes (scope, seq) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET seq = excluded.seq",
        )?
        .execute(params![scope.to_string(), head])?;
    }
    Ok(())
}

/// What a cursor says of the change it stands at: the first four bytes of its digest.
pub(super) fn tag(body: &str) -> u32 {
    let [a, b, c, d, ..] = erasure::digest(body.as_bytes());
    u32::from_be_bytes([a, b, c, d])
}

/// A line of a page, not sealed yet.
pub(super) fn line(
    scope: &Scope,
    origin: Uuid,
    seq: u64,
    received_ms: Option<i64>,
    placed: Hlc,
    body: String,
) -> Done<PageLine> {
    let claimed = Change::from_body(&body)
        .map_err(|e| Fail::Broken(format!("change {origin}:{seq} in the feed: {e}")))?
        .order();
    let body =
        RawValue::from_string(body).map_err(|e| Fail::Broken(format!("change {origin}:{seq} in the feed: {e}")))?;
    Ok(PageLine {
        origin,
        seq,
        scope: scope.clone(),
        received_ms: received_ms.unwrap_or(0),
        hlc: (placed != claimed).then_some(placed),
        seal: None,
        body,
    })
}
