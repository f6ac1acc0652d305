//! Rules, what they have told, and clocks. `counters` holds `notified`: the last change that was looked at; no row while no
//! rule is enabled, so that a site that tells nobody anything does no work for it; and `notifications_forgotten`.

use super::SqliteLedger;
use super::acts;
use super::fail::{Done, Fail};
use super::site::{counter, set_counter};
use crate::error::{Error, Refusal};
use crate::ledger::{
    Changed, DeadCount, DeadMessage, DueClock, Gathered, MOST_COUNTED, MessageRow, NewAct, NewMessage, Noted,
    Notifications, RuleRow,
};
use crate::notifications::clocks::Facts;
use crate::notifications::job;
use crate::notifications::rule::{Rule, What};
use crate::notifications::{MOST_RULES, clocks::HOUR_MS};
use async_trait::async_trait;
use chassis::sqlite::jobs::enqueue;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use uuid::Uuid;

const CURSOR: &str = "notified";
/// Messages set aside that were forgotten.
const FORGOT: &str = "notifications_forgotten";
/// Messages that are forgotten at once.
const FORGOTTEN: u32 = 500;

fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Done<T> {
    serde_json::from_str(text).map_err(|error| Fail::Broken(format!("{what} of a notification: {error}")))
}

fn json<T: serde::Serialize>(value: &T) -> Done<String> {
    serde_json::to_string(value).map_err(|error| Fail::Broken(format!("a notification: {error}")))
}

fn rules(db: &Connection) -> Done<Vec<RuleRow>> {
    let sql = "SELECT rule_id, rule, secret, created_by, created_ms, since_ms, since_no, digested_no, last_ms, last_error \
               FROM notification_rules ORDER BY rule_id";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let row = (
            row.get::<_, String>(1)?,
            RuleRow {
                id: row.get(0)?,
                rule: Rule::default(),
                secret: row.get(2)?,
                created_by: row.get(3)?,
                created_ms: row.get(4)?,
                since_ms: row.get(5)?,
                since_no: row.get(6)?,
                digested_no: row.get(7)?,
                last_ms: row.get(8)?,
                last_error: row.get(9)?,
                waiting: 0,
                gathered: 0,
            },
        );
        Ok(row)
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (text, row) = row?;
        all.push(RuleRow { rule: parse("the rule", &text)?, ..row });
    }
    Ok(all)
}

fn counted(db: &Connection) -> Done<Vec<RuleRow>> {
    let sql = "SELECT m.rule_id, count(*) FROM jobs j CROSS JOIN notification_messages m ON m.message_id = j.key \
               WHERE j.kind = ?1 GROUP BY m.rule_id";
    let mut statement = db.prepare_cached(sql)?;
    let waiting: HashMap<Uuid, i64> =
        statement.query_map([job::KIND], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let sql = "SELECT count(*) FROM (SELECT 1 FROM notification_messages \
               WHERE rule_id = ?1 AND state = 'gathered' AND message_no > ?2 LIMIT ?3)";
    let mut statement = db.prepare_cached(sql)?;
    let mut all = rules(db)?;
    for row in &mut all {
        row.waiting = waiting.get(&row.id).map_or(0, |count| *count as u64);
        let gathered: i64 =
            statement.query_row(params![row.id, row.digested_no, MOST_COUNTED as i64], |row| row.get(0))?;
        row.gathered = gathered as u64;
    }
    Ok(all)
}

fn last_change(db: &Connection) -> Done<i64> {
    let sql = "SELECT coalesce(max(change_no), 0) FROM changes";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn save(db: &Connection, id: Uuid, rule: &Rule, secret: Option<&str>, by: &str, now_ms: i64) -> Done<()> {
    let before = rules(db)?;
    let known = before.iter().find(|row| row.id == id);
    if known.is_none() && before.len() >= MOST_RULES {
        return Err(Refusal::Conflict(format!("there are {MOST_RULES} rules already: change or delete one")).into());
    }
    let begins = rule.enabled && !known.is_some_and(|row| row.rule.enabled);
    let text = json(rule)?;
    if known.is_none() {
        let sql = "INSERT INTO notification_rules (rule_id, rule, secret, created_by, created_ms, since_ms, since_no) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)";
        db.prepare_cached(sql)?.execute(params![id, text, secret, by, now_ms, last_change(db)?])?;
    } else {
        let sql = "UPDATE notification_rules SET rule = ?2, secret = coalesce(?3, secret) WHERE rule_id = ?1";
        db.prepare_cached(sql)?.execute(params![id, text, secret])?;
        if begins {
            let sql = "UPDATE notification_rules SET since_ms = ?2, since_no = ?3 WHERE rule_id = ?1";
            db.prepare_cached(sql)?.execute(params![id, now_ms, last_change(db)?])?;
        }
        // What waits goes to where the rule leads now, and soon.
        let sql = "UPDATE jobs SET lane = ?3, run_at_ms = min(run_at_ms, ?4) WHERE kind = ?1 AND state = 'waiting' AND key IN \
                   (SELECT message_id FROM notification_messages WHERE rule_id = ?2 AND state = 'waiting')";
        db.prepare_cached(sql)?.execute(params![job::KIND, id, job::lane(rule), now_ms])?;
    }
    begin_or_end(db)
}

/// The first rule that is enabled has everything looked through, for clocks; without one nothing is kept of them.
fn begin_or_end(db: &Connection) -> Done<()> {
    let any = rules(db)?.iter().any(|row| row.rule.enabled);
    match (any, counter(db, CURSOR)?) {
        (true, None) => set_counter(db, CURSOR, 0)?,
        (false, Some(_)) => {
            db.prepare_cached("DELETE FROM counters WHERE name = ?1")?.execute([CURSOR])?;
            db.prepare_cached("DELETE FROM notification_clocks")?.execute([])?;
        }
        _ => {}
    }
    Ok(())
}

fn remove(db: &Connection, id: Uuid) -> Done<bool> {
    let removed = db.prepare_cached("DELETE FROM notification_rules WHERE rule_id = ?1")?.execute([id])? == 1;
    db.prepare_cached(
        "DELETE FROM jobs WHERE kind = ?1 AND state <> 'running' AND key IN \
                       (SELECT message_id FROM notification_messages WHERE rule_id = ?2)",
    )?
    .execute(params![job::KIND, id])?;
    db.prepare_cached("DELETE FROM notification_messages WHERE rule_id = ?1")?.execute([id])?;
    begin_or_end(db)?;
    Ok(removed)
}

/// Of `incidents i` and `documents d`.
const FACTS: &str = "i.incident_id, i.store_code, i.reference, i.deleted, i.status, i.category, i.severity, d.doc, \
                     EXISTS (SELECT 1 FROM notification_clocks k WHERE k.incident_id = i.incident_id)";

fn facts(row: &Row<'_>, no: i64) -> rusqlite::Result<Facts> {
    Ok(Facts {
        id: row.get(0)?,
        no,
        store_code: row.get(1)?,
        reference: row.get(2)?,
        deleted: row.get(3)?,
        status: row.get(4)?,
        category: row.get(5)?,
        severity: row.get(6)?,
        doc: row.get(7)?,
        has_clocks: row.get(8)?,
    })
}

fn changed_after(db: &Connection, after: i64, limit: u32) -> Done<Changed> {
    let sql = "SELECT coalesce(max(change_no), ?1), count(*) FROM \
               (SELECT change_no FROM changes WHERE change_no > ?1 ORDER BY change_no LIMIT ?2)";
    let (to, looked_at): (i64, i64) =
        db.prepare_cached(sql)?.query_row(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A step moves its incident's status; a settlement may bring in what waited in quarantine.
    let sql = format!(
        "SELECT {FACTS}, max(t.no) FROM (\
           SELECT c.change_no AS no, CASE r.kind WHEN 'incident' THEN r.record_no WHEN 'step' THEN r.parent_no \
             WHEN 'settlement' THEN (\
               SELECT coalesce(r2.parent_no, r2.record_no) FROM settlements s JOIN origins o ON o.origin = s.origin \
               JOIN changes c2 ON c2.origin_no = o.origin_no AND c2.seq = s.seq \
               JOIN records r2 ON r2.record_id = c2.record_id WHERE s.settlement_no = r.record_no) END AS incident_no \
           FROM changes c CROSS JOIN records r ON r.record_id = c.record_id WHERE c.change_no > ?1 AND c.change_no <= ?2) t \
         CROSS JOIN incidents i ON i.incident_no = t.incident_no CROSS JOIN documents d ON d.incident_no = i.incident_no \
         GROUP BY i.incident_no ORDER BY max(t.no)"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([after, to], |row| facts(row, row.get(9)?))?;
    Ok(Changed { to, looked_at: looked_at as u64, incidents: rows.collect::<Result<_, _>>()? })
}

fn due_clocks(db: &Connection, now_ms: i64, limit: u32) -> Done<Vec<DueClock>> {
    let sql = "SELECT incident_id, what, at_ms FROM notification_clocks WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![now_ms, limit], |row| {
        Ok(DueClock { incident_id: row.get(0)?, what: row.get(1)?, at_ms: row.get(2)?, facts: None })
    })?;
    let mut due = rows.collect::<Result<Vec<_>, _>>()?;
    let sql = format!(
        "SELECT {FACTS} FROM records r CROSS JOIN incidents i ON i.incident_no = r.record_no \
         CROSS JOIN documents d ON d.incident_no = i.incident_no WHERE r.record_id = ?1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    for clock in &mut due {
        clock.facts = statement.query_row([clock.incident_id], |row| facts(row, 0)).optional()?;
    }
    Ok(due)
}

fn note(db: &Connection, noted: &Noted, most: u32, now_ms: i64) -> Done<u64> {
    if let Some((from, to)) = noted.cursor
        && counter(db, CURSOR)? == Some(from)
    {
        set_counter(db, CURSOR, to)?;
    }
    for (incident_id, clocks) in &noted.clocks {
        db.prepare_cached("DELETE FROM notification_clocks WHERE incident_id = ?1")?
            .execute([incident_id])?;
        for (what, at_ms) in clocks {
            db.prepare_cached("INSERT INTO notification_clocks (incident_id, what, at_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![incident_id, what, at_ms])?;
        }
    }
    let mut sent_lately: HashMap<Uuid, u32> = HashMap::new();
    let mut new = 0;
    for message in &noted.messages {
        let sent = match sent_lately.get(&message.rule_id) {
            Some(sent) => *sent,
            None => count_lately(db, message.rule_id, now_ms)?,
        };
        let gathered = message.gathered || sent >= most;
        let is_new = add(db, message, gathered, now_ms)?;
        new += u64::from(is_new);
        sent_lately.insert(message.rule_id, sent + u32::from(is_new && !gathered));
    }
    for clock in &noted.looked_at {
        db.prepare_cached("DELETE FROM notification_clocks WHERE incident_id = ?1 AND what = ?2 AND at_ms = ?3")?
            .execute(params![clock.incident_id, clock.what, clock.at_ms])?;
    }
    Ok(new)
}

fn count_lately(db: &Connection, rule_id: Uuid, now_ms: i64) -> Done<u32> {
    let sql = "SELECT count(*) FROM notification_messages WHERE rule_id = ?1 AND made_ms > ?2 AND made_ms <= ?3 \
               AND state <> 'gathered'";
    // A clock that was years ahead has made none lately.
    let within = params![rule_id, now_ms - HOUR_MS, now_ms + HOUR_MS];
    Ok(db.prepare_cached(sql)?.query_row(within, |row| row.get(0))?)
}

/// Keeps a message and queues it, unless it is there or its rule is gone; false then.
fn add(db: &Connection, message: &NewMessage, gathered: bool, now_ms: i64) -> Done<bool> {
    let sql = "SELECT rule FROM notification_rules WHERE rule_id = ?1";
    let rule: Option<String> = db.prepare_cached(sql)?.query_row([message.rule_id], |row| row.get(0)).optional()?;
    let Some(rule) = rule else {
        return Ok(false);
    };
    let id = message.what.id(message.rule_id);
    let state = if gathered { "gathered" } else { "waiting" };
    let sql = "INSERT INTO notification_messages (message_id, rule_id, what, state, made_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (message_id) DO NOTHING";
    let values = params![id, message.rule_id, json(&message.what)?, state, now_ms];
    if db.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(false);
    }
    if !gathered {
        enqueue(db, &job::of(&id, &parse("the rule", &rule)?, now_ms), now_ms)?;
    }
    Ok(true)
}

fn gathered(db: &Connection, rule_id: Uuid) -> Done<Option<Gathered>> {
    let sql = "SELECT max(m.message_no), count(*), min(m.made_ms) FROM notification_messages m \
               JOIN notification_rules r ON r.rule_id = m.rule_id \
               WHERE m.rule_id = ?1 AND m.state = 'gathered' AND m.message_no > r.digested_no";
    let found = db.prepare_cached(sql)?.query_row([rule_id], |row| {
        let to: Option<i64> = row.get(0)?;
        let (count, first_ms): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
        Ok(to.zip(first_ms).map(|(to, first_ms)| Gathered { to, count: count as u64, first_ms }))
    })?;
    Ok(found)
}

fn begin_digest(db: &Connection, rule_id: Uuid, to: i64, now_ms: i64) -> Done<()> {
    let sql = "SELECT digested_no FROM notification_rules WHERE rule_id = ?1";
    let Some(after) = db.prepare_cached(sql)?.query_row([rule_id], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    let sql = "SELECT count(*) FROM notification_messages WHERE rule_id = ?1 AND state = 'gathered' \
               AND message_no > ?2 AND message_no <= ?3";
    let count: i64 = db.prepare_cached(sql)?.query_row(params![rule_id, after, to], |row| row.get(0))?;
    if count > 0 {
        let what = What::Digest { after, to, count: count as u64 };
        add(db, &NewMessage { rule_id, what, gathered: false }, false, now_ms)?;
    }
    db.prepare_cached("UPDATE notification_rules SET digested_no = ?2 WHERE rule_id = ?1")?
        .execute(params![rule_id, to])?;
    Ok(())
}

fn message(row: &Row<'_>) -> rusqlite::Result<(Uuid, String, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn read((rule_id, what, made_ms): (Uuid, String, i64)) -> Done<MessageRow> {
    Ok(MessageRow { rule_id, what: parse("the message", &what)?, made_ms })
}

fn digested(db: &Connection, rule_id: Uuid, after: i64, to: i64, limit: u32) -> Done<Vec<MessageRow>> {
    let sql = "SELECT rule_id, what, made_ms FROM notification_messages WHERE rule_id = ?1 AND state = 'gathered' \
               AND message_no > ?2 AND message_no <= ?3 ORDER BY message_no LIMIT ?4";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![rule_id, after, to, limit], message)?;
    rows.map(|row| read(row?)).collect()
}

fn waiting(db: &Connection, id: &str) -> Done<Option<MessageRow>> {
    let sql = "SELECT rule_id, what, made_ms FROM notification_messages WHERE message_id = ?1 AND state = 'waiting'";
    db.prepare_cached(sql)?.query_row([id], message).optional()?.map(read).transpose()
}

fn note_try(db: &Connection, id: &str, error: Option<&str>, now_ms: i64) -> Done<()> {
    let sql = "UPDATE notification_rules SET last_ms = ?2, last_error = ?3 WHERE rule_id = \
               (SELECT rule_id FROM notification_messages WHERE message_id = ?1)";
    db.prepare_cached(sql)?.execute(params![id, now_ms, error])?;
    if error.is_none() {
        db.prepare_cached("UPDATE notification_messages SET state = 'sent' WHERE message_id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

fn dead(db: &Connection, before: i64, limit: u32) -> Done<Vec<DeadMessage>> {
    let sql = "SELECT j.job_no, m.message_id, m.rule_id, m.what, coalesce(j.error, ''), j.attempts, m.made_ms FROM jobs j \
               CROSS JOIN notification_messages m ON m.message_id = j.key \
               WHERE j.state = 'dead' AND j.kind = ?1 AND j.job_no < ?2 ORDER BY j.job_no DESC LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![job::KIND, before, limit], |row| {
        let what: String = row.get(3)?;
        Ok((what, (row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?, row.get(5)?, row.get(6)?)))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (what, (no, id, rule_id, error, attempts, made_ms)) = row?;
        all.push(DeadMessage { no, id, rule_id, what: parse("the message", &what)?, error, attempts, made_ms });
    }
    Ok(all)
}

fn count_dead(db: &Connection) -> Done<DeadCount> {
    let sql = "SELECT count(*) FROM jobs WHERE kind = ?1 AND state = 'dead'";
    let count: i64 = db.prepare_cached(sql)?.query_row([job::KIND], |row| row.get(0))?;
    let forgotten = counter(db, FORGOT)?.unwrap_or(0);
    Ok(DeadCount { count: count.unsigned_abs(), forgotten: forgotten.unsigned_abs() })
}

/// All at once: they are as many as there were, and each is one row.
fn revive(db: &Connection, now_ms: i64) -> Done<u64> {
    let sql = "UPDATE OR IGNORE jobs SET state = 'waiting', run_at_ms = ?2, queued_ms = ?2, attempts = 0, crashes = 0, \
               died_ms = NULL WHERE kind = ?1 AND state = 'dead'";
    Ok(db.prepare_cached(sql)?.execute(params![job::KIND, now_ms])? as u64)
}

/// Messages stay remembered, so that nothing is told twice; what is forgotten is that somebody might still send them.
fn forget_dead(db: &Connection, before_ms: i64, now_ms: i64) -> Done<()> {
    let sql = "UPDATE jobs SET died_ms = ?2 WHERE kind = ?1 AND state = 'dead' AND (died_ms IS NULL OR died_ms > ?2)";
    db.prepare_cached(sql)?.execute(params![job::KIND, now_ms])?;
    let sql = "DELETE FROM jobs WHERE kind = ?1 AND state = 'dead' AND died_ms < ?2";
    let forgotten = db.prepare_cached(sql)?.execute(params![job::KIND, before_ms])?;
    if forgotten > 0 {
        set_counter(db, FORGOT, counter(db, FORGOT)?.unwrap_or(0) + forgotten as i64)?;
    }
    Ok(())
}

fn forget(db: &Connection, before_ms: i64) -> Done<u64> {
    let sql = "DELETE FROM notification_messages WHERE made_ms < ?1 AND message_no IN \
               (SELECT message_no FROM notification_messages ORDER BY message_no LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![before_ms, FORGOTTEN])? as u64)
}

#[async_trait]
impl Notifications for SqliteLedger {
    async fn notification_rules(&self, with_counts: bool) -> Result<Vec<RuleRow>, Error> {
        if with_counts { self.read(counted).await } else { self.look(rules).await }
    }

    async fn save_notification_rule(
        &self,
        id: Uuid,
        rule: Rule,
        secret: Option<String>,
        by: String,
        act: Option<NewAct>,
        now_ms: i64,
    ) -> Result<(), Error> {
        self.write(move |db| {
            save(db, id, &rule, secret.as_deref(), &by, now_ms)?;
            act.map_or(Ok(()), |act| acts::note(db, &act))
        })
        .await
    }

    async fn remove_notification_rule(&self, id: Uuid, act: Option<NewAct>) -> Result<bool, Error> {
        self.write(move |db| {
            let removed = remove(db, id)?;
            if let Some(act) = act.filter(|_| removed) {
                acts::note(db, &act)?;
            }
            Ok(removed)
        })
        .await
    }

    async fn notification_cursor(&self) -> Result<Option<i64>, Error> {
        self.look(|db| counter(db, CURSOR)).await
    }

    async fn incidents_changed_after(&self, after: i64, limit: u32) -> Result<Changed, Error> {
        self.read(move |db| changed_after(db, after, limit)).await
    }

    async fn due_clocks(&self, now_ms: i64, limit: u32) -> Result<Vec<DueClock>, Error> {
        self.read(move |db| due_clocks(db, now_ms, limit)).await
    }

    async fn note_notifications(&self, noted: Noted, most: u32, now_ms: i64) -> Result<u64, Error> {
        self.write(move |db| note(db, &noted, most, now_ms)).await
    }

    async fn gathered(&self, rule_id: Uuid) -> Result<Option<Gathered>, Error> {
        self.read(move |db| gathered(db, rule_id)).await
    }

    async fn begin_digest(&self, rule_id: Uuid, to: i64, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| begin_digest(db, rule_id, to, now_ms)).await
    }

    async fn digested(&self, rule_id: Uuid, after: i64, to: i64, limit: u32) -> Result<Vec<MessageRow>, Error> {
        self.read(move |db| digested(db, rule_id, after, to, limit)).await
    }

    async fn waiting_message(&self, id: &str) -> Result<Option<MessageRow>, Error> {
        let id = id.to_owned();
        self.look(move |db| waiting(db, &id)).await
    }

    async fn note_try(&self, id: &str, error: Option<String>, now_ms: i64) -> Result<(), Error> {
        let id = id.to_owned();
        self.write(move |db| note_try(db, &id, error.as_deref(), now_ms)).await
    }

    async fn dead_messages(&self, before: Option<i64>, limit: u32) -> Result<Vec<DeadMessage>, Error> {
        self.read(move |db| dead(db, before.unwrap_or(i64::MAX), limit)).await
    }

    async fn dead_count(&self) -> Result<DeadCount, Error> {
        self.read(count_dead).await
    }

    async fn revive_messages(&self, act: Option<NewAct>, now_ms: i64) -> Result<u64, Error> {
        self.write(move |db| {
            let count = revive(db, now_ms)?;
            if let Some(mut act) = act.filter(|_| count > 0) {
                act.details = serde_json::json!({ "jobs": count });
                acts::note(db, &act)?;
            }
            Ok(count)
        })
        .await
    }

    async fn forget_dead(&self, before_ms: i64, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| forget_dead(db, before_ms, now_ms)).await
    }

    async fn forget_messages(&self, before_ms: i64) -> Result<u64, Error> {
        self.write(move |db| forget(db, before_ms)).await
    }
}
