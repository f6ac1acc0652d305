//! What the hub does with a node's requests: take it in, tell it where the hub stands, take what it pushes, give it
//! what it lacks. `sync-protocol/PROTOCOL.md` says what travels; [`crate::http::sync`] puts it on HTTP.
//!
//! A push: admission → body → unpack and check its chain → whose stream → one transaction of the ledger → answers.
//! A pull: whose scopes → one page of the ledger, or a wait for the [`bell`] → page. Neither waits for the other.

pub mod admission;
pub mod bell;
pub mod blobs;
pub mod checksums;
pub mod codes;
mod contacts;
pub mod credentials;
mod enrolment;
mod hello;
pub mod histories;
mod pull;
mod push;
mod refused;
pub mod strangers;
mod throttle;

pub use refused::Refused;

use admission::Admission;
use bell::Bell;
use chassis::outbound::Pin;
use chassis::uploads::Uploads;
use contacts::Contacts;
use credentials::Caller;
use desk::Desk;
use desk::ledger::{Identity, SharedLedger};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use strangers::Strangers;
use sync_protocol::message::{Limits, MAX_BELIEVED, NodeStatus, SettingsReport};
use sync_protocol::scope::Scope;
use throttle::Throttle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Takes nodes' requests. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    desk: Desk,
    hub_id: Uuid,
    limits: Limits,
    admission: Admission,
    bell: Bell,
    contacts: Contacts,
    strangers: Arc<Strangers>,
    throttle: Throttle,
    uploads: Uploads,
    stop: CancellationToken,
    /// Whether a node has said hello since the start.
    called: watch::Sender<bool>,
    /// What nodes are told of the hub's own authorities, each as PEM.
    authorities: RwLock<Vec<String>>,
}

/// The desk's ledger is not a hub's.
#[derive(Debug, thiserror::Error)]
#[error("this data folder belongs to a store's node; choose another one for the hub")]
pub struct NotAHub;

impl Intake {
    /// An intake over the ledger of `desk`, whose identity is `identity`. Pulls that wait are answered when `stop` is
    /// cancelled. Must be called inside a tokio runtime: it starts the loop that wakes them.
    ///
    /// # Errors
    /// [`NotAHub`].
    pub fn start(desk: Desk, identity: &Identity, stop: CancellationToken) -> Result<Self, NotAHub> {
        let Identity::Hub { hub_id, .. } = *identity else {
            return Err(NotAHub);
        };
        let bell = Bell::default();
        tokio::spawn(bell.clone().run(Arc::clone(desk.ledger()), stop.clone()));
        let admission = Admission::new(desk.ids().clone());
        let (limits, contacts, throttle) = (Limits::default(), Contacts::default(), Throttle::new());
        let uploads = blobs::uploads(&desk);
        let (swept, until) = (uploads.clone(), stop.clone());
        tokio::spawn(async move { until.run_until_cancelled(blobs::keep(swept)).await });
        let strangers = Arc::new(Strangers::default());
        let (noted, ledger, until) = (Arc::clone(&strangers), Arc::clone(desk.ledger()), stop.clone());
        tokio::spawn(async move { noted.keep(&ledger, until).await });
        let inner = Inner {
            desk,
            hub_id,
            limits,
            admission,
            bell,
            contacts,
            strangers,
            throttle,
            uploads,
            stop,
            called: watch::Sender::new(false),
            authorities: RwLock::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The hub's clock, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.inner.desk.now_ms()
    }

    /// The desk behind it all.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    /// The ledger that requests are checked against.
    #[must_use]
    pub fn ledger(&self) -> &SharedLedger {
        self.inner.desk.ledger()
    }

    /// What the hub takes.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Returns once a node has said hello, or after `longest`. A hub whose folder was put back by hand hears of that from the first
    /// one; what it recorded by itself before would take numbers that nodes hold already.
    pub async fn first_call(&self, longest: Duration) {
        if matches!(self.ledger().nodes(None).await, Ok(nodes) if nodes.is_empty()) {
            return;
        }
        let mut called = self.inner.called.subscribe();
        let _ = tokio::time::timeout(longest, called.wait_for(|called| *called)).await;
    }

    /// Nodes are told, with every hello from now on, that the hub is its own authority and will be another one: the certificate of the
    /// one in use and of the one that is to come, each as PEM. Empty: it stays what it is.
    pub fn announce(&self, authorities: Vec<String>) {
        *self.inner.authorities.write().unwrap_or_else(PoisonError::into_inner) = authorities;
    }

    /// What there is room for.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    /// Whom the hub refused.
    #[must_use]
    pub fn strangers(&self) -> &Strangers {
        &self.inner.strangers
    }

    /// Writes down that a node called, where that is worth a write. A failure costs a line in the fleet list, never
    /// the node's request.
    async fn note_contact(&self, node_id: Uuid, status: Option<NodeStatus>) {
        let status = status.map(|mut status| {
            // Whatever a node says is shown to people.
            status.settings = status.settings.map(SettingsReport::sane);
            status.believes.truncate(MAX_BELIEVED);
            status.believes.retain(|text| text.parse::<Pin>().is_ok_and(|pin| pin.to_hex() == *text));
            status
        });
        let Some(status) = self.inner.contacts.note(node_id, status, Instant::now()) else {
            return;
        };
        if let Err(error) = self.ledger().note_contact(node_id, status, self.now_ms()).await {
            tracing::warn!(node = %node_id, %error, "cannot note the node's contact");
        }
    }

    /// A failure of the ledger as the node hears of it: come back, where that helps.
    fn failed(&self, error: desk::Error) -> Refused {
        match error {
            desk::Error::Unavailable(_) | desk::Error::TooLong | desk::Error::Full | desk::Error::NoRoom => {
                tracing::warn!(%error, "a node's request has to wait");
                self.inner.admission.busy()
            }
            // Nothing of it goes anywhere until it is mended, which has begun: the node waits, as for a hub without room.
            error @ desk::Error::Damaged(_) => {
                tracing::error!(%error, "a node has to wait until what the disk has damaged is mended");
                self.inner.admission.busy()
            }
            error => Refused::Failed(error),
        }
    }
}

impl Caller {
    /// The scope the node records in.
    #[must_use]
    pub fn own_scope(&self) -> Scope {
        Scope::Store(self.store_code.clone())
    }

    /// The scopes the node may pull: none once another one took its place.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        if self.retired { Vec::new() } else { scopes_of(&self.store_code) }
    }
}

/// What a node of this store holds: its store and the company, never the hub's own.
fn scopes_of(store_code: &str) -> Vec<Scope> {
    vec![Scope::Store(store_code.to_owned()), Scope::Company]
}

/// The newest protocol version that both sides speak.
fn common_version(theirs: &[u32]) -> Result<u32, Refused> {
    let ours = sync_protocol::OLDEST_VERSION..=sync_protocol::VERSION;
    theirs.iter().copied().filter(|version| ours.contains(version)).max().ok_or(Refused::Version)
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("hub_id", &self.inner.hub_id).finish_non_exhaustive()
    }
}
