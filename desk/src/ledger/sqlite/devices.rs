//! Devices that people share, and their PINs. They stay on their site.

use super::SqliteLedger;
use super::fail::Done;
use crate::error::Error;
use crate::ledger::{Devices, Failures, Familiar};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension as _, Row, params};

fn familiar(row: &Row<'_>) -> rusqlite::Result<Familiar> {
    Ok(Familiar {
        username: row.get(0)?,
        display_name: row.get(1)?,
        active: row.get(2)?,
        proof: row.get(3)?,
        password_hash: row.get(4)?,
        password_ms: row.get(5)?,
        pin_hash: row.get(6)?,
        failures: row.get(7)?,
        last_ms: row.get(8)?,
    })
}

fn familiars(db: &Connection, device: &[u8; 32]) -> Done<Vec<Familiar>> {
    let mut statement = db.prepare_cached(
        "SELECT d.username, a.display_name, a.active, d.proof, a.password_hash, d.password_ms, p.pin_hash, d.failures, d.last_ms \
         FROM devices d JOIN accounts a ON a.username = d.username LEFT JOIN pins p ON p.username = d.username \
         WHERE d.device_hash = ?1 ORDER BY a.display_name, a.username",
    )?;
    Ok(statement.query_map([device], familiar)?.collect::<Result<_, _>>()?)
}

fn know(
    db: &Connection,
    before: Option<&[u8; 32]>,
    device: &[u8; 32],
    username: &str,
    proof: &[u8; 32],
    (now_ms, since_ms): (i64, i64),
    most: u32,
) -> Done<()> {
    db.prepare_cached("DELETE FROM devices WHERE password_ms < ?1")?.execute([since_ms])?;
    if let Some(before) = before {
        db.prepare_cached("UPDATE devices SET device_hash = ?2 WHERE device_hash = ?1")?
            .execute(params![before, device])?;
    }
    db.prepare_cached(
        "INSERT INTO devices (device_hash, username, proof, password_ms) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (device_hash, username) DO UPDATE SET proof = excluded.proof, password_ms = excluded.password_ms, \
         failures = 0, last_ms = 0",
    )?
    .execute(params![device, username, proof, now_ms])?;
    db.prepare_cached(
        "DELETE FROM devices WHERE device_hash = ?1 AND username NOT IN \
         (SELECT username FROM devices WHERE device_hash = ?1 ORDER BY password_ms DESC, username = ?2 DESC LIMIT ?3)",
    )?
    .execute(params![device, username, most])?;
    Ok(())
}

fn count_try(db: &Connection, device: &[u8; 32], username: &str, stood: Failures, counted: Failures) -> Done<bool> {
    let sql = "UPDATE devices SET failures = ?5, last_ms = ?6 \
               WHERE device_hash = ?1 AND username = ?2 AND failures = ?3 AND last_ms = ?4";
    let values = params![device, username, stood.count, stood.last_ms, counted.count, counted.last_ms];
    Ok(db.prepare_cached(sql)?.execute(values)? == 1)
}

/// Takes back what was counted of a PIN that was right. What others counted meanwhile stays.
fn uncount_try(
    db: &Connection,
    device: &[u8; 32],
    username: &str,
    (counted, before): (Failures, Failures),
) -> Done<()> {
    let sql = "UPDATE devices SET \
                 last_ms = CASE WHEN failures = ?3 AND last_ms = ?4 THEN ?5 ELSE last_ms END, failures = max(failures - 1, 0) \
               WHERE device_hash = ?1 AND username = ?2";
    let values = params![device, username, counted.count, counted.last_ms, before.last_ms];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn switch(
    db: &Connection,
    device: &[u8; 32],
    username: &str,
    counted_and_before: (Failures, Failures),
    ends: Option<&[u8; 32]>,
    token_hash: &[u8; 32],
    (now_ms, expires_ms): (i64, i64),
) -> Done<()> {
    uncount_try(db, device, username, counted_and_before)?;
    if let Some(ends) = ends {
        super::accounts::close_session(db, ends)?;
    }
    // Failed logins with the password are not forgiven by a PIN.
    db.prepare_cached("INSERT INTO sessions (token_hash, username, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![token_hash, username, now_ms, expires_ms])?;
    Ok(())
}

fn set_pin(db: &Connection, username: &str, pin_hash: Option<&str>, now_ms: i64) -> Done<()> {
    let Some(pin_hash) = pin_hash else {
        db.prepare_cached("DELETE FROM pins WHERE username = ?1")?.execute([username])?;
        return Ok(());
    };
    db.prepare_cached(
        "INSERT INTO pins (username, pin_hash, set_ms) VALUES (?1, ?2, ?3) \
         ON CONFLICT (username) DO UPDATE SET pin_hash = excluded.pin_hash, set_ms = excluded.set_ms",
    )?
    .execute(params![username, pin_hash, now_ms])?;
    Ok(())
}

#[async_trait]
impl Devices for SqliteLedger {
    async fn know_person(
        &self,
        before: Option<[u8; 32]>,
        device: [u8; 32],
        username: String,
        proof: [u8; 32],
        times: (i64, i64),
        most: u32,
    ) -> Result<(), Error> {
        self.write(move |db| know(db, before.as_ref(), &device, &username, &proof, times, most)).await
    }

    async fn familiars(&self, device: [u8; 32]) -> Result<Vec<Familiar>, Error> {
        self.look(move |db| familiars(db, &device)).await
    }

    async fn count_pin(
        &self,
        device: [u8; 32],
        username: String,
        stood: Failures,
        counted: Failures,
    ) -> Result<bool, Error> {
        self.write(move |db| count_try(db, &device, &username, stood, counted)).await
    }

    async fn switch_person(
        &self,
        device: [u8; 32],
        username: String,
        counted_and_before: (Failures, Failures),
        ends: Option<[u8; 32]>,
        token_hash: [u8; 32],
        times: (i64, i64),
    ) -> Result<(), Error> {
        self.write(move |db| switch(db, &device, &username, counted_and_before, ends.as_ref(), &token_hash, times))
            .await
    }

    async fn forget_person(&self, device: [u8; 32], username: String) -> Result<(), Error> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM devices WHERE device_hash = ?1 AND username = ?2")?
                .execute(params![device, username])?;
            Ok(())
        })
        .await
    }

    async fn pin_set_ms(&self, username: &str) -> Result<Option<i64>, Error> {
        let username = username.to_owned();
        self.look(move |db| {
            Ok(db
                .prepare_cached("SELECT set_ms FROM pins WHERE username = ?1")?
                .query_row([username], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    async fn set_pin(&self, username: String, pin_hash: Option<String>, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| set_pin(db, &username, pin_hash.as_deref(), now_ms)).await
    }
}
