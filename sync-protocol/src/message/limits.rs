//! What a hub takes, told in `hello` and enforced where things are captured.

use crate::record::MAX_PHOTO_BYTES;
use serde::{Deserialize, Serialize};

/// What a hub takes of changes and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most changes in one push.
    pub push_changes: u32,
    /// Largest push, in bytes as sent (compressed).
    pub push_bytes: u64,
    /// Largest body of one change, in bytes.
    pub change_bytes: u64,
    /// Most changes in one page of a pull.
    pub pull_changes: u32,
    /// Longest wait of a pull, in milliseconds.
    pub wait_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            push_changes: 1000,
            push_bytes: 4 * 1024 * 1024,
            change_bytes: crate::change::MAX_BODY_BYTES as u64,
            pull_changes: 1000,
            wait_ms: 25_000,
        }
    }
}

/// What a hub takes of photos and other files. A node keeps it, so that it holds while headquarters cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoLimits {
    /// Largest file, in bytes; never more than [`MAX_PHOTO_BYTES`].
    pub max_bytes: u64,
    /// Most files of one incident.
    pub per_incident: u64,
    /// Media types, by content: such as `image/jpeg`, or `image/*`; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<String>,
}

/// Most files of one incident, whatever a hub says.
pub const MAX_PHOTOS: u64 = 100;

impl Default for PhotoLimits {
    fn default() -> Self {
        Self { max_bytes: MAX_PHOTO_BYTES, per_incident: MAX_PHOTOS, media_types: Vec::new() }
    }
}

impl PhotoLimits {
    /// The limits as far as they can be meant: within what every site holds to, and never nothing at all.
    #[must_use]
    pub fn sane(self) -> Self {
        Self {
            max_bytes: self.max_bytes.clamp(1, MAX_PHOTO_BYTES),
            per_incident: self.per_incident.clamp(1, MAX_PHOTOS),
            media_types: self.media_types,
        }
    }

    /// Whether a file of that type is taken.
    #[must_use]
    pub fn takes(&self, media_type: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix("/*") {
            Some(class) => media_type.split('/').next() == Some(class),
            None => pattern == media_type,
        };
        self.media_types.is_empty() || self.media_types.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_by_name_or_by_class() {
        let limits = |types: &[&str]| PhotoLimits {
            media_types: types.iter().map(ToString::to_string).collect(),
            ..PhotoLimits::default()
        };
        assert!(limits(&[]).takes("application/pdf"));
        assert!(limits(&["image/*"]).takes("image/heic"));
        assert!(!limits(&["image/*"]).takes("imageish/x"));
        assert!(!limits(&["image/*", "application/pdf"]).takes("video/mp4"));
        assert!(limits(&["image/*", "application/pdf"]).takes("application/pdf"));
    }

    #[test]
    fn no_hub_can_ask_for_more_than_a_site_takes_or_for_nothing_at_all() {
        let wild = PhotoLimits { max_bytes: u64::MAX, per_incident: 0, media_types: Vec::new() }.sane();
        assert_eq!((wild.max_bytes, wild.per_incident), (MAX_PHOTO_BYTES, 1));
    }
}
