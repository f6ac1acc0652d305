//! Headquarters' view of its nodes: who there is, codes for new ones, and the end of old ones.

pub mod alarms;
mod forks;
mod measure;
mod program;
mod refused;
mod settings;

pub use alarms::{Alarm, PastAlarm};
pub use forks::{Branch, Fork, fork, forks};
pub use measure::measure;
pub use program::{Epoch, HubItem, program};
pub use refused::{RefusedItem, refused};
use settings::Expected;
pub use settings::{NodeSettings, SettingsState};

use crate::intake::codes;
use chassis::clock::format_rfc3339;
use desk::actor::{Actor, Role};
use desk::acts::{self, ActItem};
use desk::ledger::{ActQuery, Checkpoint, NewCode, NodeRow};
use desk::rules::{Act, check};
use desk::{Desk, Error, Refusal};
use serde::Serialize;
use std::collections::HashMap;
use sync_protocol::checksum::Compared;
use sync_protocol::scope::is_store_code;
use uuid::Uuid;

/// A node that called within this time counts as online, in milliseconds: two of the longest waits of a pull.
const ONLINE_MS: u64 = 60_000;
/// One that has not called for longer is silent, in milliseconds: an hour. The same on pages, in figures and to `doctor`.
pub(crate) const SILENT_MS: u64 = 3_600_000;

/// Longest reason for a revocation, in characters.
const MAX_REASON: usize = 2000;

/// What waits on a node.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeBacklog {
    /// Changes that the hub has not acknowledged.
    pub changes: u64,
    /// Files that the hub has not verified.
    pub blobs: u64,
    /// Their size in bytes.
    pub blob_bytes: u64,
}

/// A node as the fleet list shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeItem {
    /// The node.
    pub node_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// What it is called, such as the PC's host name.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Since when it belongs to the store; RFC 3339, UTC.
    pub enrolled_at: String,
    /// When headquarters revoked it.
    pub revoked_at: Option<String>,
    /// When it last called, by the hub's clock.
    pub last_contact_at: Option<String>,
    /// Whether it called within the last minute and is not revoked.
    pub online: bool,
    /// Changes the node has and the hub has not acknowledged, as the node last told.
    pub lag: u64,
    /// All that waits on the node, as it last told.
    pub backlog: NodeBacklog,
    /// Changes the hub holds of it.
    pub applied_changes: u64,
    /// Changes of it in quarantine, there as it last told or here, whichever are more.
    pub quarantined: u64,
    /// Its clock minus the hub's, in milliseconds.
    pub clock_offset_ms: i64,
    /// Whether it takes no photos and files, as it last told: its disk has no room for them.
    pub disk_low: bool,
    /// When it last came back from a backup.
    pub restored_at: Option<String>,
    /// Pushes of it that contradicted what the hub holds: kept aside, and recorded again by the node under new numbers.
    pub forks: u64,
    /// When the last of them came; RFC 3339, UTC.
    pub forked_at: Option<String>,
    /// The newest version of the sync protocol that it speaks; 0 before it said so.
    pub newest_protocol: u32,
    /// That its program and the hub's are not of one age, and what to do; null when they are.
    pub versions: Option<String>,
    /// Whether it holds what the hub holds, as it last asked; null: it never has.
    pub proof: Option<NodeProof>,
    /// When another PC took its place; what it still holds is in `backlog`.
    pub retired_at: Option<String>,
    /// The node that did.
    pub replaced_by: Option<Uuid>,
    /// Changes it sent since then.
    pub drained_changes: u64,
    /// What it made of the settings that are made for it here.
    pub settings: NodeSettings,
    /// What somebody ought to look at.
    pub alarms: Vec<Alarm>,
}

/// A node, what was wrong with it, and what administrators did with it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeDetail {
    /// The node.
    pub node: NodeItem,
    /// What was wrong with it within the last three months, the last first; at most a hundred.
    pub past_alarms: Vec<PastAlarm>,
    /// Codes for its successor, and its revocation: by whom, when and why; the last first.
    pub acts: Vec<ActItem>,
}

/// Whether a node holds what the hub holds.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeProof {
    /// `equal`, `different` or `behind` (changes were on their way).
    #[schema(example = "equal")]
    pub state: String,
    /// When it last asked; RFC 3339, UTC.
    pub checked_at: String,
    /// When all was last equal.
    pub equal_at: Option<String>,
    /// Things that it found damaged on its disk and that are not whole again.
    pub damaged: u64,
    /// Things that it found damaged and that are whole again.
    pub mended: u64,
}

/// A new enrolment code, shown this once.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Code {
    /// The code.
    #[schema(example = "K7QM-2RTX-9WFB")]
    pub code: String,
    /// The store it enrols for.
    pub store_code: String,
    /// Until when it is good; RFC 3339, UTC.
    pub expires_at: String,
}

/// Whether `actor` may look at the fleet.
fn see(actor: &Actor) -> Result<(), Error> {
    if actor.role < Role::Hq {
        return Err(Refusal::Forbidden("only headquarters sees the fleet".to_owned()).into());
    }
    Ok(())
}

/// All nodes by store and name; `store`: only that store's.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn nodes(desk: &Desk, actor: &Actor, store: Option<String>) -> Result<Vec<NodeItem>, Error> {
    see(actor)?;
    let now_ms = desk.now_ms();
    let rows = desk.ledger().nodes(store).await?;
    let mut checkpoints: HashMap<Uuid, Vec<Checkpoint>> = HashMap::new();
    for checkpoint in desk.ledger().checkpoints().await? {
        checkpoints.entry(checkpoint.node_id).or_default().push(checkpoint);
    }
    let expected = Expected::of(&desk.ledger().settings(None).await?);
    let whole = |row: NodeRow| {
        let settings = NodeSettings::of(&row, &expected);
        let proof = checkpoints.get(&row.node_id).and_then(|of_node| proof(of_node));
        complete(NodeItem { proof, settings, ..item(row, now_ms) }, now_ms)
    };
    Ok(rows.into_iter().map(whole).collect())
}

/// Says what is wrong with a node of which everything else is known.
fn complete(mut item: NodeItem, now_ms: i64) -> NodeItem {
    item.alarms = alarms::of(&item, now_ms);
    item
}

/// One node, with its past.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; [`Refusal::NotFound`]; when the ledger cannot be read.
pub async fn node(desk: &Desk, actor: &Actor, node_id: Uuid) -> Result<NodeDetail, Error> {
    see(actor)?;
    let now_ms = desk.now_ms();
    let row = desk.ledger().node(node_id).await?.ok_or(Refusal::NotFound)?;
    let mut of_node = desk.ledger().checkpoints().await?;
    of_node.retain(|checkpoint| checkpoint.node_id == node_id);
    let expected = Expected::of(&desk.ledger().settings(Some(row.store_code.clone())).await?);
    let settings = NodeSettings::of(&row, &expected);
    let node = complete(NodeItem { proof: proof(&of_node), settings, ..item(row, now_ms) }, now_ms);
    let past = desk.ledger().alarms_of(node_id, alarms::HISTORY).await?;
    let query = ActQuery { subject: Some(node_id.hyphenated().to_string()), ..ActQuery::default() };
    let (acts, _) = acts::list(desk, actor, query, acts::DEFAULT_LIMIT).await?;
    Ok(NodeDetail { node, past_alarms: past.into_iter().map(PastAlarm::from).collect(), acts })
}

/// What the checkpoints of one node say.
fn proof(checkpoints: &[Checkpoint]) -> Option<NodeProof> {
    let of_node = || checkpoints.iter();
    let has = |state| of_node().any(|one| one.state == state);
    let state = if has(Compared::Different) {
        "different"
    } else if has(Compared::Behind) {
        "behind"
    } else {
        "equal"
    };
    Some(NodeProof {
        state: state.to_owned(),
        checked_at: format_rfc3339(of_node().map(|one| one.at_ms).min()?),
        equal_at: of_node().map(|one| one.equal_ms).min().flatten().map(format_rfc3339),
        damaged: of_node().map(|one| one.damaged).max().unwrap_or(0),
        mended: of_node().map(|one| one.mended).max().unwrap_or(0),
    })
}

/// Makes a code that enrols one node of the store within the next 24 hours.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but an administrator; [`Refusal::Invalid`] when there is no such store; when the
/// ledger cannot be written.
pub async fn make_code(desk: &Desk, actor: &Actor, store_code: &str) -> Result<Code, Error> {
    check(actor, Act::Administer)?;
    if !is_store_code(store_code) || desk.ledger().store(store_code).await?.is_none() {
        return Err(Refusal::field("store_code", format!("there is no store {store_code:?}")).into());
    }
    let (code, kept) = fresh(desk, actor, store_code.to_owned());
    desk.ledger().add_code(kept).await?;
    tracing::info!(store = store_code, by = actor.username, "an enrolment code was made");
    Ok(code)
}

/// A code for a store, as it is told once and as it is kept.
fn fresh(desk: &Desk, actor: &Actor, store_code: String) -> (Code, NewCode) {
    let code = codes::make(desk.ids());
    let created_ms = desk.now_ms();
    let expires_ms = created_ms + codes::GOOD_FOR_MS;
    let kept = NewCode {
        code_hash: codes::hash(&code),
        store_code: store_code.clone(),
        created_by: actor.username.clone(),
        created_ms,
        expires_ms,
    };
    (Code { code, store_code, expires_at: format_rfc3339(expires_ms) }, kept)
}

/// Makes a code for new hardware: the node that enrols with it takes the place of `node_id`, which from then on may send what it
/// still has and gets nothing more.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but an administrator; [`Refusal::NotFound`]; [`Refusal::Conflict`] when it is revoked or
/// was replaced already; when the ledger cannot be written.
pub async fn replace(desk: &Desk, actor: &Actor, node_id: Uuid) -> Result<Code, Error> {
    check(actor, Act::Administer)?;
    let store_code = desk.ledger().node(node_id).await?.ok_or(Refusal::NotFound)?.store_code;
    let (code, kept) = fresh(desk, actor, store_code);
    desk.ledger().add_replacement_code(kept, node_id).await?;
    tracing::info!(node = %node_id, store = code.store_code, by = actor.username, "a code for a replacement was made");
    Ok(code)
}

/// Ends a node's right to talk to the hub, from its next request on, and notes who did it and why. What it holds stays on it.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but an administrator; [`Refusal::NotFound`]; [`Refusal::Invalid`] where the reason is too
/// long; when the ledger cannot be written.
pub async fn revoke(desk: &Desk, actor: &Actor, node_id: Uuid, reason: Option<String>) -> Result<(), Error> {
    check(actor, Act::Administer)?;
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(Refusal::field("reason", format!("must be at most {MAX_REASON} characters")).into());
    }
    if !desk.ledger().revoke(node_id, &actor.username, reason, desk.now_ms()).await? {
        return Err(Refusal::NotFound.into());
    }
    tracing::warn!(node = %node_id, by = actor.username, "a node was revoked");
    Ok(())
}

fn item(row: NodeRow, now_ms: i64) -> NodeItem {
    let called_lately = row.last_contact_ms.is_some_and(|at| now_ms.abs_diff(at) < ONLINE_MS);
    NodeItem {
        node_id: row.node_id,
        store_code: row.store_code,
        name: row.name,
        version: row.version,
        enrolled_at: format_rfc3339(row.enrolled_ms),
        revoked_at: row.revoked_ms.map(format_rfc3339),
        last_contact_at: row.last_contact_ms.map(format_rfc3339),
        online: called_lately && row.revoked_ms.is_none(),
        lag: row.status.pending_changes,
        backlog: NodeBacklog {
            changes: row.status.pending_changes,
            blobs: row.status.pending_blobs,
            blob_bytes: row.status.pending_blob_bytes,
        },
        applied_changes: row.applied_changes,
        quarantined: row.status.quarantined.max(row.quarantined),
        clock_offset_ms: row.clock_offset_ms,
        disk_low: row.status.disk_low,
        restored_at: row.restored_ms.map(format_rfc3339),
        forks: row.forks,
        forked_at: row.forked_ms.map(format_rfc3339),
        newest_protocol: row.newest_protocol,
        versions: ages(row.newest_protocol),
        proof: None,
        retired_at: row.retired_ms.map(format_rfc3339),
        replaced_by: row.replaced_by,
        drained_changes: row.drained_changes,
        settings: NodeSettings::default(),
        alarms: Vec::new(),
    }
}

/// Which of both programs is the older one, for people.
fn ages(theirs: u32) -> Option<String> {
    let ours = sync_protocol::VERSION;
    if theirs == 0 || theirs == ours {
        None
    } else if theirs < ours {
        Some(format!(
            "the node's program is older than the hub's (protocol {theirs}, here {ours}): what it sends is taken; upgrade it when it suits"
        ))
    } else {
        Some(format!(
            "the node's program is newer than the hub's (protocol {theirs}, here {ours}): what the hub does not know yet is kept; upgrade the hub"
        ))
    }
}
