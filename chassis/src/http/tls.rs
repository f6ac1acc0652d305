//! TLS: which certificate a site shows, and how it gets a newer one without a restart.
//!
//! Either a company gives the site a certificate (two PEM files, looked at when something changes beside them and once a minute, so that
//! whatever renews them need not know the site), or the site has an authority of its own ([`authority`]) which vouches for its names and
//! addresses in the local network. A certificate is exchanged for new connections only; those that stand go on.
//!
//! TLS 1.2 and 1.3 with the suites of rustls; HTTP/2 where the client knows it.

pub(crate) mod addresses;
pub mod authority;
mod ends;
pub(crate) mod files;
mod settings;
mod validity;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use authority::{Authority, Followers};
pub use ends::file_until_ms;
pub use settings::{TlsConfig, TlsLayer};
use watch::Watch;

use crate::clock::SharedClock;

/// How often it is looked whether there is, or has to be, another certificate, when nothing is heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Why there is no TLS; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {cause}; check the path and who owns it", path.display())]
    Io {
        /// `read`, `write` or `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no usable {what}: {why}; give a PEM file", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Made(String),
    /// What was asked for cannot be done as things are.
    #[error("{0}")]
    Given(String),
}

/// Whether another machine says that this one's clock is wrong.
type Doubt = Box<dyn Fn() -> bool + Send + Sync>;

/// Where a site's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Files that somebody else renews.
    Files {
        /// The certificate and those between it and its authority, PEM.
        cert: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
    /// An authority of the site's own.
    Own {
        /// Where the authority is kept.
        folder: PathBuf,
        /// Names and addresses by which the site is reached, besides those that it finds out.
        names: Vec<String>,
    },
}

/// A site's TLS.
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    maker: Maker,
    followers: Mutex<Followers>,
    /// Rung when it is to be looked at once.
    bell: Notify,
    doubt: OnceLock<Doubt>,
    /// Why no newer certificate is shown, for as long as that is so.
    trouble: Mutex<Option<String>>,
}

enum Maker {
    Files {
        cert: PathBuf,
        key: PathBuf,
        /// Digests of the files as they were last read.
        seen: Mutex<blake3::Hash>,
    },
    Own(Box<Mutex<Authority>>),
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn change(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// TLS with the certificate of `origin`, of a site that no other one follows. Blocks: files are read, keys are made.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(origin: Origin, clock: &SharedClock) -> Result<Self, TlsError> {
        Self::followed(origin, clock, Followers::default())
    }

    /// The same, of a site that `followers` believe by its own authority.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn followed(origin: Origin, clock: &SharedClock, followers: Followers) -> Result<Self, TlsError> {
        let (maker, first) = match origin {
            Origin::Files { cert, key } => {
                let (pair, digest) = files::pair(&cert, &key)?;
                (Maker::Files { cert, key, seen: Mutex::new(digest) }, pair)
            }
            Origin::Own { folder, names } => {
                let mut authority = Authority::open(folder, names, Arc::clone(clock))?;
                turn(&mut authority, followers, false);
                let pair = authority.certificate()?;
                (Maker::Own(Box::new(Mutex::new(authority))), pair)
            }
        };
        ends::measure(&first.cert, matches!(maker, Maker::Own(_)));
        let shown = Arc::new(Shown(RwLock::new(Arc::new(first))));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&shown) as _;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Made(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            shown,
            maker,
            followers: Mutex::new(followers),
            bell: Notify::new(),
            doubt: OnceLock::new(),
            trouble: Mutex::new(None),
        })
    }

    /// `doubt` says whether another machine contradicts this one's clock: no authority is given up because of such a clock. The first one
    /// counts.
    pub fn doubted_by(&self, doubt: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.doubt.set(Box::new(doubt));
    }

    /// Who follows the site now.
    pub fn followed_by(&self, followers: Followers) {
        if std::mem::replace(&mut *locked(&self.followers), followers) != followers {
            self.bell.notify_one();
        }
    }

    /// Why no newer certificate is shown although it is time, for people: it names no file. `None` where all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        locked(&self.trouble)
            .as_ref()
            .map(|_| "a newer certificate cannot be used, the old one is shown; the log says why".to_owned())
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }

    /// The certificate of the site's own authority, PEM: for those who are to trust it.
    #[must_use]
    pub fn authority_pem(&self) -> Option<String> {
        match &self.maker {
            Maker::Files { .. } => None,
            Maker::Own(authority) => Some(locked(authority).pem().to_owned()),
        }
    }

    /// The certificate of the authority that the site will have next, PEM, where one is prepared.
    #[must_use]
    pub fn next_authority_pem(&self) -> Option<String> {
        match &self.maker {
            Maker::Files { .. } => None,
            Maker::Own(authority) => locked(authority).next_pem().map(str::to_owned),
        }
    }

    /// Keeps the certificate fresh until `stop` is cancelled.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut watch = Watch::new();
        loop {
            let (tls, seen) = (Arc::clone(&self), watch);
            let looked = tokio::task::spawn_blocking(move || {
                // First, so that nothing is missed that changes while it is looked.
                let mut watch = seen;
                watch.over(&tls.files());
                (watch, tls.look())
            });
            match looked.await {
                Ok((again, outcome)) => {
                    watch = again;
                    self.tell(outcome);
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate could not be looked at");
                    watch = Watch::new();
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = watch.something() => {}
                () = self.bell.notified() => {}
            }
        }
    }

    /// Says what came of a look: each trouble once.
    fn tell(&self, outcome: Result<bool, TlsError>) {
        let mut trouble = locked(&self.trouble);
        match outcome {
            Ok(is_other) => {
                if is_other {
                    tracing::info!("new connections are shown another certificate");
                } else if trouble.is_some() {
                    tracing::info!("the certificate that is shown is the one that is there, again");
                }
                *trouble = None;
            }
            Err(error) => {
                let why = error.to_string();
                if trouble.as_ref() != Some(&why) {
                    tracing::error!(%error, "the certificate could not be renewed; the old one is shown");
                    *trouble = Some(why);
                }
            }
        }
    }

    /// The files that say which certificate is shown.
    fn files(&self) -> Vec<PathBuf> {
        match &self.maker {
            Maker::Files { cert, key, .. } => vec![cert.clone(), key.clone()],
            Maker::Own(authority) => vec![locked(authority).file()],
        }
    }

    /// Takes a newer certificate where there is, or has to be, one; whether that was so. Blocks.
    fn look(&self) -> Result<bool, TlsError> {
        let fresh = match &self.maker {
            Maker::Files { cert, key, seen } => {
                let (pair, digest) = files::pair(cert, key)?;
                let mut seen = locked(seen);
                if *seen == digest {
                    return Ok(false);
                }
                *seen = digest;
                pair
            }
            Maker::Own(authority) => {
                let (followers, doubted) = (*locked(&self.followers), self.doubt.get().is_some_and(|doubt| doubt()));
                let mut authority = locked(authority);
                turn(&mut authority, followers, doubted);
                if !authority.is_due() {
                    return Ok(false);
                }
                authority.certificate()?
            }
        };
        ends::measure(&fresh.cert, matches!(self.maker, Maker::Own(_)));
        self.shown.change(fresh);
        Ok(true)
    }
}

/// Looks whether another authority is needed. Where that fails the one in use goes on.
fn turn(authority: &mut Authority, followers: Followers, doubted: bool) {
    if let Err(error) = authority.turn(followers, doubted) {
        tracing::error!(%error, "the site's own authority could not be looked after; it stays as it is");
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
