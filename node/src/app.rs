//! The serving node: what is built of what, and in which order it ends.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use chassis::disk::Guard;
use chassis::folder::DataFolder;
use chassis::http::{Door, Rates, Server, Tls, announce, needs_tls};
use chassis::mdns::{self, Service};
use chassis::reload::Hangups;
use chassis::shutdown::Shutdown;
use chassis::systemd::{Systemd, Vital, socket};
use chassis::telemetry;
use desk::Desk;
use desk::ledger::Identity;
use desk::notifications::Notifier;
use desk::photos::heic::Opener;
use desk::versions;
use tokio::net::lookup_host;

use crate::cache::FolderCache;
use crate::config::ServeConfig;
use crate::reload::{self, Again, Settings};
use crate::replicator::Replicator;
use crate::replicator::view::View;
use crate::witness::Witness;
use crate::{figures, http, inbox, site};

/// Where the end of an id begins that people are shown: 8 of its 32 digits, those that are random.
const SHORT_ID: usize = 24;

/// Why the node does not serve; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// What the node cannot do without: while one of these does not answer, the watchdog is not fed.
#[must_use]
pub fn vitals(desk: &Desk, replicator: &Replicator, door: &Door, address: SocketAddr) -> Vec<Vital> {
    vec![desk.vital(), replicator.vital(), door.vital(address)]
}

/// Serves until the shutdown is over, on `handed_over` where systemd holds the socket; `again` reads the configuration anew.
///
/// # Errors
/// One line for standard error, when it cannot start or cannot go on.
pub async fn run(config: ServeConfig, handed_over: Option<TcpListener>, again: Again) -> Result<(), Failed> {
    telemetry::init(&config.telemetry, "aincident-node").map_err(failed)?;
    let hangups = Hangups::listen().map_err(failed)?;
    let metrics = telemetry::install_metrics().map_err(failed)?;
    figures::begin();
    let shutdown = Shutdown::on_signals().map_err(failed)?;
    let address = match &handed_over {
        Some(listener) => listener.local_addr().map_err(failed)?,
        None => resolve(&config.listen).await?,
    };
    let systemd = Systemd::from_environment();
    let starting = systemd.starting();

    let folder = DataFolder::open(&config.data_dir).map_err(failed)?;
    let mut lock = folder.lock().map_err(failed)?;
    let guard = Guard::open(folder.path(), config.disk);
    tokio::spawn(guard.clone().keep(shutdown.token()));
    let cache = FolderCache::opening(&folder.join("cache"), config.cache_bytes, guard.clone());
    let (desk, identity) = site::open_with(&folder, shutdown.token(), cache.clone(), guard).await.map_err(failed)?;
    let witness = Arc::new(Witness::new(&folder));
    witness.check(&desk).await.map_err(failed)?;
    versions::catch_up(&desk).await.map_err(failed)?;
    let (config, version) = reload::over_headquarters(&again, config, &desk).await;
    let now = config.clone();
    desk.set_house(config.house);
    desk.open_heic_with(Opener::of_this_program());
    desk.set_scrub(config.scrub);
    chassis::slow::set(config.slow);
    chassis::backup::series::expect(config.backups);
    desk.set_notifier(Notifier::new(config.mail, config.webhooks, Box::new(pages::Letters)).map_err(failed)?);
    if let Some(pins) = config.pins {
        desk.set_pins(pins);
    }
    let replicator = Replicator::new(desk.clone(), config.tempo)
        .on_machine(site::machine(&folder))
        .looked()
        .await
        .map_err(failed)?;
    let is_secured = config.tls.always || needs_tls(address, config.plain_http);
    let tls = is_secured
        .then(|| Tls::new(config.tls.origin, desk.clock()).map(Arc::new))
        .transpose()
        .map_err(failed)?;
    if let Some(tls) = &tls {
        let desk = desk.clone();
        tls.doubted_by(move || site::is_clock_doubted(&desk));
    }
    let own_authority = tls.as_ref().is_some_and(|tls| tls.authority_pem().is_some());
    let reach = http::Reach { secured: tls.is_some(), own_authority };
    let router = http::router(&desk, replicator.board(), replicator.view(), reach, Some(metrics));

    if handed_over.is_some() {
        tracing::info!(%address, "listens on the socket that systemd holds; `listen` of the configuration counts for nothing");
    }
    let listener = socket::listen(handed_over, address).await.map_err(|error| {
        Failed(format!("cannot listen on {address}: {error}; choose another address with --listen"))
    })?;
    let address = listener.local_addr().map_err(failed)?;
    let inbox = config.inbox.unwrap_or_else(|| folder.join("inbox"));
    desk.set_copies(vec![inbox.join("done"), inbox.join("failed")]);
    let rates = Rates::new(config.limits);
    let server = Server::default().limited_by(rates.clone()).over(tls.clone());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).keep(shutdown.token()));
    }
    let vitals = vitals(&desk, &replicator, &server.door(), address);
    tokio::spawn(chassis::backup::series::measure(config.data_dir, shutdown.token()));
    let settings = Settings { again, now, version, desk: desk.clone(), replicator: replicator.clone(), rates };
    tokio::spawn(shutdown.token().run_until_cancelled_owned(settings.keep(hangups)));
    let told = (config.mdns && !address.ip().is_loopback()).then(|| {
        let view = replicator.view();
        let service = move || announced(address, is_secured, &view.borrow());
        tokio::spawn(mdns::announce(service, shutdown.token()))
    });
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
    // For commands on the same folder.
    lock.note(address, tls.is_some()).map_err(failed)?;
    drop(starting);
    systemd.serving(&format!("serves on {address}"), vitals, &shutdown);
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
    if let Some(told) = told
        && let Err(error) = told.await
    {
        tracing::warn!(%error, "the announcement was not taken back in order");
    }
    if let Err(error) = witnessing.await {
        tracing::warn!(%error, "the witness did not end in order");
    }
    witness.close(&desk).await;
    if let Err(error) = tokio::task::spawn_blocking(move || cache.close()).await {
        tracing::warn!(%error, "the cache was not closed in order");
    }
    tracing::info!("the node has stopped");
    telemetry::close().await;
    Ok(())
}

/// What the network is told of the node.
fn announced(address: SocketAddr, tls: bool, view: &View) -> Service {
    let store = view.enrolment.as_ref().map(|enrolment| enrolment.store_code.as_str());
    // Two PCs of a store are told apart by it.
    let machine = chassis::machine::host_name()
        .or_else(|| Some(view.enrolment.as_ref()?.node_id.simple().to_string().split_off(SHORT_ID)));
    let machine = machine.map_or_else(String::new, |machine| format!(" ({machine})"));
    let named = format!("A.I.ncident {}{machine}", store.unwrap_or("without a store"));
    let texts = [("version", env!("CARGO_PKG_VERSION")), ("scheme", if tls { "https" } else { "http" })];
    let texts = texts.into_iter().chain(store.map(|store| ("store", store)));
    Service {
        instance: named,
        kind: "_aincident",
        port: address.port(),
        texts: texts.map(|(name, value)| format!("{name}={value}")).collect(),
        only: match address.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        },
    }
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
