//! A store, as headquarters names it.

use super::rule::{Part, Rule};

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("code", Part::required(Rule::StoreCode)),
    ("name", Part::required(Rule::Filled(200))),
    ("timezone", Part::optional(Rule::Filled(100))),
];
