//! The serving node: what is built of what, and in which order it ends.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::folder::DataFolder;
use chassis::http::{Server, Tls, announce, needs_tls};
use chassis::shutdown::Shutdown;
use chassis::systemd::{Systemd, Vital};
use chassis::telemetry;
use desk::ledger::Identity;
use desk::photos::heic::Opener;
use desk::versions;
use tokio::net::{TcpListener, lookup_host};

use crate::cache::FolderCache;
use crate::config::ServeConfig;
use crate::replicator::Replicator;
use crate::witness::Witness;
use crate::{http, inbox, site};

/// Why the node does not serve; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Serves until the shutdown is over.
///
/// # Errors
/// One line for standard error, when it cannot start or cannot go on.
pub async fn run(config: ServeConfig) -> Result<(), Failed> {
    telemetry::init(&config.telemetry).map_err(failed)?;
    let metrics = telemetry::install_metrics().map_err(failed)?;
    let shutdown = Shutdown::on_signals().map_err(failed)?;
    let address = resolve(&config.listen).await?;

    let folder = DataFolder::open(&config.data_dir).map_err(failed)?;
    let _lock = folder.lock().map_err(failed)?;
    let cache = FolderCache::opening(&folder.join("cache"), config.cache_bytes);
    let (desk, identity) = site::open_with(&folder, shutdown.token(), cache.clone()).await.map_err(failed)?;
    let witness = Arc::new(Witness::new(&folder));
    witness.check(&desk).await.map_err(failed)?;
    versions::catch_up(&desk).await.map_err(failed)?;
    desk.set_house(config.house);
    desk.open_heic_with(Opener::of_this_program());
    desk.set_scrub(config.scrub);
    if let Some(pins) = config.pins {
        desk.set_pins(pins);
    }
    let replicator = Replicator::new(desk.clone(), config.tempo).on_machine(site::machine(&folder));
    let is_secured = config.tls.always || needs_tls(address, config.plain_http);
    let tls = is_secured
        .then(|| Tls::new(config.tls.origin, desk.clock()).map(Arc::new))
        .transpose()
        .map_err(failed)?;
    let own_authority = tls.as_ref().is_some_and(|tls| tls.authority_pem().is_some());
    let reach = http::Reach { secured: tls.is_some(), own_authority };
    let router = http::router(&desk, replicator.board(), replicator.view(), reach, Some(metrics));

    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failed(format!("cannot listen on {address}: {error}; choose another address with --listen"))
    })?;
    let address = listener.local_addr().map_err(failed)?;
    let inbox = config.inbox.unwrap_or_else(|| folder.join("inbox"));
    desk.set_copies(vec![inbox.join("done"), inbox.join("failed")]);
    let server = Server::default().over(tls.clone());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).keep(shutdown.token()));
    }
    let vitals = vec![desk.vital(), Vital::turning("replicator", replicator.pulse()), server.door().vital(address)];
    let syncing = tokio::spawn(replicator.run(shutdown.token()));
    let working = tokio::spawn(desk.clone().work());
    let dropped = tokio::spawn(shutdown.token().run_until_cancelled_owned(inbox::run(desk.clone(), inbox)));
    let witnessing = tokio::spawn({
        let (witness, desk, stop) = (Arc::clone(&witness), desk.clone(), shutdown.token());
        async move { witness.keep(&desk, stop).await }
    });
    telemetry::introduce("aincident-node", env!("CARGO_PKG_VERSION"), desk.now_ms());
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "the node serves");
    if identity == Identity::Unenrolled {
        tracing::warn!(
            "not enrolled yet: get a one-time code from headquarters and run `aincident-node enroll` on this folder"
        );
    }
    Systemd::from_environment().serving(&format!("serves on {address}"), vitals, &shutdown);
    announce(address, tls.is_some()).map_err(|error| Failed(format!("cannot write to standard output: {error}")))?;
    server.serve(listener, router, shutdown).await.map_err(failed)?;
    if let Err(error) = dropped.await {
        tracing::warn!(%error, "the drop folder was not left in order");
    }
    if let Err(error) = working.await {
        tracing::warn!(%error, "the jobs did not end in order");
    }
    if let Err(error) = syncing.await {
        tracing::warn!(%error, "the replicator did not end in order");
    }
    if let Err(error) = witnessing.await {
        tracing::warn!(%error, "the witness did not end in order");
    }
    witness.close(&desk).await;
    if let Err(error) = tokio::task::spawn_blocking(move || cache.close()).await {
        tracing::warn!(%error, "the cache was not closed in order");
    }
    tracing::info!("the node has stopped");
    Ok(())
}

async fn resolve(listen: &str) -> Result<SocketAddr, Failed> {
    let wrong =
        |why: String| Failed(format!("cannot listen on {listen}: {why}; give ADDRESS:PORT, such as 127.0.0.1:7710"));
    let mut found = lookup_host(listen).await.map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("there is no such address".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
