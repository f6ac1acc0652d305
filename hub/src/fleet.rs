//! Headquarters' view of its nodes: who there is, codes for new ones, and the end of old ones.

use crate::intake::codes;
use chassis::clock::format_rfc3339;
use desk::actor::{Actor, Role};
use desk::ledger::{NewCode, NodeRow};
use desk::rules::{Act, check};
use desk::{Desk, Error, Refusal};
use serde::Serialize;
use sync_protocol::scope::is_store_code;
use uuid::Uuid;

/// A node that called within this time counts as online, in milliseconds: two of the longest waits of a pull.
const ONLINE_MS: i64 = 60_000;

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
    /// Changes in quarantine on the node, as it last told.
    pub quarantined: u64,
    /// Its clock minus the hub's, in milliseconds.
    pub clock_offset_ms: i64,
    /// When it last came back from a backup.
    pub restored_at: Option<String>,
    /// Pushes of it that contradicted what the hub holds: kept aside, and recorded again by the node under new numbers.
    pub forks: u64,
    /// When another PC took its place; what it still holds is in `backlog`.
    pub retired_at: Option<String>,
    /// The node that did.
    pub replaced_by: Option<Uuid>,
    /// Changes it sent since then.
    pub drained_changes: u64,
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

/// All nodes by store and name; `store`: only that store's.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody below headquarters; when the ledger cannot be read.
pub async fn nodes(desk: &Desk, actor: &Actor, store: Option<String>) -> Result<Vec<NodeItem>, Error> {
    if actor.role < Role::Hq {
        return Err(Refusal::Forbidden("only headquarters sees the fleet".to_owned()).into());
    }
    let now_ms = desk.now_ms();
    let rows = desk.ledger().nodes(store).await?;
    Ok(rows.into_iter().map(|row| item(row, now_ms)).collect())
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
    let code = codes::make(desk.ids());
    let created_ms = desk.now_ms();
    let expires_ms = created_ms + codes::GOOD_FOR_MS;
    let kept = NewCode {
        code_hash: codes::hash(&code),
        store_code: store_code.to_owned(),
        created_by: actor.username.clone(),
        created_ms,
        expires_ms,
    };
    desk.ledger().add_code(kept).await?;
    tracing::info!(store = store_code, by = actor.username, "an enrolment code was made");
    Ok(Code { code, store_code: store_code.to_owned(), expires_at: format_rfc3339(expires_ms) })
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
    desk.ledger().add_replacement_code(kept, node_id).await?;
    tracing::info!(node = %node_id, store = store_code, by = actor.username, "a code for a replacement was made");
    Ok(Code { code, store_code, expires_at: format_rfc3339(expires_ms) })
}

/// Ends a node's right to talk to the hub, from its next request on. What it holds stays on it.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but an administrator; [`Refusal::NotFound`]; when the ledger cannot be written.
pub async fn revoke(desk: &Desk, actor: &Actor, node_id: Uuid) -> Result<(), Error> {
    check(actor, Act::Administer)?;
    if !desk.ledger().revoke(node_id, desk.now_ms()).await? {
        return Err(Refusal::NotFound.into());
    }
    tracing::warn!(node = %node_id, by = actor.username, "a node was revoked");
    Ok(())
}

fn item(row: NodeRow, now_ms: i64) -> NodeItem {
    let called_lately = row.last_contact_ms.is_some_and(|at| now_ms.saturating_sub(at) < ONLINE_MS);
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
        quarantined: row.status.quarantined,
        clock_offset_ms: row.clock_offset_ms,
        restored_at: row.restored_ms.map(format_rfc3339),
        forks: row.forks,
        retired_at: row.retired_ms.map(format_rfc3339),
        replaced_by: row.replaced_by,
        drained_changes: row.drained_changes,
    }
}
