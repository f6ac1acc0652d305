//! Listening: bounded in connections, patient with no one, and gone within the deadline.
//!
//! With TLS, a client that speaks plain HTTP is told where to go instead ([`plain`](super::plain)).
//!
//! Each connection is a task that holds one of a fixed number of places; when all are taken, new connections wait in
//! the kernel. No address holds more of them than [`Rates`] allow. A connection must bring its first request within [`HEADER_TIME`],
//! and every header within the same time after that; where nothing is asked any more, or nothing is taken of an answer, it is closed
//! after [`IDLE_TIME`] ([`still`](super::still)). When the shutdown begins, listening ends at once, requests in flight are
//! finished, idle connections close, one that was let in just before has [`LAST_WORD`] for its first request, and what is left after
//! [`Shutdown::DEADLINE`] is cut.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::rates::{Asker, Rates};
use super::still::{Patient, Seen, Traffic, Watch};
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
/// How long a connection may be without any request, and how long a client may take nothing of an answer. Whoever uses HTTP/2 may find
/// that it is up to twice as long: it is looked that often.
pub const IDLE_TIME: Duration = Duration::from_secs(60);
/// What may wait in the kernel to be sent over one connection, in bytes: a slow reader is seen to read only when that becomes less.
const UNSENT_BYTES: u32 = 128 * 1024;
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
    idle_time: Duration,
    door: Door,
    tls: Option<Arc<Tls>>,
    rates: Rates,
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
            idle_time: IDLE_TIME,
            door: Door { places, pulse: Pulse::default() },
            tls: None,
            rates: Rates::default(),
        }
    }

    /// The same with another patience than [`HEADER_TIME`].
    #[cfg(test)]
    pub(super) fn patient_for(self, header_time: Duration) -> Self {
        Self { header_time, ..self }
    }

    /// The same with another patience than [`IDLE_TIME`].
    #[cfg(test)]
    pub(super) fn resting_for(self, idle_time: Duration) -> Self {
        Self { idle_time, ..self }
    }

    /// With limits for each who asks; without, those of [`Rates::default`].
    #[must_use]
    pub fn limited_by(self, rates: Rates) -> Self {
        Self { rates, ..self }
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
        let Self { header_time, idle_time, room, door, tls, rates } = self;
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
            // What is refused is closed at once, and its place is free again.
            let from = origin(&stream, peer, &rates);
            let Some(share) = rates.connect(from) else {
                continue;
            };
            let connection = Connection {
                builder: Arc::clone(&builder),
                router: router.clone(),
                peer,
                asker: Asker::at(&rates, from),
                header_time,
                idle_time,
                stop: stop.clone(),
            };
            let (secured, counted) = (secured.clone(), Held::of(connections.clone()));
            open.spawn(async move {
                match secured {
                    None => connection.run(stream).await,
                    Some(secured) => connection.run_secured(stream, secured).await,
                }
                drop((place, share, counted));
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

/// Whom a connection is counted for. Who reaches this machine from an address of its own is one of its programs, the watchdog among them,
/// whichever address the service listens on; a proxy that is named by that address is what it is named.
fn origin(stream: &TcpStream, peer: SocketAddr, rates: &Rates) -> IpAddr {
    match stream.local_addr() {
        Ok(here) if here.ip() == peer.ip() && !rates.is_proxy(peer.ip()) => Ipv4Addr::LOCALHOST.into(),
        _ => peer.ip(),
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Small answers must not wait for the client's acknowledgement of the one before.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
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
    asker: Asker,
    header_time: Duration,
    idle_time: Duration,
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
        let Self { builder, router, peer, asker, header_time, idle_time, stop } = self;
        let traffic = Arc::new(Traffic::default());
        let stream = Patient::new(stream, idle_time, Arc::clone(&traffic));
        let seen = Arc::clone(&traffic);
        let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            let turn = seen.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(asker.clone());
            let answering = router.clone().oneshot(request.map(axum::body::Body::new));
            async move { answering.await.map(|response| response.map(|body| turn.ends_with(body))) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // The header timeout starts only once the protocol is known, which takes up to 24 bytes: too late for a
        // client that sends none, or three.
        let mut first_request = std::pin::pin!(tokio::time::sleep(header_time));
        let mut next_look = std::pin::pin!(tokio::time::sleep(idle_time));
        let mut watch = Watch::new(Arc::clone(&traffic));
        let ending = async {
            stop.cancelled().await;
            if !traffic.has_begun() {
                tokio::time::sleep(LAST_WORD).await;
            }
        };
        let mut ending = std::pin::pin!(ending);
        let mut waiting = true;
        let (mut stopping, mut leaving) = (false, false);
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
                    if !traffic.has_begun() {
                        return;
                    }
                }
                () = next_look.as_mut() => {
                    match watch.look() {
                        Seen::Busy => {}
                        // What was said goodbye to and is still here does not listen.
                        Seen::Idle if leaving => return,
                        Seen::Idle => {
                            leaving = true;
                            metrics::counter!("http_connections_closed_total", "why" => "idle").increment(1);
                            connection.as_mut().graceful_shutdown();
                        }
                        Seen::Stuck => {
                            metrics::counter!("http_connections_closed_total", "why" => "stalled").increment(1);
                            return;
                        }
                    }
                    next_look.as_mut().reset(Instant::now() + idle_time);
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
