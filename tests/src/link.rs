//! The link between a node and its hub, and what can happen to it: a TCP proxy that counts bytes, breaks down, cuts,
//! loses replies, garbles, delays and swallows, all from one seed.
//!
//! A fate is drawn for each exchange (the first bytes from the node after bytes from the hub), not for each
//! connection: HTTP keeps connections for long. The node knows the link's address only, so that a hub may come back
//! on another port.

mod road;

use crate::random::Rng;
use road::{Free, Road};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Portions under way in one connection, one way.
const UNDER_WAY: usize = 256;

/// How the link is. Shares are of all exchanges, 0.0 to 1.0; what is left of 1.0 passes unharmed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// No connection is taken.
    pub down: bool,
    /// How long bytes take from one end to the other, each way.
    pub latency: Duration,
    /// Bandwidth each way in kilobits per second, for all connections together; 0 is unlimited.
    pub kbps: u32,
    /// Share of segments that are lost on the way and come again, as TCP does it: later, and slower from then on.
    pub loss: f64,
    /// The connection ends before anything of the request arrives.
    pub refuse: f64,
    /// The request is cut in its middle.
    pub cut_request: f64,
    /// The request arrives whole, the connection ends before the reply does: nobody knows whether it was carried out.
    pub lose_reply: f64,
    /// The reply is cut in its middle.
    pub cut_reply: f64,
    /// One bit of the request is flipped near its end.
    pub garble_request: f64,
    /// One bit of the reply is flipped near its end.
    pub garble_reply: f64,
    /// The request is swallowed and nothing ever comes back.
    pub black_hole: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    Refuse,
    CutRequest,
    LoseReply,
    CutReply,
    GarbleRequest,
    GarbleReply,
    BlackHole,
}

/// Bytes and exchanges that went over a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the node to the hub.
    pub up: u64,
    /// Bytes from the hub to the node.
    pub down: u64,
    /// Exchanges begun.
    pub exchanges: u64,
    /// Exchanges that were spoilt.
    pub spoilt: u64,
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    weather: Mutex<Weather>,
    rng: Mutex<Rng>,
    cut: watch::Sender<u64>,
    /// Up and down.
    free: [Free; 2],
    up: AtomicU64,
    down: AtomicU64,
    exchanges: AtomicU64,
    spoilt: AtomicU64,
}

/// A running link. It ends when dropped.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Link {
    /// A link to a program on `port` of this machine.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = listen().expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared {
            target: AtomicU16::new(port),
            weather: Mutex::default(),
            rng: Mutex::new(Rng::new(0)),
            cut: watch::Sender::new(0),
            free: [Free::new(Instant::now()), Free::new(Instant::now())],
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
            spoilt: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, url, task }
    }

    /// The address to give to the node.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The program is on another port now.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::SeqCst);
    }

    /// Fates are drawn from `rng` from now on.
    pub fn seed(&self, rng: Rng) {
        *self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner) = rng;
    }

    /// Changes the weather for exchanges to come.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// Breaks the link: every connection ends, none is taken.
    pub fn go_down(&self) {
        self.set(Weather { down: true, ..Weather::default() });
        self.cut();
    }

    /// Good weather again; what still hangs in bad weather ends.
    pub fn heal(&self) {
        self.set(Weather::default());
        self.cut();
    }

    /// Ends every connection there is, in the middle of whatever it carries.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|n| *n += 1);
    }

    /// What went over it so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let shared = &self.shared;
        Traffic {
            up: shared.up.load(Ordering::Relaxed),
            down: shared.down.load(Ordering::Relaxed),
            exchanges: shared.exchanges.load(Ordering::Relaxed),
            spoilt: shared.spoilt.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn below(&self, end: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).below(end)
    }

    fn draw(&self, weather: &Weather) -> Fate {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        let mut left = self.below(1_000_000) as f64 / 1e6;
        let shares = [
            (weather.refuse, Fate::Refuse),
            (weather.cut_request, Fate::CutRequest),
            (weather.lose_reply, Fate::LoseReply),
            (weather.cut_reply, Fate::CutReply),
            (weather.garble_request, Fate::GarbleRequest),
            (weather.garble_reply, Fate::GarbleReply),
            (weather.black_hole, Fate::BlackHole),
        ];
        for (share, fate) in shares {
            left -= share;
            if left < 0.0 {
                self.spoilt.fetch_add(1, Ordering::Relaxed);
                return fate;
            }
        }
        Fate::Pass
    }

    fn garble(&self, chunk: &mut [u8]) {
        if chunk.len() > 64 {
            let back = self.below(32) as usize;
            let at = chunk.len() - 1 - back;
            chunk[at] ^= 4;
        }
    }
}

/// Listens on a free port as a line over land would: with its segments. On a loopback's huge ones a program hands megabytes to
/// the kernel before the first byte has arrived.
fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    let segment = u32::try_from(road::SEGMENT).unwrap_or(u32::MAX);
    socket2::SockRef::from(&socket).set_tcp_mss(segment)?;
    socket.set_recv_buffer_size(4 * road::PORTION as u32)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        if shared.weather().down {
            continue; // Dropped: the node sees the connection end at once.
        }
        let shared = Arc::clone(&shared);
        let cut = shared.cut.subscribe();
        tokio::spawn(async move {
            // How a connection ends is the test's business, not the link's.
            let _ = carry(near, &shared, cut).await;
        });
    }
}

/// The exchange that a connection is in.
struct Exchange {
    fate: Fate,
    /// Whether the next bytes from the node begin another one.
    between: bool,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What becomes of a portion.
enum Outcome {
    Whole,
    /// Its first half arrives, and nothing after that.
    Half,
    /// It is swallowed.
    Nothing,
}

/// Carries one connection until either side, a cut or a fate ends it.
async fn carry(mut near: TcpStream, shared: &Shared, mut cut: watch::Receiver<u64>) -> std::io::Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", shared.target.load(Ordering::SeqCst))).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let exchange = Mutex::new(Exchange { fate: Fate::Pass, between: true });
    let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
    tokio::select! {
        _ = cut.changed() => Ok(()),
        ended = one_way(Way::Up, near_in, far_out, shared, &exchange) => ended,
        ended = one_way(Way::Down, far_in, near_out, shared, &exchange) => ended,
    }
}

/// Carries what goes one way, until its end has arrived.
async fn one_way(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    exchange: &Mutex<Exchange>,
) -> std::io::Result<()> {
    let (hand, mut take) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mut road = Road::new(Rng::new(shared.below(u64::MAX)));
    let leaves = async move {
        let mut portion = vec![0; road::PORTION];
        loop {
            let most = if shared.weather().loss > 0.0 { road::SEGMENT } else { road::PORTION };
            let read = from.read(&mut portion[..most]).await?;
            let weather = shared.weather();
            if read == 0 {
                return Ok(());
            }
            let chunk = &mut portion[..read];
            let outcome = shared.befall(way, &weather, exchange, chunk)?;
            let chunk = match outcome {
                Outcome::Whole => &chunk[..],
                Outcome::Half => &chunk[..read / 2],
                Outcome::Nothing => continue,
            };
            let (free, counted) = match way {
                Way::Up => (&shared.free[0], &shared.up),
                Way::Down => (&shared.free[1], &shared.down),
            };
            let arrives = road.take(&weather, free, chunk.len()).await;
            counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if hand.send((arrives, chunk.to_vec())).await.is_err() || matches!(outcome, Outcome::Half) {
                return Ok(());
            }
        }
    };
    let arrives = async {
        while let Some((at, bytes)) = take.recv().await {
            if at > Instant::now() {
                sleep_until(at).await;
            }
            to.write_all(&bytes).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    tokio::try_join!(leaves, arrives)?;
    Ok(())
}

impl Shared {
    /// What happens to the next bytes of an exchange.
    ///
    /// # Errors
    /// When the connection ends here.
    fn befall(
        &self,
        way: Way,
        weather: &Weather,
        exchange: &Mutex<Exchange>,
        chunk: &mut [u8],
    ) -> std::io::Result<Outcome> {
        let ended = || Err(std::io::ErrorKind::ConnectionAborted.into());
        let mut exchange = exchange.lock().unwrap_or_else(PoisonError::into_inner);
        if way == Way::Down {
            exchange.between = true;
            match exchange.fate {
                Fate::LoseReply => return ended(),
                Fate::CutReply => return Ok(Outcome::Half),
                Fate::GarbleReply => self.garble(chunk),
                _ => {}
            }
            return Ok(Outcome::Whole);
        }
        if weather.down {
            return ended();
        }
        if std::mem::take(&mut exchange.between) {
            exchange.fate = self.draw(weather);
        }
        match exchange.fate {
            Fate::Refuse => return ended(),
            Fate::BlackHole => return Ok(Outcome::Nothing),
            Fate::CutRequest => return Ok(Outcome::Half),
            Fate::GarbleRequest => self.garble(chunk),
            _ => {}
        }
        Ok(Outcome::Whole)
    }
}
