//! A photo or another file of an incident: what is said of its content. The content itself travels by its digest.

use super::rule::{Part, Rule};

/// The largest file, in bytes.
pub const MAX_PHOTO_BYTES: u64 = 50 * 1024 * 1024;

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("incident_id", Part::required(Rule::Id)),
    ("sha256", Part::required(Rule::Digest)),
    ("size_bytes", Part::required(Rule::Whole(1, MAX_PHOTO_BYTES))),
    ("media_type", Part::required(Rule::Filled(100))),
    ("filename", Part::required(Rule::Filled(255))),
    ("caption", Part::optional(Rule::Text(1000))),
    ("taken_at", Part::optional(Rule::Time)),
    ("width", Part::optional(Rule::Whole(1, 1_000_000))),
    ("height", Part::optional(Rule::Whole(1, 1_000_000))),
    // What the site that took it in made of it.
    ("state", Part::optional(Rule::OneOf(&["ready", "undecodable"]))),
    ("reason", Part::optional(Rule::Text(500))),
    ("display/sha256", Part::optional(Rule::Digest)),
    ("display/size_bytes", Part::optional(Rule::Whole(1, MAX_PHOTO_BYTES))),
    ("thumbnail/sha256", Part::optional(Rule::Digest)),
    ("thumbnail/size_bytes", Part::optional(Rule::Whole(1, MAX_PHOTO_BYTES))),
];
