//! Proof that two sites hold the same: comparisons, and the verbs that find and mend what differs.
//!
//! The hub compares in one snapshot: what it has of the node's stream, whether its feed holds anything for the node that the
//! node has not, and the sums of its records. Only when both know of the same changes do different sums mean anything.

use super::changes::{origin, parse_scope};
use super::fail::{Done, Fail};
use super::histories::hub_key;
use super::sync::{Cursor, line, read_cursor};
use super::{SqliteLedger, damage, mend, photos, site, sums};
use crate::error::Error;
use crate::ledger::{
    Checkpoint, Damage, DamageCount, DamageKind, Holding, Identity, Proof, ScrubPart, ScrubState, ScrubStep, total,
};
use async_trait::async_trait;
use chassis::blobs::Sha256;
use chassis::sqlite::rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use sync_protocol::batch::Page;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::checksum::{
    ChangeItem, ChecksumsRequest, Compared, RecordChanges, RecordItem, ScopeAnswer, Sum, Sums,
};
use sync_protocol::hlc::Hlc;
use sync_protocol::message::{GivenLine, PageHeader};
use sync_protocol::scope::Scope;
use sync_protocol::seal::Seal;
use uuid::Uuid;

/// Most rows of a feed that are looked at to tell how far a node is behind; beyond that it is "at least so many".
const MAX_BEHIND: i64 = 5_000;

const fn compared_text(state: Compared) -> &'static str {
    match state {
        Compared::Equal => "equal",
        Compared::Different => "different",
        Compared::Behind => "behind",
    }
}

fn compared(text: &str) -> Compared {
    match text {
        "equal" => Compared::Equal,
        "different" => Compared::Different,
        _ => Compared::Behind,
    }
}

fn compare(db: &Connection, scopes: &[Scope], request: &ChecksumsRequest) -> Done<BTreeMap<Scope, ScopeAnswer>> {
    let Identity::Hub { epoch, .. } = site::identity(db)? else {
        return Err(Fail::Broken("only a hub compares".to_owned()));
    };
    let (key, unsummed) = (hub_key(db)?, sums::unsummed(db)?);
    let held = origin(db, request.origin)?;
    let mut answers = BTreeMap::new();
    for (scope, theirs) in request.sums.iter().filter(|(scope, _)| scopes.contains(scope)) {
        // The node's own stream is in its store's scope; what it has sent to that says nothing of another.
        let own = held.as_ref().filter(|held| &held.scope == scope).map_or(0, |held| held.seq);
        let is_own_scope = scope.store_code().is_some();
        let (mut node_lacks, hub_lacks) = match is_own_scope {
            true => (own.saturating_sub(request.seq), request.seq.saturating_sub(own)),
            false => (0, 0),
        };
        let cursor = request.cursors.get(scope).and_then(Option::as_deref);
        let is_known = match read_cursor(db, scope, cursor, epoch, &key)? {
            Cursor::At(seq) => {
                node_lacks += behind(db, scope, seq, request.origin)?;
                true
            }
            Cursor::Bad | Cursor::Forgotten => false,
        };
        let mut answer = ScopeAnswer {
            state: Compared::Behind,
            node_lacks,
            hub_lacks,
            sums: Sums::default(),
            buckets: Vec::new(),
            items: Vec::new(),
            more: false,
        };
        if is_known && node_lacks == 0 && hub_lacks == 0 && !unsummed {
            let buckets = sums::buckets(db, scope)?;
            answer.sums = total(&buckets);
            answer.state = if answer.sums == *theirs { Compared::Equal } else { Compared::Different };
            if answer.state == Compared::Different {
                answer.buckets = buckets;
            }
        }
        answers.insert(scope.clone(), answer);
    }
    Ok(answers)
}

/// How many changes that the node did not make itself stand behind number `after` of a scope's feed.
fn behind(db: &Connection, scope: &Scope, after: i64, own: Uuid) -> Done<u64> {
    let count: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM feed f CROSS JOIN changes c ON c.change_no = f.change_no \
             CROSS JOIN origins o ON o.origin_no = c.origin_no WHERE f.scope = ?1 AND f.seq > ?2 AND o.origin <> ?3 LIMIT ?4)",
        )?
        .query_row(params![scope.to_string(), after, own, MAX_BEHIND], |row| row.get(0))?;
    Ok(count as u64)
}

fn keep_checkpoints(db: &Connection, checkpoints: &[Checkpoint]) -> Done<()> {
    for one in checkpoints {
        let equal_ms = (one.state == Compared::Equal).then_some(one.at_ms);
        db.prepare_cached(
            "INSERT INTO checkpoints (node_id, scope, at_ms, state, node_lacks, hub_lacks, records, sum, equal_ms, damaged, mended) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (node_id, scope) DO UPDATE SET \
             at_ms = excluded.at_ms, state = excluded.state, node_lacks = excluded.node_lacks, hub_lacks = excluded.hub_lacks, \
             records = excluded.records, sum = excluded.sum, equal_ms = coalesce(excluded.equal_ms, equal_ms), \
             damaged = excluded.damaged, mended = excluded.mended",
        )?
        .execute(params![
            one.node_id,
            one.scope.to_string(),
            one.at_ms,
            compared_text(one.state),
            one.node_lacks as i64,
            one.hub_lacks as i64,
            one.sums.records as i64,
            one.sums.sum.to_string(),
            equal_ms,
            one.damaged as i64,
            one.mended as i64
        ])?;
    }
    Ok(())
}

fn checkpoints(db: &Connection) -> Done<Vec<Checkpoint>> {
    let mut statement = db.prepare_cached(
        "SELECT node_id, scope, at_ms, state, node_lacks, hub_lacks, records, sum, equal_ms, damaged, mended \
         FROM checkpoints ORDER BY scope, node_id",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(Checkpoint {
            node_id: row.get(0)?,
            scope: parse_scope(&row.get::<_, String>(1)?)?,
            at_ms: row.get(2)?,
            state: compared(&row.get::<_, String>(3)?),
            node_lacks: row.get::<_, i64>(4)? as u64,
            hub_lacks: row.get::<_, i64>(5)? as u64,
            sums: Sums {
                records: row.get::<_, i64>(6)? as u64,
                sum: row.get::<_, String>(7)?.parse().unwrap_or_default(),
            },
            equal_ms: row.get(8)?,
            damaged: row.get::<_, i64>(9)? as u64,
            mended: row.get::<_, i64>(10)? as u64,
        });
    }
    Ok(all)
}

fn changes_of(db: &Connection, scopes: &[Scope], records: &[Uuid], limit: usize) -> Done<Vec<RecordChanges>> {
    let mut statement = db.prepare_cached(
        "SELECT o.origin, c.seq, c.hlc, c.body, c.digest, o.scope FROM changes c JOIN origins o ON o.origin_no = c.origin_no \
         WHERE (c.record_id = ?1 OR c.record_id IN (SELECT k.record_id FROM records p JOIN records k ON k.parent_no = p.record_no \
                WHERE p.record_id = ?1 AND k.kind = 'step')) \
         AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no)",
    )?;
    let (mut all, mut count) = (Vec::new(), 0);
    for record in records {
        let mut changes = Vec::new();
        let mut rows = statement.query([record])?;
        while let Some(row) = rows.next()? {
            let id = ChangeId { origin: row.get(0)?, seq: row.get::<_, i64>(1)? as u64 };
            let hlc = Hlc::from_i64(row.get(2)?);
            let bytes = row.get_ref(3)?.as_bytes().map_err(|e| Fail::Broken(e.to_string()))?;
            let Ok(body) = std::str::from_utf8(bytes) else { continue };
            if !scopes.contains(&parse_scope(&row.get::<_, String>(5)?)?)
                || sums::check(row.get(4)?, hlc, body, id).is_err()
            {
                continue;
            }
            changes.push(ChangeItem { id, hlc, body: Sum::of_body(body) });
        }
        count += changes.len();
        if count > limit && !all.is_empty() {
            break;
        }
        all.push(RecordChanges { id: *record, changes });
    }
    Ok(all)
}

fn changes_named(db: &Connection, scopes: &[Scope], wanted: &[ChangeId], max_bytes: usize, now_ms: i64) -> Done<Page> {
    let (hub_id, epoch, key) = match site::identity(db)? {
        Identity::Hub { hub_id, epoch } => (hub_id, epoch, Some(hub_key(db)?)),
        Identity::Node(enrolment) => (enrolment.hub_id, enrolment.epoch, None),
        Identity::Unenrolled => return Err(Fail::Broken("nobody to be asked for changes".to_owned())),
    };
    let mut header = PageHeader {
        hub_id,
        epoch,
        now_ms,
        count: 0,
        cursors: BTreeMap::new(),
        more: false,
        sites: BTreeMap::new(),
    };
    let mut statement = db.prepare_cached(
        "SELECT o.scope, o.site, c.received_ms, c.hlc, CAST(c.body AS BLOB), c.digest, c.seal, \
         EXISTS (SELECT 1 FROM quarantine q WHERE q.change_no = c.change_no) \
         FROM origins o JOIN changes c ON c.origin_no = o.origin_no WHERE o.origin = ?1 AND c.seq = ?2",
    )?;
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for id in wanted {
        let mut rows = statement.query(params![id.origin, id.seq as i64])?;
        let Some(row) = rows.next()? else { continue };
        let scope = parse_scope(&row.get::<_, String>(0)?)?;
        let (placed, is_aside): (Hlc, bool) = (Hlc::from_i64(row.get(3)?), row.get(7)?);
        let Ok(body) = String::from_utf8(row.get(4)?) else {
            continue;
        };
        let is_whole = sums::check(row.get(5)?, placed, &body, *id).is_ok() && Change::from_body(&body).is_ok();
        if !is_whole || !scopes.contains(&scope) || (is_aside && key.is_some()) {
            continue;
        }
        bytes += body.len();
        if bytes > max_bytes && !lines.is_empty() {
            header.more = true;
            break;
        }
        let site: String = row.get(1)?;
        let mut one = line(&scope, id.origin, id.seq, row.get(2)?, placed, body)?;
        one.seal = match &key {
            Some(key) => Some(key.line(&one, &site, placed)),
            None => row.get::<_, Option<[u8; 16]>>(6)?.map(Seal::from_bytes),
        };
        header.sites.insert(id.origin, site);
        lines.push(one);
    }
    header.count = lines.len() as u32;
    Ok(Page { header, lines })
}

fn note_lost_at_hub(db: &Connection, contents: &[Sha256]) -> Done<u64> {
    let mut noted = 0;
    for sha256 in contents {
        let sha256 = sha256.to_string();
        db.prepare_cached(
            "UPDATE incidents SET photos_rev = photos_rev + 1 WHERE incident_no IN (SELECT p.incident_no FROM pieces s \
             JOIN photos p ON p.photo_no = s.photo_no WHERE s.sha256 = ?1 AND s.at_hub = 2)",
        )?
        .execute([&sha256])?;
        let changed = db
            .prepare_cached("UPDATE pieces SET at_hub = 0 WHERE sha256 = ?1 AND at_hub = 2")?
            .execute([&sha256])?;
        noted += u64::from(changed > 0);
    }
    Ok(noted)
}

fn scrub_state(db: &Connection, part: ScrubPart) -> Done<Option<ScrubState>> {
    Ok(db
        .prepare_cached("SELECT position, began_ms, ended_ms FROM scrub WHERE part = ?1")?
        .query_row([part.as_str()], |row| {
            Ok(ScrubState { position: row.get(0)?, began_ms: row.get(1)?, ended_ms: row.get(2)? })
        })
        .optional()?)
}

fn keep_scrub_state(db: &Connection, part: ScrubPart, state: &ScrubState) -> Done<()> {
    db.prepare_cached(
        "INSERT INTO scrub (part, position, began_ms, ended_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (part) DO UPDATE SET \
         position = excluded.position, began_ms = excluded.began_ms, ended_ms = excluded.ended_ms",
    )?
    .execute(params![part.as_str(), state.position, state.began_ms, state.ended_ms])?;
    Ok(())
}

fn contents_after(db: &Connection, position: &str, limit: u32) -> Done<Vec<(Sha256, u64)>> {
    let mut statement =
        db.prepare_cached("SELECT sha256, size_bytes FROM blobs WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2")?;
    let rows: Vec<(String, i64)> = statement
        .query_map(params![position, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows.into_iter().filter_map(|(text, size)| Some((text.parse().ok()?, size.max(0) as u64))).collect())
}

#[async_trait]
impl Proof for SqliteLedger {
    async fn sum_up(&self, limit: u32) -> Result<u32, Error> {
        // Nearly always there is nothing to do: that need not be a write.
        let is_done = self
            .look(|db| {
                Ok(!db
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM records INDEXED BY records_unsummed WHERE sum_a IS NULL) \
                         OR EXISTS (SELECT 1 FROM changes INDEXED BY changes_undigested WHERE digest IS NULL)",
                    )?
                    .query_row([], |row| row.get::<_, bool>(0))?)
            })
            .await?;
        if is_done {
            return Ok(0);
        }
        self.write(move |db| sums::sum_up(db, limit)).await
    }

    async fn holding(&self, afresh: bool) -> Result<Option<Holding>, Error> {
        self.read(move |db| sums::holding(db, afresh)).await
    }

    async fn items(
        &self,
        scope: Scope,
        buckets: Vec<u8>,
        limit: usize,
        afresh: bool,
    ) -> Result<(Vec<RecordItem>, bool), Error> {
        self.read(move |db| sums::items(db, &scope, &buckets, limit, afresh)).await
    }

    async fn compare(
        &self,
        scopes: Vec<Scope>,
        request: ChecksumsRequest,
    ) -> Result<BTreeMap<Scope, ScopeAnswer>, Error> {
        self.read(move |db| compare(db, &scopes, &request)).await
    }

    async fn sums(&self, scope: Scope, afresh: bool) -> Result<Vec<Sums>, Error> {
        let job = move |db: &Connection| {
            if afresh {
                sums::buckets_again(db, &scope, true)
            } else {
                sums::buckets(db, &scope)
            }
        };
        self.answered(self.db.read_within(super::AUDIT_DEADLINE, job).await)
    }

    async fn keep_checkpoints(&self, checkpoints: Vec<Checkpoint>) -> Result<(), Error> {
        self.write(move |db| keep_checkpoints(db, &checkpoints)).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.read(checkpoints).await
    }

    async fn changes_of(
        &self,
        scopes: Vec<Scope>,
        records: Vec<Uuid>,
        limit: usize,
    ) -> Result<Vec<RecordChanges>, Error> {
        self.read(move |db| changes_of(db, &scopes, &records, limit)).await
    }

    async fn mend_records(&self, scopes: Vec<Scope>, records: Vec<Uuid>, now_ms: i64) -> Result<ScrubStep, Error> {
        self.write(move |db| mend::records_of(db, &scopes, &records, now_ms)).await
    }

    async fn move_changes(&self, places: Vec<(ChangeId, Hlc)>) -> Result<(), Error> {
        self.write(move |db| mend::move_changes(db, &places)).await
    }

    async fn sum_again(&self, scope: Scope) -> Result<bool, Error> {
        self.write(move |db| sums::sum_again(db, &scope)).await
    }

    async fn changes_named(
        &self,
        scopes: Vec<Scope>,
        wanted: Vec<ChangeId>,
        max_bytes: usize,
        now_ms: i64,
    ) -> Result<Page, Error> {
        self.read(move |db| changes_named(db, &scopes, &wanted, max_bytes, now_ms)).await
    }

    async fn take_mended(&self, scopes: Vec<Scope>, page: Page, now_ms: i64) -> Result<Vec<GivenLine>, Error> {
        self.write(move |db| mend::take(db, &scopes, &page, now_ms)).await
    }

    async fn changes_wanted(&self, scopes: Vec<Scope>, limit: usize) -> Result<Vec<ChangeId>, Error> {
        self.look(move |db| damage::changes_wanted(db, &scopes, limit)).await
    }

    async fn contents_lost(&self, scope: Scope, limit: usize) -> Result<Vec<String>, Error> {
        self.look(move |db| damage::contents_lost(db, &scope, limit)).await
    }

    async fn contents_lacking(&self, scope: Scope, limit: usize) -> Result<Vec<String>, Error> {
        let random = self.ids.random_u64();
        self.read(move |db| photos::lacking(db, &scope, random, limit)).await
    }

    async fn note_lost_at_hub(&self, contents: Vec<Sha256>) -> Result<u64, Error> {
        self.write(move |db| note_lost_at_hub(db, &contents)).await
    }

    async fn scrub_state(&self, part: ScrubPart) -> Result<Option<ScrubState>, Error> {
        self.look(move |db| scrub_state(db, part)).await
    }

    async fn keep_scrub_state(&self, part: ScrubPart, state: ScrubState) -> Result<(), Error> {
        self.write(move |db| keep_scrub_state(db, part, &state)).await
    }

    async fn scrub(&self, part: ScrubPart, position: String, now_ms: i64) -> Result<ScrubStep, Error> {
        self.scrub_step(part, position, now_ms).await
    }

    async fn suspicion(&self) {
        self.suspicion.notified().await;
    }

    async fn contents_after(&self, position: String, limit: u32) -> Result<Vec<(Sha256, u64)>, Error> {
        self.look(move |db| contents_after(db, &position, limit)).await
    }

    async fn note_damage(&self, found: Damage, aside: Option<String>) -> Result<bool, Error> {
        self.write(move |db| damage::note(db, &found, aside.as_deref())).await
    }

    async fn note_mended(&self, kind: DamageKind, name: String, how: String, now_ms: i64) -> Result<bool, Error> {
        self.write(move |db| Ok(damage::mended(db, kind, &name, &how, now_ms)?.is_some())).await
    }

    async fn damage(&self, limit: u32) -> Result<Vec<Damage>, Error> {
        self.read(move |db| damage::list(db, limit)).await
    }

    async fn damage_count(&self) -> Result<DamageCount, Error> {
        self.look(damage::count).await
    }
}
