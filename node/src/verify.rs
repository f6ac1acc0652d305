//! `verify`: whether this node holds what headquarters holds. Changes nothing, on either side.
//!
//! What is compared is summed anew from the records as they are, so that it also finds what only the disk knows of; and the
//! node's own tables are compared with what its changes say.

use std::io::Write;
use std::time::{Duration, Instant};

use chassis::folder::DataFolder;
use desk::Desk;
use desk::ledger::{Enrolment, Identity};
use serde::Serialize;
use sync_protocol::checksum::{ChecksumsAnswer, Compared};
use tokio_util::sync::CancellationToken;

use crate::config::StatusConfig;
use crate::replicator::hub::{self, Hub};
use crate::replicator::proof::{Trouble, ask, first, locate, worst};
use crate::site::{self, SiteError};

/// While changes are on their way, in either direction, it is asked again for this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(500);
/// Records that differ, named in the answer.
const MAX_NAMED: usize = 20;

/// Why the answer is not "equal"; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no folder.
    #[error("there is no data folder {0}; check --data-dir")]
    NoFolder(String),
    /// It cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Nobody to compare with.
    #[error("not enrolled: get a one-time code from headquarters and run aincident-node enroll")]
    NotEnrolled,
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] desk::Error),
    /// They differ.
    #[error(
        "different: {0} records and {1} faults of this node's own; while both sides serve they mend what can be mended, doctor tells what cannot"
    )]
    Different(usize, usize),
    /// There is nothing to compare.
    #[error("not comparable yet: {0}")]
    NotYet(String),
    /// The hub.
    #[error("headquarters cannot be asked: {0}; this node's own records are what its changes say")]
    Unreachable(String),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

/// How one scope compares.
#[derive(Serialize)]
struct Line {
    scope: String,
    state: &'static str,
    records: u64,
    node_lacks: u64,
    hub_lacks: u64,
    differing: Vec<String>,
    in_quarantine: u64,
}

#[derive(Serialize)]
struct Report {
    state: &'static str,
    scopes: Vec<Line>,
    faults: Vec<String>,
    detail: Option<String>,
}

/// Compares and writes the answer to `out`.
///
/// # Errors
/// [`VerifyError`] for everything but "equal".
pub async fn run(config: StatusConfig, out: &mut impl Write) -> Result<(), VerifyError> {
    if !config.data_dir.join("ledger.sqlite").exists() {
        return Err(VerifyError::NoFolder(config.data_dir.display().to_string()));
    }
    let folder = DataFolder::open(&config.data_dir).map_err(SiteError::from)?;
    let (desk, identity) = site::open(&folder, CancellationToken::new()).await?;
    let Identity::Node(enrolment) = identity else {
        return Err(VerifyError::NotEnrolled);
    };
    let faults = desk.ledger().audit().await?.faults;
    let mut report = Report { state: "unreachable", scopes: Vec::new(), faults, detail: None };
    let differing = match compare(&desk, &enrolment).await {
        Ok(scopes) => {
            let has = |state| scopes.iter().any(|line: &Line| line.state == state);
            report.state = if has("different") {
                "different"
            } else if has("not comparable") {
                "not comparable"
            } else {
                "equal"
            };
            let differing = scopes.iter().map(|line| line.differing.len()).sum();
            report.scopes = scopes;
            differing
        }
        Err(Trouble::Ledger(error)) => return Err(error.into()),
        Err(Trouble::Link(failure)) => {
            report.detail = Some(failure.to_string());
            0
        }
    };
    if !report.faults.is_empty() {
        report.state = "different";
    }
    if config.json {
        let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        tell(&report, out)?;
    }
    match report.state {
        "equal" => Ok(()),
        "different" => Err(VerifyError::Different(differing, report.faults.len())),
        "unreachable" => Err(VerifyError::Unreachable(report.detail.unwrap_or_default())),
        _ => {
            let lacks = |ours: bool| -> u64 {
                report.scopes.iter().map(|line| if ours { line.node_lacks } else { line.hub_lacks }).sum()
            };
            Err(VerifyError::NotYet(format!(
                "this node lacks {} changes and headquarters {}; try again once they have crossed",
                lacks(true),
                lacks(false)
            )))
        }
    }
}

fn tell(report: &Report, out: &mut impl Write) -> Result<(), std::io::Error> {
    for line in &report.scopes {
        let how = match line.state {
            "not comparable" => {
                format!("this node lacks {} changes, headquarters {}", line.node_lacks, line.hub_lacks)
            }
            _ => format!("{} records", line.records),
        };
        writeln!(out, "{:<18} {:<15} {how}", line.scope, line.state)?;
        for id in &line.differing {
            writeln!(out, "  {id}")?;
        }
        if line.in_quarantine > 0 {
            writeln!(out, "  {} records differ because changes of theirs are in quarantine", line.in_quarantine)?;
        }
    }
    for fault in &report.faults {
        writeln!(out, "here: {fault}")?;
    }
    Ok(())
}

async fn compare(desk: &Desk, enrolment: &Enrolment) -> Result<Vec<Line>, Trouble> {
    let secret = desk.ledger().credential().await?.unwrap_or_default();
    let outbound = hub::clients(enrolment.into()).map_err(|error| Trouble::Link(hub_gone(&error)))?;
    let (ids, clock) = (desk.ids().clone(), desk.clock().clone());
    let hub = Hub::new(outbound, &enrolment.hub_url, enrolment.node_id, secret, ids, clock);
    let began = Instant::now();
    loop {
        let Some(holding) = desk.ledger().holding(true).await? else {
            return Ok(Vec::new());
        };
        let answer = ask(&hub, &first(desk, &holding).await?).await?;
        if worst(&answer) == Compared::Behind && began.elapsed() < PATIENCE {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let mut found = Vec::new();
        if worst(&answer) == Compared::Different {
            found = locate(desk, &hub, &holding, &answer, true).await?;
        }
        return Ok(answer.scopes.keys().map(|scope| line(scope, &holding, &answer, &found)).collect());
    }
}

fn line(
    scope: &sync_protocol::scope::Scope,
    holding: &desk::ledger::Holding,
    answer: &ChecksumsAnswer,
    found: &[crate::replicator::proof::Found],
) -> Line {
    let theirs = &answer.scopes[scope];
    let found = found.iter().find(|found| &found.scope == scope);
    let is_explained = found.is_some_and(|found| found.records.is_empty() && found.aside > 0);
    Line {
        scope: scope.to_string(),
        state: match theirs.state {
            Compared::Equal => "equal",
            Compared::Different if is_explained => "equal",
            Compared::Different => "different",
            Compared::Behind => "not comparable",
        },
        records: holding.total(scope).records,
        node_lacks: theirs.node_lacks,
        hub_lacks: theirs.hub_lacks,
        differing: found
            .map(|found| found.records.iter().take(MAX_NAMED).map(ToString::to_string).collect())
            .unwrap_or_default(),
        in_quarantine: found.map_or(0, |found| found.aside),
    }
}

fn hub_gone(error: &impl std::fmt::Display) -> hub::Failure {
    hub::Failure::NoHub { why: error.to_string(), retry_after: None }
}
