//! What headquarters sets for its nodes: one record for the company, one for each store, whose fields go before the company's.
//!
//! Values are not judged here but where they are applied: a newer headquarters may say what an older node cannot do, and that
//! node takes the rest and says what it could not take, and why. Headquarters judges what a person sets before it is recorded.

use super::rule::{Part, Rule};
use crate::change::Field;
use crate::scope::Scope;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

const ANY: Part = Part::optional(Rule::Any);

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("log_level", ANY),
    ("photos/originals", ANY),
    ("photos/max_kbit_s", ANY),
    ("photos/originals_max_kbit_s", ANY),
    ("link/max_backoff_ms", ANY),
    ("drafts/keep_days", ANY),
    ("backup/keep_daily", ANY),
    ("backup/keep_weekly", ANY),
    ("categories/*", ANY),
    ("custom_fields/*", ANY),
];

/// The record in which the settings of `scope` are kept: the same wherever they are looked for, so that there is one.
#[must_use]
pub fn settings_of(scope: &Scope) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"aincident settings v1\n").update(scope.to_string().as_bytes());
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *hasher.finalize().as_bytes();
    uuid::Builder::from_custom_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]).into_uuid()
}

/// The name of what is set for a store: 32 hexadecimal characters that follow from the values that stand in both records, so that
/// sites which hold the same settings call them the same.
#[must_use]
pub fn settings_version(company: &BTreeMap<Field, Value>, store: &BTreeMap<Field, Value>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (whose, fields) in [("company", company), ("store", store)] {
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            // A value's JSON has no line break in it, and a field's name neither tab nor line break.
            hasher.update(format!("{whose}\t{field}\t{value}\n").as_bytes());
        }
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> BTreeMap<Field, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_scope_has_one_record() {
        let of = |scope: Scope| settings_of(&scope);
        assert_eq!(of(Scope::Company), of(Scope::Company));
        assert_ne!(of(Scope::Company), of(Scope::Store("042".into())));
        assert_ne!(of(Scope::Store("42".into())), of(Scope::Store("042".into())));
        assert_eq!(of(Scope::Company).to_string(), "5dd7579e-8a85-8d0e-881e-5b2a9cea0202");
    }

    #[test]
    fn a_version_follows_from_what_stands_and_from_whose_it_is() {
        let none = fields(json!({}));
        let one = fields(json!({"log_level": "debug", "photos/max_kbit_s": null}));
        assert_eq!(settings_version(&one, &none), settings_version(&fields(json!({"log_level": "debug"})), &none));
        assert_ne!(settings_version(&one, &none), settings_version(&none, &one));
        assert_ne!(settings_version(&one, &none), settings_version(&none, &none));
        assert_eq!(settings_version(&none, &none), "af1349b9f5f9a1a6a0404dea36dcc949");
    }
}
