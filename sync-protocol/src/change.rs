//! A change: one edit of one record by one person at one site, the only thing that replicates.
//!
//! Its **body** is a line of JSON made once, where the change was made. Every site keeps, hashes and passes on
//! those bytes as they are and never writes them anew, so fields and kinds that a site does not know survive it.

use crate::erasure::{self, MOST_LEFT_OVER};
use crate::hlc::Hlc;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// The largest body of one change, in bytes. Capture enforces it, so that a node never records what its hub
/// would have to refuse.
pub const MAX_BODY_BYTES: usize = 384 * 1024;

/// Which change: number `seq` of the stream `origin`. Numbers start at 1 and leave no gap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId {
    /// The unbroken stream that the change belongs to.
    pub origin: Uuid,
    /// Its place in that stream, from 1.
    pub seq: u64,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin.hyphenated(), self.seq)
    }
}

impl fmt::Debug for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ChangeId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = || Malformed("not a change id of the form ORIGIN:SEQ".to_owned());
        let (origin, seq) = text.split_once(':').ok_or_else(wrong)?;
        let origin = Uuid::try_parse(origin).map_err(|_| wrong())?;
        let seq: u64 = seq.parse().map_err(|_| wrong())?;
        let id = Self { origin, seq };
        // One change, one spelling: "{…}:+7" is refused.
        if seq > 0 && id.to_string() == text { Ok(id) } else { Err(wrong()) }
    }
}

impl Serialize for ChangeId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChangeId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The name of a record's field: `title`, or `people/ID` for one element of a collection.
pub type Field = String;

/// One edit of one record, as its body says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Wall time at the site when the change was made, milliseconds since 1970, as that site's clock said.
    pub at: i64,
    /// For each field of `set` that had a value: the change that had written the value the person saw.
    /// What tells a correction from a conflict.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base: BTreeMap<Field, ChangeId>,
    /// Username of whoever made it, or `system:` and what did.
    pub by: String,
    /// Where the change stands in the order of all changes; left out where it is `at` with counter 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlc: Option<Hlc>,
    /// The record.
    pub id: Uuid,
    /// The change that this one stands in for: one in quarantine, which it takes out of its record for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<ChangeId>,
    /// The record's kind: `incident`, `comment`, … A site keeps kinds it does not know.
    pub kind: String,
    /// True where the change records the record for the first time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
    /// What the fields become; `null` takes a value away.
    pub set: BTreeMap<Field, Value>,
}

/// A body that is no change; the text says why, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Change {
    /// The change's place in the order of all changes, before any clamping.
    #[must_use]
    pub fn order(&self) -> Hlc {
        self.hlc.unwrap_or_else(|| Hlc::new(self.at, 0))
    }

    /// Notes `order` as the change's place, in the shortest spelling.
    pub fn set_order(&mut self, order: Hlc) {
        self.hlc = (order != Hlc::new(self.at, 0)).then_some(order);
    }

    /// The body: one line of JSON with sorted keys and no white space.
    ///
    /// # Errors
    /// [`Malformed`] when the body would be larger than [`MAX_BODY_BYTES`].
    pub fn to_body(&self) -> Result<String, Malformed> {
        within(serde_json::to_string(self).map_err(|e| Malformed(e.to_string()))?)
    }

    /// [`Change::to_body`] as a site records it: with a `salt` that nobody can guess, and the orders of erasure that its
    /// author knew of ([`crate::erasure`]).
    ///
    /// # Errors
    /// As [`Change::to_body`].
    pub fn to_salted_body(&self, salt: &str, knows: &[Uuid]) -> Result<String, Malformed> {
        #[derive(Serialize)]
        struct Recorded<'a> {
            at: i64,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            base: &'a BTreeMap<Field, ChangeId>,
            by: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            hlc: Option<Hlc>,
            id: Uuid,
            #[serde(skip_serializing_if = "Option::is_none")]
            instead_of: Option<ChangeId>,
            kind: &'a str,
            #[serde(skip_serializing_if = "<[Uuid]>::is_empty")]
            knows: &'a [Uuid],
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            new: bool,
            salt: &'a str,
            set: &'a BTreeMap<Field, Value>,
        }
        let Self { at, base, by, hlc, id, instead_of, kind, new, set } = self;
        let members = Recorded {
            at: *at,
            base,
            by,
            hlc: *hlc,
            id: *id,
            instead_of: *instead_of,
            kind,
            knows,
            new: *new,
            salt,
            set,
        };
        within(serde_json::to_string(&members).map_err(|e| Malformed(e.to_string()))?)
    }

    /// Reads a body. Members it does not know are let pass: the bytes are kept anyway.
    ///
    /// # Errors
    /// [`Malformed`] when the body is larger than [`MAX_BODY_BYTES`], holds a line break, has white space around it
    /// (a page could not carry that) or is not a change.
    pub fn from_body(body: &str) -> Result<Self, Malformed> {
        let over = body.len().saturating_sub(MAX_BODY_BYTES);
        // What is left of an erased body has the digest of the whole besides.
        if over > MOST_LEFT_OVER || (over > 0 && erasure::original(body.as_bytes()).is_none()) {
            return Err(Malformed(format!("the change is {} bytes and {MAX_BODY_BYTES} is the limit", body.len())));
        }
        if body.contains(['\n', '\r']) {
            return Err(Malformed("a body is one line".to_owned()));
        }
        if !(body.starts_with('{') && body.ends_with('}')) {
            return Err(Malformed("a body is a JSON object with nothing around it".to_owned()));
        }
        serde_json::from_str(body).map_err(|e| Malformed(format!("not a change: {e}")))
    }
}

fn within(body: String) -> Result<String, Malformed> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Malformed(format!("the change is {} bytes and {MAX_BODY_BYTES} is the limit", body.len())));
    }
    Ok(body)
}
