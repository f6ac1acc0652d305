//! `verify`: whether the stores' nodes hold what the hub holds.
//!
//! The hub calls no node. It tells how each compared when it last asked, and makes sure that its own tables, and the sums
//! that were compared, are what its changes say.

use super::{Failed, explain, say, to_json};
use chassis::clock::format_rfc3339;
use desk::Desk;
use desk::ledger::{Checkpoint, NodeRow, total};
use serde::Serialize;
use std::io::Write;
use sync_protocol::checksum::Compared;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// How one scope of one node compared.
#[derive(Serialize)]
struct Line {
    scope: String,
    node_id: Uuid,
    name: String,
    state: &'static str,
    records: Option<u64>,
    checked_at: Option<String>,
    equal_at: Option<String>,
    node_lacks: u64,
    hub_lacks: u64,
    damaged: u64,
    mended: u64,
}

#[derive(Serialize)]
struct Report {
    state: &'static str,
    scopes: Vec<Line>,
    faults: Vec<String>,
}

/// Says what was found even when it is bad, and fails then.
pub(super) async fn run(desk: &Desk, store: Option<String>, json: bool, out: &mut impl Write) -> Result<(), Failed> {
    if let Some(code) = &store
        && desk.ledger().store(code).await.map_err(explain)?.is_none()
    {
        return Err(Failed(format!("there is no store {code}; check --store")));
    }
    let nodes = desk.ledger().nodes(store).await.map_err(explain)?;
    let checkpoints = desk.ledger().checkpoints().await.map_err(explain)?;
    let mut lines = Vec::new();
    for node in nodes.iter().filter(|node| node.is_in_service()) {
        for scope in [Scope::Store(node.store_code.clone()), Scope::Company] {
            let found = checkpoints.iter().find(|one| one.node_id == node.node_id && one.scope == scope);
            lines.push(line(node, &scope, found));
        }
    }
    let mut faults = desk.ledger().audit().await.map_err(explain)?.faults;
    for scope in lines.iter().map(|line| line.scope.clone()).collect::<std::collections::BTreeSet<_>>() {
        let Ok(scope) = scope.parse::<Scope>() else { continue };
        let kept = desk.ledger().sums(scope.clone(), false).await.map_err(explain)?;
        let right = desk.ledger().sums(scope.clone(), true).await.map_err(explain)?;
        if kept != right {
            let (kept, right) = (total(&kept), total(&right));
            faults.push(format!(
                "{scope}: the sum that is kept ({} of {} records) is not that of the records ({} of {})",
                kept.sum, kept.records, right.sum, right.records
            ));
        }
    }
    let count = |state: &str| lines.iter().filter(|line| line.state == state).count();
    let (different, open) = (count("different"), lines.len() - count("equal") - count("different"));
    let state = match (different + faults.len(), open) {
        (0, 0) => "equal",
        (0, _) => "not comparable",
        _ => "different",
    };
    let (faulty, report) = (faults.len(), Report { state, scopes: lines, faults });
    say(out, &if json { to_json(&report)? } else { in_words(&report) })?;
    match (different, faulty, open) {
        (0, 0, 0) => Ok(()),
        (0, 0, open) => Err(Failed(format!(
            "{open} scopes could not be compared yet; a node compares by itself once nothing waits on either side"
        ))),
        (different, faulty, _) => Err(Failed(format!(
            "{different} scopes are different and {faulty} faults were found here; while both sides serve they mend what can be mended, doctor tells what cannot"
        ))),
    }
}

fn line(node: &NodeRow, scope: &Scope, found: Option<&Checkpoint>) -> Line {
    Line {
        scope: scope.to_string(),
        node_id: node.node_id,
        name: node.name.clone(),
        state: match found.map(|one| one.state) {
            None => "never compared",
            Some(Compared::Equal) => "equal",
            Some(Compared::Different) => "different",
            Some(Compared::Behind) => "not comparable",
        },
        records: found.filter(|one| one.state != Compared::Behind).map(|one| one.sums.records),
        checked_at: found.map(|one| format_rfc3339(one.at_ms)),
        equal_at: found.and_then(|one| one.equal_ms).map(format_rfc3339),
        node_lacks: found.map_or(0, |one| one.node_lacks),
        hub_lacks: found.map_or(0, |one| one.hub_lacks),
        damaged: found.map_or(0, |one| one.damaged),
        mended: found.map_or(0, |one| one.mended),
    }
}

fn in_words(report: &Report) -> String {
    let mut said = Vec::new();
    for line in &report.scopes {
        let how = match (line.state, line.records) {
            ("not comparable", _) => {
                format!("the node is behind by {} changes, the hub by {}", line.node_lacks, line.hub_lacks)
            }
            (_, Some(records)) => format!("{records} records"),
            _ => "the node has not asked yet".to_owned(),
        };
        let at = line.checked_at.as_deref().unwrap_or("-");
        said.push(format!(
            "{:<18} {:<15} {how}, as of {at}; node {} ({})",
            line.scope, line.state, line.name, line.node_id
        ));
    }
    if report.scopes.is_empty() {
        said.push("there is no node to compare with".to_owned());
    }
    said.extend(report.faults.iter().map(|fault| format!("here: {fault}")));
    said.join("\n")
}
