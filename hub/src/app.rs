//! The serving hub: what is built of what, and in which order it ends.

use crate::config::ServeConfig;
use crate::intake::{Intake, histories};
use crate::reload::{Again, Settings};
use crate::setup::Setup;
use crate::{authority, figures, fleet, http, site};
use chassis::disk::Guard;
use chassis::folder::DataFolder;
use chassis::http::{Door, Rates, Server, Tls, announce, needs_tls};
use chassis::outbound::Pin;
use chassis::reload::Hangups;
use chassis::shutdown::Shutdown;
use chassis::systemd::{Systemd, Vital, socket};
use chassis::telemetry;
use desk::Desk;
use desk::notifications::Notifier;
use desk::photos::heic::Opener;
use desk::versions;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;

/// Most connections at once: every node of a large company waits for news on one of its own, and people come on top.
const MAX_CONNECTIONS: usize = 12_000;

/// How long the hub waits for a first node before it does by itself what there is to do: after a break nodes call within seconds.
const FIRST_CALL: Duration = Duration::from_secs(15);

/// Why the hub does not serve; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// What the hub cannot do without: while one of these does not answer, the watchdog is not fed.
#[must_use]
pub fn vitals(desk: &Desk, door: &Door, address: SocketAddr) -> Vec<Vital> {
    vec![desk.vital(), door.vital(address)]
}

/// Serves until the shutdown is over, on `handed_over` where systemd holds the socket; `again` reads the configuration anew.
///
/// # Errors
/// One line for standard error, when it cannot start or cannot go on.
pub async fn run(config: ServeConfig, handed_over: Option<TcpListener>, again: Again) -> Result<(), Failed> {
    telemetry::init(&config.telemetry, "aincident-hub").map_err(failed)?;
    let hangups = Hangups::listen().map_err(failed)?;
    let now = config.clone();
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
    let (desk, identity) = site::open_guarded(&folder, shutdown.token(), guard).await.map_err(failed)?;
    desk.set_house(config.house);
    desk.open_heic_with(Opener::of_this_program());
    desk.take_photo_limits(config.photos).await.map_err(failed)?;
    versions::catch_up(&desk).await.map_err(failed)?;
    desk.set_scrub(config.scrub);
    chassis::slow::set(config.slow);
    chassis::backup::series::expect(config.backups);
    desk.set_notifier(Notifier::new(config.mail, config.webhooks, Box::new(pages::Letters)).map_err(failed)?);
    histories::after_restore(&desk).await.map_err(failed)?;
    let intake = Intake::start(desk.clone(), &identity, shutdown.token()).map_err(failed)?;
    let is_secured = config.tls.always || needs_tls(address, config.plain_http);
    let tls = if is_secured {
        let followers = authority::followers(&desk, &folder.join("tls")).await;
        Some(Arc::new(Tls::followed(config.tls.origin, desk.clock(), followers).map_err(failed)?))
    } else {
        None
    };
    if let Some(tls) = &tls {
        // Before the first node says hello.
        authority::announce(&intake, tls);
    }
    let setup = Setup::prepare(desk.clone(), &folder).await.map_err(failed)?;
    let own = tls.clone();
    let authority = Arc::new(move || Pin::of_pem(&own.as_ref()?.authority_pem()?));
    let router = http::with_setup(&desk, intake.clone(), Some(metrics), setup, authority);

    if handed_over.is_some() {
        tracing::info!(%address, "listens on the socket that systemd holds; `listen` of the configuration counts for nothing");
    }
    let listener = socket::listen(handed_over, address).await.map_err(|error| {
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
    let rates = Rates::new(config.limits);
    let settings = Settings { again, now, desk: desk.clone(), rates: rates.clone() };
    tokio::spawn(shutdown.token().run_until_cancelled_owned(settings.keep(hangups)));
    let measuring = tokio::spawn(fleet::measure(desk.clone(), shutdown.token()));
    telemetry::introduce("aincident-hub", env!("CARGO_PKG_VERSION"), desk.now_ms());
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "the hub serves");
    let server = Server::up_to(MAX_CONNECTIONS).limited_by(rates).over(tls.clone());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).keep(shutdown.token()));
        let followed = authority::keep(desk.clone(), intake.clone(), Arc::clone(tls));
        tokio::spawn(shutdown.token().run_until_cancelled_owned(followed));
    }
    let vitals = vitals(&desk, &server.door(), address);
    // For commands on the same folder.
    lock.note(address, tls.is_some()).map_err(failed)?;
    drop(starting);
    systemd.serving(&format!("serves on {address}"), vitals, &shutdown);
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
