//! The link between a node and its hub, and what can happen to it: a TCP proxy that counts bytes, breaks down, cuts,
//! loses replies, garbles, delays and swallows, all from one seed.
//!
//! A fate is drawn for each exchange (the first bytes from the node after bytes from the hub), not for each
//! connection: HTTP keeps connections for long. The node knows the link's address only, so that a hub may come back
//! on another port.

use crate::random::Rng;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the link is. Shares are of all exchanges, 0.0 to 1.0; what is left of 1.0 passes unharmed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// No connection is taken.
    pub down: bool,
    /// Every chunk waits this long, each way.
    pub latency: Duration,
    /// Bandwidth each way in kilobits per second; 0 is unlimited.
    pub kbps: u32,
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
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared {
            target: AtomicU16::new(port),
            weather: Mutex::default(),
            rng: Mutex::new(Rng::new(0)),
            cut: watch::Sender::new(0),
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

/// Carries one connection until either side, a cut or a fate ends it.
async fn carry(mut near: TcpStream, shared: &Shared, mut cut: watch::Receiver<u64>) -> std::io::Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", shared.target.load(Ordering::SeqCst))).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut fate = Fate::Pass;
    let mut between = true;
    loop {
        tokio::select! {
            changed = cut.changed() => {
                let _ = changed;
                return Ok(());
            }
            read = near.read(&mut up) => {
                let chunk = match read? { 0 => return Ok(()), n => &mut up[..n] };
                let weather = shared.weather();
                if weather.down {
                    return Ok(());
                }
                if std::mem::take(&mut between) {
                    fate = shared.draw(&weather);
                }
                travel(&weather, chunk.len()).await;
                match fate {
                    Fate::Refuse => return Ok(()),
                    Fate::BlackHole => continue,
                    Fate::CutRequest => {
                        far.write_all(&chunk[..chunk.len() / 2]).await?;
                        return Ok(());
                    }
                    Fate::GarbleRequest => shared.garble(chunk),
                    _ => {}
                }
                shared.up.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                far.write_all(chunk).await?;
            }
            read = far.read(&mut down) => {
                let chunk = match read? { 0 => return Ok(()), n => &mut down[..n] };
                let weather = shared.weather();
                travel(&weather, chunk.len()).await;
                between = true;
                match fate {
                    Fate::LoseReply => return Ok(()),
                    Fate::CutReply => {
                        near.write_all(&chunk[..chunk.len() / 2]).await?;
                        return Ok(());
                    }
                    Fate::GarbleReply => shared.garble(chunk),
                    _ => {}
                }
                shared.down.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                near.write_all(chunk).await?;
            }
        }
    }
}

/// The time that `bytes` take in this weather.
async fn travel(weather: &Weather, bytes: usize) {
    let wire = match weather.kbps {
        0 => Duration::ZERO,
        kbps => Duration::from_secs_f64(bytes as f64 / (f64::from(kbps) * 125.0)),
    };
    let time = weather.latency + wire;
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
