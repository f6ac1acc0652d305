//! Proof that two sites hold the same records: sums of what they hold, and how a difference is found and mended.
//!
//! **The law.** Every record has a sum that follows from its merged state alone ([`record_sum`]). The sum of a set of records is
//! the exclusive or of theirs, so it does not depend on order, and a record that changes takes its old sum out and puts its
//! new one in. The records of a scope are dealt into 256 buckets by their ids ([`bucket_of`]): two sites that differ find out
//! with one number, find the buckets with 256, and the records with what those buckets hold.
//!
//! It finds accidents. Who wants two different states to have one sum can arrange that; whoever may write records may
//! write what they like anyway.

use crate::change::ChangeId;
use crate::erasure;
use crate::hex;
use crate::hlc::Hlc;
use crate::merge::{RecordState, Stamp};
use crate::scope::Scope;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// [`ChecksumsRequest`] → [`ChecksumsAnswer`].
pub const CHECKSUMS: &str = "/sync/v1/checksums";
/// [`ChangesRequest`] → [`crate::batch::Page`].
pub const CHANGES: &str = "/sync/v1/changes";
/// [`crate::batch::Page`] → [`crate::message::GiveAnswer`].
pub const MEND: &str = "/sync/v1/mend";

/// Buckets of a scope.
pub const BUCKETS: usize = 256;
/// Most records told of in one answer; where there are more the rest is looked at after these are mended.
pub const MAX_ITEMS: usize = 5_000;
/// Most records that may be named in one request.
pub const MAX_RECORDS: usize = 100;
/// Most changes told of in one answer.
pub const MAX_CHANGES: usize = 20_000;
/// Most changes asked for at once, and most changes and contents that an answer asks for.
pub const MAX_WANTED: usize = 500;

/// 16 bytes that follow from what they stand for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum([u8; 16]);

impl Sum {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The reverse of [`Sum::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes as two SQL integers.
    #[must_use]
    pub const fn to_pair(self) -> (i64, i64) {
        let number = u128::from_be_bytes(self.0);
        ((number >> 64) as i64, number as i64)
    }

    /// The reverse of [`Sum::to_pair`].
    #[must_use]
    pub const fn from_pair((a, b): (i64, i64)) -> Self {
        Self((((a as u64 as u128) << 64) | b as u64 as u128).to_be_bytes())
    }

    /// The sum of both; of the same twice: nothing.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self((u128::from_be_bytes(self.0) ^ u128::from_be_bytes(other.0)).to_be_bytes())
    }

    /// The first 16 bytes of the digest of a change: the same for what is left of an erased one.
    #[must_use]
    pub fn of_body(body: &str) -> Self {
        Self::first(&blake3::Hash::from_bytes(erasure::digest(body.as_bytes())))
    }

    fn first(hash: &blake3::Hash) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 32 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sum of 32 hexadecimal characters")]
pub struct NotASum;

impl std::str::FromStr for Sum {
    type Err = NotASum;

    fn from_str(text: &str) -> Result<Self, NotASum> {
        hex::read(text).map(Self).ok_or(NotASum)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// The bucket of a record: the first byte of the BLAKE3 of its id's 16 bytes.
#[must_use]
pub fn bucket_of(record: Uuid) -> u8 {
    blake3::hash(record.as_bytes()).as_bytes()[0]
}

/// The sum of a record: the first 16 bytes of the BLAKE3 of its parts, each behind its length as 8 bytes, little endian.
///
/// Parts: `aincident record 1`; the id's 16 bytes; the kind; who recorded it first (empty for nobody: place, origin, number,
/// `at` and username, 8 + 16 + 8 + 8 bytes and the rest); then for every field that was ever written, by the bytes of its name:
/// its name, its value in canonical form, and place, origin and number of what wrote it (8 + 16 + 8 bytes). Numbers are
/// little endian.
#[must_use]
pub fn record_sum(id: Uuid, kind: &str, state: &RecordState) -> Sum {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"aincident record 1");
    part(id.as_bytes());
    part(kind.as_bytes());
    let mut born = Vec::new();
    if let Some(first) = &state.born {
        born.extend_from_slice(&stamp_bytes(first.stamp));
        born.extend_from_slice(&first.at.to_le_bytes());
        born.extend_from_slice(first.by.as_bytes());
    }
    part(&born);
    for (field, cell) in &state.cells {
        part(field.as_bytes());
        part(cell.value.to_string().as_bytes());
        part(&stamp_bytes(cell.stamp));
    }
    Sum::first(&hasher.finalize())
}

fn stamp_bytes(stamp: Stamp) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&stamp.hlc.to_i64().to_le_bytes());
    bytes[8..24].copy_from_slice(stamp.id.origin.as_bytes());
    bytes[24..].copy_from_slice(&stamp.id.seq.to_le_bytes());
    bytes
}

/// How many records there are, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Records.
    pub records: u64,
    /// Their sum.
    pub sum: Sum,
}

impl Sums {
    /// Puts a record in.
    pub const fn add(&mut self, sum: Sum) {
        self.records += 1;
        self.sum = self.sum.with(sum);
    }
}

/// A node tells what it holds, and from where on the hub would have to tell it more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksumsRequest {
    /// The origin the node records under.
    pub origin: Uuid,
    /// The last number of it that the hub acknowledged; the node has recorded nothing behind it.
    pub seq: u64,
    /// For each scope, where the node stands, as in a pull.
    pub cursors: BTreeMap<Scope, Option<String>>,
    /// For each scope, what the node holds at that place.
    pub sums: BTreeMap<Scope, Sums>,
    /// For each scope, buckets that differ: the answer tells of their records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<Scope, Vec<u8>>,
    /// Records that differ, at most [`MAX_RECORDS`]: the hub makes sure of its own, and tells their changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Uuid>,
    /// How many things the node has found damaged that are not mended yet; for the fleet list.
    #[serde(default)]
    pub damaged: u64,
    /// How many it has mended so far.
    #[serde(default)]
    pub mended: u64,
}

/// How a scope compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Both hold the same.
    Equal,
    /// Both know of the same changes and do not hold the same.
    Different,
    /// One knows of changes that the other does not: there is nothing to compare yet.
    Behind,
}

/// One scope's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeAnswer {
    /// How it compares.
    pub state: Compared,
    /// Changes that the hub has and the node has not, as far as they were counted.
    #[serde(default)]
    pub node_lacks: u64,
    /// Changes that the node has and the hub has not.
    #[serde(default)]
    pub hub_lacks: u64,
    /// What the hub holds.
    pub sums: Sums,
    /// When it is different: what each of the hub's buckets holds, all [`BUCKETS`] in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Sums>,
    /// The records of the buckets asked for, at most [`MAX_ITEMS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<RecordItem>,
    /// Whether there were more than those.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A record as a bucket holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordItem {
    /// The record.
    pub id: Uuid,
    /// Its sum.
    pub sum: Sum,
    /// Whether a change of it is in quarantine: the sites then differ for a reason that is told elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
}

/// A record's changes as the hub holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChanges {
    /// The record.
    pub id: Uuid,
    /// The changes that are in it.
    pub changes: Vec<ChangeItem>,
}

/// One change as a site holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// Which.
    pub id: ChangeId,
    /// Its place in the order.
    pub hlc: Hlc,
    /// [`Sum::of_body`].
    pub body: Sum,
}

/// The hub's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksumsAnswer {
    /// The hub's identity.
    pub hub_id: Uuid,
    /// The hub's epoch.
    pub epoch: Uuid,
    /// The hub's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// One for each scope of the request.
    pub scopes: BTreeMap<Scope, ScopeAnswer>,
    /// The changes of the records named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordChanges>,
    /// Changes that the hub has lost or finds damaged, at most [`MAX_WANTED`]: whoever holds them gives them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<ChangeId>,
    /// Contents (SHA-256) that the hub once had and has no more, or that records name and it never got, at most [`MAX_WANTED`]:
    /// whoever holds them for verified there sends them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// A node asks for changes by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesRequest {
    /// Which, at most [`MAX_WANTED`].
    pub wanted: Vec<ChangeId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;

    fn state() -> RecordState {
        let origin = Uuid::from_u128(0x0a);
        let body = r#"{"at":5,"by":"kim","id":"00000000-0000-0000-0000-000000000001","kind":"incident","new":true,"set":{"description":"é \"x\"","severity":4}}"#;
        let change = Change::from_body(body).unwrap();
        RecordState::of([(ChangeId { origin, seq: 1 }, change.order(), &change)])
    }

    #[test]
    fn the_sum_of_a_record_is_what_the_document_says() {
        let (id, state) = (Uuid::from_u128(1), state());
        let mut bytes = Vec::new();
        let mut part = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        let mut stamp = (5_u64 << 16).to_le_bytes().to_vec();
        stamp.extend_from_slice(&0x0a_u128.to_be_bytes());
        stamp.extend_from_slice(&1_u64.to_le_bytes());
        part(b"aincident record 1");
        part(&1_u128.to_be_bytes());
        part(b"incident");
        part(&[stamp.clone(), 5_u64.to_le_bytes().to_vec(), b"kim".to_vec()].concat());
        part(b"description");
        part("\"é \\\"x\\\"\"".as_bytes());
        part(&stamp);
        part(b"severity");
        part(b"4");
        part(&stamp);
        assert_eq!(record_sum(id, "incident", &state).as_bytes()[..], blake3::hash(&bytes).as_bytes()[..16]);
    }

    #[test]
    fn every_part_of_a_state_moves_its_sum() {
        let (id, right) = (Uuid::from_u128(1), state());
        let sum = record_sum(id, "incident", &right);
        let mut others = vec![record_sum(Uuid::from_u128(2), "incident", &right), record_sum(id, "comment", &right)];
        let mut altered = right.clone();
        altered.cells.get_mut("severity").unwrap().value = 5.into();
        others.push(record_sum(id, "incident", &altered));
        let mut altered = right.clone();
        altered.cells.get_mut("severity").unwrap().stamp.id.seq = 2;
        others.push(record_sum(id, "incident", &altered));
        let mut altered = right.clone();
        altered.born.as_mut().unwrap().by = "lee".to_owned();
        others.push(record_sum(id, "incident", &altered));
        let mut altered = right;
        altered.cells.remove("severity");
        others.push(record_sum(id, "incident", &altered));
        assert!(others.iter().all(|other| *other != sum), "{others:?}");
    }

    #[test]
    fn what_goes_in_twice_goes_out_and_a_sum_has_one_spelling() {
        let (a, b) = (Sum::of_body("a"), Sum::of_body("b"));
        assert_eq!(a.with(b).with(a), b);
        assert_eq!(Sum::from_pair(a.to_pair()), a);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!("AB".repeat(16).parse::<Sum>(), Err(NotASum));
        assert_eq!("ab".parse::<Sum>(), Err(NotASum));
    }
}
