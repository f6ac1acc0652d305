//! Accounts and stores as their records made them; sessions and failed logins, which stay on their site.

use super::fail::{Done, Fail};
use crate::actor::Account;
use crate::ledger::{Failures, Store};
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// A session opened later than this after now was opened by a clock that has been set back since. It ends: else it would last
/// until that clock's day. A clock that is corrected by less logs nobody out.
const SET_BACK_MS: i64 = 24 * 3_600_000;
/// A name that nobody has tried for this long is forgotten.
const FORGET_FAILURES_MS: i64 = 24 * 3_600_000;

const COLUMNS: &str = "a.account_id, a.username, a.display_name, a.role, a.store_code, a.password_hash, a.active";

type AccountRow = (Uuid, String, String, String, Option<String>, String, bool);

fn account_row(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn account_of((id, username, display_name, role, store_code, password_hash, active): AccountRow) -> Done<Account> {
    let role = role.parse().map_err(|()| Fail::Broken(format!("account {id} has an unknown role")))?;
    Ok(Account { id, username, display_name, role, store_code, password_hash, active })
}

pub(super) fn account(db: &Connection, username: &str) -> Done<Option<Account>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts a WHERE a.username = ?1");
    db.prepare_cached(&sql)?.query_row([username], account_row).optional()?.map(account_of).transpose()
}

pub(super) fn account_by_id(db: &Connection, id: Uuid) -> Done<Option<Account>> {
    let sql =
        format!("SELECT {COLUMNS} FROM records r JOIN accounts a ON a.account_no = r.record_no WHERE r.record_id = ?1");
    db.prepare_cached(&sql)?.query_row([id], account_row).optional()?.map(account_of).transpose()
}

pub(super) fn accounts(db: &Connection, store: Option<&str>) -> Done<Vec<Account>> {
    let sql = match store {
        Some(_) => format!("SELECT {COLUMNS} FROM accounts a WHERE a.store_code = ?1 ORDER BY a.username"),
        None => format!("SELECT {COLUMNS} FROM accounts a WHERE ?1 IS NULL ORDER BY a.username"),
    };
    let mut statement = db.prepare_cached(&sql)?;
    let rows: Vec<AccountRow> = statement.query_map([store], account_row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(account_of).collect()
}

fn store_row(row: &Row<'_>) -> rusqlite::Result<Store> {
    Ok(Store { id: row.get(0)?, code: row.get(1)?, name: row.get(2)?, timezone: row.get(3)? })
}

pub(super) fn store(db: &Connection, code: &str) -> Done<Option<Store>> {
    Ok(db
        .prepare_cached("SELECT store_id, store_code, name, timezone FROM stores WHERE store_code = ?1")?
        .query_row([code], store_row)
        .optional()?)
}

pub(super) fn stores(db: &Connection, only: Option<&str>) -> Done<Vec<Store>> {
    if let Some(code) = only {
        return Ok(store(db, code)?.into_iter().collect());
    }
    let mut statement =
        db.prepare_cached("SELECT store_id, store_code, name, timezone FROM stores ORDER BY store_code")?;
    Ok(statement.query_map([], store_row)?.collect::<Result<_, _>>()?)
}

pub(super) fn open_session(
    db: &Connection,
    token_hash: &[u8; 32],
    username: &str,
    now_ms: i64,
    expires_ms: i64,
) -> Done<()> {
    db.prepare_cached("DELETE FROM sessions WHERE expires_ms <= ?1 OR created_ms > ?2")?
        .execute([now_ms, now_ms.saturating_add(SET_BACK_MS)])?;
    db.prepare_cached("DELETE FROM login_failures WHERE username = ?1")?.execute([username])?;
    db.prepare_cached("INSERT INTO sessions (token_hash, username, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![token_hash, username, now_ms, expires_ms])?;
    Ok(())
}

pub(super) fn session(db: &Connection, token_hash: &[u8; 32], now_ms: i64) -> Done<Option<(Account, i64)>> {
    let sql = format!(
        "SELECT {COLUMNS}, s.expires_ms FROM sessions s JOIN accounts a ON a.username = s.username \
         WHERE s.token_hash = ?1 AND s.expires_ms > ?2 AND s.created_ms <= ?3 AND a.active = 1"
    );
    let found = db
        .prepare_cached(&sql)?
        .query_row(params![token_hash, now_ms, now_ms.saturating_add(SET_BACK_MS)], |row| {
            Ok((account_row(row)?, row.get(7)?))
        })
        .optional()?;
    found.map(|(account, expires_ms)| Ok((account_of(account)?, expires_ms))).transpose()
}

pub(super) fn close_session(db: &Connection, token_hash: &[u8; 32]) -> Done<()> {
    db.prepare_cached("DELETE FROM sessions WHERE token_hash = ?1")?.execute(params![token_hash])?;
    Ok(())
}

pub(super) fn failures(db: &Connection, username: &str) -> Done<Failures> {
    Ok(db
        .prepare_cached("SELECT failures, last_ms FROM login_failures WHERE username = ?1")?
        .query_row([username], |row| Ok(Failures { count: row.get(0)?, last_ms: row.get(1)? }))
        .optional()?
        .unwrap_or_default())
}

pub(super) fn note_failure(db: &Connection, username: &str, now_ms: i64) -> Done<Failures> {
    db.prepare_cached("DELETE FROM login_failures WHERE last_ms < ?1")?
        .execute([now_ms - FORGET_FAILURES_MS])?;
    db.prepare_cached(
        "INSERT INTO login_failures (username, failures, last_ms) VALUES (?1, 1, ?2) \
         ON CONFLICT (username) DO UPDATE SET failures = failures + 1, last_ms = excluded.last_ms",
    )?
    .execute(params![username, now_ms])?;
    failures(db, username)
}
