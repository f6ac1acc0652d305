//! Photos, and the contents they consist of.

use super::changes::Record;
use super::fail::{Done, Fail};
use super::{SqliteLedger, damage, erasures, site};
use crate::error::Error;
use crate::ledger::{AtHub, DamageKind, Lane, Photo, PhotoFile, Photos, Piece};
use async_trait::async_trait;
use chassis::blobs::Sha256;
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{self, Connection, OptionalExtension, Row, params};
use serde_json::Value;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Entries of the list of what is not here that are looked through for one store.
const MAX_LOOKED: i64 = 5_000;

const LANES: [(&str, &str, Lane); 3] = [
    ("thumbnail/sha256", "thumbnail/size_bytes", Lane::Thumbnail),
    ("display/sha256", "display/size_bytes", Lane::Display),
    ("sha256", "size_bytes", Lane::Original),
];

/// Brings the tables up to a photo of the incident `incident_no`.
pub(super) fn project(db: &Connection, incident_no: i64, record: &Record) -> Done<()> {
    let Some(born) = &record.state.born else { return Ok(()) };
    if erasures::is_content_erased(&record.state) {
        // It is none any more.
        return forget(db, record.no, Some(incident_no));
    }
    let text = |field: &str| record.state.get(field).and_then(Value::as_str);
    let number = |field: &str| record.state.get(field).and_then(Value::as_i64);
    db.prepare_cached(
        "INSERT INTO photos (photo_no, photo_id, incident_no, sha256, size_bytes, media_type, filename, caption, taken_at, \
         width, height, state, uploaded_by, uploaded_ms, hlc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (photo_no) DO UPDATE SET \
         sha256 = excluded.sha256, size_bytes = excluded.size_bytes, media_type = excluded.media_type, \
         filename = excluded.filename, caption = excluded.caption, taken_at = excluded.taken_at, width = excluded.width, \
         height = excluded.height, state = excluded.state, uploaded_by = excluded.uploaded_by, \
         uploaded_ms = excluded.uploaded_ms, hlc = excluded.hlc",
    )?
    .execute(params![
        record.no,
        record.id,
        incident_no,
        text("sha256").unwrap_or(""),
        number("size_bytes").unwrap_or(0),
        text("media_type").unwrap_or("application/octet-stream"),
        text("filename").unwrap_or("file"),
        text("caption"),
        text("taken_at"),
        number("width"),
        number("height"),
        text("state").unwrap_or("processing"),
        born.by,
        born.at,
        born.stamp.hlc.to_i64()
    ])?;
    pieces(db, record)?;
    counted(db, incident_no)
}

/// Takes a photo off the tables; its contents stay where they are.
pub(super) fn forget(db: &Connection, photo_no: i64, incident_no: Option<i64>) -> Done<()> {
    db.prepare_cached("DELETE FROM pieces WHERE photo_no = ?1")?.execute([photo_no])?;
    db.prepare_cached("DELETE FROM photos WHERE photo_no = ?1")?.execute([photo_no])?;
    incident_no.map_or(Ok(()), |no| counted(db, no))
}

/// Brings what is shown with an incident up to its photos.
fn counted(db: &Connection, incident_no: i64) -> Done<()> {
    db.prepare_cached(
        "UPDATE incidents SET photos_rev = photos_rev + 1, \
         photo_count = (SELECT count(*) FROM photos WHERE incident_no = ?1), \
         thumbnail_id = (SELECT photo_id FROM photos WHERE incident_no = ?1 AND state <> 'undecodable' \
                         ORDER BY hlc, photo_id LIMIT 1) WHERE incident_no = ?1",
    )?
    .execute([incident_no])?;
    Ok(())
}

fn pieces(db: &Connection, record: &Record) -> Done<()> {
    let is_hub = site::is_hub(db)?;
    for (digest, size, lane) in LANES {
        let digest = record.state.get(digest).and_then(Value::as_str);
        let (Some(digest), Some(size)) = (digest, record.state.get(size).and_then(Value::as_i64)) else {
            continue;
        };
        // What was taken in at headquarters is there; of everything else a node asks.
        let verified: bool = if is_hub {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?1)")?
                .query_row([digest], |row| row.get(0))?
        } else {
            let origin = record.state.born.as_ref().map(|born| born.stamp.id.origin);
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM origins WHERE origin = ?1 AND site = 'hub')")?
                .query_row([origin], |row| row.get(0))?
        };
        db.prepare_cached(
            "INSERT INTO pieces (photo_no, lane, sha256, size_bytes, at_hub) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (photo_no, lane) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes, \
             at_hub = CASE WHEN sha256 = excluded.sha256 THEN at_hub ELSE excluded.at_hub END",
        )?
        .execute(params![record.no, lane.number(), digest, size, if verified { 2 } else { 0 }])?;
    }
    Ok(())
}

/// What a [`Photo`] is read from; `p` is `photos`.
const COLUMNS: &str = "p.photo_id, p.filename, p.media_type, p.size_bytes, p.sha256, p.width, p.height, p.taken_at, p.caption, \
     p.uploaded_by, p.uploaded_ms, p.state, \
     coalesce((SELECT at_hub FROM pieces WHERE photo_no = p.photo_no AND lane = 2), 0), \
     coalesce((SELECT max(at_hub) FROM pieces WHERE photo_no = p.photo_no), 0)";

fn photo_row(row: &Row<'_>) -> rusqlite::Result<Photo> {
    let (original, most): (i64, i64) = (row.get(12)?, row.get(13)?);
    Ok(Photo {
        id: row.get(0)?,
        filename: row.get(1)?,
        media_type: row.get(2)?,
        size_bytes: row.get::<_, i64>(3)? as u64,
        sha256: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        taken_at: row.get(7)?,
        caption: row.get(8)?,
        uploaded_by: row.get(9)?,
        uploaded_at: format_rfc3339(row.get(10)?),
        state: row.get(11)?,
        at_hub: match (original, most) {
            (2, _) => "verified",
            (_, 0) => "waiting",
            _ => "sending",
        }
        .to_owned(),
    })
}

/// The photos of one incident, oldest first.
pub(super) fn of_incident(db: &Connection, incident_no: i64) -> Done<Vec<Photo>> {
    let sql = format!("SELECT {COLUMNS} FROM photos p WHERE p.incident_no = ?1 ORDER BY p.hlc, p.photo_id");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([incident_no], photo_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a [`Piece`] is read from; `s` is `pieces`, `p` is `photos`.
const PIECE_COLUMNS: &str = "s.photo_no, p.photo_id, s.lane, s.sha256, s.size_bytes, \
     EXISTS (SELECT 1 FROM blobs b WHERE b.sha256 = s.sha256)";

type PieceRow = (i64, Uuid, i64, String, i64, bool);

fn piece_row(row: &Row<'_>) -> rusqlite::Result<PieceRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn piece((photo_no, photo_id, lane, sha256, size_bytes, here): PieceRow) -> Done<Piece> {
    let sha256 = sha256.parse().map_err(|_| Fail::Broken(format!("photo {photo_id}: {sha256:?} is no digest")))?;
    Ok(Piece {
        photo_no,
        photo_id,
        lane: Lane::from_number(lane),
        sha256,
        size_bytes: size_bytes as u64,
        here,
    })
}

pub(super) fn photo(db: &Connection, id: Uuid) -> Done<Option<PhotoFile>> {
    let sql = format!(
        "SELECT {COLUMNS}, i.incident_id, i.store_code, i.deleted, p.photo_no FROM records r \
         CROSS JOIN photos p ON p.photo_no = r.record_no CROSS JOIN incidents i ON i.incident_no = p.incident_no \
         WHERE r.record_id = ?1"
    );
    let found = db
        .prepare_cached(&sql)?
        .query_row([id], |row| {
            let file = PhotoFile {
                photo: photo_row(row)?,
                incident_id: row.get(14)?,
                store_code: row.get(15)?,
                deleted: row.get(16)?,
                pieces: Vec::new(),
            };
            Ok((file, row.get::<_, i64>(17)?))
        })
        .optional()?;
    let Some((mut file, no)) = found else { return Ok(None) };
    let sql =
        format!("SELECT {PIECE_COLUMNS} FROM pieces s JOIN photos p ON p.photo_no = s.photo_no WHERE s.photo_no = ?1");
    let rows: Vec<PieceRow> = db.prepare_cached(&sql)?.query_map([no], piece_row)?.collect::<Result<_, _>>()?;
    file.pieces = rows.into_iter().map(piece).collect::<Done<_>>()?;
    Ok(Some(file))
}

pub(super) fn keep_blob(db: &Connection, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO blobs (sha256, size_bytes, kept_ms) VALUES (?1, ?2, ?3) \
         ON CONFLICT (sha256) DO UPDATE SET kept_ms = excluded.kept_ms",
    )?
    .execute(params![sha256.to_string(), size_bytes as i64, now_ms])?;
    let name = sha256.to_string();
    if let Some(damage) = damage::mended(db, DamageKind::Content, &name, "its bytes came back", now_ms)? {
        tracing::warn!(content = name, was = damage.what, "a content that was damaged is whole again");
    }
    if site::is_hub(db)? {
        note_at_hub(db, &[sha256], AtHub::Verified)?;
    }
    Ok(())
}

pub(super) fn keep_named_blob(db: &Connection, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Done<bool> {
    let is_named = is_piece(db, sha256)?;
    if is_named {
        keep_blob(db, sha256, size_bytes, now_ms)?;
    }
    Ok(is_named)
}

pub(super) fn lose_blob(db: &Connection, sha256: Sha256) -> Done<()> {
    let sha256 = sha256.to_string();
    db.prepare_cached("DELETE FROM blobs WHERE sha256 = ?1")?.execute([&sha256])?;
    if site::is_hub(db)? {
        // What was said of it is not true any more: whoever holds it sends it again.
        db.prepare_cached("UPDATE pieces SET at_hub = 0 WHERE sha256 = ?1")?.execute([&sha256])?;
        db.prepare_cached(
            "UPDATE incidents SET photos_rev = photos_rev + 1 WHERE incident_no IN (SELECT p.incident_no FROM pieces s \
             JOIN photos p ON p.photo_no = s.photo_no WHERE s.sha256 = ?1)",
        )?
        .execute([&sha256])?;
    }
    Ok(())
}

pub(super) fn forget_blob(db: &Connection, sha256: Sha256, before_ms: i64) -> Done<()> {
    db.prepare_cached("DELETE FROM blobs WHERE sha256 = ?1 AND kept_ms < ?2")?
        .execute(params![sha256.to_string(), before_ms])?;
    Ok(())
}

pub(super) fn is_piece(db: &Connection, sha256: Sha256) -> Done<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pieces WHERE sha256 = ?1) OR EXISTS (SELECT 1 FROM inbox WHERE sha256 = ?1)",
        )?
        .query_row([sha256.to_string()], |row| row.get(0))?)
}

pub(super) fn pieces_waiting(db: &Connection, after: Option<(Lane, i64)>, limit: u32) -> Done<Vec<Piece>> {
    let (lane, photo_no) = after.map_or((-1, 0), |(lane, no)| (lane.number(), no));
    let sql = format!(
        "SELECT {PIECE_COLUMNS} FROM pieces s INDEXED BY pieces_waiting CROSS JOIN photos p ON p.photo_no = s.photo_no \
         WHERE s.at_hub < 2 AND (s.lane, s.photo_no) > (?1, ?2) ORDER BY s.lane, s.photo_no LIMIT ?3"
    );
    let rows: Vec<PieceRow> = db
        .prepare_cached(&sql)?
        .query_map(params![lane, photo_no, limit], piece_row)?
        .collect::<Result<_, _>>()?;
    rows.into_iter().map(piece).collect()
}

pub(super) fn pieces_of(db: &Connection, incident_id: Uuid, lane: Lane) -> Done<Vec<Piece>> {
    let sql = format!(
        "SELECT {PIECE_COLUMNS} FROM records r CROSS JOIN photos p ON p.incident_no = r.record_no \
         CROSS JOIN pieces s ON s.photo_no = p.photo_no WHERE r.record_id = ?1 AND s.lane = ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows: Vec<PieceRow> =
        statement.query_map(params![incident_id, lane.number()], piece_row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(piece).collect()
}

pub(super) fn pieces_missing(db: &Connection, limit: u32) -> Done<Vec<Piece>> {
    let sql = format!(
        "SELECT {PIECE_COLUMNS} FROM pieces s INDEXED BY pieces_small CROSS JOIN photos p ON p.photo_no = s.photo_no \
         WHERE s.lane < 2 AND s.at_hub = 2 AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.sha256 = s.sha256) \
         ORDER BY s.lane, s.photo_no DESC LIMIT ?1"
    );
    let rows: Vec<PieceRow> = db.prepare_cached(&sql)?.query_map([limit], piece_row)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(piece).collect()
}

pub(super) fn note_at_hub(db: &Connection, contents: &[Sha256], at_hub: AtHub) -> Done<()> {
    let at_hub = match at_hub {
        AtHub::Sending => 1,
        AtHub::Verified => 2,
    };
    for sha256 in contents {
        let sha256 = sha256.to_string();
        db.prepare_cached(
            "UPDATE incidents SET photos_rev = photos_rev + 1 WHERE incident_no IN (SELECT p.incident_no FROM pieces s \
             JOIN photos p ON p.photo_no = s.photo_no WHERE s.sha256 = ?1 AND s.at_hub < ?2)",
        )?
        .execute(params![sha256, at_hub])?;
        db.prepare_cached("UPDATE pieces SET at_hub = ?2 WHERE sha256 = ?1 AND at_hub < ?2")?
            .execute(params![sha256, at_hub])?;
    }
    Ok(())
}

/// Which contents headquarters has is to be asked anew: it forgot something, and with it what came since.
pub(super) fn ask_again(db: &Connection) -> Done<()> {
    let asked = db.execute("UPDATE pieces SET at_hub = 0 WHERE at_hub > 0", [])?;
    if asked > 0 {
        db.execute(
            "UPDATE incidents SET photos_rev = photos_rev + 1 WHERE incident_no IN (SELECT incident_no FROM photos)",
            [],
        )?;
    }
    Ok(())
}

/// Hub: contents that records of `scope` name and that are not here; at most `limit`, of the [`MAX_LOOKED`] of all stores from some place
/// of the list on. `random` decides where it begins where there are more, so that all of them have their turn.
pub(super) fn lacking(db: &Connection, scope: &Scope, random: u64, limit: usize) -> Done<Vec<String>> {
    let most: i64 = db
        .prepare_cached("SELECT coalesce(max(photo_no), 0) FROM photos")?
        .query_row([], |row| row.get(0))?;
    let (lane, from) = if most <= MAX_LOOKED || random.is_multiple_of(2) {
        (-1, 0)
    } else {
        (((random / 2) % 3).cast_signed(), (random / 6).cast_signed() % most)
    };
    let mut statement = db.prepare_cached(
        "SELECT s.sha256 FROM (SELECT photo_no, sha256 FROM pieces INDEXED BY pieces_waiting \
           WHERE at_hub < 2 AND (lane, photo_no) > (?1, ?2) ORDER BY lane, photo_no LIMIT ?3) s \
         CROSS JOIN records r ON r.record_no = s.photo_no WHERE r.scope = ?4",
    )?;
    let names = statement.query_map(params![lane, from, MAX_LOOKED, scope.to_string()], |row| row.get(0))?;
    let mut names = names.collect::<Result<Vec<String>, _>>()?;
    if names.len() > limit {
        let begin = (random / 12) as usize % names.len();
        names.rotate_left(begin);
        names.truncate(limit);
    }
    Ok(names)
}

pub(super) fn piece_in(db: &Connection, scope: &Scope, sha256: Sha256) -> Done<Option<(u64, bool)>> {
    Ok(db
        .prepare_cached(
            "SELECT s.size_bytes, EXISTS (SELECT 1 FROM blobs b WHERE b.sha256 = s.sha256) FROM pieces s \
             JOIN records r ON r.record_no = s.photo_no WHERE s.sha256 = ?1 AND r.scope = ?2 LIMIT 1",
        )?
        .query_row(params![sha256.to_string(), scope.to_string()], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
        })
        .optional()?)
}

/// How many contents wait, and their length.
pub(super) fn pending(db: &Connection) -> Done<(u64, u64)> {
    if site::is_hub(db)? {
        return Ok((0, 0));
    }
    Ok(db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(s.size_bytes), 0) FROM pieces s INDEXED BY pieces_waiting \
             WHERE s.at_hub < 2 AND EXISTS (SELECT 1 FROM blobs b WHERE b.sha256 = s.sha256)",
        )?
        .query_row([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?)
}

/// What of a photo's row is not as its record says, for the audit.
pub(super) fn compare(db: &Connection, record: &Record) -> Done<Option<String>> {
    let row: Option<(Uuid, String, i64, Option<String>, String)> = db
        .prepare_cached("SELECT photo_id, sha256, size_bytes, caption, state FROM photos WHERE photo_no = ?1")?
        .query_row([record.no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let text = |field: &str| record.state.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    let says = (
        record.id,
        text("sha256").unwrap_or_default(),
        record.state.get("size_bytes").and_then(Value::as_i64).unwrap_or(0),
        text("caption"),
        text("state").unwrap_or_else(|| "processing".to_owned()),
    );
    let says = (!erasures::is_content_erased(&record.state)).then_some(says);
    Ok((row != says).then(|| "the photos table differs".to_owned()))
}

/// The incident's photos, where it has any.
pub(super) fn with(db: &Connection, no: i64, count: u64) -> Done<Vec<Photo>> {
    if count == 0 { Ok(Vec::new()) } else { of_incident(db, no) }
}

#[async_trait]
impl Photos for SqliteLedger {
    async fn photo(&self, id: Uuid) -> Result<Option<PhotoFile>, Error> {
        self.look(move |db| photo(db, id)).await
    }

    async fn keep_blob(&self, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Result<(), Error> {
        self.write(move |db| keep_blob(db, sha256, size_bytes, now_ms)).await
    }

    async fn keep_named_blob(&self, sha256: Sha256, size_bytes: u64, now_ms: i64) -> Result<bool, Error> {
        self.write(move |db| keep_named_blob(db, sha256, size_bytes, now_ms)).await
    }

    async fn lose_blob(&self, sha256: Sha256) -> Result<(), Error> {
        self.write(move |db| lose_blob(db, sha256)).await
    }

    async fn forget_blob(&self, sha256: Sha256, before_ms: i64) -> Result<(), Error> {
        self.write(move |db| forget_blob(db, sha256, before_ms)).await
    }

    async fn is_piece(&self, sha256: Sha256) -> Result<bool, Error> {
        self.look(move |db| is_piece(db, sha256)).await
    }

    async fn pieces_waiting(&self, after: Option<(Lane, i64)>, limit: u32) -> Result<Vec<Piece>, Error> {
        self.look(move |db| pieces_waiting(db, after, limit)).await
    }

    async fn pieces_of(&self, incident_id: Uuid, lane: Lane) -> Result<Vec<Piece>, Error> {
        self.look(move |db| pieces_of(db, incident_id, lane)).await
    }

    async fn pieces_pending(&self) -> Result<(u64, u64), Error> {
        self.look(pending).await
    }

    async fn pieces_missing(&self, limit: u32) -> Result<Vec<Piece>, Error> {
        self.read(move |db| pieces_missing(db, limit)).await
    }

    async fn note_at_hub(&self, contents: Vec<Sha256>, at_hub: AtHub) -> Result<(), Error> {
        self.write(move |db| note_at_hub(db, &contents, at_hub)).await
    }

    async fn piece_in(&self, scope: Scope, sha256: Sha256) -> Result<Option<(u64, bool)>, Error> {
        self.look(move |db| piece_in(db, &scope, sha256)).await
    }
}
