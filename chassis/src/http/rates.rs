//! How often one address, account or node may ask, how often somebody may guess a secret, and how many connections an address
//! may hold.
//!
//! Each key has a bucket (GCRA: one number, the moment at which it is full again) in a [`Keyed`] that keeps a bounded number of
//! keys. The [`Server`](super::Server) puts an [`Asker`] into every request; [`meter`] counts it for its address, whoever finds out
//! who asks counts it for that one. Requests of this machine itself are not counted unless the configuration says so: for those
//! nothing is looked up. Without a server, in a test say, nothing is limited.

mod answer;
mod keyed;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use http::HeaderMap;
use http::request::Parts;
use tokio::time::Instant;
use uuid::Uuid;

pub(super) use answer::Metered;
use answer::Standing;
use keyed::{Fades, Keyed};
pub use settings::{Limits, LimitsLayer, Rate};

use super::problem::Problem;

/// Most keys of a kind that are remembered.
const MOST_KEYS: usize = 32 * 1024;
/// Of one key it is told in the log no more often than this, in nanoseconds.
const TELL_EVERY_NS: u64 = 60 * SECOND_NS;
/// A wrong guess is forgotten each time this has passed, in nanoseconds.
const FORGET_EVERY_NS: u64 = 10 * SECOND_NS;
/// The longest wait after wrong guesses, in seconds: a whole store may share the address.
const LONGEST_WAIT_S: u64 = 60;
/// Guesses beyond those that are free, after which the wait grows no longer.
const STEPS: u32 = 6;
/// Most hops of `X-Forwarded-For` that are looked at.
const MOST_HOPS: usize = 32;
const SECOND_NS: u64 = 1_000_000_000;

/// The limits of a service, and what they were used for. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Rates {
    inner: Arc<Inner>,
}

struct Inner {
    begun: Instant,
    /// Whether whoever comes from this machine is let through unseen.
    spares_loopback: AtomicBool,
    limits: RwLock<Arc<Limits>>,
    addresses: Keyed<IpAddr, Bucket>,
    accounts: Keyed<Uuid, Bucket>,
    nodes: Keyed<Uuid, Bucket>,
    guesses: Keyed<IpAddr, Guesses>,
    /// Connections of each address, and when it was last told that it has too many. No longer than there are connections.
    connections: Mutex<HashMap<IpAddr, (u32, u64)>>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Rates {
    /// Nothing used yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let inner = Inner {
            begun: Instant::now(),
            spares_loopback: AtomicBool::new(limits.spares_loopback()),
            limits: RwLock::new(Arc::new(limits)),
            addresses: Keyed::new(MOST_KEYS),
            accounts: Keyed::new(MOST_KEYS),
            nodes: Keyed::new(MOST_KEYS),
            guesses: Keyed::new(MOST_KEYS),
            connections: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Other limits from now on; what was used stays used.
    pub fn set(&self, limits: Limits) {
        self.inner.spares_loopback.store(limits.spares_loopback(), Ordering::Relaxed);
        *self.inner.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.inner.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nanoseconds since these began.
    fn now(&self) -> u64 {
        u64::try_from(self.inner.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A place for one more connection of `peer`; none where it has as many as it may.
    pub(super) fn connect(&self, peer: IpAddr) -> Option<Connected> {
        let peer = peer.to_canonical();
        if peer.is_loopback() && self.inner.spares_loopback.load(Ordering::Relaxed) {
            return Some(Connected(None));
        }
        let limits = self.limits();
        let spared = (peer.is_loopback() && !limits.loopback) || limits.proxies.contains(&peer);
        if spared || limits.connections_per_address == 0 {
            return Some(Connected(None));
        }
        let (address, now) = (block(peer), self.now());
        let mut connections = self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, told) = connections.entry(address).or_default();
        if *open < limits.connections_per_address {
            *open += 1;
            drop(connections);
            return Some(Connected(Some((Arc::clone(&self.inner), address))));
        }
        let tells = is_due(told, now);
        drop(connections);
        metrics::counter!("http_connections_closed_total", "why" => "address").increment(1);
        if tells {
            tracing::warn!(%address, most = limits.connections_per_address, "an address has too many connections; more are closed at once");
        }
        None
    }

    /// Counts a request of `address`.
    fn address(&self, address: IpAddr, rate: Rate) -> Result<Option<Standing>, Standing> {
        let now = self.now();
        let (taken, tells) = self.inner.addresses.with(address, now, |bucket| bucket.take("address", rate, now));
        refused(&taken, tells, &address);
        taken
    }

    fn account(&self, id: Uuid) -> Result<Option<Standing>, Standing> {
        let (now, rate) = (self.now(), self.limits().account);
        let (taken, tells) = self.inner.accounts.with(id, now, |bucket| bucket.take("account", rate, now));
        refused(&taken, tells, &id);
        taken
    }

    fn node(&self, id: Uuid) -> Result<Option<Standing>, Standing> {
        let (now, rate) = (self.now(), self.limits().node);
        let (taken, tells) = self.inner.nodes.with(id, now, |bucket| bucket.take("node", rate, now));
        refused(&taken, tells, &id);
        taken
    }

    fn may_guess(&self, address: IpAddr) -> Result<(), u64> {
        let Some(free) = self.free_guesses(address) else {
            return Ok(());
        };
        let now = self.now();
        let (wait_ns, tells) = self.inner.guesses.with(address, now, |guesses| guesses.wait(free, now));
        if wait_ns == 0 {
            return Ok(());
        }
        metrics::counter!("requests_limited_total", "by" => "login").increment(1);
        if tells {
            tracing::warn!(%address, "too many wrong passwords, PINs or codes from an address; the next ones have to wait");
        }
        Err(wait_ns.div_ceil(SECOND_NS))
    }

    fn guessed_wrong(&self, address: IpAddr) {
        if let Some(free) = self.free_guesses(address) {
            let now = self.now();
            self.inner.guesses.with(address, now, |guesses| guesses.count(free, now));
        }
    }

    /// How often `address` may guess wrong before it has to wait; none where that does not count. Behind this machine's own address there
    /// may be a proxy that nobody named, and everybody behind that: each name slows down by itself.
    fn free_guesses(&self, address: IpAddr) -> Option<u32> {
        let limits = self.limits();
        let is_spared = limits.login_failures == 0 || (address.is_loopback() && !limits.loopback);
        (!is_spared).then_some(limits.login_failures)
    }

    /// Whether `peer` is a proxy that is believed.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.limits().proxies.contains(&peer.to_canonical())
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").field("limits", &self.limits()).finish_non_exhaustive()
    }
}

/// Counts and tells of a refusal.
fn refused(taken: &Result<Option<Standing>, Standing>, tells: bool, who: &dyn fmt::Display) {
    if let Err(standing) = taken {
        metrics::counter!("requests_limited_total", "by" => standing.by).increment(1);
        if tells {
            tracing::warn!(by = standing.by, %who, "asks too often; some of its requests are refused for now");
        }
    }
}

/// Whether it is time to tell of something again; notes that it is told.
const fn is_due(told: &mut u64, now: u64) -> bool {
    let due = *told == 0 || now.saturating_sub(*told) >= TELL_EVERY_NS;
    if due {
        // Never 0, which is "not yet".
        *told = if now == 0 { 1 } else { now };
    }
    due
}

/// What counts as one address: of IPv6 the network, in which a machine has as many addresses as it likes.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => Ipv6Addr::from_bits((ip.to_bits() >> 64) << 64).into(),
        ip => ip,
    }
}

/// What a key has used. Times are nanoseconds since the [`Rates`] began.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it will be full again.
    full: u64,
    told: u64,
}

impl Fades for Bucket {
    fn faded_at(&self) -> u64 {
        self.full
    }
}

impl Bucket {
    /// Takes one request out: how it stands then, nothing where there is no limit; where it is empty, how that stands, and whether to
    /// tell of it.
    fn take(&mut self, by: &'static str, rate: Rate, now: u64) -> (Result<Option<Standing>, Standing>, bool) {
        if rate.per_s == 0 {
            return (Ok(None), false);
        }
        let one = SECOND_NS / u64::from(rate.per_s);
        let most = one * u64::from(rate.burst.max(1));
        // After a change of the limits more may be owed than can be by the new ones.
        let from = self.full.clamp(now, now.saturating_add(most));
        let owed = from - now + one;
        if owed > most {
            return (Err(Standing { by, rate, left: 0, wait_ns: owed - most }), is_due(&mut self.told, now));
        }
        self.full = from + one;
        (Ok(Some(Standing { by, rate, left: (most - owed) / one, wait_ns: owed })), false)
    }
}

/// Wrong guesses of an address.
#[derive(Clone, Copy, Debug, Default)]
struct Guesses {
    count: u32,
    /// When the last one was made.
    last: u64,
    told: u64,
}

impl Fades for Guesses {
    fn faded_at(&self) -> u64 {
        self.last.saturating_add(FORGET_EVERY_NS.saturating_mul(u64::from(self.count)))
    }
}

impl Guesses {
    /// Nanoseconds until the next one is looked at, 0: now; and whether to tell of it. `free`: how many cost nothing.
    fn wait(&mut self, free: u32, now: u64) -> (u64, bool) {
        let Some(beyond) = self.count.checked_sub(free) else {
            return (0, false);
        };
        let wait_ns = (1_u64 << beyond.min(STEPS)).min(LONGEST_WAIT_S) * SECOND_NS;
        let left = wait_ns.saturating_sub(now.saturating_sub(self.last));
        (left, left > 0 && is_due(&mut self.told, now))
    }

    fn count(&mut self, free: u32, now: u64) {
        let forgotten = u32::try_from(now.saturating_sub(self.last) / FORGET_EVERY_NS).unwrap_or(u32::MAX);
        let most = free.saturating_add(STEPS);
        self.count = self.count.saturating_sub(forgotten).saturating_add(1).min(most);
        self.last = now;
    }
}

/// A connection that is counted for its address, as long as it is held.
#[derive(Debug)]
pub(super) struct Connected(Option<(Arc<Inner>, IpAddr)>);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let Some((inner, address)) = self.0.take() else {
            return;
        };
        let mut connections = inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((open, _)) = connections.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                connections.remove(&address);
            }
        }
    }
}

/// Whoever asks, for what is limited beside requests of an address. Also an extractor; of a request that came by no server, one
/// without limits.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    seen: Option<Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    rates: Rates,
    /// What counts as its address.
    address: IpAddr,
    /// Where it is noted how an account or a node stands; none where its requests are not counted.
    other: Option<Arc<OnceLock<Standing>>>,
}

impl Asker {
    /// Whoever is at the other end of a connection from `peer`: what the server puts into requests.
    #[must_use]
    pub fn at(rates: &Rates, peer: IpAddr) -> Self {
        Self {
            seen: Some(Seen { rates: rates.clone(), address: peer.to_canonical(), other: None }),
        }
    }

    /// Counts the request for an account.
    ///
    /// # Errors
    /// 429, where that asks too often.
    pub fn account(&self, id: Uuid) -> Result<(), Problem> {
        let account = |rates: &Rates| rates.account(id);
        self.count(account).map_err(|standing| standing.problem("this account asks too often"))
    }

    /// Counts the request for a node.
    ///
    /// # Errors
    /// How long to wait, where that asks too often.
    pub fn node(&self, id: Uuid) -> Result<(), Duration> {
        self.count(|rates| rates.node(id)).map_err(|standing| Duration::from_nanos(standing.wait_ns))
    }

    fn count(&self, take: impl FnOnce(&Rates) -> Result<Option<Standing>, Standing>) -> Result<(), Standing> {
        let Some(Seen { rates, other: Some(other), .. }) = &self.seen else {
            return Ok(());
        };
        match take(rates) {
            Ok(Some(standing)) => {
                let _ = other.set(standing);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(standing) => {
                let _ = other.set(standing);
                Err(standing)
            }
        }
    }

    /// Whether a password, PIN or code of this address is looked at now.
    ///
    /// # Errors
    /// Whole seconds until the next one is.
    pub fn may_guess(&self) -> Result<(), u64> {
        self.seen.as_ref().map_or(Ok(()), |seen| seen.rates.may_guess(block(seen.address)))
    }

    /// Notes that a password, PIN or code was wrong.
    pub fn guessed_wrong(&self) {
        if let Some(seen) = &self.seen {
            seen.rates.guessed_wrong(block(seen.address));
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Counts a request for the address it comes from.
///
/// # Errors
/// How that stands, where it asks too often.
pub(super) fn meter(request: &mut Request) -> Result<Metered, Metered> {
    let Some(seen) = request.extensions().get::<Asker>().and_then(|asker| asker.seen.as_ref()) else {
        return Ok(Metered::default());
    };
    if seen.address.is_loopback() && seen.rates.inner.spares_loopback.load(Ordering::Relaxed) {
        return Ok(Metered::default());
    }
    let (rates, limits) = (seen.rates.clone(), seen.rates.limits());
    let address = client(seen.address, request.headers(), &limits.proxies);
    let is_spared = address.is_loopback() && (!limits.loopback || super::health::is_health(request.uri().path()));
    let (other, metered) = if is_spared {
        (None, Metered::default())
    } else {
        let other = Arc::new(OnceLock::new());
        let own = rates.address(block(address), limits.address).map_err(Metered::refused)?;
        (Some(Arc::clone(&other)), Metered::counted(own, other))
    };
    request.extensions_mut().insert(Asker { seen: Some(Seen { rates, address, other }) });
    Ok(metered)
}

/// Where a request comes from that a proxy passed on: the last hop that is none of `proxies`.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    if !proxies.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev().filter_map(|line| line.to_str().ok());
    let hops = lines.flat_map(|line| line.rsplit(',')).take(MOST_HOPS);
    for hop in hops {
        match hop.trim().parse::<IpAddr>().map(|hop| hop.to_canonical()) {
            Ok(hop) if proxies.contains(&hop) => {}
            Ok(hop) => return hop,
            // What a proxy did not write; nothing before it is worth more.
            Err(_) => break,
        }
    }
    peer
}
