//! What systemd is told, where it runs the program: that it serves, that it ends, and that it still turns.
//!
//! The protocol is a datagram of lines to the socket that `$NOTIFY_SOCKET` names; without it nothing is told. The
//! watchdog (`WatchdogSec=` in the unit) is fed only while everything that a program cannot do without has answered
//! just now: a thread that waits for ever does not feed it, and systemd begins the program anew. Before the program serves it
//! has no watchdog but a time in which it has to (`TimeoutStartSec=`), which is put off for as long as it works ([`Starting`]).

pub mod socket;

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;

use crate::shutdown::Shutdown;

/// Something that a program cannot do without: its name, and a question that is answered, not in time, or with why not.
#[derive(Clone)]
pub struct Vital {
    name: &'static str,
    ask: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Vital {
    /// `ask` is asked again and again; one that does not return in time is taken for one that stands still.
    pub fn new<F>(name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, ask: Arc::new(move || Box::pin(ask())) }
    }

    /// What it is called in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks it once.
    ///
    /// # Errors
    ///
    /// Why it is not well; it may not answer at all.
    pub async fn answers(&self) -> Result<(), String> {
        (self.ask)().await
    }
}

/// Into how many parts its period is divided: each begins with a look, which may take as long as one.
const FEEDS: u32 = 4;

/// How often systemd is told that the start goes on, and until when from then on.
const PUTS_OFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// Processor time that a start takes between two such words if it goes on: less of it is a start that stands still, and may be
/// ended. Whoever reads and writes a database takes more, however slow its disk.
const LEAST_WORK: Duration = Duration::from_millis(5);

/// While it is there, systemd waits for the start for as long as the process works at it. Changing the schema of a large ledger
/// may take longer than any `TimeoutStartSec=`; ended for that, it would be begun again and again.
#[derive(Debug)]
pub struct Starting {
    /// Its end ends the thread that tells.
    _going_on: Option<Sender<()>>,
}

/// The service's side of systemd's notifications.
#[derive(Debug, Default)]
pub struct Systemd {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    /// After how long without a word the program is begun anew.
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says. Whoever is not run by systemd gets one that tells nobody.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // Meant for another process: one that we started, or that started us.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|us| ours && *us > 0).map(Duration::from_micros);
        Self::at(std::env::var_os("NOTIFY_SOCKET"), watchdog)
    }

    fn at(socket: Option<OsString>, watchdog: Option<Duration>) -> Self {
        let Some(name) = socket else {
            return Self::default();
        };
        match connect(&name) {
            Ok(socket) => Self { socket: Some(Arc::new(socket)), watchdog },
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be told anything: its socket {name:?} cannot be used");
                Self::default()
            }
        }
    }

    /// From now on the program starts, until what is answered is dropped.
    #[must_use]
    pub fn starting(&self) -> Starting {
        self.starting_by(PUTS_OFF)
    }

    fn starting_by(&self, (every, until): (Duration, Duration)) -> Starting {
        if self.socket.is_none() {
            return Starting { _going_on: None };
        }
        let (going_on, ended) = channel::<()>();
        let told = Self { socket: self.socket.clone(), watchdog: None };
        // A thread of its own: opening the ledger holds up those that wait for it.
        let telling = std::thread::Builder::new().name("start-teller".to_owned()).spawn(move || {
            let mut before = processor_time();
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
                let now = processor_time();
                if now.saturating_sub(before) >= LEAST_WORK {
                    told.tell(&format!("EXTEND_TIMEOUT_USEC={}", until.as_micros()));
                } else {
                    tracing::warn!("the start stands still; systemd ends it when that lasts");
                }
                before = now;
            }
        });
        if let Err(error) = telling {
            tracing::warn!(%error, "systemd is not told that the start goes on");
        }
        Starting { _going_on: Some(going_on) }
    }

    /// From now on the program serves: says so, feeds the watchdog while all of `vitals` answer, and tells when the end begins.
    /// `status` is shown by `systemctl status`.
    pub fn serving(self, status: &str, vitals: Vec<Vital>, shutdown: &Shutdown) {
        if self.socket.is_none() {
            return;
        }
        self.ready(status);
        let stop = shutdown.token();
        tokio::spawn(async move {
            self.keep_fed(vitals, stop.clone()).await;
            stop.cancelled().await;
            self.stopping();
        });
    }

    /// The program serves; `status` is shown by `systemctl status`.
    fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// The program ends.
    fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Feeds the watchdog, where there is one, for as long as every vital answers; until `stop` is cancelled.
    async fn keep_fed(&self, vitals: Vec<Vital>, stop: CancellationToken) {
        let Some(period) = self.watchdog else {
            return;
        };
        let every = period / FEEDS;
        loop {
            let silent = silent(&vitals, every).await;
            if silent.is_empty() {
                self.tell("WATCHDOG=1");
            } else {
                metrics::counter!("watchdog_silent_total").increment(1);
                tracing::error!(
                    silent = silent.join("; "),
                    "not everything answers; systemd begins the program anew when that lasts"
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    fn tell(&self, words: &str) {
        if let Some(told) = &self.socket
            && let Err(error) = told.0.send_to_addr(words.as_bytes(), &told.1)
        {
            tracing::warn!(%error, "systemd could not be told");
        }
    }
}

/// How long the processors have worked for this process.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(spent.tv_sec).unwrap_or_default());
    seconds + Duration::from_nanos(u64::try_from(spent.tv_nsec).unwrap_or_default())
}

/// Which of `vitals` did not answer within `limit`, and why.
async fn silent(vitals: &[Vital], limit: Duration) -> Vec<String> {
    let asked = vitals.iter().map(|vital| async move {
        match tokio::time::timeout(limit, vital.answers()).await {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(format!("{}: {why}", vital.name)),
            Err(_) => Some(format!("{}: no answer in time", vital.name)),
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn connect(name: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A full socket must not hold the program up.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn systemd_hears_of_the_start_and_the_end_at_a_path_and_at_an_abstract_address() {
        let scratch = crate::folder::tests::scratch("systemd");
        let path = scratch.join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("aincident-test-{}", std::process::id());
        let abstractly = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, told) in [(by_path, path.into_os_string()), (abstractly, format!("@{name}").into())] {
            let systemd = Systemd::at(Some(told), None);
            systemd.ready("serves\nhere");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=serves here");
            systemd.stopping();
            assert_eq!(heard(&socket), "STOPPING=1");
        }
        // Nobody to tell: nothing happens.
        Systemd::at(None, None).ready("x");
        Systemd::at(Some("/nowhere/at/all".into()), None).stopping();
    }

    #[tokio::test]
    async fn the_watchdog_is_fed_only_while_everything_answers() {
        let scratch = crate::folder::tests::scratch("watchdog");
        let path = scratch.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let systemd = Systemd::at(Some(path.into_os_string()), Some(Duration::from_millis(80)));
        let stands = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&stands);
        let vitals = vec![
            Vital::new("one", || async { Ok(()) }),
            Vital::new("other", move || {
                let stands = asked.load(Ordering::SeqCst);
                async move {
                    if stands {
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                }
            }),
        ];
        assert_eq!(silent(&vitals, Duration::from_millis(5)).await, ["other: no answer in time"]);
        let stop = CancellationToken::new();
        let feeding = tokio::spawn({
            let stop = stop.clone();
            async move { systemd.keep_fed(vitals, stop).await }
        });
        socket.set_nonblocking(true).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(socket.recv(&mut [0; 20]).is_err(), "fed while something stood still");
        stands.store(false, Ordering::SeqCst);
        socket.set_nonblocking(false).unwrap();
        assert_eq!(tokio::task::spawn_blocking(move || heard(&socket)).await.unwrap(), "WATCHDOG=1");
        stop.cancel();
        feeding.await.unwrap();
    }

    #[tokio::test]
    async fn a_vital_that_says_that_it_is_not_well_stops_the_feeding_too() {
        let sound = Vital::new("one", || async { Ok(()) });
        let broken = Vital::new("other", || async { Err("it is late".to_owned()) });
        let limit = Duration::from_secs(8);
        assert_eq!(silent(&[sound.clone(), broken], limit).await, ["other: it is late"]);
        assert_eq!(silent(&[sound], limit).await, [""; 0]);
    }

    #[test]
    fn a_start_that_works_is_waited_for_until_it_is_over() {
        let scratch = crate::folder::tests::scratch("starting");
        let path = scratch.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let systemd = Systemd::at(Some(path.into_os_string()), None);
        let starting = systemd.starting_by((Duration::from_millis(40), Duration::from_secs(7)));
        socket.set_nonblocking(true).unwrap();
        let begun = std::time::Instant::now();
        let mut word = [0; 60];
        // Nobody but this loop works.
        let length = loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was told");
            if let Ok(length) = socket.recv(&mut word) {
                break length;
            }
        };
        assert_eq!(&word[..length], b"EXTEND_TIMEOUT_USEC=7000000");
        drop(starting);
        // The thread has ended once nobody else holds the socket.
        let told = systemd.socket.clone().unwrap();
        drop(systemd);
        while Arc::strong_count(&told) > 1 {
            assert!(begun.elapsed() < Duration::from_secs(40), "it is told for ever");
            std::thread::yield_now();
        }
        // Nobody to tell: nothing begins.
        assert!(Systemd::at(None, None).starting()._going_on.is_none());
    }
}
