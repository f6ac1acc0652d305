//! What people decided about a change in quarantine: a record of its own, so that it is told at every site by whom, when and why.
//!
//! `change` names it. `retried` asks every site that has it in quarantine to try again; `decided` takes it out of its record
//! for good. What is decided stays so, whatever is decided later: sites that hold the same settlements leave out the same changes.

use super::rule::{Part, Rule};
use super::vocabulary::DECISIONS;
use crate::change::ChangeId;
use uuid::Uuid;

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("change", Part::required(Rule::ChangeId)),
    ("retried", Part::optional(Rule::Object(RETRIED))),
    ("decided", Part::optional(Rule::Object(DECIDED))),
];

const RETRIED: &[(&str, Part)] = &[("reason", Part::optional(Rule::Text(2000)))];

const DECIDED: &[(&str, Part)] = &[
    ("action", Part::required(Rule::OneOf(DECISIONS))),
    ("reason", Part::required(Rule::Filled(2000))),
    ("instead", Part::optional(Rule::ChangeId)),
];

/// The record in which what is decided about `change` is kept: the same wherever somebody decides.
#[must_use]
pub fn settlement_of(change: ChangeId) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"aincident settlement v1\n").update(change.to_string().as_bytes());
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *hasher.finalize().as_bytes();
    uuid::Builder::from_custom_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]).into_uuid()
}
