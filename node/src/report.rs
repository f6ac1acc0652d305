//! `status`: says how far this folder's node is in step with headquarters. Reads the ledger and changes nothing in it.
//!
//! While a `serve` runs on the folder, its own notes about the link are told; else the hub is asked once, briefly.

use std::io::Write;
use std::time::Duration;

use chassis::disk;
use chassis::folder::DataFolder;
use desk::Desk;
use desk::ledger::{Identity, LinkState};
use sync_protocol::batch::MAX_PAGE_BYTES;
use sync_protocol::message::{PullRequest, path};
use tokio_util::sync::CancellationToken;

use crate::config::StatusConfig;
use crate::replicator::hub::{self, Call, Failure, Hub};
use crate::replicator::session::{cursors, node_status};
use crate::site::{self, SiteError};
use crate::status::{self, Status};

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there is no status; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no folder.
    #[error("there is no data folder {0}; check --data-dir, or make it with enroll")]
    NoFolder(String),
    /// It cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] desk::Error),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

/// Writes the status to `out`.
///
/// # Errors
/// [`ReportError`].
pub async fn run(config: StatusConfig, out: &mut impl Write) -> Result<(), ReportError> {
    let status = status_of(&config).await?;
    if config.json {
        let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        for (name, value) in status::lines(&status) {
            writeln!(out, "{name:<14}{value}")?;
        }
    }
    Ok(())
}

/// The status of the folder, as `status` shows it.
///
/// # Errors
/// [`ReportError`].
pub async fn status_of(config: &StatusConfig) -> Result<Status, ReportError> {
    if !config.data_dir.is_dir() {
        return Err(ReportError::NoFolder(config.data_dir.display().to_string()));
    }
    let disk = disk::survey(&config.data_dir, config.disk).ok();
    if !config.data_dir.join("ledger.sqlite").exists() {
        return Ok(Status { disk: disk.map(Into::into), ..status::unenrolled() });
    }
    let folder = DataFolder::open(&config.data_dir).map_err(SiteError::from)?;
    let (desk, _) = site::open(&folder, CancellationToken::new()).await?;
    let kept = desk.ledger().link_state().await?;
    let is_served = folder.is_served();
    let link = if is_served { kept } else { probed(&desk, kept).await? };
    let status = status::read(desk.ledger(), link, disk).await?;
    Ok(if is_served { status } else { status::unserved(status) })
}

/// Asks the hub once for what would come next, and takes nothing: only the hub itself can answer that with a proof.
async fn probed(desk: &Desk, kept: LinkState) -> Result<LinkState, ReportError> {
    let ledger = desk.ledger();
    let (Identity::Node(enrolment), Some(secret)) = (ledger.identity().await?, ledger.credential().await?) else {
        return Ok(kept);
    };
    let backlog = ledger.backlog().await?;
    let request = PullRequest {
        cursors: cursors(&enrolment.scopes, &ledger.cursors().await?, false),
        skip: vec![backlog.origin],
        limit: 1,
        wait_ms: 0,
        status: node_status(backlog.pending_changes, backlog.quarantined, kept.clock_offset_ms),
        looks: true,
    };
    let answer = match (hub::clients((&enrolment).into()), serde_json::to_vec(&request)) {
        (Ok(outbound), Ok(body)) => {
            let hub = Hub::new(
                outbound,
                &enrolment.hub_url,
                enrolment.node_id,
                secret,
                desk.ids().clone(),
                desk.clock().clone(),
            );
            hub.speak(ledger.hub_program().await?.protocol);
            let call = Call {
                path: path::PULL,
                media_type: "application/json",
                body,
                deadline: PATIENCE,
                most_bytes: MAX_PAGE_BYTES,
            };
            let answer = tokio::time::timeout(PATIENCE, hub.call(call)).await;
            answer.unwrap_or_else(|_| {
                Err(Failure::NoHub { why: format!("{}: no answer in time", enrolment.hub_url), retry_after: None })
            })
        }
        (Err(error), _) => Err(Failure::NoHub { why: error.to_string(), retry_after: None }),
        (_, Err(error)) => Err(Failure::nonsense(error)),
    };
    let reachable = !answer.as_ref().is_err_and(Failure::is_unheard);
    Ok(LinkState {
        hub_reachable: reachable,
        last_contact_ms: if reachable { Some(desk.now_ms()) } else { kept.last_contact_ms },
        last_error: answer.err().map(|failure| failure.to_string()),
        // Nothing runs that would try.
        next_try_ms: None,
        ..kept
    })
}
