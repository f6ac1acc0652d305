//! A person's account. Those of headquarters never leave it: their changes are in the scope `hub`.

use super::rule::{Part, Rule};
use super::vocabulary::ACCOUNT_ROLES;

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("username", Part::required(Rule::Username)),
    ("display_name", Part::optional(Rule::Text(200))),
    ("role", Part::required(Rule::OneOf(ACCOUNT_ROLES))),
    ("store_code", Part::optional(Rule::StoreCode)),
    ("password_hash", Part::optional(Rule::Text(500))),
    ("active", Part::optional(Rule::Flag)),
];
