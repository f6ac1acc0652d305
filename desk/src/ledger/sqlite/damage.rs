//! What was found damaged: noted once, kept as it was found, and marked when it is whole again. No row is ever deleted.

use super::fail::Done;
use crate::ledger::{Damage, DamageCount, DamageKind};
use chassis::sqlite::rusqlite::{self, Connection, Row, params};
use sync_protocol::change::ChangeId;
use sync_protocol::scope::Scope;

/// The most that is kept of what was there, in bytes: a body fits.
const MAX_ASIDE_BYTES: usize = 512 * 1024;

/// Notes that something is damaged; false where that is known.
pub(super) fn note(db: &Connection, damage: &Damage, aside: Option<&str>) -> Done<bool> {
    let aside = aside.map(|text| &text[..text.floor_char_boundary(MAX_ASIDE_BYTES)]);
    let added = db
        .prepare_cached(
            "INSERT INTO damage (kind, name, scope, what, aside, found_ms, mended_ms, how) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (kind, name) WHERE mended_ms IS NULL DO NOTHING",
        )?
        .execute(params![
            damage.kind.as_str(),
            damage.name,
            damage.scope,
            damage.what,
            aside,
            damage.found_ms,
            damage.mended_ms,
            damage.how
        ])?;
    Ok(added > 0)
}

/// Marks something as whole again; what it had been, where it was known to be damaged.
pub(super) fn mended(db: &Connection, kind: DamageKind, name: &str, how: &str, now_ms: i64) -> Done<Option<Damage>> {
    let mut statement = db.prepare_cached(
        "UPDATE damage SET mended_ms = ?4, how = ?3 WHERE kind = ?1 AND name = ?2 AND mended_ms IS NULL \
         RETURNING kind, name, scope, what, found_ms, mended_ms, how",
    )?;
    let mut rows = statement.query(params![kind.as_str(), name, how, now_ms])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        found = Some(damage_row(row)?);
    }
    Ok(found)
}

fn damage_row(row: &Row<'_>) -> rusqlite::Result<Damage> {
    Ok(Damage {
        kind: DamageKind::from_text(&row.get::<_, String>(0)?),
        name: row.get(1)?,
        scope: row.get(2)?,
        what: row.get(3)?,
        found_ms: row.get(4)?,
        mended_ms: row.get(5)?,
        how: row.get(6)?,
    })
}

pub(super) fn list(db: &Connection, limit: u32) -> Done<Vec<Damage>> {
    let mut statement = db.prepare_cached(
        "SELECT kind, name, scope, what, found_ms, mended_ms, how FROM damage \
         ORDER BY mended_ms IS NOT NULL, damage_no DESC LIMIT ?1",
    )?;
    Ok(statement.query_map([limit], damage_row)?.collect::<Result<_, _>>()?)
}

pub(super) fn count(db: &Connection) -> Done<DamageCount> {
    let (open, mended): (i64, i64) = db
        .prepare_cached("SELECT count(*) FILTER (WHERE mended_ms IS NULL), count(mended_ms) FROM damage")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(DamageCount { open: open as u64, mended: mended as u64 })
}

/// Changes of some scopes that are damaged or gone.
pub(super) fn changes_wanted(db: &Connection, scopes: &[Scope], limit: usize) -> Done<Vec<ChangeId>> {
    let mut statement = db.prepare_cached(
        "SELECT name FROM damage WHERE kind = 'change' AND scope = ?1 AND mended_ms IS NULL ORDER BY damage_no LIMIT ?2",
    )?;
    let mut wanted = Vec::new();
    for scope in scopes {
        let left = limit.saturating_sub(wanted.len()) as i64;
        let names: Vec<String> =
            statement.query_map(params![scope.to_string(), left], |row| row.get(0))?.collect::<Result<_, _>>()?;
        wanted.extend(names.iter().filter_map(|name| name.parse::<ChangeId>().ok()));
    }
    Ok(wanted)
}

/// Contents of a scope's photos that are damaged or gone.
pub(super) fn contents_lost(db: &Connection, scope: &Scope, limit: usize) -> Done<Vec<String>> {
    let mut statement = db.prepare_cached(
        "SELECT d.name FROM damage d WHERE d.kind = 'content' AND d.mended_ms IS NULL AND EXISTS \
         (SELECT 1 FROM pieces s CROSS JOIN records r ON r.record_no = s.photo_no WHERE s.sha256 = d.name AND r.scope = ?1) \
         ORDER BY d.damage_no LIMIT ?2",
    )?;
    let names = statement.query_map(params![scope.to_string(), limit as i64], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
