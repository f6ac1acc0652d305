//! `trust`: by which certificates the hub is believed, changed without a new enrolment. A `serve` on the folder notices by itself.

use std::io::Write;
use std::time::Duration;

use chassis::folder::{DataFolder, FolderError};
use chassis::outbound::Method;
use desk::ledger::Identity;
use tokio_util::sync::CancellationToken;

use crate::config::TrustConfig;
use crate::replicator::hub::{self, Trust};
use crate::site::{self, SiteError};

/// How long the hub may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Why it was not changed; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The folder cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// There is no hub yet.
    #[error("this folder is not enrolled: give --fingerprint to enroll")]
    NotEnrolled,
    /// It has no certificate.
    #[error("{0} shows no certificate that could be pinned: the node was enrolled without TLS")]
    Plain(String),
    /// The hub does not show what it is to be believed by, or does not answer.
    #[error("{0}: {1}; nothing was changed")]
    Hub(String, String),
    /// The ledger.
    #[error("the ledger cannot be used: {0}")]
    Ledger(#[from] desk::Error),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<FolderError> for TrustError {
    fn from(error: FolderError) -> Self {
        Self::Site(error.into())
    }
}

/// Makes sure that the hub shows one of the certificates now, and keeps them.
///
/// # Errors
/// [`TrustError`]; nothing was changed then.
pub async fn run(config: TrustConfig, out: &mut impl Write) -> Result<(), TrustError> {
    let folder = DataFolder::open(&config.data_dir)?;
    let (desk, identity) = site::open(&folder, CancellationToken::new()).await?;
    let Identity::Node(enrolment) = identity else {
        return Err(TrustError::NotEnrolled);
    };
    let hub_url = enrolment.hub_url;
    if !hub_url.starts_with("https://") {
        return Err(TrustError::Plain(hub_url));
    }
    let trust = Trust { ca_pem: enrolment.ca_pem.as_deref(), pins: &config.pins };
    let failed = |error: &dyn std::fmt::Display| TrustError::Hub(hub_url.clone(), error.to_string());
    let outbound = hub::outbound(trust).map_err(|error| failed(&error))?;
    let address = hub::address(&hub_url, "/healthz").map_err(|error| failed(&error))?;
    let request = outbound.build(Method::GET, address).build().map_err(|error| failed(&error))?;
    // Whatever it answers, it has shown its certificate.
    let asked = tokio::time::timeout(DEADLINE, outbound.request(request)).await;
    asked.map_err(|_| failed(&"no answer in time"))?.map_err(|error| failed(&error))?;
    let pinned = config.pins.len();
    desk.ledger().set_trust(config.pins, enrolment.ca_pem).await?;
    match pinned {
        0 => writeln!(out, "{hub_url} is believed by what authorities vouch for, from now on")?,
        n => writeln!(out, "{hub_url} shows what it is to be believed by; {n} certificates are pinned from now on")?,
    }
    Ok(())
}
