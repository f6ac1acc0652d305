//! What a hub can recognise as its own, whatever became of its memory.
//!
//! A hub that was restored from a backup has forgotten what it did since. But it still has its key, and everything it
//! hands out is sealed with it: credentials, receipts for what was pushed, the lines of its pages, its cursors. So it
//! can believe a node that brings one of them back, and nobody else can make one. Only the hub computes any of this;
//! to a node they are texts to keep.
//!
//! Every part has its length in front of it, so that no two different things are ever sealed as the same bytes.

use crate::chain::Link;
use crate::hex;
use crate::hlc::Hlc;
use crate::message::{PageLine, Receipt};
use crate::scope::Scope;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use uuid::Uuid;

/// Characters of the derived part of a secret.
const SECRET_CHARS: usize = 64;

/// 16 bytes that only the hub with the key could have made; compared in constant time.
#[derive(Clone, Copy)]
pub struct Seal([u8; 16]);

impl Seal {
    /// The bytes, as a ledger keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The reverse of [`Seal::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        let widened = |seal: &Self| {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&seal.0);
            blake3::Hash::from_bytes(bytes)
        };
        // `blake3::Hash` compares in constant time.
        widened(self) == widened(other)
    }
}

impl Eq for Seal {}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 32 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a seal of 32 hexadecimal characters")]
pub struct NotASeal;

impl std::str::FromStr for Seal {
    type Err = NotASeal;
    fn from_str(text: &str) -> Result<Self, NotASeal> {
        hex::read(text).map(Self).ok_or(NotASeal)
    }
}

impl Serialize for Seal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// A hub's key: made with the hub, kept in its ledger (so that a backup brings it along), told to nobody.
#[derive(Clone, Copy)]
pub struct HubKey([u8; 32]);

impl fmt::Debug for HubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubKey(…)")
    }
}

impl HubKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, as a ledger keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn keyed(&self, context: &str, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key(context, &self.0));
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }

    fn seal(&self, context: &str, parts: &[&[u8]]) -> Seal {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.keyed(context, parts).as_bytes()[..16]);
        Seal(bytes)
    }

    /// The secret of a node's credential: `GENERATION-` and 64 hexadecimal characters.
    #[must_use]
    pub fn secret(&self, node_id: Uuid, generation: i64) -> String {
        let derived =
            self.keyed("aincident 2026-11 hub key: credential", &[node_id.as_bytes(), &generation.to_le_bytes()]);
        format!("{generation}-{}", derived.to_hex())
    }

    /// Which generation of the node's credentials `secret` is; `None` when this hub never made it.
    #[must_use]
    pub fn generation(&self, node_id: Uuid, secret: &str) -> Option<i64> {
        let (generation, derived) = secret.split_once('-').filter(|(_, derived)| derived.len() == SECRET_CHARS)?;
        let generation: i64 = generation.parse().ok().filter(|generation| *generation > 0)?;
        let right = self.secret(node_id, generation);
        // One spelling: a sign or a zero in front is not what was handed out. Hashes compare in constant time.
        let same = blake3::hash(secret.as_bytes()) == blake3::hash(right.as_bytes());
        (same && !derived.is_empty()).then_some(generation)
    }

    /// Says that the hub, in `epoch`, durably holds `origin` up to number `seq`, where its link is `head`.
    #[must_use]
    pub fn receipt(&self, epoch: Uuid, origin: Uuid, seq: u64, head: Link) -> Receipt {
        let parts: [&[u8]; 4] = [epoch.as_bytes(), origin.as_bytes(), &seq.to_le_bytes(), head.as_bytes()];
        Receipt { epoch, seq, head, seal: self.seal("aincident 2026-11 hub key: receipt", &parts) }
    }

    /// Whether this hub gave the receipt for `origin`.
    #[must_use]
    pub fn gave(&self, origin: Uuid, receipt: &Receipt) -> bool {
        self.receipt(receipt.epoch, origin, receipt.seq, receipt.head).seal == receipt.seal
    }

    /// Seals a line of a page. `site`: where its origin records; `placed`: where the change stands in the order.
    #[must_use]
    pub fn line(&self, line: &PageLine, site: &str, placed: Hlc) -> Seal {
        let scope = line.scope.to_string();
        let parts: [&[u8]; 7] = [
            scope.as_bytes(),
            site.as_bytes(),
            line.origin.as_bytes(),
            &line.seq.to_le_bytes(),
            &placed.to_i64().to_le_bytes(),
            &line.received_ms.to_le_bytes(),
            line.body.get().as_bytes(),
        ];
        self.seal("aincident 2026-11 hub key: line", &parts)
    }

    /// Seals a cursor: after number `seq` of `scope`'s feed in `epoch`, where the change has the tag `tag`.
    #[must_use]
    pub fn cursor(&self, scope: &Scope, epoch: Uuid, seq: i64, tag: u32) -> Seal {
        let scope = scope.to_string();
        let parts: [&[u8]; 4] = [scope.as_bytes(), epoch.as_bytes(), &seq.to_le_bytes(), &tag.to_le_bytes()];
        self.seal("aincident 2026-11 hub key: cursor", &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_knows_its_secrets_by_its_key_alone_and_nobody_elses() {
        let (key, node) = (HubKey::new([7; 32]), Uuid::from_u128(1));
        let secret = key.secret(node, 12);
        assert_eq!(key.generation(node, &secret), Some(12));
        assert_eq!(key.generation(Uuid::from_u128(2), &secret), None);
        assert_eq!(HubKey::new([8; 32]).generation(node, &secret), None);
        let derived = secret.split_once('-').unwrap().1;
        for forged in [format!("13-{derived}"), format!("+12-{derived}"), format!("012-{derived}"), "12-".to_owned()] {
            assert_eq!(key.generation(node, &forged), None, "{forged}");
        }
        // A random secret of 43 characters of base64url that happens to begin like one.
        assert_eq!(key.generation(node, "1-345678901234567890123456789012345678901ab"), None);
    }

    #[test]
    fn a_receipt_is_good_for_its_own_stream_number_link_and_epoch_only() {
        let (key, origin) = (HubKey::new([7; 32]), Uuid::from_u128(3));
        let receipt = key.receipt(Uuid::from_u128(9), origin, 5, Link::start(origin));
        assert!(key.gave(origin, &receipt));
        assert!(!key.gave(Uuid::from_u128(4), &receipt));
        assert!(!key.gave(origin, &Receipt { seq: 6, ..receipt }));
        assert!(!key.gave(origin, &Receipt { epoch: Uuid::from_u128(8), ..receipt }));
        assert!(!HubKey::new([0; 32]).gave(origin, &receipt));
    }

    #[test]
    fn a_seal_has_one_spelling() {
        let seal = Seal::from_bytes([0xab; 16]);
        assert_eq!(seal.to_string().parse(), Ok(seal));
        for wrong in ["", "AB".repeat(16).as_str(), "+b".repeat(16).as_str(), "ab".repeat(17).as_str()] {
            assert_eq!(wrong.parse::<Seal>(), Err(NotASeal), "{wrong}");
        }
    }
}
