//! The hash chain that seals a stream of changes.
//!
//! `h_0 = BLAKE3("aincident origin v1\n" ‖ origin as 36 lower-case characters)`,
//! `h_n = BLAKE3(h_{n-1} ‖ digest of change n)`, the digest being BLAKE3 of its body, byte for byte. The origin and the
//! number of a change are therefore sealed too, though the body names neither. What is left of an erased body tells the
//! digest of the whole ([`crate::erasure`]), so a stream can be walked whatever was erased from it.

use crate::erasure;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use uuid::Uuid;

/// One link: the digest over everything its stream held up to a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link([u8; 32]);

impl Link {
    /// The link before the first change of `origin`.
    #[must_use]
    pub fn start(origin: Uuid) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"aincident origin v1\n");
        hasher.update(origin.hyphenated().to_string().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The link after a change with this `body`.
    #[must_use]
    pub fn extend(self, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&erasure::digest(body));
        Self(*hasher.finalize().as_bytes())
    }

    /// The 32 bytes, as a ledger keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The reverse of [`Link::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        blake3::Hash::from_hex(text.as_bytes())
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| D::Error::custom("not a chain link of 64 hexadecimal characters"))
    }
}
