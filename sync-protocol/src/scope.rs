//! Scopes: what a site is entitled to. Every origin belongs to one scope, and every change with it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// One store, the company (every node holds it), or headquarters alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// `store/042`: one shop. Its nodes and the hub hold it.
    Store(String),
    /// `company`: what every site holds.
    Company,
    /// `hub`: what never leaves headquarters (its own accounts, for one).
    Hub,
}

impl Scope {
    /// The store's code, where the scope is a store.
    #[must_use]
    pub fn store_code(&self) -> Option<&str> {
        match self {
            Self::Store(code) => Some(code),
            Self::Company | Self::Hub => None,
        }
    }
}

/// True for a text that can be a store's code: 1 to 16 ASCII letters, digits, `-` or `_`. Zeros in front
/// count: `042` and `42` are two stores.
#[must_use]
pub fn is_store_code(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(code) => write!(f, "store/{code}"),
            Self::Company => f.write_str("company"),
            Self::Hub => f.write_str("hub"),
        }
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: store/CODE, company or hub")]
pub struct NotAScope;

impl std::str::FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        match text {
            "company" => Ok(Self::Company),
            "hub" => Ok(Self::Hub),
            _ => match text.strip_prefix("store/") {
                Some(code) if is_store_code(code) => Ok(Self::Store(code.to_owned())),
                _ => Err(NotAScope),
            },
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(D::Error::custom)
    }
}
