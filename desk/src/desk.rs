//! The desk itself: what every feature needs, cheap to clone.

use crate::accounts::Hashing;
use crate::error::{Error, Refusal};
use crate::events::MAX_STREAMS;
use crate::ledger::{Identity, SharedLedger};
use chassis::clock::SharedClock;
use chassis::ids::Ids;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A site's incident desk.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: SharedLedger,
    clock: SharedClock,
    ids: Ids,
    stop: CancellationToken,
    hashing: Hashing,
    streams: Arc<Semaphore>,
    /// Who the site is, once it is somebody: that does not change while the process runs.
    identity: RwLock<Option<Identity>>,
}

impl Desk {
    /// A desk over `ledger`.
    #[must_use]
    pub fn new(ledger: SharedLedger, clock: SharedClock, ids: Ids) -> Self {
        Self::until(ledger, clock, ids, CancellationToken::new())
    }

    /// A desk whose endless answers (server-sent events) end when `stop` is cancelled.
    #[must_use]
    pub fn until(ledger: SharedLedger, clock: SharedClock, ids: Ids, stop: CancellationToken) -> Self {
        let streams = Arc::new(Semaphore::new(MAX_STREAMS));
        let inner = Inner {
            ledger,
            clock,
            ids,
            stop,
            hashing: Hashing::default(),
            streams,
            identity: RwLock::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The site's ledger.
    #[must_use]
    pub fn ledger(&self) -> &SharedLedger {
        &self.inner.ledger
    }

    /// The site's clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    /// Where ids and randomness come from.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.inner.ids
    }

    /// Milliseconds since 1970, by the site's clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// Cancelled when the site shuts down.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.inner.hashing
    }

    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.inner.streams
    }

    /// Who the site is. A node that is not enrolled is asked again each time, so that enrolment takes effect at once.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn identity(&self) -> Result<Identity, Error> {
        if let Some(known) = self.inner.identity.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(known);
        }
        let identity = self.inner.ledger.identity().await?;
        if identity != Identity::Unenrolled {
            *self.inner.identity.write().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        }
        Ok(identity)
    }

    /// Forgets who the site is, so that the next question reads it anew: after an enrolment replaced another one.
    pub fn forget_identity(&self) {
        *self.inner.identity.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The store whose node this is; `None` at the hub.
    ///
    /// # Errors
    /// [`Refusal::NotEnrolled`].
    pub async fn own_store(&self) -> Result<Option<String>, Error> {
        match self.identity().await? {
            Identity::Hub { .. } => Ok(None),
            Identity::Node(enrolment) => Ok(Some(enrolment.store_code)),
            Identity::Unenrolled => Err(Refusal::NotEnrolled.into()),
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
