//! From the incident in a request's JSON to the field writes of a change.
//!
//! The public form is nested (`people: [{id, …}]`, `loss: {…}`), a change is flat (`people/ID`, `loss/currency`), so
//! that two people who edit different things never meet. Pure: no ledger, no clock; new ids come from the caller.
//!
//! `null`, here as in RFC 7396, takes a value away; a list replaces the list that was there, and elements are told
//! apart by their `id`, or, where the client sent none, by being equal.

use crate::money;
use chassis::clock::{format_rfc3339, parse_rfc3339};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::Field;
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{Cell, RecordState, Stamp};
use sync_protocol::record::{self, FieldError, INCIDENT};
use uuid::Uuid;

/// A JSON object as it came.
pub type Body = Map<String, Value>;
/// Field writes of one change.
pub type Fields = BTreeMap<Field, Value>;

/// Objects whose members are fields of their own.
const GROUPS: [&str; 4] = ["loss", "police", "cctv", "custom"];
/// Lists whose elements are fields of their own.
const COLLECTIONS: [(&str, usize); 2] = [("people", record::MAX_PEOPLE), ("items", record::MAX_ITEMS)];
/// Members whose value is a moment.
const TIMES: [&str; 3] = ["occurred_at", "occurred_to", "due_at"];
/// What an answer shows and no request may set.
const READ_ONLY: [&str; 18] = [
    "id",
    "store_code",
    "reference",
    "recorded_at",
    "received_at",
    "reported_by",
    "reported_by_name",
    "version",
    "deleted",
    "photos",
    "photo_count",
    "comments",
    "comment_count",
    "thumbnail_url",
    "created_at",
    "updated_at",
    "hold",
    "erased",
];

/// What a request writes, before it is compared with what is there.
#[derive(Debug, Default)]
pub struct Flat {
    /// The writes.
    pub set: Fields,
    /// Which element of which list a field is, for error messages.
    places: BTreeMap<Field, String>,
}

/// Takes the request `body` apart. `before`: the incident as it is, empty for a new one. `fresh`: makes ids for elements
/// without one.
///
/// # Errors
/// Everything wrong with the request, each under the name the client used.
pub fn flatten(body: Body, before: &RecordState, mut fresh: impl FnMut() -> Uuid) -> Result<Flat, Vec<FieldError>> {
    let mut flat = Flat::default();
    let mut errors = Vec::new();
    for (name, value) in body {
        if READ_ONLY.contains(&name.as_str()) {
            errors.push(wrong(&name, "is set by the system and cannot be given"));
        } else if name.contains('/') {
            errors.push(wrong(&name, "there is no such field"));
        } else if GROUPS.contains(&name.as_str()) {
            flat.group(&name, value, before, &mut errors);
        } else if let Some((_, most)) = COLLECTIONS.iter().find(|(collection, _)| *collection == name) {
            flat.collection(&name, value, *most, before, &mut fresh, &mut errors);
        } else {
            let value = plain(&name, value, &mut errors);
            flat.set.insert(name, value);
        }
    }
    let mut found = record::unknown_members(INCIDENT, &flat.set);
    found.extend(record::check(INCIDENT, &flat.set));
    // A member that was complained about above (a time that is none) has its complaint already.
    errors.extend(found.into_iter().map(|error| flat.public(error)));
    let mut seen = BTreeSet::new();
    errors.retain(|error| seen.insert(error.field.clone()));
    if errors.is_empty() { Ok(flat) } else { Err(errors) }
}

impl Flat {
    /// Leaves only what changes something: no write repeats what is there or what a missing value shows anyway.
    #[must_use]
    pub fn changes(mut self, before: &RecordState) -> Self {
        self.set.retain(|field, value| match before.get(field) {
            Some(standing) => standing != value,
            None => !value.is_null() && *value != record::default_value(INCIDENT, field),
        });
        self
    }

    /// Everything that would be wrong with the incident after these writes, and was not wrong before them.
    #[must_use]
    pub fn check_whole(&self, before: &RecordState) -> Vec<FieldError> {
        let old = record::check_whole(INCIDENT, before);
        let mut errors = record::check_whole(INCIDENT, &after(before, &self.set));
        errors.retain(|error| before.born.is_none() || !old.contains(error));
        if let Some(code) = self.set.get("loss/currency").and_then(Value::as_str)
            && !money::is_known(code)
            && errors.iter().all(|error| error.field != "loss/currency")
        {
            errors.push(wrong("loss/currency", "must be a currency of ISO 4217, such as USD"));
        }
        errors.into_iter().map(|error| self.public(error)).collect()
    }

    /// An error under the name by which the client knows the field: `people/ID/injury` → `people[0].injury`.
    fn public(&self, error: FieldError) -> FieldError {
        let element = self.places.iter().find(|(field, _)| error.field.starts_with(field.as_str()));
        let field = match element {
            Some((field, place)) => format!("{place}{}", error.field[field.len()..].replace('/', ".")),
            None => error.field.replace('/', "."),
        };
        FieldError { field, message: error.message }
    }

    fn group(&mut self, name: &str, value: Value, before: &RecordState, errors: &mut Vec<FieldError>) {
        match value {
            Value::Null => {
                for (field, _) in standing(before, name) {
                    self.set.insert(field.clone(), Value::Null);
                }
            }
            Value::Object(members) => {
                for (member, value) in members {
                    if member.contains('/') || member == "*" {
                        errors.push(wrong(&format!("{name}.{member}"), "there is no such field"));
                    } else {
                        self.set.insert(format!("{name}/{member}"), value);
                    }
                }
            }
            _ => errors.push(wrong(name, "must be an object")),
        }
    }

    fn collection(
        &mut self,
        name: &str,
        value: Value,
        most: usize,
        before: &RecordState,
        fresh: &mut impl FnMut() -> Uuid,
        errors: &mut Vec<FieldError>,
    ) {
        let given = match value {
            Value::Null => Vec::new(),
            Value::Array(given) if given.len() <= most => given,
            Value::Array(given) => {
                return errors.push(wrong(name, format!("must be at most {most} and are {}", given.len())));
            }
            _ => return errors.push(wrong(name, "must be a list")),
        };
        let mut unmatched: BTreeMap<Field, &Value> =
            standing(before, name).map(|(field, cell)| (field.clone(), &cell.value)).collect();
        let mut without_id = Vec::new();
        for (at, element) in given.into_iter().enumerate() {
            let place = format!("{name}[{at}]");
            let Value::Object(mut element) = element else {
                errors.push(wrong(&place, "must be an object"));
                continue;
            };
            normalise_element(&place, &mut element, errors);
            match element.remove("id") {
                None | Some(Value::Null) => without_id.push((place, element)),
                Some(id) => match id.as_str().and_then(parse_id) {
                    None => errors.push(wrong(&format!("{place}.id"), "must be a UUID")),
                    Some(id) => {
                        let field = format!("{name}/{}", id.hyphenated());
                        unmatched.remove(&field);
                        if self.places.insert(field.clone(), place.clone()).is_some() {
                            errors.push(wrong(&format!("{place}.id"), "is used twice in this list"));
                        }
                        self.set.insert(field, Value::Object(element));
                    }
                },
            }
        }
        for (place, element) in without_id {
            let element = Value::Object(element);
            let equal = unmatched.iter().find(|(_, there)| ***there == element).map(|(field, _)| field.clone());
            let field = equal.unwrap_or_else(|| format!("{name}/{}", fresh().hyphenated()));
            unmatched.remove(&field);
            self.places.insert(field.clone(), place);
            self.set.insert(field, element);
        }
        for gone in unmatched.into_keys() {
            self.set.insert(gone, Value::Null);
        }
    }
}

/// The id that a text with hyphens spells, in whatever case.
#[must_use]
pub fn parse_id(text: &str) -> Option<Uuid> {
    if text.len() == 36 {
        Uuid::try_parse(text).ok().filter(|id| !id.is_nil())
    } else {
        None
    }
}

/// The record as it would be after the writes. Who wrote them makes no difference to what it is asked for.
#[must_use]
pub fn after(before: &RecordState, set: &Fields) -> RecordState {
    let mut after = before.clone();
    let stamp = Stamp {
        hlc: Hlc::default(),
        id: sync_protocol::change::ChangeId { origin: Uuid::nil(), seq: 0 },
    };
    for (field, value) in set {
        after.cells.insert(field.clone(), Cell { value: value.clone(), stamp });
    }
    after
}

/// Writes severity 5 where the rule forces it; `true` when it did.
pub fn force_severity(before: &RecordState, set: &mut Fields) -> bool {
    let whole = after(before, set);
    let values: Fields = whole
        .cells
        .into_iter()
        .filter(|(_, cell)| !cell.value.is_null())
        .map(|(field, cell)| (field, cell.value))
        .collect();
    let five = Value::from(5);
    if record::forced_severity(&values).is_none() || values.get("severity") == Some(&five) {
        return false;
    }
    // Where five stands already, taking the lower one out of the request is enough.
    if before.get("severity") == Some(&five) {
        set.remove("severity");
    } else {
        set.insert("severity".to_owned(), five);
    }
    true
}

fn standing<'a>(state: &'a RecordState, name: &str) -> impl Iterator<Item = (&'a Field, &'a Cell)> {
    let prefix = format!("{name}/");
    let from = prefix.clone();
    state
        .cells
        .range(from..)
        .take_while(move |(field, _)| field.starts_with(&prefix))
        .filter(|(_, cell)| !cell.value.is_null())
}

/// A plain member in its one spelling; what cannot be spelt is left to [`record::check`], or complained about here.
fn plain(name: &str, value: Value, errors: &mut Vec<FieldError>) -> Value {
    match (name, value) {
        ("title", Value::String(text)) if text.trim().is_empty() => Value::Null,
        ("duplicate_of", Value::String(text)) => {
            Value::String(parse_id(&text).map_or(text, |id| id.hyphenated().to_string()))
        }
        ("assigned_to", Value::String(text)) => Value::String(text.to_lowercase()),
        ("tags", Value::Array(tags)) => {
            let mut once = Vec::with_capacity(tags.len().min(64));
            for tag in tags {
                if !once.contains(&tag) {
                    once.push(tag);
                }
            }
            Value::Array(once)
        }
        ("severity", Value::Number(number)) => whole_number(number),
        (name, value) if TIMES.contains(&name) => time(name, value, errors),
        (_, value) => value,
    }
}

/// JSON knows one kind of number: `3.0` is 3.
fn whole_number(number: serde_json::Number) -> Value {
    match number.as_f64() {
        Some(float) if !number.is_u64() && float.fract() == 0.0 && (0.0..9e15).contains(&float) => {
            Value::from(float as u64)
        }
        _ => Value::Number(number),
    }
}

fn time(name: &str, value: Value, errors: &mut Vec<FieldError>) -> Value {
    let Value::String(text) = value else { return value };
    parse_rfc3339(&text).map(format_rfc3339).map_or_else(
        || {
            errors.push(wrong(name, "must be an RFC 3339 time with an offset, such as 2026-01-02T03:04:05Z, between the years 1900 and 2199"));
            Value::Null
        },
        Value::String,
    )
}

/// Drops members without a value and spells times; an element is stored as its client would read it back.
fn normalise_element(place: &str, element: &mut Body, errors: &mut Vec<FieldError>) {
    element.retain(|_, value| !value.is_null());
    if let Some(Value::Object(injury)) = element.get_mut("injury") {
        injury.retain(|_, value| !value.is_null());
        if let Some(died_at) = injury.get_mut("died_at") {
            *died_at = time(&format!("{place}.injury.died_at"), died_at.take(), errors);
        }
    }
}

fn wrong(field: &str, message: impl Into<String>) -> FieldError {
    FieldError { field: field.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests;
