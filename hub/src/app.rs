//! The serving hub: what is built of what, and in which order it ends.

use crate::config::ServeConfig;
use crate::intake::{Intake, histories};
use crate::reload::{Again, Settings};
use crate::setup::Setup;
use crate::{fleet, http, site};
use chassis::disk::Guard;
use chassis::folder::DataFolder;
use chassis::http::{Server, Tls, announce, needs_tls};
use chassis::outbound::Pin;
use chassis::reload::Hangups;
use chassis::shutdown::Shutdown;
use chassis::systemd::Systemd;
use chassis::telemetry;
use desk::notifications::Notifier;
use desk::photos::heic::Opener;
use desk::versions;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, lookup_host};

/// Most connections at once: every node of a large company waits for news on one of its own, and people come on top.
const MAX_CONNECTIONS: usize = 12_000;

/// How long the hub waits for a first node before it does by itself what there is to do: after a break nodes call within seconds.
const FIRST_CALL: Duration = Duration::from_secs(15);

/// Why the hub does not serve; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Serves until the shutdown is over; `again` reads the configuration anew.
///
/// # Errors
/// One line for standard error, when it cannot start or cannot go on.
pub async fn run(config: ServeConfig, again: Again) -> Result<(), Failed> {
    telemetry::init(&config.telemetry, "aincident-hub").map_err(failed)?;
    let hangups = Hangups::listen().map_err(failed)?;
    let now = config.clone();
    let metrics = telemetry::install_metrics().map_err(failed)?;
    let shutdown = Shutdown::on_signals().map_err(failed)?;
    let address = resolve(&config.listen).await?;

    let folder = DataFolder::open(&config.data_dir).map_err(failed)?;
    let mut lock = folder.lock().map_err(failed)?;
    let guard = Guard::open(folder.path(), config.disk);
    tokio::spawn(guard.clone().keep(shutdown.token()));
    let (desk, identity) = site::open_guarded(&folder, shutdown.token(), guard).await.map_err(failed)?;
    desk.set_house(config.house);
    desk.open_heic_with(Opener::of_this_program());
    desk.take_photo_limits(config.photos).await.map_err(failed)?;
    versions::catch_up(&desk).await.map_err(failed)?;
    desk.set_scrub(config.scrub);
    chassis::slow::set(config.slow);
    desk.set_notifier(Notifier::new(config.mail, config.webhooks, Box::new(pages::Letters)).map_err(failed)?);
    histories::after_restore(&desk).await.map_err(failed)?;
    let intake = Intake::start(desk.clone(), &identity, shutdown.token()).map_err(failed)?;
    let is_secured = config.tls.always || needs_tls(address, config.plain_http);
    let tls = is_secured
        .then(|| Tls::new(config.tls.origin, desk.clock()).map(Arc::new))
        .transpose()
        .map_err(failed)?;
    let setup = Setup::prepare(desk.clone(), &folder).await.map_err(failed)?;
    let own = tls.clone();
    let authority = Arc::new(move || Pin::of_pem(&own.as_ref()?.authority_pem()?));
    let router = http::with_setup(&desk, intake.clone(), Some(metrics), setup, authority);

    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failed(format!("cannot listen on {address}: {error}; choose another address with --listen"))
    })?;
    let address = listener.local_addr().map_err(failed)?;
    let (own, first, ending) = (desk.clone(), intake.clone(), shutdown.token());
    let working = tokio::spawn(async move {
        // Work that begins after the program was asked to end is over at once.
        tokio::select! {
            () = first.first_call(FIRST_CALL) => {}
            () = ending.cancelled() => {}
        }
        own.work().await;
    });
    tokio::spawn(chassis::backup::series::measure(config.data_dir, shutdown.token()));
    let settings = Settings { again, now, desk: desk.clone() };
    tokio::spawn(shutdown.token().run_until_cancelled_owned(settings.keep(hangups)));
    let measuring = tokio::spawn(fleet::measure(desk.clone(), shutdown.token()));
    telemetry::introduce("aincident-hub", env!("CARGO_PKG_VERSION"), desk.now_ms());
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "the hub serves");
    let server = Server::up_to(MAX_CONNECTIONS).over(tls.clone());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).keep(shutdown.token()));
    }
    let vitals = vec![desk.vital(), server.door().vital(address)];
    // For commands on the same folder.
    lock.note(address, tls.is_some()).map_err(failed)?;
    Systemd::from_environment().serving(&format!("serves on {address}"), vitals, &shutdown);
    announce(address, tls.is_some()).map_err(|error| Failed(format!("cannot write to standard output: {error}")))?;
    server.serve(listener, router, shutdown).await.map_err(failed)?;
    if let Err(error) = measuring.await {
        tracing::warn!(%error, "the fleet was not counted to the end");
    }
    if let Err(error) = working.await {
        tracing::warn!(%error, "the jobs did not end in order");
    }
    tracing::info!("the hub has stopped");
    telemetry::close().await;
    Ok(())
}

async fn resolve(listen: &str) -> Result<SocketAddr, Failed> {
    let wrong =
        |why: String| Failed(format!("cannot listen on {listen}: {why}; give ADDRESS:PORT, such as 127.0.0.1:7700"));
    let mut found = lookup_host(listen).await.map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("there is no such address".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
