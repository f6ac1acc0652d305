//! What somebody ought to look at about a node: now, and what it was before. Pages, the API and the keeper of the history ask here.

use super::settings::SettingsState;
use super::{NodeItem, SILENT_MS};
use chassis::clock::{format_rfc3339, parse_rfc3339};
use desk::actor::Actor;
use desk::ledger::NodeAlarm;
use desk::{Desk, Error};
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

/// A clock further off than this is worth a word, in milliseconds.
const CLOCK_OFF_MS: u64 = 5 * 60_000;
/// How long a branch that was kept aside is worth a look, in milliseconds.
const FORKED_MS: u64 = 7 * 24 * 3_600_000;
/// What is told of a node's past.
pub(super) const HISTORY: u32 = 100;

/// Something about a node that somebody ought to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Alarm {
    /// `silent` (for an hour), `quarantined`, `clock` (more than five minutes off), `different` (it holds other data), `damaged`,
    /// `version` (its program and the hub's are not of one age), `settings` (it could not apply some of them), `disk` (it takes no photos and files for want of room) or `forked` (within
    /// the last week it sent what contradicts what the hub holds of it: a copied disk, or an old backup).
    #[schema(example = "silent")]
    pub alarm: String,
    /// How many, where that can be told; else 1.
    pub number: u64,
}

/// An alarm of a node's past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PastAlarm {
    /// As in the node's `alarms`.
    #[schema(example = "silent")]
    pub alarm: String,
    /// Since when, give or take half a minute; RFC 3339, UTC.
    #[schema(format = "date-time")]
    pub since: String,
    /// Until when; null: still.
    #[schema(required = true)]
    pub until: Option<String>,
}

impl From<NodeAlarm> for PastAlarm {
    fn from(alarm: NodeAlarm) -> Self {
        Self {
            alarm: alarm.alarm,
            since: format_rfc3339(alarm.since_ms),
            until: alarm.until_ms.map(format_rfc3339),
        }
    }
}

/// How long ago the node called, in milliseconds; the longest where it never did.
pub fn silent_ms(item: &NodeItem, now_ms: i64) -> i64 {
    let called = item.last_contact_at.as_deref().and_then(parse_rfc3339);
    called.map_or(i64::MAX, |at| now_ms.saturating_sub(at).max(0))
}

/// Whether a branch of the node's history was kept aside within the last week.
fn forked_lately(item: &NodeItem, now_ms: i64) -> bool {
    let last_ms = item.forked_at.as_deref().and_then(parse_rfc3339);
    last_ms.is_some_and(|last_ms| now_ms.abs_diff(last_ms) < FORKED_MS)
}

/// What is wrong with a node now. One that is no more is nobody's trouble.
pub(super) fn of(item: &NodeItem, now_ms: i64) -> Vec<Alarm> {
    if item.revoked_at.is_some() || item.retired_at.is_some() {
        return Vec::new();
    }
    let proof = item.proof.as_ref();
    let is_refused = item.settings.state == SettingsState::InPart;
    let damaged = proof.map_or(0, |proof| proof.damaged);
    let all = [
        ("silent", u64::from(silent_ms(item, now_ms) > SILENT_MS.cast_signed())),
        ("quarantined", item.quarantined),
        ("clock", u64::from(item.clock_offset_ms.unsigned_abs() > CLOCK_OFF_MS)),
        ("different", u64::from(proof.is_some_and(|proof| proof.state == "different"))),
        ("damaged", damaged),
        ("version", u64::from(item.versions.is_some())),
        ("forked", u64::from(forked_lately(item, now_ms))),
        ("disk", u64::from(item.disk_low)),
        ("settings", if is_refused { item.settings.refused.len() as u64 } else { 0 }),
    ];
    let wrong = all.into_iter().filter(|(_, number)| *number > 0);
    wrong.map(|(alarm, number)| Alarm { alarm: alarm.to_owned(), number }).collect()
}

/// Notes which alarms began and which are over since the last look. Writes where something changed, and only that.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn note(desk: &Desk) -> Result<(), Error> {
    let nodes = super::nodes(desk, &Actor::system("fleet"), None).await?;
    let now: HashSet<(Uuid, String)> = nodes
        .into_iter()
        .flat_map(|node| node.alarms.into_iter().map(move |alarm| (node.node_id, alarm.alarm)))
        .collect();
    let open = desk.ledger().alarms_open().await?;
    let open: HashSet<(Uuid, String)> = open.into_iter().map(|alarm| (alarm.node_id, alarm.alarm)).collect();
    let (began, over): (Vec<_>, Vec<_>) =
        (now.difference(&open).cloned().collect(), open.difference(&now).cloned().collect());
    if began.is_empty() && over.is_empty() {
        return Ok(());
    }
    desk.ledger().change_alarms(began, over, desk.now_ms()).await
}
