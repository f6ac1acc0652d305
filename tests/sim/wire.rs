//! The network between nodes and hubs: what is sent arrives late, twice, cut, or not at all, and so does what is answered.
//!
//! Everything under way is polled by one task in one order, so that a seed is one run: tokio wakes those who wait for the
//! same thing in an order that changes from run to run, and that must not decide who is served first.

use crate::bugs::Planted;
use crate::disk::SimDisk;
use crate::faults::{Coverage, Fault};
use crate::older;
use crate::trace::Trace;
use aincident_tests::random::Rng;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use chassis::outbound::{Carrier, OutboundError, Request, Response};
use futures::future::BoxFuture;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use sync_protocol::message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Larger than anything a run sends.
const MOST_BYTES: usize = 64 << 20;

/// How bad a line is: shares of all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    pub request_lost: f64,
    pub answer_lost: f64,
    pub twice: f64,
    pub late: f64,
    pub request_cut: f64,
    pub answer_cut: f64,
    pub portal: f64,
    pub stale: f64,
}

impl Weather {
    /// Every kind now and then.
    pub fn bad(rng: &mut Rng) -> Self {
        let mut share = || if rng.chance(0.5) { 0.0 } else { rng.below(15) as f64 / 100.0 };
        Self {
            request_lost: share(),
            answer_lost: share(),
            twice: share(),
            late: share(),
            request_cut: share(),
            answer_cut: share(),
            portal: share(),
            stale: share(),
        }
    }
}

/// A hub that can be reached.
#[derive(Clone)]
struct Port {
    router: Router,
    stop: CancellationToken,
    disk: Arc<SimDisk>,
}

/// The network.
pub struct Wire {
    ports: Mutex<BTreeMap<String, Port>>,
    /// Hubs whose program is of the version before.
    older: Mutex<BTreeSet<String>>,
    under_way: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    pub coverage: Arc<Coverage>,
    pub trace: Arc<Trace>,
    /// What is wrong with the hub, where the simulator itself is tested.
    pub bug: Option<Arc<Planted>>,
}

impl Wire {
    /// An empty network, whose traffic moves for as long as the runtime does.
    pub fn start(coverage: &Arc<Coverage>, trace: &Arc<Trace>, bug: Option<Arc<Planted>>) -> Arc<Self> {
        let (under_way, arriving) = mpsc::unbounded_channel();
        tokio::spawn(move_all(arriving));
        Arc::new(Self {
            ports: Mutex::default(),
            older: Mutex::default(),
            under_way,
            coverage: Arc::clone(coverage),
            trace: Arc::clone(trace),
            bug,
        })
    }

    /// A hub answers at `host` until its disk dies or it is stopped.
    pub fn plug(&self, host: &str, router: Router, stop: CancellationToken, disk: Arc<SimDisk>) {
        self.ports.lock().unwrap().insert(host.to_owned(), Port { router, stop, disk });
    }

    fn port(&self, host: &str) -> Option<Port> {
        let port = self.ports.lock().unwrap().get(host).cloned();
        port.filter(|port| !port.disk.is_dead() && !port.stop.is_cancelled())
    }

    /// The hub at `host` has the program of the version before, or today's.
    pub fn set_older(&self, host: &str, is_older: bool) {
        let mut older = self.older.lock().unwrap();
        if is_older {
            older.insert(host.to_owned())
        } else {
            older.remove(host)
        };
    }

    pub fn is_older(&self, host: &str) -> bool {
        self.older.lock().unwrap().contains(host)
    }

    /// Something that goes on whether or not anybody waits for it.
    pub fn spawn(&self, future: BoxFuture<'static, ()>) {
        let _ = self.under_way.send(future);
    }

    /// One request, without any fault; none when nobody answers, or the hub dies meanwhile.
    pub async fn deliver(&self, host: &str, request: http::Request<Body>) -> Option<http::Response<Bytes>> {
        let port = self.port(host)?;
        let request = if self.is_older(host) {
            self.coverage.reached(Fault::OlderHub);
            match older::heard_by_a_hub(request).await {
                Ok(request) => request,
                Err(refused) => return refused,
            }
        } else {
            request
        };
        let answer = async {
            let (parts, body) = port.router.oneshot(request).await.ok()?.into_parts();
            Some(http::Response::from_parts(parts, to_bytes(body, MOST_BYTES).await.ok()?))
        };
        let answer = port.stop.run_until_cancelled(answer).await??;
        (!port.disk.is_dead()).then_some(answer)
    }
}

/// Polls everything under way in the order in which it set out.
async fn move_all(mut arriving: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>) {
    let mut all: Vec<BoxFuture<'static, ()>> = Vec::new();
    poll_fn(|context| {
        while let Poll::Ready(Some(future)) = arriving.poll_recv(context) {
            all.push(future);
        }
        all.retain_mut(|future| future.as_mut().poll(context).is_pending());
        Poll::<()>::Pending
    })
    .await;
}

/// One node's line.
pub struct Line {
    wire: Arc<Wire>,
    name: String,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    weather: Weather,
    up: bool,
    /// The program is of the version before.
    older: bool,
    /// Another hub than the one it asks for answers.
    astray: Option<String>,
    /// The process whose line it is; what is left of an earlier one reaches nobody.
    disk: Option<Arc<SimDisk>>,
    last: Option<http::Response<Bytes>>,
}

/// What happens to one request.
struct Fate {
    delay: Duration,
    lost: bool,
    cut: bool,
    again: Option<Duration>,
    answer_lost: bool,
    answer_cut: bool,
    portal: bool,
    stale: bool,
}

impl Line {
    pub fn new(wire: &Arc<Wire>, name: &str, rng: Rng) -> Arc<Self> {
        let state = State {
            rng,
            weather: Weather::default(),
            up: true,
            older: false,
            astray: None,
            disk: None,
            last: None,
        };
        Arc::new(Self { wire: Arc::clone(wire), name: name.to_owned(), state: Mutex::new(state) })
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state.lock().unwrap().weather = weather;
    }

    pub fn set_up(&self, up: bool) {
        self.state.lock().unwrap().up = up;
    }

    pub fn set_older(&self, is_older: bool) {
        self.state.lock().unwrap().older = is_older;
    }

    pub fn is_older(&self) -> bool {
        self.state.lock().unwrap().older
    }

    pub fn lead_astray(&self, host: Option<String>) {
        self.state.lock().unwrap().astray = host;
    }

    pub fn belongs_to(&self, disk: Arc<SimDisk>) {
        let mut state = self.state.lock().unwrap();
        (state.disk, state.last) = (Some(disk), None);
    }

    fn fate(&self) -> Option<(Fate, Option<String>)> {
        let mut state = self.state.lock().unwrap();
        if !state.up {
            self.wire.coverage.reached(Fault::LineDown);
            return None;
        }
        if state.disk.as_ref().is_none_or(|disk| disk.is_dead()) {
            return None;
        }
        let (weather, astray) = (state.weather, state.astray.clone());
        let has_last = state.last.is_some();
        let rng = &mut state.rng;
        let usual = Duration::from_millis(rng.between(1, 60));
        let late = rng.chance(weather.late);
        let again = rng.chance(weather.twice).then(|| Duration::from_millis(rng.between(1, 40_000)));
        let fate = Fate {
            delay: if late { Duration::from_millis(rng.between(500, 60_000)) } else { usual },
            lost: rng.chance(weather.request_lost),
            cut: rng.chance(weather.request_cut),
            again,
            answer_lost: rng.chance(weather.answer_lost),
            answer_cut: rng.chance(weather.answer_cut),
            portal: rng.chance(weather.portal),
            stale: rng.chance(weather.stale) && has_last,
        };
        drop(state);
        let coverage = &self.wire.coverage;
        for (happens, fault) in
            [(late, Fault::RequestLate), (fate.lost, Fault::RequestLost), (astray.is_some(), Fault::StrangeHub)]
        {
            if happens {
                coverage.reached(fault);
            }
        }
        Some((fate, astray))
    }
}

/// A request as it was sent.
#[derive(Clone)]
struct Sent {
    parts: http::request::Parts,
    body: Bytes,
}

impl Sent {
    fn whole(&self) -> http::Request<Body> {
        http::Request::from_parts(self.parts.clone(), Body::from(self.body.clone()))
    }

    /// The first half, then the end of the connection.
    fn half(&self) -> http::Request<Body> {
        let half = Ok(self.body.slice(..self.body.len() / 2));
        let body = Body::from_stream(futures::stream::iter([half, Err(gone())]));
        http::Request::from_parts(self.parts.clone(), body)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was cut")
}

fn broken() -> OutboundError {
    OutboundError::Broken("the connection was cut".to_owned())
}

#[async_trait]
impl Carrier for Line {
    async fn carry(&self, request: Request) -> Result<Response, OutboundError> {
        let Some((fate, astray)) = self.fate() else {
            sleep(Duration::from_millis(1)).await;
            return Err(OutboundError::Connect("no route to the host".to_owned()));
        };
        let host = astray.unwrap_or_else(|| request.url().host_str().unwrap_or_default().to_owned());
        let (mut parts, body) = http::Request::<reqwest::Body>::try_from(request).map_err(|_| broken())?.into_parts();
        let body = body.collect().await.map_err(|_| broken())?.to_bytes();
        let body = if self.is_older() {
            self.wire.coverage.reached(Fault::OlderNode);
            let Some(body) = older::sent_by_a_node(&mut parts, body) else {
                sleep(Duration::from_millis(1)).await;
                return Ok(whole(older::not_there()));
            };
            body
        } else {
            body
        };
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        let (path, bytes) = (parts.uri.path().to_owned(), body.len());
        self.wire.trace.say(|| format!("{} → {host} {path} {bytes} B", self.name));
        let sent = Sent { parts, body };
        if fate.portal {
            self.wire.coverage.reached(Fault::Portal);
            sleep(fate.delay).await;
            return Ok(http::Response::new("<html>Welcome to our wireless network</html>").into());
        }
        if fate.lost {
            return self.nobody(fate.answer_cut).await;
        }
        if fate.cut {
            self.wire.coverage.reached(Fault::RequestCut);
        }
        let (answer, arrives) = oneshot::channel();
        let (wire, name, first) = (Arc::clone(&self.wire), self.name.clone(), sent.clone());
        let (at, cut) = (host.clone(), fate.cut);
        self.wire.spawn(Box::pin(async move {
            sleep(fate.delay).await;
            let request = if cut { first.half() } else { first.whole() };
            let answered = match &wire.bug {
                Some(bug) => bug.deliver(&wire, &at, request).await,
                None => wire.deliver(&at, request).await,
            };
            let status = answered.as_ref().map(|answer| answer.status().as_u16());
            let told = match path.as_str() {
                message::path::GIVE | message::path::OFFER => answered.as_ref().map_or(&[][..], |answer| answer.body()),
                _ => &[],
            };
            wire.trace.say(|| format!("{name} ← {at} {path} {status:?} {}", String::from_utf8_lossy(told)));
            let _ = answer.send(answered);
        }));
        if let Some(later) = fate.again {
            let wire = Arc::clone(&self.wire);
            self.wire.spawn(Box::pin(async move {
                sleep(later).await;
                if wire.deliver(&host, sent.whole()).await.is_some() {
                    wire.coverage.reached(Fault::RequestTwice);
                }
            }));
        }
        let Ok(Some(answered)) = arrives.await else {
            return Err(OutboundError::Connect("connection refused".to_owned()));
        };
        let last = self.state.lock().unwrap().last.replace(answered.clone());
        if fate.answer_lost {
            self.wire.coverage.reached(Fault::AnswerLost);
            return self.nobody(fate.stale).await;
        }
        if let Some(last) = last.filter(|_| fate.stale) {
            self.wire.coverage.reached(Fault::StaleAnswer);
            return Ok(whole(last));
        }
        if fate.answer_cut && answered.body().len() > 1 {
            self.wire.coverage.reached(Fault::AnswerCut);
            let (parts, body) = answered.into_parts();
            let pieces = [Ok(body.slice(..body.len() / 2)), Err(gone())];
            let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
            return Ok(http::Response::from_parts(parts, body).into());
        }
        Ok(whole(answered))
    }
}

impl Line {
    /// Nothing comes: the connection breaks at once, or whoever waits gives up by itself.
    async fn nobody(&self, at_once: bool) -> Result<Response, OutboundError> {
        if !at_once {
            std::future::pending::<()>().await;
        }
        Err(broken())
    }
}

fn whole(answer: http::Response<Bytes>) -> Response {
    let (parts, body) = answer.into_parts();
    http::Response::from_parts(parts, reqwest::Body::from(body)).into()
}
