//! An order of erasure: which fields of which records lose their values, by whose order, and which sites have done it.
//! See [`crate::erasure`].

use super::rule::{MAX_MINOR, Part, Rule};

pub(super) const FIELDS: &[(&str, Part)] = &[
    // Not `incident_id`: an order stands by itself, so that it is taken even where the incident is not held.
    ("incident", Part::required(Rule::Id)),
    ("reason", Part::required(Rule::Filled(2000))),
    ("what/*", Part::optional(Rule::Texts(400, 100))),
    ("left/*", Part::optional(Rule::Object(LEFT))),
    ("done/*", Part::optional(Rule::Object(DONE))),
];

const LEFT: &[(&str, Part)] = &[("digest", Part::required(Rule::Blake3)), ("seal", Part::optional(Rule::Text(32)))];

const DONE: &[(&str, Part)] = &[
    ("at", Part::required(Rule::Time)),
    ("changes", Part::optional(Rule::Whole(0, MAX_MINOR))),
    ("contents", Part::optional(Rule::Whole(0, MAX_MINOR))),
];
