//! Listening: bounded in connections, patient with no one, and gone within the deadline.
//!
//! Each connection is a task that holds one of a fixed number of places; when all are taken, new connections wait in
//! the kernel. A connection must bring its first request within [`HEADER_TIME`], and every header within
//! the same time after that. When the shutdown begins, listening ends at once, requests in flight are
//! finished, idle connections close, and what is left after [`Shutdown::DEADLINE`] is cut.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::shutdown::Shutdown;

/// Connections at once.
pub const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request's header; an idle connection is closed after it too.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// How long to wait after the system refused to accept (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves `router` on `listener` until the shutdown is over. Handlers may extract `ConnectInfo<SocketAddr>`.
///
/// # Errors
///
/// None at present; what goes wrong with one connection ends that connection.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
    serve_up_to(listener, router, shutdown, MAX_CONNECTIONS).await
}

/// [`serve`] with room for `connections` at once; one more waits to be accepted. Each takes a file descriptor, which the
/// system has to grant (`LimitNOFILE`).
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_up_to(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    connections: usize,
) -> io::Result<()> {
    serve_within(listener, router, shutdown, connections, HEADER_TIME).await
}

pub(super) async fn serve_within(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    connections: usize,
    header_time: Duration,
) -> io::Result<()> {
    let stop = shutdown.token();
    let places = Arc::new(Semaphore::new(connections));
    let builder = Arc::new(builder(header_time));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        let connection = Connection {
            builder: Arc::clone(&builder),
            router: router.clone(),
            peer,
            header_time,
            stop: stop.clone(),
        };
        open.spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(Shutdown::DEADLINE, drained).await.is_err() {
        tracing::warn!(connections = open.len(), "connections still open at the deadline were cut");
        open.shutdown().await;
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers must not wait for the client's acknowledgement of the one before.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

fn builder(header_time: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(64 * 1024);
    builder
}

struct Connection {
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    peer: SocketAddr,
    header_time: Duration,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let spoken = Arc::new(AtomicBool::new(false));
        let (heard, peer) = (Arc::clone(&spoken), self.peer);
        let service = self.router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
            heard.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(axum::body::Body::new)
        });
        let connection =
            self.builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
        // The header timeout starts only once the protocol is known, which takes up to 24 bytes: too late for a
        // client that sends none, or three.
        let mut first_request = std::pin::pin!(tokio::time::sleep(self.header_time));
        let mut waiting = true;
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(cause) = ended {
                        tracing::trace!(%cause, "a connection ended early");
                    }
                    return;
                }
                () = first_request.as_mut(), if waiting => {
                    waiting = false;
                    if !spoken.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Says on standard output, as its first line, where the service listens: `listening on http://ADDRESS`.
///
/// # Errors
///
/// When standard output is closed.
pub fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on http://{addr}")?;
    out.flush()
}

/// Whether the service may listen on `addr`: without TLS, only where nobody can listen in, unless that was asked for.
///
/// # Errors
///
/// One line that says what to do instead.
pub fn check_listen(addr: SocketAddr, plain_http: bool) -> Result<(), String> {
    if plain_http || addr.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "listening on {addr} would send passwords over the network unencrypted; listen on 127.0.0.1 behind a TLS proxy, or ask for plain HTTP explicitly"
    ))
}
