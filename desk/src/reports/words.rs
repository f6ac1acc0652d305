//! The API's words in a reader's.

use super::moment::Zone;
use crate::money::amount;
use serde_json::{Map, Value};

/// Longest value in the list of changes, in characters: the whole of it stands in the report or in the program.
const LONGEST_CHANGE: usize = 400;

/// Words that are not simply the API's with spaces.
const WORDS: &[(&str, &str)] = &[
    ("suspicious_activity", "Suspicious activity"),
    ("needs_info", "Needs information"),
    ("off_site", "Off site"),
    ("self_checkout", "Self-checkout"),
    ("in_patient", "In-patient (hospital stay)"),
    ("emergency_room", "Emergency room"),
    ("medical", "Medical treatment"),
    ("first_aider", "First aider"),
    ("manager_on_duty", "Manager on duty"),
    ("near_miss", "Near miss"),
    ("hq", "Headquarters"),
    ("hub", "Headquarters"),
];

/// Names of fields that are not simply the API's with spaces.
const FIELDS: &[(&str, &str)] = &[
    ("occurred_at", "Occurred"),
    ("occurred_to", "Occurred until"),
    ("occurred_precision", "Precision of the time"),
    ("assigned_to", "Assigned to"),
    ("due_at", "Due"),
    ("duplicate_of", "Duplicate of"),
    ("loss/amount_minor", "Loss"),
    ("loss/recovered_minor", "Recovered"),
    ("loss/currency", "Currency"),
    ("police/agency", "Police agency"),
    ("police/officer", "Police officer"),
    ("police/report_number", "Police report number"),
    ("cctv/camera", "CCTV camera"),
    ("cctv/clip", "CCTV clip"),
    ("sku", "SKU"),
    ("value_minor", "Value"),
    ("died_at", "Died"),
    ("nature", "Nature of injury"),
    ("object", "Object that caused it"),
    ("activity", "Activity before"),
    ("days_away", "Days away from work"),
    ("days_restricted", "Days of restricted work"),
];

/// A word of a vocabulary, such as `customer_injury`, as `Customer injury`.
pub(super) fn word(word: &str) -> String {
    let own = WORDS.iter().find(|(api, _)| *api == word);
    own.map_or_else(|| spaced(word), |(_, shown)| (*shown).to_owned())
}

/// A field's name, such as `custom/register_no`, as a label.
pub(super) fn label(field: &str) -> String {
    if let Some((_, shown)) = FIELDS.iter().find(|(api, _)| *api == field) {
        return (*shown).to_owned();
    }
    match field.split_once('/') {
        Some(("people", _)) => "Person".to_owned(),
        Some(("items", _)) => "Property item".to_owned(),
        Some((_, key)) => spaced(key),
        None => spaced(field),
    }
}

fn spaced(word: &str) -> String {
    let mut characters = word.chars().map(|c| if c == '_' { ' ' } else { c });
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A severity's number and name.
pub(super) const fn severity(severity: u64) -> &'static str {
    match severity {
        1 => "1 of 5: Nuisance",
        2 => "2 of 5: Mild",
        3 => "3 of 5: Moderate",
        4 => "4 of 5: Serious",
        5 => "5 of 5: Critical",
        _ => "not known",
    }
}

/// Text that is there and not blank.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// The list at `pointer`, empty where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Words of a list, in a reader's words.
pub(super) fn worded(values: &[Value]) -> String {
    values.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(", ")
}

/// Any value of a company's own field.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What a field was or became, for the list of changes.
pub(super) fn changed(field: &str, value: &Value, currency: Option<&str>, zone: &Zone) -> String {
    let shown = match value {
        Value::Null => "(empty)".to_owned(),
        Value::Object(members) => object(members, currency, zone),
        other => scalar(field.rsplit('/').next().unwrap_or(field), field, other, currency, zone),
    };
    if shown.chars().count() <= LONGEST_CHANGE {
        return shown;
    }
    let kept: String = shown.chars().take(LONGEST_CHANGE).collect();
    format!("{}… (shortened)", kept.trim_end())
}

fn object(members: &Map<String, Value>, currency: Option<&str>, zone: &Zone) -> String {
    let shown = members.iter().filter(|(name, value)| !value.is_null() && *name != "id").map(|(name, value)| {
        let value = match value {
            Value::Object(inner) => object(inner, currency, zone),
            other => scalar(name, name, other, currency, zone),
        };
        format!("{}: {value}", label(name))
    });
    shown.collect::<Vec<_>>().join("; ")
}

fn scalar(name: &str, field: &str, value: &Value, currency: Option<&str>, zone: &Zone) -> String {
    match (name, value) {
        (_, Value::String(_)) if field.starts_with("custom/") => plain(value),
        ("status" | "category" | "zone" | "occurred_precision" | "treatment" | "outcome", Value::String(text)) => {
            word(text)
        }
        ("roles", Value::Array(values)) => worded(values),
        ("occurred_at" | "occurred_to" | "due_at" | "died_at", Value::String(text)) => zone.short(text),
        ("amount_minor" | "recovered_minor" | "value_minor", Value::Number(number)) => {
            number.as_u64().map_or_else(|| number.to_string(), |minor| amount(minor, currency))
        }
        ("severity", Value::Number(number)) => severity(number.as_u64().unwrap_or(0)).to_owned(),
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sync_protocol::record::vocabulary;

    #[test]
    fn no_word_of_any_vocabulary_is_printed_as_code() {
        let lists = [
            vocabulary::CATEGORIES,
            vocabulary::STATUSES,
            vocabulary::ZONES,
            vocabulary::PRECISIONS,
            vocabulary::PERSON_ROLES,
            vocabulary::TREATMENTS,
            vocabulary::ITEM_OUTCOMES,
        ];
        for api in lists.into_iter().flatten() {
            let shown = word(api);
            assert!(!shown.contains('_') && shown.starts_with(char::is_uppercase), "{shown}");
        }
        assert_eq!(label("custom/register_no"), "Register no");
        assert_eq!(label("people/0198"), "Person");
        assert_eq!(word(""), "");
    }

    #[test]
    fn changes_are_told_in_words() {
        let zone = Zone::named("UTC");
        let told = |field: &str, value: Value| changed(field, &value, Some("EUR"), &zone);
        assert_eq!(told("status", json!("needs_info")), "Needs information");
        assert_eq!(told("severity", json!(5)), "5 of 5: Critical");
        assert_eq!(told("loss/amount_minor", json!(1250)), "EUR 12.50");
        assert_eq!(told("custom/status", json!("needs_info")), "needs_info");
        assert_eq!(
            told("people/x", json!({"name": "Kim", "roles": ["manager_on_duty"], "id": "x"})),
            "Name: Kim; Roles: Manager on duty"
        );
        assert_eq!(told("title", Value::Null), "(empty)");
        assert!(told("description", json!("é".repeat(20_000))).ends_with("… (shortened)"));
    }
}
