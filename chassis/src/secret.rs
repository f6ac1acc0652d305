//! Small things about secrets: comparing them, making them, keeping them out of logs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::ids::Ids;

/// Whether `a` equals `b`, in a time that depends on their lengths only.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A fresh bearer token: 256 random bits as 43 characters that are safe in URLs, headers and cookies.
#[must_use]
pub fn token(ids: &Ids) -> String {
    URL_SAFE_NO_PAD.encode(ids.random_bytes::<32>())
}

/// `bytes` as unpadded base64url.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of an unpadded base64url text; `None` when it is not one.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A value whose `Debug` says nothing about it, and that has no `Display`.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: the call that a reviewer looks for.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, for good.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: std::str::FromStr> std::str::FromStr for Redacted<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_are_the_same() {
        assert!(same(b"abc", b"abc") && same(b"", b""));
        assert!(!same(b"abc", b"abd") && !same(b"abc", b"abcd"));
    }

    #[test]
    fn a_token_is_url_safe_and_long() {
        let token = token(&Ids::system());
        assert_eq!(token.len(), 43);
        assert_eq!(from_base64url(&token).map(|bytes| bytes.len()), Some(32));
    }

    #[test]
    fn a_redacted_value_does_not_show() {
        assert_eq!(format!("{:?}", Some(Redacted::new("hunter2"))), "Some([redacted])");
    }
}
