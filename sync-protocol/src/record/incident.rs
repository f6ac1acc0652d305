//! An incident report. `description` is all it needs.

use super::rule::{MAX_MINOR, Part, Rule};
use super::vocabulary::{CATEGORIES, ITEM_OUTCOMES, KEPT, PERSON_ROLES, PRECISIONS, STATUSES, TREATMENTS, ZONES};
use super::{FieldError, time};
use crate::change::Field;
use crate::merge::RecordState;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most people in one incident.
pub const MAX_PEOPLE: usize = 50;
/// Most items of property in one incident.
pub const MAX_ITEMS: usize = 200;
/// Most custom fields in one incident.
pub const MAX_CUSTOM: usize = 100;
/// Most lost writes that one decision is about.
pub const MAX_LOST: usize = 100;

const fn text(most: usize) -> Part {
    Part::optional(Rule::Text(most))
}

const MONEY: Rule = Rule::Whole(0, MAX_MINOR);

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("reference", text(50)),
    ("occurred_at", Part::optional(Rule::Time)),
    ("occurred_to", Part::optional(Rule::Time)),
    ("occurred_precision", Part::optional(Rule::OneOf(PRECISIONS))),
    ("category", Part::optional(Rule::OneOf(CATEGORIES))),
    ("subcategory", text(100)),
    ("tags", Part::optional(Rule::Texts(20, 50))),
    ("severity", Part::optional(Rule::Whole(1, 5))),
    ("status", Part::optional(Rule::OneOf(STATUSES))),
    ("title", text(200)),
    ("description", Part::required(Rule::Filled(20_000))),
    ("zone", Part::optional(Rule::OneOf(ZONES))),
    ("location", text(500)),
    ("people/*", Part::optional(Rule::Object(PERSON))),
    ("items/*", Part::optional(Rule::Object(ITEM))),
    ("loss/amount_minor", Part::optional(MONEY)),
    ("loss/recovered_minor", Part::optional(MONEY)),
    ("loss/currency", Part::optional(Rule::Currency)),
    ("police/agency", text(200)),
    ("police/officer", text(200)),
    ("police/report_number", text(200)),
    ("ambulance", Part::optional(Rule::Flag)),
    ("cctv/camera", text(200)),
    ("cctv/clip", text(200)),
    ("assigned_to", Part::optional(Rule::Username)),
    ("due_at", Part::optional(Rule::Time)),
    ("duplicate_of", Part::optional(Rule::Id)),
    ("custom/*", Part::optional(Rule::Scalar(2000))),
    ("settled/*", Part::optional(Rule::Object(SETTLED))),
    ("hold", Part::optional(Rule::Object(HOLD))),
];

/// What a person decided between edits that met: which lost writes it is about.
const SETTLED: &[(&str, Part)] =
    &[("keep", Part::required(Rule::OneOf(KEPT))), ("lost", Part::required(Rule::ChangeIds(MAX_LOST)))];

/// Who holds the incident, so that nothing of it is erased.
const HOLD: &[(&str, Part)] = &[
    ("by", Part::required(Rule::Filled(100))),
    ("at", Part::required(Rule::Time)),
    ("reason", Part::required(Rule::Filled(2000))),
];

const PERSON: &[(&str, Part)] = &[
    ("name", text(200)),
    ("roles", Part::optional(Rule::SomeOf(PERSON_ROLES))),
    ("contact", text(500)),
    ("description", text(2000)),
    ("vehicle", text(500)),
    ("statement", text(10_000)),
    ("injury", Part::optional(Rule::Object(INJURY))),
];

const INJURY: &[(&str, Part)] = &[
    ("body_part", text(200)),
    ("nature", text(200)),
    ("object", text(200)),
    ("activity", text(200)),
    ("treatment", Part::optional(Rule::OneOf(TREATMENTS))),
    ("days_away", Part::optional(Rule::Whole(0, 10_000))),
    ("days_restricted", Part::optional(Rule::Whole(0, 10_000))),
    ("died_at", Part::optional(Rule::Time)),
];

const ITEM: &[(&str, Part)] = &[
    ("description", text(500)),
    ("sku", text(100)),
    ("quantity", Part::optional(Rule::Whole(1, 1_000_000))),
    ("value_minor", Part::optional(MONEY)),
    ("outcome", Part::optional(Rule::OneOf(ITEM_OUTCOMES))),
];

pub(super) fn is_custom_key(key: &str) -> bool {
    (1..=50).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn check_whole(state: &RecordState, errors: &mut Vec<FieldError>) {
    let limits = [("people", MAX_PEOPLE), ("items", MAX_ITEMS), ("custom", MAX_CUSTOM)];
    for (collection, most) in limits {
        let element = |field: &str| field.strip_prefix(collection).is_some_and(|rest| rest.starts_with('/'));
        let count = state.cells.iter().filter(|(field, cell)| !cell.value.is_null() && element(field)).count();
        if count > most {
            errors.push(FieldError::new(collection, format!("must be at most {most} and are {count}")));
        }
    }
    let tags = state.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
    if tags > 20 {
        errors.push(FieldError::new("tags", format!("must be at most 20 and are {tags}")));
    }
    let at = |field| state.get(field).and_then(Value::as_str).and_then(time::from_text);
    if let (Some(from), Some(to)) = (at("occurred_at"), at("occurred_to"))
        && to < from
    {
        errors.push(FieldError::new("occurred_to", "must not be before occurred_at"));
    }
}

/// Why an incident with these values has severity 5 whatever anybody chose; `None` where nothing forces it.
///
/// `state_fields`: all values of the incident, each under its field's name. The reason fits behind "because of".
#[must_use]
pub fn forced_severity(state_fields: &BTreeMap<Field, Value>) -> Option<&'static str> {
    let injuries = || {
        state_fields
            .iter()
            .filter(|(field, _)| field.starts_with("people/"))
            .filter_map(|(_, person)| person.get("injury"))
    };
    let nature = |injury: &Value| words(injury.get("nature"));
    let word = |field: &str| state_fields.get(field).and_then(Value::as_str);
    let tagged = |tag: &str| {
        let tags = state_fields.get("tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|found| words(Some(found)) == [tag]))
    };
    if injuries().any(|injury| injury.get("died_at").is_some_and(|at| !at.is_null())) {
        Some("a death")
    } else if injuries().any(|injury| injury.get("treatment").and_then(Value::as_str) == Some("in_patient")) {
        Some("in-patient treatment")
    } else if injuries().any(|injury| nature(injury).iter().any(|word| word.starts_with("amputat"))) {
        Some("an amputation")
    } else if injuries().any(|injury| is_eye_lost(&nature(injury))) {
        Some("the loss of an eye")
    } else if word("category") == Some("weapon") {
        Some("a weapon")
    } else if (word("category") == Some("emergency") && words(state_fields.get("subcategory")) == ["fire"])
        || tagged("fire")
    {
        Some("a fire")
    } else {
        None
    }
}

/// The words of a text, in lower case.
fn words(text: Option<&Value>) -> Vec<String> {
    let text = text.and_then(Value::as_str).unwrap_or_default();
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// "Loss of an eye", "lost his left eye", "eye loss", "enucleation"; not "loss of balance after eye contact".
fn is_eye_lost(nature: &[String]) -> bool {
    const BETWEEN: &[&str] = &["of", "a", "an", "the", "one", "both", "left", "right", "his", "her", "their"];
    let lost = |word: &str| matches!(word, "loss" | "lost");
    let eye = |word: &str| matches!(word, "eye" | "eyes");
    let after_lost =
        |rest: &[String]| rest.iter().find(|word| !BETWEEN.contains(&word.as_str())).is_some_and(|word| eye(word));
    nature.iter().enumerate().any(|(at, word)| {
        let rest = nature.get(at + 1..).unwrap_or_default();
        word == "enucleation"
            || (lost(word) && after_lost(rest))
            || (eye(word) && rest.first().is_some_and(|next| lost(next)))
    })
}
