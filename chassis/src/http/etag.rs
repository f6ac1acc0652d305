//! Entity tags and conditional requests.
//!
//! Tags are strong and made from the state of what is shown, not from the bytes sent: they stay the same whether
//! the answer was compressed or not (`Vary: accept-encoding` keeps caches apart). A proxy that compresses may turn them into
//! weak ones on the way, so `If-Match` looks past the `W/`: the state is the same.

use std::fmt;

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::secret::to_base64url;

/// A strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

/// What a conditional header says about the present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The header is not there.
    Absent,
    /// It names the present state.
    Holds,
    /// It names other states only.
    Fails,
}

impl ETag {
    /// The tag with exactly this text inside its quotes; characters no tag may have are left out.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect())
    }

    /// A tag made from everything an answer shows: 128 bits of a digest over `parts`, each with its length.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut digest = [0_u8; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(to_base64url(&digest))
    }

    /// For the `ETag` header.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// Whether `If-None-Match` says that the client has this state already: answer 304 (to GET and HEAD).
    #[must_use]
    pub fn not_modified(&self, headers: &HeaderMap) -> bool {
        self.check(headers, &IF_NONE_MATCH) == Precondition::Holds
    }

    /// What `If-Match` says; answer 412 when it [`Fails`](Precondition::Fails).
    #[must_use]
    pub fn if_match(&self, headers: &HeaderMap) -> Precondition {
        self.check(headers, &IF_MATCH)
    }

    fn check(&self, headers: &HeaderMap, name: &HeaderName) -> Precondition {
        let mut result = Precondition::Absent;
        for value in headers.get_all(name) {
            result = Precondition::Fails;
            if listed(value.as_bytes(), self.0.as_bytes()) {
                return Precondition::Holds;
            }
        }
        result
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Whether `tag` is in a header such as `"a", W/"b,c"`, or the header is `*`. A comma may be part of a tag.
fn listed(mut list: &[u8], tag: &[u8]) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    loop {
        let start = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b',')).unwrap_or(list.len());
        list = list.get(start..).unwrap_or_default();
        list = list.strip_prefix(b"W/").unwrap_or(list);
        let Some(inside) = list.strip_prefix(b"\"") else {
            // Some clients send the bare text; take it up to the next comma.
            let end = list.iter().position(|byte| *byte == b',').unwrap_or(list.len());
            let (bare, rest) = list.split_at(end);
            if !tag.is_empty() && bare.trim_ascii() == tag {
                return true;
            }
            if rest.is_empty() {
                return false;
            }
            list = rest;
            continue;
        };
        let Some(end) = inside.iter().position(|byte| *byte == b'"') else {
            return false;
        };
        let (found, rest) = inside.split_at(end);
        if found == tag {
            return true;
        }
        list = rest.get(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_known_state_is_not_sent_again() {
        let tag = ETag::new("a,b");
        assert_eq!(tag.header_value(), "\"a,b\"");
        for same in ["\"a,b\"", "W/\"a,b\"", "\"x\", W/\"a,b\"", "*", " * ", "\"x\",\"y\" , \"a,b\""] {
            assert!(tag.not_modified(&with(IF_NONE_MATCH, &[same])), "{same}");
        }
        for other in ["\"a\"", "\"b\"", "", "\"a,b", ",,,", "W/", "\"\""] {
            assert!(!tag.not_modified(&with(IF_NONE_MATCH, &[other])), "{other}");
        }
        assert!(!tag.not_modified(&HeaderMap::new()));
        assert!(tag.not_modified(&with(IF_NONE_MATCH, &["\"x\"", "\"a,b\""])));
    }

    #[test]
    fn if_match_tells_absent_from_stale() {
        let tag = ETag::of(&[b"v1", b"shown"]);
        assert_eq!(tag.if_match(&HeaderMap::new()), Precondition::Absent);
        assert_eq!(tag.if_match(&with(IF_MATCH, &["\"old\""])), Precondition::Fails);
        assert_eq!(tag.if_match(&with(IF_MATCH, &["*"])), Precondition::Holds);
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, tag.header_value());
        assert_eq!(tag.if_match(&headers), Precondition::Holds);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(ETag::of(&[b"ab", b"c"]), ETag::of(&[b"a", b"bc"]));
    }
}
