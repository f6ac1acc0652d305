//! Putting records together anew from their changes: when one of them moves in the order, goes, or comes back.

use super::changes::{Record, load_record, load_record_no, save_state, step_into, told};
use super::fail::Done;
use super::{erasures, project, reviews, settle, sums};
use chassis::sqlite::rusqlite::{Connection, params};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::RecordState;
use sync_protocol::record;
use uuid::Uuid;

/// The state that a record's changes, and the steps that belong to it, amount to.
pub(super) fn rebuild(db: &Connection, record: &Record) -> Done<RecordState> {
    let mut state = RecordState::default();
    for told in told(db, record.id)? {
        state.apply(told.id, told.hlc, &told.change);
    }
    if record.kind == record::INCIDENT {
        let mut steps = db.prepare_cached("SELECT record_id FROM records WHERE parent_no = ?1 AND kind = 'step'")?;
        let steps: Vec<Uuid> = steps.query_map([record.no], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for step in steps {
            for told in told(db, step)? {
                step_into(&mut state, told.id, told.hlc, &told.change);
            }
        }
    }
    erasures::mark_state(db, record.id, &mut state)?;
    Ok(state)
}

/// Moves a change to another place in the order and puts its record together anew. One that is damaged moves and stays damaged.
pub(super) fn restamp(db: &Connection, change_no: i64, hlc: Hlc) -> Done<()> {
    type Row = (String, i64, Option<[u8; 16]>, Option<Uuid>);
    let (body, was, digest, record): Row = db
        .prepare_cached("SELECT body, hlc, digest, record_id FROM changes WHERE change_no = ?1")?
        .query_row([change_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let is_whole = sums::is_whole(digest, Hlc::from_i64(was), &body);
    let digest = if is_whole { Some(sums::digest(hlc, &body)) } else { digest };
    db.prepare_cached("UPDATE changes SET hlc = ?2, digest = ?3 WHERE change_no = ?1")?
        .execute(params![change_no, hlc.to_i64(), digest])?;
    match record {
        Some(record) if is_whole => put_together(db, record),
        _ => Ok(()),
    }
}

/// Puts a record, and the incident it belongs to, together anew from their changes.
pub(super) fn put_together(db: &Connection, id: Uuid) -> Done<()> {
    let Some(mut record) = load_record(db, id)? else {
        return Ok(());
    };
    record.state = rebuild(db, &record)?;
    save_state(db, &record)?;
    project::record(db, &record)?;
    follow(db, &record)?;
    if let Some(mut parent) = record.parent_no.map(|no| load_record_no(db, no)).transpose()?.flatten() {
        parent.state = rebuild(db, &parent)?;
        save_state(db, &parent)?;
        project::record(db, &parent)?;
        project::child(db, &parent, &record)?;
        if record.kind == record::STEP {
            reviews::again(db, &parent)?;
        }
    }
    Ok(())
}

/// Makes what follows from a record beside its tables, after it was put together anew: its reviews, and what it settles.
pub(super) fn follow(db: &Connection, record: &Record) -> Done<()> {
    reviews::again(db, record)?;
    if record.kind == record::SETTLEMENT {
        let decided = told(db, record.id)?.iter().any(|told| settle::decides(&told.change));
        settle::note(db, record, decided)?;
    }
    Ok(())
}
