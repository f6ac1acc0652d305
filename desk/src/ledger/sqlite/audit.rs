//! Proof that the tables are what the changes say: every chain walked, every record rebuilt and compared.

use super::changes::{load_record_no, rebuild};
use super::fail::{Done, Fail};
use super::{erasures, project};
use crate::ledger::Audit;
use chassis::sqlite::rusqlite::{Connection, params};
use sync_protocol::chain::Link;
use sync_protocol::erasure::original;
use uuid::Uuid;

/// Faults told one by one; more are only counted.
const MAX_FAULTS: usize = 100;

/// Walks everything in one snapshot.
pub(super) fn audit(db: &Connection) -> Done<Audit> {
    let mut audit = Audit::default();
    let erased = chains(db, &mut audit)?;
    for text in erasures::examine(db, &mut audit, erased)? {
        fault(&mut audit, text);
    }
    records(db, &mut audit)?;
    orphans(db, &mut audit)?;
    Ok(audit)
}

fn fault(audit: &mut Audit, text: String) {
    match audit.faults.len() {
        told if told < MAX_FAULTS => audit.faults.push(text),
        MAX_FAULTS => audit.faults.push("more faults than are told here".to_owned()),
        _ => {}
    }
}

/// Every stream from its first link to its head. A node holds of foreign streams only what its scope is sent; those
/// with gaps are read but cannot be walked. Answers of how many changes only a part is left.
fn chains(db: &Connection, audit: &mut Audit) -> Done<u64> {
    let mut erased = 0;
    let mut statement =
        db.prepare("SELECT origin_no, origin, site, seq, head, mine FROM origins ORDER BY origin_no")?;
    let origins: Vec<(i64, Uuid, String, i64, [u8; 32], bool)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))?
        .collect::<Result<_, _>>()?;
    let is_hub = super::site::is_hub(db)?;
    for (origin_no, origin, site, seq, head, mine) in origins {
        audit.origins += 1;
        let mut link = Link::start(origin);
        let (mut expected, mut whole) = (1_i64, true);
        let mut statement = db.prepare_cached("SELECT seq, body FROM changes WHERE origin_no = ?1 ORDER BY seq")?;
        let mut rows = statement.query([origin_no])?;
        while let Some(row) = rows.next()? {
            let at: i64 = row.get(0)?;
            audit.changes += 1;
            if at != expected && whole {
                whole = false;
                if is_hub || mine {
                    fault(audit, format!("stream {origin} of site {site}: change {expected} is missing"));
                }
            }
            expected = at + 1;
            let body = row.get_ref(1)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))?;
            erased += u64::from(original(body).is_some());
            link = link.extend(body);
        }
        if !whole {
            continue;
        }
        if expected - 1 != seq {
            fault(
                audit,
                format!("stream {origin} of site {site}: {} changes are held, its head says {seq}", expected - 1),
            );
        } else if link != Link::from_bytes(head) {
            fault(
                audit,
                format!(
                    "stream {origin} of site {site}: a change was altered, its chain ends in {link} instead of {}",
                    Link::from_bytes(head)
                ),
            );
        }
    }
    Ok(erased)
}

fn records(db: &Connection, audit: &mut Audit) -> Done<()> {
    let mut statement = db.prepare("SELECT record_no FROM records ORDER BY record_no")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(record) = load_record_no(db, row.get(0)?)? else {
            continue;
        };
        audit.records += 1;
        match rebuild(db, &record) {
            Err(Fail::Broken(text) | Fail::Damaged(text)) => {
                fault(audit, format!("{} {}: {text}", record.kind, record.id))
            }
            Err(other) => return Err(other),
            Ok(state) if state != record.state => {
                fault(audit, format!("{} {}: its state is not what its changes say", record.kind, record.id));
            }
            Ok(_) => {
                let differs = match project::compare(db, &record) {
                    Ok(None) => project::compare_index(db, &record),
                    other => other,
                };
                let text = match differs {
                    Err(fail) if fail.is_damage() => Some("a table that cannot be read differs".to_owned()),
                    differs => differs?,
                };
                if let Some(text) = text {
                    fault(audit, format!("{} {}: {text} from what its changes say", record.kind, record.id));
                }
            }
        }
    }
    Ok(())
}

/// Rows that no record stands behind, and merged changes whose record is gone.
fn orphans(db: &Connection, audit: &mut Audit) -> Done<()> {
    for (table, number) in [
        ("incidents", "incident_no"),
        ("documents", "incident_no"),
        ("losses", "incident_no"),
        ("comments", "comment_no"),
        ("photos", "photo_no"),
        ("stores", "store_no"),
        ("accounts", "account_no"),
    ] {
        let sql = format!(
            "SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.record_no = t.{number})"
        );
        let count: i64 = db.query_row(&sql, params![], |row| row.get(0))?;
        if count > 0 {
            fault(audit, format!("{count} rows of {table} have no record behind them"));
        }
    }
    let lost: i64 = db.query_row(
        "SELECT count(*) FROM changes c WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.record_id = c.record_id) \
         AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no)",
        [],
        |row| row.get(0),
    )?;
    if lost > 0 {
        fault(audit, format!("{lost} changes have no record though they are not in quarantine"));
    }
    Ok(())
}
