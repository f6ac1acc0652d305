//! What has to hold, whatever happened: looked at beside the programs, in the tables themselves.

use chassis::sqlite::rusqlite::{self, Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A change and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub hlc: i64,
    pub body: String,
    pub aside: bool,
}

/// What every text that people write begins with.
pub const MARK: &[u8] = b"says-w";

/// Origin and number.
pub type Id = (Uuid, i64);

fn rows<T>(db: &Connection, sql: &str, row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = db.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], row).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A file below `folder` that holds one of the texts, and which.
pub fn file_with<'a>(folder: &Path, texts: &[&'a String]) -> Option<(PathBuf, &'a str)> {
    if texts.is_empty() {
        return None;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = file_with(&path, texts) {
                return Some(found);
            }
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        // Where what they all begin with is not, none of them is.
        // A byte at a time: windows take five times as long unoptimised.
        let mut rest = &bytes[..];
        while let Some(at) = rest.iter().position(|byte| *byte == MARK[0]) {
            rest = &rest[at..];
            if rest.starts_with(MARK)
                && let Some(found) = texts.iter().find(|text| rest.starts_with(text.as_bytes()))
            {
                return Some((path, found));
            }
            rest = &rest[1..];
        }
    }
    None
}

/// Authors of everything held, with what each changed and how often.
pub fn authors(db: &Connection) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sql = "SELECT json_extract(body, '$.by'), json_extract(body, '$.kind') || ' ' || json_extract(body, '$.id') FROM changes";
    for (by, what) in rows(db, sql, |row| Ok((row.get(0)?, row.get(1)?))) {
        found.entry(by).or_default().push(what);
    }
    found
}

/// Authors of what a node can give to a hub that has lost it: its own, and what came with the hub's seal. Version 1 sent none.
pub fn returnable(db: &Connection) -> BTreeSet<String> {
    let sql = "SELECT json_extract(c.body, '$.by') FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
               WHERE o.mine = 1 OR c.seq <= o.acked_seq OR c.seal IS NOT NULL";
    rows(db, sql, |row| row.get(0)).into_iter().collect()
}

/// Every change of the scopes.
pub fn changes(db: &Connection, scopes: &[String]) -> BTreeMap<Id, Held> {
    let sql = "SELECT o.origin, c.seq, c.hlc, c.body, o.scope, EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) \
               FROM changes c JOIN origins o ON o.origin_no = c.origin_no";
    let all = rows(db, sql, |row| {
        let held = Held { hlc: row.get(2)?, body: row.get(3)?, aside: row.get(5)? };
        Ok(((row.get(0)?, row.get(1)?), held, row.get::<_, String>(4)?))
    });
    all.into_iter()
        .filter(|(_, _, scope)| scopes.contains(scope))
        .map(|(id, held, _)| (id, held))
        .collect()
}

/// The stream a node records under, its last number, and the last one acknowledged.
pub fn own(db: &Connection) -> Option<(Uuid, i64, i64)> {
    let sql = "SELECT origin, seq, acked_seq FROM origins WHERE mine = 1";
    rows(db, sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).pop()
}

/// The last number held of a stream.
pub fn last(db: &Connection, origin: Uuid) -> i64 {
    let sql = "SELECT coalesce(max(seq), 0) FROM origins WHERE origin = ?1";
    db.prepare_cached(sql).unwrap().query_row([origin], |row| row.get(0)).unwrap()
}

/// A value of the site.
pub fn value(db: &Connection, name: &str) -> Option<String> {
    rows(db, "SELECT name, value FROM site", |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
        .into_iter()
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// A node's cursors: scope, epoch and number.
pub fn cursors(db: &Connection) -> Vec<(String, String, i64)> {
    let all = rows(db, "SELECT scope, cursor FROM cursors", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    let parts = |(scope, cursor): (String, String)| {
        let mut parts = cursor.split('.');
        let (epoch, seq) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        Some((scope, epoch, seq))
    };
    all.into_iter().filter_map(parts).collect()
}

/// What a cursor is past and the node has not; nothing. Its own stream it does not ask for: whether others record under that too
/// it learns when it pushes.
pub fn unseen(hub: &Connection, node: &Connection) -> Option<String> {
    let epoch = value(hub, "epoch")?;
    let here: BTreeSet<Id> =
        rows(node, "SELECT o.origin, c.seq FROM changes c JOIN origins o ON o.origin_no = c.origin_no", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .into_iter()
        .collect();
    let own = own(node).map(|(origin, _, _)| origin);
    for (scope, of, seq) in cursors(node) {
        if of != epoch {
            continue;
        }
        let sql = "SELECT o.origin, c.seq FROM feed f JOIN changes c ON c.change_no = f.change_no \
                   JOIN origins o ON o.origin_no = c.origin_no WHERE f.scope = ?1 AND f.seq <= ?2";
        let mut statement = hub.prepare_cached(sql).unwrap();
        let behind: Vec<Id> = statement
            .query_map(params![scope, seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        if let Some((origin, number)) = behind.iter().find(|id| Some(id.0) != own && !here.contains(*id)) {
            return Some(format!("its cursor in {scope} is at {seq}, past {origin}:{number}, which it has not seen"));
        }
    }
    None
}

/// A record as it stands: kind, state, and for an incident its document and version.
type Shown = (String, String, Option<String>, Option<String>);

fn records(db: &Connection, scopes: &[String]) -> BTreeMap<Uuid, Shown> {
    let sql = "SELECT r.record_id, r.kind, r.state, d.version, d.doc, r.scope FROM records r \
               LEFT JOIN documents d ON d.incident_no = r.record_no";
    let all = rows(db, sql, |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?), row.get::<_, String>(5)?))
    });
    all.into_iter()
        .filter(|(_, _, scope)| scopes.contains(scope))
        .map(|(id, shown, _)| (id, shown))
        .collect()
}

/// Records that something in quarantine, here or there, is about: they differ until a person decides.
fn waiting(db: &Connection) -> BTreeSet<Uuid> {
    let sql = "SELECT DISTINCT c.record_id, p.record_id, json_extract(c.body, '$.set.incident_id') FROM quarantine q \
               JOIN changes c ON c.change_no = q.change_no LEFT JOIN records r ON r.record_id = c.record_id \
               LEFT JOIN records p ON p.record_no = r.parent_no";
    let all = rows(db, sql, |row| {
        Ok((row.get::<_, Option<Uuid>>(0)?, row.get::<_, Option<Uuid>>(1)?, row.get::<_, Option<String>>(2)?))
    });
    all.into_iter()
        .flat_map(|(id, parent, named)| [id, parent, named.and_then(|text| Uuid::try_parse(&text).ok())])
        .flatten()
        .collect()
}

fn reviews(db: &Connection, scopes: &[String]) -> BTreeSet<(Uuid, String)> {
    let sql = "SELECT r.record_id, v.field, r.scope FROM reviews v JOIN records r ON r.record_no = v.record_no";
    let all = rows(db, sql, |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?)));
    all.into_iter().filter(|(_, scope)| scopes.contains(scope)).map(|(review, _)| review).collect()
}

/// Where a node and the hub differ in what both hold; nothing.
///
/// `forgot`: the hub was put back at some time. What another node then recorded again under a new stream, because something before it
/// could not be given back, this node may hold under the ended stream too, which the hub does not take: a known gap. The node
/// says so (its proof differs), so here such records are left out; everything else has to be equal.
/// `excused`: whose changes the hub lost for good. A node that got some of them in version 1, without a seal, holds them alone and
/// says so in the same way.
pub fn differences(
    hub: &Connection,
    node: &Connection,
    store: &str,
    forgot: bool,
    excused: &BTreeSet<String>,
) -> Option<String> {
    let scopes = [format!("store/{store}"), "company".to_owned()];
    let (there, here) = (changes(hub, &scopes), changes(node, &scopes));
    for (id, held) in &there {
        match here.get(id) {
            _ if held.aside => {}
            None => return Some(format!("the hub holds {}:{} and it does not: {}", id.0, id.1, held.body)),
            Some(mine) if mine.body != held.body => {
                return Some(format!("{}:{} is {} here and {} at the hub", id.0, id.1, mine.body, held.body));
            }
            Some(mine) if mine.hlc != held.hlc => {
                return Some(format!("{}:{} stands at {} here and {} at the hub", id.0, id.1, mine.hlc, held.hlc));
            }
            Some(_) => {}
        }
    }
    let mut waiting: BTreeSet<Uuid> = waiting(hub).into_iter().chain(waiting(node)).collect();
    let again: BTreeSet<(String, Uuid)> = there.values().filter_map(|held| deed(&held.body)).collect();
    for (id, held) in here.iter().filter(|(id, _)| !there.contains_key(id)) {
        match deed(&held.body).filter(|deed| forgot && (again.contains(deed) || excused.contains(&deed.0))) {
            Some((_, record)) => waiting.extend([record]),
            None => return Some(format!("it holds {}:{} and the hub does not: {}", id.0, id.1, held.body)),
        }
    }
    let (there, here) = (records(hub, &scopes), records(node, &scopes));
    let ids: BTreeSet<&Uuid> = there.keys().chain(here.keys()).filter(|id| !waiting.contains(id)).collect();
    for id in ids {
        if there.get(id) != here.get(id) {
            return Some(format!("record {id} is {:?} here and {:?} at the hub", here.get(id), there.get(id)));
        }
    }
    let decided = |all: BTreeSet<(Uuid, String)>| -> BTreeSet<(Uuid, String)> {
        all.into_iter().filter(|(id, _)| !waiting.contains(id)).collect()
    };
    let (there, here) = (decided(reviews(hub, &scopes)), decided(reviews(node, &scopes)));
    if there != here {
        let stories: Vec<String> = there
            .symmetric_difference(&here)
            .map(|(id, _)| format!("here {}; at the hub {}", story(node, *id), story(hub, *id)))
            .collect();
        return Some(format!("reviews asked for here: {here:?}, at the hub: {there:?}: {stories:?}"));
    }
    None
}

/// Whose deed a body is, about which record.
fn deed(body: &str) -> Option<(String, Uuid)> {
    let change = sync_protocol::change::Change::from_body(body).ok()?;
    Some((change.by, change.id))
}

/// The changes of a record in the order of their arrival, for a failure.
fn story(db: &Connection, record: Uuid) -> String {
    let sql = "SELECT c.record_id, o.origin, c.seq, c.hlc, c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
               ORDER BY c.change_no";
    let all: Vec<(Option<Uuid>, Uuid, i64, i64, String)> =
        rows(db, sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let told = all.into_iter().filter(|(id, ..)| *id == Some(record));
    told.map(|(_, origin, seq, hlc, body)| format!("{origin}:{seq} at {hlc}: {body}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the hub put in quarantine of the stream that a node records under and the node does not show; nothing.
pub fn unshown(hub: &Connection, node: &Connection) -> Option<String> {
    let (origin, _, acked) = own(node)?;
    let sql = "SELECT o.origin, c.seq, q.reason || ': ' || c.body FROM quarantine q JOIN changes c ON c.change_no = q.change_no \
               JOIN origins o ON o.origin_no = c.origin_no WHERE q.waits = 0";
    let aside: Vec<(Id, String)> = rows(hub, sql, |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
    let sql = "SELECT o.origin, c.seq FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
               WHERE c.outcome IS NOT NULL";
    let shown: BTreeSet<Id> = rows(node, sql, |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect();
    let ours = |(id, _): &&(Id, String)| id.0 == origin && id.1 <= acked;
    let (unshown, why) = aside.iter().filter(ours).find(|(id, _)| !shown.contains(id))?;
    Some(format!("the hub keeps {}:{} in quarantine and it does not say so: {why}", unshown.0, unshown.1))
}
