//! A comment: a record of its own, so two comments never conflict.

use super::rule::{Part, Rule};
use super::vocabulary::COMMENT_KINDS;

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("incident_id", Part::required(Rule::Id)),
    ("body", Part::required(Rule::Filled(10_000))),
    ("kind", Part::optional(Rule::OneOf(COMMENT_KINDS))),
];
