//! Making sure that the store and headquarters hold the same: asked now and then, and found out and mended where they do not.
//!
//! One question compares a number for each scope, in one snapshot on each side. It means something only when both know of the same
//! changes; until then the answer says how far who is behind, and it is asked again soon. Where the numbers differ, two more
//! questions find the records. Then each side makes sure that its own records are what its changes say, changes that one
//! of them lacks go across, and it is asked again.
//!
//! The same question brings what headquarters has lost (a damaged disk, found by its scrub) and takes what this node has. Nothing
//! here is remembered between rounds: what is damaged is in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::blobs::Sha256;
use desk::Desk;
use desk::ledger::{Checkpoint, DamageKind, Holding, total};
use desk::scrub;
use sync_protocol::batch::{MAX_PAGE_BYTES, MEDIA_TYPE, Page};
use sync_protocol::change::ChangeId;
use sync_protocol::checksum::{
    CHANGES, CHECKSUMS, ChangeItem, ChangesRequest, ChecksumsAnswer, ChecksumsRequest, Compared, MAX_CHANGES,
    MAX_ITEMS, MAX_RECORDS, MAX_WANTED, MEND,
};
use sync_protocol::hlc::Hlc;
use sync_protocol::message::{GiveAnswer, Given, Limits};
use sync_protocol::scope::Scope;
use uuid::Uuid;

use super::board::Part;
use super::hub::{Call, Failure, Hub, MOST_JSON_BYTES};
use super::session::{Session, Waiting};

/// How often by default.
pub const EVERY: Duration = Duration::from_secs(15 * 60);
/// What a question may take: the hub may have to read a whole store.
const DEADLINE: Duration = Duration::from_secs(60);
/// While there is nothing to compare yet it is asked again after this long.
const SOON: Duration = Duration::from_secs(10);
/// After something was mended it is asked again after this long.
const AT_ONCE: Duration = Duration::from_secs(1);
/// After so many rounds that mended nothing a person is told.
const MAX_VAIN: u32 = 3;
/// Most bytes of bodies given back at once; a single change may be larger.
const MAX_BYTES: usize = 256 * 1024;
/// Damage looked at for contents to ask for again.
const MAX_DAMAGE: u32 = 500;

/// Why a round did not end.
pub(crate) enum Trouble {
    /// The hub.
    Link(Failure),
    /// The node's own ledger.
    Ledger(desk::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Link(failure)
    }
}

impl From<desk::Error> for Trouble {
    fn from(error: desk::Error) -> Self {
        Self::Ledger(error)
    }
}

/// The records of one scope that differ.
pub(crate) struct Found {
    /// The scope.
    pub scope: Scope,
    /// For no reason that is known.
    pub records: Vec<Uuid>,
    /// Because a change of theirs is in quarantine.
    pub aside: u64,
}

/// Compares for as long as it is polled.
pub(super) async fn run(session: &Session, every: Duration) {
    let mut waiting = Waiting::new(session.pace);
    let mut vain = 0_u32;
    loop {
        let welcome = session.ready(&mut waiting).await;
        if welcome.scopes.is_empty() {
            // Another PC took this one's place: there is nothing to compare.
            session.welcome_after(welcome.no).await;
            continue;
        }
        match round(session, &mut vain).await {
            Ok(pause) => {
                waiting.succeeded();
                waiting.hold(session.now(), pause.min(every));
            }
            // An older hub, or none: hello will tell which. Nothing is wrong because of it.
            Err(Trouble::Link(failure)) if is_unheard_of(&failure) => {
                waiting.hold(session.now(), every.min(SOON * 6));
            }
            Err(Trouble::Link(failure)) => session.lane_failed(Part::Proof, &mut waiting, &failure).await,
            Err(Trouble::Ledger(error)) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

/// Whether whoever answers knows nothing of the question, or nobody does.
fn is_unheard_of(failure: &Failure) -> bool {
    match failure {
        Failure::NoHub { .. } | Failure::Stranger { .. } => true,
        Failure::Refused(refused) => matches!(refused.status, 404 | 405),
        Failure::Nonsense(_) | Failure::Replaced => false,
    }
}

/// One comparison and what follows from it; answers how long nothing more is to be done.
async fn round(session: &Session, vain: &mut u32) -> Result<Duration, Trouble> {
    let (desk, hub) = (&session.desk, &session.hub);
    let Some(holding) = desk.ledger().holding(false).await? else {
        return Ok(SOON);
    };
    let (request, sent_boot_ms) = (first(desk, &holding).await?, desk.boot_ms());
    let answer = ask(hub, &request).await?;
    if answer.hub_id != session.enrolment.hub_id {
        return Err(Failure::nonsense("it is of another hub").into());
    }
    session.measure(sent_boot_ms, answer.now_ms);
    session.saw_epoch(answer.epoch).await;
    session.contact();
    let mut moved = give_back(desk, hub, &answer).await?;
    moved |= fetch_wanted(desk, hub).await?;
    want_contents(desk).await?;

    let mut state = if holding.unsummed { Compared::Behind } else { worst(&answer) };
    let mut differing = Vec::new();
    if state == Compared::Different {
        for found in locate(desk, hub, &holding, &answer, false).await? {
            if found.records.is_empty() {
                tracing::info!(scope = %found.scope, records = found.aside, "records differ from headquarters' because changes of theirs are in quarantine");
                continue;
            }
            tracing::error!(scope = %found.scope, records = ?shown(&found.records), count = found.records.len(), "records are not the same here and at headquarters");
            moved |= mend(desk, hub, &holding, &found.records).await?;
            differing.extend(found.records);
        }
        if differing.is_empty() && !moved {
            // Nothing differs but the sums: this side's own may be wrong.
            for scope in holding.cursors.keys() {
                moved |= desk.ledger().sum_again(scope.clone()).await?;
            }
            state = if moved { Compared::Different } else { Compared::Equal };
        }
    }
    keep(desk, session.enrolment.node_id, &holding, &answer, state).await?;
    Ok(match state {
        Compared::Equal => {
            *vain = 0;
            session.board.well(Part::Proof);
            if moved { AT_ONCE } else { Duration::MAX }
        }
        Compared::Behind => {
            if moved {
                AT_ONCE
            } else {
                SOON
            }
        }
        Compared::Different => {
            *vain = if moved { 0 } else { vain.saturating_add(1) };
            if *vain < MAX_VAIN {
                AT_ONCE
            } else {
                let what = format!(
                    "{} records are not the same here and at headquarters and could not be mended, such as {}; run doctor on both sides",
                    differing.len(),
                    shown(&differing).join(", ")
                );
                session.board.trouble(Part::Proof, what, None);
                Duration::MAX
            }
        }
    })
}

fn shown(records: &[Uuid]) -> Vec<String> {
    records.iter().take(5).map(ToString::to_string).collect()
}

/// The first question.
pub(crate) async fn first(desk: &Desk, holding: &Holding) -> Result<ChecksumsRequest, desk::Error> {
    let damage = desk.ledger().damage_count().await?;
    Ok(ChecksumsRequest {
        origin: holding.origin,
        // What is not acknowledged the hub need not have; it then says that it is behind.
        seq: holding.seq,
        cursors: holding.cursors.clone(),
        sums: holding.buckets.iter().map(|(scope, buckets)| (scope.clone(), total(buckets))).collect(),
        buckets: BTreeMap::new(),
        records: Vec::new(),
        damaged: damage.open,
        mended: damage.mended,
    })
}

/// Asks.
pub(crate) async fn ask(hub: &Hub, request: &ChecksumsRequest) -> Result<ChecksumsAnswer, Failure> {
    let answer: ChecksumsAnswer = hub.ask(CHECKSUMS, request, DEADLINE).await?;
    if !request.sums.keys().all(|scope| answer.scopes.contains_key(scope)) {
        return Err(Failure::nonsense("it does not answer for all that was asked"));
    }
    Ok(answer)
}

/// How all scopes together compare.
pub(crate) fn worst(answer: &ChecksumsAnswer) -> Compared {
    let has = |state| answer.scopes.values().any(|scope| scope.state == state);
    if has(Compared::Different) {
        Compared::Different
    } else if has(Compared::Behind) {
        Compared::Behind
    } else {
        Compared::Equal
    }
}

/// Finds the records that differ. `afresh`: as they are, not as their sums that are kept say.
pub(crate) async fn locate(
    desk: &Desk,
    hub: &Hub,
    holding: &Holding,
    answer: &ChecksumsAnswer,
    afresh: bool,
) -> Result<Vec<Found>, Trouble> {
    let mut request = first(desk, holding).await?;
    for (scope, theirs) in answer.scopes.iter().filter(|(_, theirs)| theirs.state == Compared::Different) {
        let ours = holding.buckets.get(scope).map_or(&[][..], Vec::as_slice);
        let differ = (0..=u8::MAX).filter(|at| ours.get(usize::from(*at)) != theirs.buckets.get(usize::from(*at)));
        request.buckets.insert(scope.clone(), differ.collect());
    }
    let told = ask(hub, &request).await?;
    let mut all = Vec::new();
    for (scope, buckets) in request.buckets {
        let Some(theirs) = told.scopes.get(&scope).filter(|theirs| theirs.state == Compared::Different) else {
            continue;
        };
        let (ours, more) = desk.ledger().items(scope.clone(), buckets, MAX_ITEMS, afresh).await?;
        let mut sums: BTreeMap<Uuid, (Vec<_>, bool)> = BTreeMap::new();
        for item in ours.iter().chain(&theirs.items) {
            let entry = sums.entry(item.id).or_default();
            entry.0.push(item.sum);
            entry.1 |= item.aside;
        }
        sums.retain(|_, (sums, _)| sums.len() != 2 || sums[0] != sums[1]);
        // Beyond what either could tell nothing is known; it comes once these are mended.
        let ends = [(&ours, more), (&theirs.items, theirs.more)];
        let last = ends
            .iter()
            .filter(|(_, more)| *more)
            .filter_map(|(items, _)| items.last())
            .map(|item| item.id)
            .min();
        sums.retain(|id, _| last.is_none_or(|last| *id <= last));
        let aside = sums.values().filter(|(_, aside)| *aside).count() as u64;
        let records = sums.into_iter().filter(|(_, (_, aside))| !aside).map(|(id, _)| id).collect();
        all.push(Found { scope, records, aside });
    }
    Ok(all)
}

/// Makes both sides' records what their changes say, and sends changes across that one side lacks; whether anything was done.
async fn mend(desk: &Desk, hub: &Hub, holding: &Holding, records: &[Uuid]) -> Result<bool, Trouble> {
    let ids: Vec<Uuid> = records.iter().copied().take(MAX_RECORDS).collect();
    let scopes: Vec<Scope> = holding.cursors.keys().cloned().collect();
    let ours = desk.ledger().mend_records(scopes.clone(), ids.clone(), desk.now_ms()).await?;
    scrub::tell(&ours);
    let mut moved = !ours.mended.is_empty();
    let before = first(desk, holding).await?;
    let told = ask(hub, &ChecksumsRequest { records: ids.clone(), ..before }).await?;
    // What the hub made sure of shows in its sums, not in its words: it is asked again in any case.
    moved |= worst(&told) != Compared::Different;
    let here = desk.ledger().changes_of(scopes.clone(), ids.clone(), MAX_CHANGES).await?;
    let by_id = |all: &[sync_protocol::checksum::RecordChanges]| -> BTreeMap<ChangeId, ChangeItem> {
        all.iter().flat_map(|record| &record.changes).map(|change| (change.id, *change)).collect()
    };
    let (here, there) = (by_id(&here), by_id(&told.records));
    let lacking: Vec<ChangeId> = there.keys().filter(|id| !here.contains_key(id)).copied().collect();
    let to_give: Vec<ChangeId> = here.keys().filter(|id| !there.contains_key(id)).copied().collect();
    let mut places: Vec<(ChangeId, Hlc)> = Vec::new();
    for (id, theirs) in &there {
        match here.get(id) {
            Some(ours) if ours.body != theirs.body => {
                tracing::error!(change = %id, "headquarters holds another change under this number; neither is damaged");
            }
            Some(ours) if ours.hlc != theirs.hlc => places.push((*id, theirs.hlc)),
            _ => {}
        }
    }
    moved |= fetch(desk, hub, scopes.clone(), lacking).await?;
    moved |= give(desk, hub, scopes.clone(), to_give).await?;
    moved |= give(desk, hub, scopes.clone(), told.wanted).await?;
    if !places.is_empty() {
        moved = true;
        desk.ledger().move_changes(places).await?;
    }
    let after = desk.ledger().mend_records(scopes, ids, desk.now_ms()).await?;
    scrub::tell(&after);
    Ok(moved || !after.mended.is_empty())
}

/// Fetches changes by their names; whether any was taken.
async fn fetch(desk: &Desk, hub: &Hub, scopes: Vec<Scope>, wanted: Vec<ChangeId>) -> Result<bool, Trouble> {
    let mut taken = 0;
    for wanted in wanted.chunks(MAX_WANTED) {
        let body = serde_json::to_vec(&ChangesRequest { wanted: wanted.to_vec() }).map_err(Failure::nonsense)?;
        let call = Call {
            path: CHANGES,
            media_type: "application/json",
            body,
            deadline: DEADLINE,
            most_bytes: MAX_PAGE_BYTES,
        };
        let body = hub.call(call).await?;
        let page = chassis::heavy::run(move || Page::decode(&body, &Limits::default())).await;
        let page = page.map_err(Failure::nonsense)?.map_err(Failure::nonsense)?;
        let asked: BTreeSet<ChangeId> = wanted.iter().copied().collect();
        if !page.lines.iter().all(|line| asked.contains(&ChangeId { origin: line.origin, seq: line.seq })) {
            return Err(Failure::nonsense("it sends changes that were not asked for").into());
        }
        let answers = desk.ledger().take_mended(scopes.clone(), page, desk.now_ms()).await?;
        taken += told(&answers, "a change fetched from headquarters was not taken");
    }
    if taken > 0 {
        tracing::warn!(taken, "changes that were damaged or lost here were fetched from headquarters");
    }
    Ok(taken > 0)
}

/// Gives changes back that the hub lacks; whether any was taken.
async fn give(desk: &Desk, hub: &Hub, scopes: Vec<Scope>, mut wanted: Vec<ChangeId>) -> Result<bool, Trouble> {
    let mut taken = 0;
    while !wanted.is_empty() {
        let page = desk.ledger().changes_named(scopes.clone(), wanted.clone(), MAX_BYTES, desk.now_ms()).await?;
        let Some(last) = page.lines.last().map(|line| ChangeId { origin: line.origin, seq: line.seq }) else {
            break;
        };
        let at = wanted.iter().position(|id| *id == last).unwrap_or(wanted.len() - 1);
        wanted.drain(..=at);
        let call = Call {
            path: MEND,
            media_type: MEDIA_TYPE,
            body: page.encode(),
            deadline: DEADLINE,
            most_bytes: MOST_JSON_BYTES,
        };
        let answer = hub.call(call).await?;
        let answer: GiveAnswer = serde_json::from_slice(&answer).map_err(Failure::nonsense)?;
        taken += told(&answer.answers, "headquarters did not take a change back");
    }
    if taken > 0 {
        tracing::warn!(taken, "headquarters has been given back changes that were damaged or lost there");
    }
    Ok(taken > 0)
}

/// How many lines were taken; says aloud what was not.
fn told(answers: &[sync_protocol::message::GivenLine], what: &str) -> usize {
    for line in answers {
        if let Given::Refused { reason, .. } = &line.outcome {
            tracing::warn!(origin = %line.origin, seq = line.seq, reason, "{what}");
        }
    }
    answers.iter().filter(|line| line.outcome == Given::Taken).count()
}

/// Gives what the answer asks for; whether anything came of it.
async fn give_back(desk: &Desk, hub: &Hub, answer: &ChecksumsAnswer) -> Result<bool, Trouble> {
    let lost: Vec<Sha256> = answer.lost.iter().filter_map(|text| text.parse().ok()).collect();
    if !lost.is_empty() {
        let contents = desk.ledger().note_lost_at_hub(lost).await?;
        if contents > 0 {
            tracing::warn!(contents, "headquarters has lost contents; those that are here are sent again");
        }
    }
    let scopes = answer.scopes.keys().cloned().collect();
    give(desk, hub, scopes, answer.wanted.clone()).await
}

/// Fetches the changes that are known to be damaged or gone here; whether any came.
async fn fetch_wanted(desk: &Desk, hub: &Hub) -> Result<bool, Trouble> {
    let scopes: Vec<Scope> = desk.ledger().cursors().await?.into_keys().collect();
    let wanted = desk.ledger().changes_wanted(scopes.clone(), MAX_WANTED).await?;
    fetch(desk, hub, scopes, wanted).await
}

/// Asks again for contents that are damaged or gone here.
async fn want_contents(desk: &Desk) -> Result<(), Trouble> {
    for damage in desk.ledger().damage(MAX_DAMAGE).await? {
        if damage.kind == DamageKind::Content
            && damage.mended_ms.is_none()
            && let Ok(sha256) = damage.name.parse()
        {
            desk.want(sha256);
        }
    }
    Ok(())
}

/// Notes how each scope compared.
async fn keep(
    desk: &Desk,
    node_id: Uuid,
    holding: &Holding,
    answer: &ChecksumsAnswer,
    state: Compared,
) -> Result<(), desk::Error> {
    let damage = desk.ledger().damage_count().await?;
    let checkpoints = answer.scopes.iter().map(|(scope, theirs)| Checkpoint {
        node_id,
        scope: scope.clone(),
        at_ms: desk.now_ms(),
        // Differences that are explained are none.
        state: if state == Compared::Equal || holding.unsummed { state } else { theirs.state },
        node_lacks: theirs.node_lacks,
        hub_lacks: theirs.hub_lacks,
        sums: holding.total(scope),
        equal_ms: None,
        damaged: damage.open,
        mended: damage.mended,
    });
    desk.ledger().keep_checkpoints(checkpoints.collect()).await
}
