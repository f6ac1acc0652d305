//! Listening: bounded in connections, patient with no one, and gone within the deadline.
//!
//! With TLS, a client that speaks plain HTTP is told where to go instead ([`plain`](super::plain)).
//!
//! Each connection is a task that holds one of a fixed number of places; when all are taken, new connections wait in
//! the kernel. A connection must bring its first request within [`HEADER_TIME`], and every header within
//! the same time after that. When the shutdown begins, listening ends at once, requests in flight are
//! finished, idle connections close, one that was let in just before has [`LAST_WORD`] for its first request, and what is left after
//! [`Shutdown::DEADLINE`] is cut.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::tls::Tls;
use super::{plain, trust};
use crate::figures::Held;
use crate::pulse::Pulse;
use crate::shutdown::Shutdown;
use crate::systemd::Vital;

/// Connections at once.
pub const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request's header; an idle connection is closed after it too.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// How long a connection that has not asked for anything yet may still do so once the shutdown has begun: its client was let in, and
/// would otherwise be turned away though another program listens a moment later.
const LAST_WORD: Duration = Duration::from_millis(250);
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
    Server::default().serve(listener, router, shutdown).await
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct Server {
    header_time: Duration,
    /// How many connections there may be at once.
    room: usize,
    door: Door,
    tls: Option<Arc<Tls>>,
}

impl Default for Server {
    fn default() -> Self {
        Self::up_to(MAX_CONNECTIONS)
    }
}

impl Server {
    /// With room for `connections` at once; one more waits to be accepted. Each takes a file descriptor, which the
    /// system has to grant (`LimitNOFILE`).
    #[must_use]
    pub fn up_to(connections: usize) -> Self {
        let places = Arc::new(Semaphore::new(connections));
        Self {
            header_time: HEADER_TIME,
            room: connections,
            door: Door { places, pulse: Pulse::default() },
            tls: None,
        }
    }

    /// The same with another patience than [`HEADER_TIME`].
    #[cfg(test)]
    pub(super) fn patient_for(self, header_time: Duration) -> Self {
        Self { header_time, ..self }
    }

    /// With TLS, where there is some. A site that is its own authority then answers `/trust` and `/ca.pem`, too.
    #[must_use]
    pub fn over(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// What tells whether it still listens.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Serves `router` on `listener` until the shutdown is over.
    ///
    /// # Errors
    ///
    /// As [`serve`].
    pub async fn serve(self, listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
        let stop = shutdown.token();
        let Self { header_time, room, door, tls } = self;
        #[allow(clippy::cast_precision_loss, reason = "no system has room for so many")]
        metrics::gauge!("http_connections_limit").set(room as f64);
        let connections = metrics::gauge!("http_connections");
        // There from the start.
        connections.increment(0.0);
        let router = match &tls {
            // `/readyz` tells of a certificate that could not be renewed.
            Some(tls) => router.merge(trust::routes(tls)).layer(Extension(Arc::clone(tls))),
            None => router,
        };
        let secured = tls.map(|tls| Secured { acceptor: tls.acceptor(), plain: plain::routes(&tls) });
        let builder = Arc::new(builder(header_time));
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                () = door.pulse.beat() => continue,
                accepted = accept(&listener, &door.places) => accepted,
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
            let (secured, counted) = (secured.clone(), Held::of(connections.clone()));
            open.spawn(async move {
                match secured {
                    None => connection.run(stream).await,
                    Some(secured) => connection.run_secured(stream, secured).await,
                }
                drop((place, counted));
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
}

/// Tells whether a [`Server`] still listens.
#[derive(Clone, Debug)]
pub struct Door {
    places: Arc<Semaphore>,
    pulse: Pulse,
}

impl Door {
    /// [`Door::answers`] for the watchdog.
    #[must_use]
    pub fn vital(&self, address: SocketAddr) -> Vital {
        let door = self.clone();
        Vital::new("listener", move || {
            let door = door.clone();
            async move { door.answers(address).await }
        })
    }

    /// Returns once the server has answered a connection of its own to `address`, where it listens, and a request for `/healthz`,
    /// over plain HTTP also where there is TLS. While all places are taken it is enough that it still looks for free ones: a busy service is not
    /// a dead one.
    ///
    /// # Errors
    ///
    /// What it answered instead, or why it cannot be reached.
    pub async fn answers(&self, address: SocketAddr) -> Result<(), String> {
        self.pulse.felt().await;
        if self.places.available_permits() == 0 {
            return Ok(());
        }
        let line = ask_health(here(address)).await.map_err(|cause| cause.to_string())?;
        let status = line.split(' ').nth(1).unwrap_or_default();
        if status == "200" { Ok(()) } else { Err(format!("it answered {line:?}")) }
    }
}

/// Where a service that listens on `address` is reached from here.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The first line of the answer to a request for `/healthz`.
async fn ask_health(address: SocketAddr) -> io::Result<String> {
    /// A status line is shorter.
    const MOST_BYTES: usize = 64;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(MOST_BYTES);
    stream.take(MOST_BYTES as u64).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
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

/// What a connection needs where there is TLS.
#[derive(Clone)]
struct Secured {
    acceptor: TlsAcceptor,
    /// For those who do not speak it.
    plain: Router,
}

/// The first byte of whoever speaks TLS; no method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Returns when the shutdown has begun, and whoever was let in before has had time to say what they came for.
async fn last_word(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_WORD).await;
}

struct Connection {
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    peer: SocketAddr,
    header_time: Duration,
    stop: CancellationToken,
}

impl Connection {
    /// Finds out what the client speaks first.
    async fn run_secured(self, stream: TcpStream, secured: Secured) {
        let patience = self.header_time;
        let stop = self.stop.clone();
        let hello = async {
            let mut first = [0];
            stream.peek(&mut first).await.ok().filter(|read| *read > 0)?;
            Some(first[0] == TLS_HANDSHAKE)
        };
        let speaks_tls = tokio::select! {
            () = last_word(&stop) => return,
            heard = tokio::time::timeout(patience, hello) => heard.ok().flatten(),
        };
        match speaks_tls {
            None => {}
            Some(false) => Self { router: secured.plain, ..self }.run(stream).await,
            Some(true) => match tokio::time::timeout(patience, secured.acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.run(stream).await,
                Ok(Err(cause)) => tracing::debug!(%cause, peer = %self.peer, "no TLS with a client"),
                Err(_) => {}
            },
        }
    }

    async fn run(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
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
        let ending = async {
            self.stop.cancelled().await;
            if !spoken.load(Ordering::Relaxed) {
                tokio::time::sleep(LAST_WORD).await;
            }
        };
        let mut ending = std::pin::pin!(ending);
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
                () = ending.as_mut(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Says on standard output, as its first line, where the service listens: `listening on http://ADDRESS`, or `https`.
///
/// # Errors
///
/// When standard output is closed.
pub fn announce(addr: SocketAddr, tls: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}://{addr}", if tls { "https" } else { "http" })?;
    out.flush()
}

/// Whether the service needs TLS on `addr`: everywhere but where nobody can listen in, unless plain HTTP was asked for.
#[must_use]
pub fn needs_tls(addr: SocketAddr, plain_http: bool) -> bool {
    !plain_http && !addr.ip().to_canonical().is_loopback()
}
