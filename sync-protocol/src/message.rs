//! The messages of `/sync/v1`, their limits, and how each side proves who it is.
//!
//! All requests come from the node. Every request but `enrol` carries `Authorization: Bearer NODE_ID.SECRET`,
//! [`PROTOCOL_HEADER`] and a fresh [`NONCE_HEADER`]; every answer to it carries [`PROOF_HEADER`], without which the
//! node believes nothing: a captive portal answers 200 too.

mod proof;
mod settings;
mod successor;

use crate::chain::Link;
use crate::hlc::Hlc;
use crate::scope::Scope;
use crate::seal::Seal;
pub use proof::{CredentialKeys, credential_keys, proof, proves};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
pub use settings::SettingsReport;
use std::collections::BTreeMap;
use std::fmt;
pub use successor::Successor;
use uuid::Uuid;

mod limits;

pub use limits::{Limits, MAX_PHOTOS, PhotoLimits};

/// Request: the protocol version of the body. Answer: the version it was answered in.
pub const PROTOCOL_HEADER: &str = "aincident-protocol";
/// Request: 32 hexadecimal characters, never used twice.
pub const NONCE_HEADER: &str = "aincident-nonce";
/// Request, `hello` only: a digest of the machine and the folder that the node runs in, as 64 hexadecimal characters. Tells a
/// node that came back from a backup from a copy.
pub const MACHINE_HEADER: &str = "aincident-machine";
/// Answer: [`proof`] over nonce, status and body, as 64 hexadecimal characters.
pub const PROOF_HEADER: &str = "aincident-proof";

/// Largest request that is no push, in bytes. The hub reads no further.
pub const MAX_REQUEST_BYTES: u64 = 64 * 1024;

/// Largest answer that is no page, in bytes. The node reads no further.
pub const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;

/// Where a node sends what.
pub mod path {
    /// [`super::EnrolRequest`] → [`super::EnrolAnswer`].
    pub const ENROL: &str = "/sync/v1/enrol";
    /// [`super::HelloRequest`] → [`super::HelloAnswer`].
    pub const HELLO: &str = "/sync/v1/hello";
    /// [`crate::batch::Push`] → [`super::PushAnswer`].
    pub const PUSH: &str = "/sync/v1/push";
    /// [`super::PullRequest`] → [`crate::batch::Page`].
    pub const PULL: &str = "/sync/v1/pull";
    /// [`super::OfferRequest`] → [`super::OfferAnswer`]; since version 2.
    pub const OFFER: &str = "/sync/v1/offer";
    /// [`crate::batch::Page`] → [`super::GiveAnswer`]; since version 2.
    pub const GIVE: &str = "/sync/v1/give";
    /// [`super::HaveRequest`] → [`super::HaveAnswer`].
    pub const HAVE: &str = "/sync/v1/blobs/have";
    /// Contents, by their digest: `GET`, with ranges.
    pub const BLOBS: &str = "/sync/v1/blobs";
    /// Uploads of contents: tus 1.0.0.
    pub const UPLOADS: &str = "/sync/v1/uploads";
}

/// Most origins in one offer: the request stays within [`MAX_REQUEST_BYTES`].
pub const MAX_OFFER: usize = 500;

/// The hub's word that it held a stream durably, sealed: whatever becomes of its memory it knows the seal again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The hub's epoch when it gave it.
    pub epoch: Uuid,
    /// Number of the last change it held.
    pub seq: u64,
    /// Chain link after it.
    pub head: Link,
    /// See [`crate::seal::HubKey::receipt`].
    pub seal: Seal,
}

/// A node tells what it holds of others, for a hub that was restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRequest {
    /// For each origin that is not the node's own, the last number up to which it holds all; at most [`MAX_OFFER`].
    pub origins: BTreeMap<Uuid, u64>,
}

/// What the hub lacks of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferAnswer {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// For each origin wanted, the first number that is missing.
    pub wanted: BTreeMap<Uuid, u64>,
}

/// What became of one line given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Given {
    /// It is in its record again.
    Taken,
    /// The hub held it.
    Known,
    /// Nothing became of it.
    Refused {
        /// Whether giving it again later may help.
        later: bool,
        /// Why, for a person.
        reason: String,
    },
}

/// One line's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenLine {
    /// The change's origin.
    pub origin: Uuid,
    /// Its number there.
    pub seq: u64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Given,
}

/// The answer to lines given; sent once what was taken is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveAnswer {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// One for each line, in order.
    pub answers: Vec<GivenLine>,
}

/// Most contents that a node may ask after at once.
pub const MAX_HAVE: usize = 500;

/// A node asks which contents the hub has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveRequest {
    /// Digests (SHA-256) in hexadecimal, at most [`MAX_HAVE`].
    pub sha256: Vec<String>,
}

/// What the hub has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveAnswer {
    /// One for each digest, in the order of the request.
    pub items: Vec<HaveItem>,
}

/// What the hub has of one content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveItem {
    /// The digest.
    pub sha256: String,
    /// Whether it is there.
    pub state: Have,
    /// The node's upload of it that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Uuid>,
    /// How many bytes of that upload are durable at the hub.
    #[serde(default)]
    pub offset_bytes: u64,
    /// Whether somebody at headquarters waits for it.
    #[serde(default)]
    pub wanted: bool,
}

/// Whether a content is at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Have {
    /// It is durable there, and its digest was checked there.
    Here,
    /// It is not: send it.
    Missing,
    /// No record that the node may see names it: push the records first.
    Unknown,
}

/// A node asks to be a store's, with a code that headquarters gave out once. Not `Debug`-printed whole: it holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The one-time code as typed; case, spaces and dashes do not matter.
    pub code: String,
    /// What to call the node in lists, such as the PC's host name; at most 100 characters.
    pub node_name: String,
    /// The node program's version.
    pub version: String,
    /// Protocol versions the node speaks.
    pub protocols: Vec<u32>,
    /// The node's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// The only store that the folder can be of, where it holds records already: a code of another one is refused, and not used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_code: Option<String>,
}

/// The hub takes the node in. Not `Debug`-printed whole: it holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The hub's lasting identity; a node never talks to another one under the same enrolment.
    pub hub_id: Uuid,
    /// The hub's unbroken history; a new one after the hub was restored from a backup.
    pub epoch: Uuid,
    /// Who the node is from now on.
    pub node_id: Uuid,
    /// The store it belongs to.
    pub store_code: String,
    /// The store's name.
    pub store_name: String,
    /// The store's IANA time zone.
    pub timezone: String,
    /// The node's secret: 43 characters of base64url.
    pub credential: String,
    /// Protocol version to speak.
    pub protocol: u32,
    /// Scopes to pull.
    pub scopes: Vec<Scope>,
    /// The hub's limits.
    pub limits: Limits,
    /// What the hub takes of photos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photos: Option<PhotoLimits>,
    /// The hub's clock, milliseconds since 1970.
    pub now_ms: i64,
}

/// A node says where it stands: at start, after a break and once a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloRequest {
    /// The node program's version.
    pub version: String,
    /// Protocol versions the node speaks.
    pub protocols: Vec<u32>,
    /// The hub the node believes it talks to.
    pub hub_id: Uuid,
    /// The epoch the node last saw.
    pub epoch: Uuid,
    /// The origin the node records under now.
    pub origin: Uuid,
    /// Number of the last change recorded under it; 0 for none.
    pub seq: u64,
    /// Chain link after that change.
    pub head: Link,
    /// The node's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Asks for a new secret: at the program's start and once a day, not after every break of a bad line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// The last receipt that the hub gave for `origin`: a hub that holds less than it once vouched for was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<Receipt>,
    /// For the fleet list.
    pub status: NodeStatus,
}

/// What a node tells of itself for the fleet list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Changes not yet acknowledged.
    pub pending_changes: u64,
    /// Blobs not yet verified at the hub.
    pub pending_blobs: u64,
    /// Their bytes.
    pub pending_blob_bytes: u64,
    /// Changes in quarantine on the node.
    pub quarantined: u64,
    /// The node's clock minus the hub's as last measured, milliseconds.
    pub clock_offset_ms: i64,
    /// The node program's version.
    pub version: String,
    /// What it made of headquarters' settings, where its program knows of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsReport>,
    /// By which certificates it believes the hub, where those are the hub's own: SHA-256 of each, 64 hexadecimal characters, at most
    /// [`MAX_BELIEVED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub believes: Vec<String>,
    /// Whether its disk has no room for photos and files; reports are taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disk_low: bool,
}

/// Most certificates that a node says it believes the hub by; a hub keeps no more.
pub const MAX_BELIEVED: usize = 16;

/// Most authorities that a hub announces; a node reads no more.
pub const MAX_AUTHORITIES: usize = 4;

/// The hub says where it stands. Not `Debug`-printed whole: it holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// Protocol version to speak.
    pub protocol: u32,
    /// Scopes to pull.
    pub scopes: Vec<Scope>,
    /// The hub's limits.
    pub limits: Limits,
    /// What the hub takes of photos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photos: Option<PhotoLimits>,
    /// The hub's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Number of the last change the hub holds of the node's origin; 0 for none.
    pub applied_seq: u64,
    /// Chain link after that change.
    pub head: Link,
    /// A new secret, to be kept durably before it is used. The old one is good until the new one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Up to which number the hub's verified backup or replica holds the origin too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub durable_seq: u64,
    /// The hub program's version; since version 2.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Protocol versions the hub speaks; since version 2, and none where a hub of version 1 answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<u32>,
    /// Another node took this one's place: it may send what it still has, and gets nothing more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// Which one, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Successor>,
    /// The node came with an old secret, as one does that was restored from a backup; since version 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// A hub that is its own authority and will be another one: the certificate of the one in use, and of the one that is to come, each
    /// as PEM; at most [`MAX_AUTHORITIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What became of one change. An answer, never an error: the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the record.
    Applied,
    /// It met an edit its author had not seen; the later one stands, the other is in history and in review.
    Merged,
    /// It is in the record already, sent before with the same bytes. Also one that a person decided against.
    /// Any other that was sent before and is *not* in the record is answered `deferred` or `quarantined` again: the first answer may have been lost.
    Duplicate,
    /// Kept; waits behind an earlier change of the same record that is in quarantine.
    Deferred,
    /// Kept as it came, not in the record.
    Quarantined {
        /// Stable name of the reason, such as `bad-value`.
        code: String,
        /// The reason for a person.
        reason: String,
    },
}

/// One change's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its number.
    pub seq: u64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When the hub first took it, milliseconds since 1970 by the hub's clock.
    pub received_ms: i64,
    /// Where the hub placed it in the order, if not where its body says: its clock was too far ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlc: Option<Hlc>,
}

/// The answer to a push. `accepted` is sent only once everything in it is durable on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum PushResult {
    /// Every change of the push has its answer.
    Accepted {
        /// Number of the last change the hub now holds of this origin.
        applied_seq: u64,
        /// Up to which number the hub's verified backup or replica holds them too.
        durable_seq: u64,
        /// Chain link after `applied_seq`.
        head: Link,
        /// One for each change sent, in order.
        answers: Vec<Answer>,
        /// For the node to keep and to bring back in its next hello.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Receipt>,
    },
    /// Changes between the hub's head and the push are missing; nothing was applied.
    Gap {
        /// The number the hub expects next.
        expected: u64,
    },
    /// The hub holds other changes under these numbers; nothing was applied, the push is kept in quarantine.
    Fork {
        /// The last number on which both sides agree.
        agreed_seq: u64,
    },
}

/// The answer to a push and who gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAnswer {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// The hub's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// What became of the push.
    #[serde(flatten)]
    pub result: PushResult,
}

/// A node asks for what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// For each scope, where the node stands; a scope without a cursor is pulled from its beginning.
    pub cursors: BTreeMap<Scope, Option<String>>,
    /// Origins whose changes the node has itself and does not want back.
    #[serde(default)]
    pub skip: Vec<Uuid>,
    /// Most changes to send.
    pub limit: u32,
    /// How long to wait for something to come, in milliseconds; 0 answers at once.
    pub wait_ms: u64,
    /// For the fleet list.
    #[serde(default)]
    pub status: NodeStatus,
    /// Nothing serves the store: somebody only looks how things stand, and that is no contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looks: bool,
}

/// The first line of a page: what follows, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageHeader {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// The hub's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Number of lines that follow; [`crate::batch::Page::encode`] counts them itself.
    pub count: u32,
    /// For each scope asked for, the cursor to store together with the page's changes.
    pub cursors: BTreeMap<Scope, String>,
    /// True when there is more to have at once.
    pub more: bool,
    /// For each origin in the page, which site it records at: a store's code, or `hub`.
    pub sites: BTreeMap<Uuid, String>,
}

/// One change of a page, with what the hub knows of it. `body` is passed on byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageLine {
    /// The change's origin.
    pub origin: Uuid,
    /// Its number there.
    pub seq: u64,
    /// The scope it belongs to.
    pub scope: Scope,
    /// When the hub first took it, milliseconds since 1970.
    pub received_ms: i64,
    /// Where the hub placed it in the order, if not where its body says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlc: Option<Hlc>,
    /// The hub's seal on all this ([`crate::seal::HubKey::line`]), for the node to keep with the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// The change.
    pub body: Box<RawValue>,
}

impl PartialEq for PageLine {
    fn eq(&self, other: &Self) -> bool {
        let key = |line: &Self| (line.origin, line.seq, line.received_ms, line.hlc, line.seal);
        key(self) == key(other) && self.scope == other.scope && self.body.get() == other.body.get()
    }
}

impl fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolRequest").field("node_name", &self.node_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for EnrolAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolAnswer").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for HelloAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelloAnswer")
            .field("hub_id", &self.hub_id)
            .field("epoch", &self.epoch)
            .field("applied_seq", &self.applied_seq)
            .field("head", &self.head)
            .field("new_credential", &self.credential.is_some())
            .finish_non_exhaustive()
    }
}

/// Reasons for which the hub refuses a request, as the last part of a problem's `type`.
pub mod refusal {
    /// 401: the credential is unknown or wrong.
    pub const UNKNOWN_NODE: &str = "unknown-node";
    /// 403: headquarters revoked the node.
    pub const REVOKED: &str = "node-revoked";
    /// 403: another node took this one's place; it may send, and gets nothing more.
    pub const RETIRED: &str = "node-retired";
    /// 401: a newer credential of this node is in use: this is a copy or an old backup.
    pub const SUPERSEDED: &str = "credential-superseded";
    /// 409: the node belongs to another hub.
    pub const WRONG_HUB: &str = "wrong-hub";
    /// 403: the scope or origin is not the node's.
    pub const NOT_YOURS: &str = "not-yours";
    /// 403: the enrolment code is unknown, used or too old.
    pub const BAD_CODE: &str = "bad-code";
    /// 426: no protocol version in common.
    pub const VERSION: &str = "protocol-version";
    /// 409: the cursor is of another epoch or not of this hub.
    pub const BAD_CURSOR: &str = "bad-cursor";
    /// 400: the body is not what the endpoint takes; nothing of it was applied.
    pub const MALFORMED: &str = "malformed";
    /// 413: more than the limits allow; nothing of it was applied.
    pub const TOO_LARGE: &str = "too-large";
    /// 429: too many wrong enrolment codes; `Retry-After` says when the next one is looked at.
    pub const TOO_MANY: &str = "too-many-attempts";
    /// 429: the node asks too often; `Retry-After` says when its next request is taken.
    pub const TOO_OFTEN: &str = "too-often";
    /// 503: the hub has no room now; `Retry-After` says when to come back.
    pub const BUSY: &str = "busy";
}

/// Reasons for which the hub keeps a change outside its record: [`Outcome::Quarantined`]'s `code`.
pub mod quarantine {
    /// The body is not a change ([`crate::change::Change::from_body`]).
    pub const MALFORMED: &str = "malformed";
    /// The body is larger than [`super::Limits::change_bytes`].
    pub const TOO_LARGE: &str = "too-large";
    /// A field that the hub knows has a value it cannot have ([`crate::record::check`]).
    pub const BAD_VALUE: &str = "bad-value";
    /// The change edits what this origin may not edit: a record of another scope, or a kind that headquarters keeps.
    pub const NOT_YOURS: &str = "not-yours";
    /// The record, or the incident it belongs to, was never recorded.
    pub const NO_RECORD: &str = "no-record";
    /// The hub failed while applying it; a person or a later version tries again.
    pub const FAILED: &str = "failed";
}

/// An enrolment code as it is compared: upper case, without spaces and dashes.
#[must_use]
pub fn normal_code(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
