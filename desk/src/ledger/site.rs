//! Who a site is, and its own single values.

use crate::error::Error;
use async_trait::async_trait;
use chassis::outbound::Pin;
use serde::{Deserialize, Serialize};
use sync_protocol::chain::Link;
use sync_protocol::message::PhotoLimits;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Who a site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Headquarters.
    Hub {
        /// Lasting identity.
        hub_id: Uuid,
        /// Unbroken history.
        epoch: Uuid,
    },
    /// A store's node.
    Node(Enrolment),
    /// A node's folder before `enroll`.
    Unenrolled,
}

/// What a node knows of its enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Where the hub is.
    pub hub_url: String,
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch as last seen.
    pub epoch: Uuid,
    /// The node's identity.
    pub node_id: Uuid,
    /// The store.
    pub store_code: String,
    /// The store's name at enrolment.
    pub store_name: String,
    /// The scopes the node pulls.
    pub scopes: Vec<Scope>,
    /// PEM of the certificate authority that vouches for the hub, where one was given.
    pub ca_pem: Option<String>,
    /// Certificates by which alone the hub is believed; none: by whatever an authority vouches for.
    #[serde(default)]
    pub pins: Vec<Pin>,
}

impl Enrolment {
    /// The certificates of the hub's own by which it is believed: the pinned ones where there are any, else of the authority that was
    /// given. Empty where any authority will do.
    #[must_use]
    pub fn believed(&self) -> Vec<Pin> {
        match &self.ca_pem {
            Some(ca_pem) if self.pins.is_empty() => Pin::all_of_pem(ca_pem),
            _ => self.pins.clone(),
        }
    }
}

/// How a node's link to its hub was when last tried. All times by the node's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Whether the last try got a proven answer.
    pub hub_reachable: bool,
    /// When an answer last came.
    pub last_contact_ms: Option<i64>,
    /// The last error in words, until the next success.
    pub last_error: Option<String>,
    /// When the next try is due.
    pub next_try_ms: Option<i64>,
    /// The node's clock minus the hub's.
    pub clock_offset_ms: i64,
    /// The machine's last start, as headquarters' clock saw it.
    #[serde(default)]
    pub booted: Option<Booted>,
    /// Changes taken from the hub since enrolment.
    pub pulled_changes: u64,
    /// The last new beginning. Kept beside the rest, by [`super::Replication::begin_anew`].
    #[serde(skip)]
    pub notice: Option<Notice>,
}

/// When a machine was started: with it headquarters' time is known after the program was started again, whatever was done to the
/// machine's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booted {
    /// Which start: [`chassis::clock::Clock::boot_id`].
    pub id: String,
    /// What headquarters' clock said then, milliseconds since 1970.
    pub hub_ms: i64,
}

/// That this node went on under a new stream because its history disagreed with headquarters', and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When, by the node's clock.
    pub at_ms: i64,
    /// What was found, in words.
    pub what: String,
    /// The stream that ended.
    pub origin: Uuid,
    /// Its last number that both histories share.
    pub agreed_seq: u64,
    /// Changes recorded again under the new stream.
    pub recorded_again: u64,
    /// Changes of the ended stream that headquarters held and that came down since.
    #[serde(default)]
    pub came_back: u64,
}

/// That another node took this one's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// What the other one is called; empty where headquarters does not say.
    pub successor: String,
    /// Since when, by the hub's clock.
    pub since_ms: i64,
    /// Changes that waited here when this node heard of it.
    pub waited: u64,
}

/// Numbers that say how far a node is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The origin the node records under.
    pub origin: Uuid,
    /// Last number recorded.
    pub seq: u64,
    /// Chain link after it.
    pub head: Option<Link>,
    /// Changes the hub has not acknowledged.
    pub pending_changes: u64,
    /// When the oldest of them was recorded, by the time that the order of changes goes by; milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Changes in quarantine, here or (as its answers say) at the hub.
    pub quarantined: u64,
    /// Grows with every settlement that the site hears of.
    pub settled: u64,
}

/// The site's own single values.
#[async_trait]
pub trait Site {
    /// Who this site is.
    async fn identity(&self) -> Result<Identity, Error>;
    /// Makes a fresh folder a hub; answers the identity, also when it is one already.
    async fn become_hub(&self, hub_id: Uuid, epoch: Uuid) -> Result<Identity, Error>;
    /// Makes the folder a node of `enrolment`, with its secret, under a new origin. Existing records stay.
    async fn become_node(&self, enrolment: Enrolment, credential: String, origin: Uuid) -> Result<(), Error>;
    /// The node's secret.
    async fn credential(&self) -> Result<Option<String>, Error>;
    /// Keeps a new secret, durably.
    async fn set_credential(&self, credential: String) -> Result<(), Error>;
    /// Node: believes the hub by other certificates from now on: by `pins` alone where there are any, else by authorities and `ca_pem`.
    async fn set_trust(&self, pins: Vec<Pin>, ca_pem: Option<String>) -> Result<(), Error>;
    /// Where the link stood when last noted.
    async fn link_state(&self) -> Result<LinkState, Error>;
    /// Notes where the link stands, but for `pulled_changes` and `notice`, which other verbs keep.
    async fn set_link_state(&self, state: LinkState) -> Result<(), Error>;
    /// What headquarters said it takes of photos.
    async fn photo_limits(&self) -> Result<Option<PhotoLimits>, Error>;
    /// Keeps what headquarters takes of photos.
    async fn set_photo_limits(&self, limits: PhotoLimits) -> Result<(), Error>;
    /// Node: whether another one took its place.
    async fn retirement(&self) -> Result<Option<Retirement>, Error>;
    /// Node: notes that another one took its place: people record nothing here from then on. `None`: it did not, after all.
    async fn set_retirement(&self, retirement: Option<Retirement>) -> Result<(), Error>;
    /// How far the node is behind.
    async fn backlog(&self) -> Result<Backlog, Error>;
    /// Grows whenever anything was committed, by this process or another one.
    fn committed(&self) -> tokio::sync::watch::Receiver<u64>;
    /// True while writes are taken; for readiness.
    async fn is_writable(&self) -> bool;
    /// Returns once whoever writes has come by, whether or not the disk takes writes; for a watchdog.
    async fn answers(&self);
    /// A number that is another one after every change of what lists, counts and incidents show; the same again only for the
    /// same state. Costs nothing while nothing was committed.
    async fn generation(&self) -> Result<i64, Error>;
}
