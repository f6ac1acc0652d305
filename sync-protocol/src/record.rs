//! What each kind of record may hold.
//!
//! The same functions check an edit where a person makes it and where the hub takes it in, so that whatever a node
//! records the hub can take. Three questions, three functions:
//!
//! * [`check`]: is every field that this version knows well typed and within its limits? A pure function of the one
//!   change, so every site gives the same answer: what intake asks.
//! * [`unknown_members`]: does the edit name something this version does not know? Asked where a person's or a
//!   client's request comes in; never at intake, where unknown things are kept for the versions that know them.
//! * [`check_whole`]: is the record complete, and are its counts within limits? Asked where an edit is made, of the
//!   record as it would become. Two sites may each add the fiftieth person; the merged record then has 51 and is right.
//!   So refuse only what the edit brings: a complaint that the record had before the edit is no reason to refuse it.
//!   Intake may ask it of the change that records a record for the first time, alone; **never of a merged record**, or
//!   what becomes of a change would depend on what arrived before it.
//!
//! Values are those of the public JSON API: times are texts of the form `2026-01-02T03:04:05Z` ([`time`]), money is
//! whole minor units, ids are lower-case hyphenated UUIDs. One field of a record is one name: elements of a collection
//! are fields of their own (`people/ID`), so that two people added at two sites never meet.

mod account;
mod comment;
mod erasure;
mod incident;
mod knowledge;
mod photo;
mod rule;
mod settings;
mod settlement;
mod step;
mod store;
pub mod time;
pub mod vocabulary;

pub use incident::{MAX_CUSTOM, MAX_ITEMS, MAX_LOST, MAX_PEOPLE, forced_severity};
pub use knowledge::knowledge;
pub use photo::MAX_PHOTO_BYTES;
pub use rule::MAX_MINOR;
pub use settings::{settings_of, settings_version};
pub use settlement::settlement_of;
pub use step::step_allowed;

use crate::change::{ChangeId, Field};
use crate::erasure::is_mark;
use crate::merge::{DELETED, RecordState};
use rule::{Part, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

/// The kind of an incident report.
pub const INCIDENT: &str = "incident";
/// The kind of a comment on an incident.
pub const COMMENT: &str = "comment";
/// The kind of a photo or another file of an incident.
pub const PHOTO: &str = "photo";
/// The kind of one step of an incident's workflow.
pub const STEP: &str = "step";
/// The kind of what people decided about a change in quarantine.
pub const SETTLEMENT: &str = "settlement";
/// The kind of a store.
pub const STORE: &str = "store";
/// The kind of a person's account.
pub const ACCOUNT: &str = "account";
/// The kind of what headquarters sets for its nodes.
pub const SETTINGS: &str = "settings";
/// The kind of an order of erasure.
pub const ERASURE: &str = "erasure";

/// One thing that is wrong with an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a field's name, and within an object the way to the member, such as `people/ID/injury/nature`.
    pub field: String,
    /// What, in words for a person, with the limit.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Everything that is wrong with the values of `set`, an edit of a record of `kind`.
///
/// `null` takes a value away, which is wrong only for what a record cannot be without. Fields, members and kinds that
/// this version does not know are right whatever they hold.
#[must_use]
pub fn check(kind: &str, set: &BTreeMap<Field, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, value) in set {
        if let Some(part) = part(kind, field) {
            part.check(field, value, &mut errors);
        } else if is_mark(field) {
            errors.push(FieldError::new(field, "is left by an order of erasure and cannot be written"));
        }
    }
    if kind == STEP {
        step::check(set, &mut errors);
    }
    errors
}

/// Whether this version knows a field of that name in a record of `kind`.
#[must_use]
pub fn knows(kind: &str, field: &str) -> bool {
    part(kind, field).is_some()
}

/// Everything in `set` that this version does not know, each with its full name.
#[must_use]
pub fn unknown_members(kind: &str, set: &BTreeMap<Field, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, value) in set {
        match part(kind, field) {
            None => errors.push(FieldError::new(field, unknown(kind, field))),
            Some(part) => part.rule.unknown(field, value, &mut errors),
        }
    }
    errors
}

fn unknown(kind: &str, field: &str) -> &'static str {
    match field.split_once('/') {
        Some(("custom", _)) if kind == INCIDENT => "the key must be 1 to 50 of a-z, 0-9 and _",
        Some(("categories" | "custom_fields", _)) if kind == SETTINGS => "the key must be 1 to 50 of a-z, 0-9 and _",
        Some(("people" | "items", _)) if kind == INCIDENT => "the id must be a UUID in lower case with hyphens",
        _ => "there is no such field",
    }
}

/// Everything that a record of `kind` lacks or has too much of.
#[must_use]
pub fn check_whole(kind: &str, state: &RecordState) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (name, part) in parts(kind) {
        if part.required && state.get(name).is_none() {
            errors.push(FieldError::new(*name, rule::REQUIRED));
        }
    }
    match kind {
        INCIDENT => incident::check_whole(state, &mut errors),
        STEP => step::check_whole(state, &mut errors),
        _ => {}
    }
    errors
}

/// What a field shows when it was never written or was taken away; `null` where that is nothing.
#[must_use]
pub fn default_value(kind: &str, field: &str) -> Value {
    match (kind, field) {
        (INCIDENT, "status") => "submitted".into(),
        (INCIDENT, "severity") => 3.into(),
        (INCIDENT, "category") => "other".into(),
        (INCIDENT, "occurred_precision") => "exact".into(),
        (INCIDENT, "tags") => Value::Array(Vec::new()),
        (INCIDENT, "ambulance") => false.into(),
        (COMMENT, "kind") => "comment".into(),
        (STORE, "timezone") => "UTC".into(),
        (ACCOUNT, "role") => "employee".into(),
        (ACCOUNT, "active") => true.into(),
        _ => Value::Null,
    }
}

/// The roles of a person who was given none.
pub const DEFAULT_PERSON_ROLES: &[&str] = &["other"];

/// The fields of a kind; none for a kind that this version does not know. `NAME/*` stands for a collection.
fn parts(kind: &str) -> &'static [(&'static str, Part)] {
    match kind {
        INCIDENT => incident::FIELDS,
        COMMENT => comment::FIELDS,
        PHOTO => photo::FIELDS,
        STEP => step::FIELDS,
        SETTLEMENT => settlement::FIELDS,
        STORE => store::FIELDS,
        ACCOUNT => account::FIELDS,
        ERASURE => erasure::FIELDS,
        SETTINGS => settings::FIELDS,
        _ => &[],
    }
}

/// Every record can be deleted.
const DELETION: Part = Part::optional(Rule::Deletion);

fn part(kind: &str, field: &str) -> Option<&'static Part> {
    let fields = parts(kind);
    if field == DELETED && !fields.is_empty() {
        return Some(&DELETION);
    }
    let find = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, part)| part);
    let element = |collection: &str, key: &str| {
        let right = match collection {
            "custom" | "categories" | "custom_fields" => incident::is_custom_key(key),
            // A decision is about a field; one that only a newer version knows is kept as it is.
            "settled" => !key.starts_with("settled/") && part(kind, key).is_some(),
            "left" => key.parse::<ChangeId>().is_ok(),
            _ => rule::is_uuid(key),
        };
        if right { find(&format!("{collection}/*")) } else { None }
    };
    match field.split_once('/') {
        // "people/*" is the table's own spelling and not a field.
        Some((_, "*")) => None,
        Some((collection, key)) => find(field).or_else(|| element(collection, key)),
        None => find(field),
    }
}

#[cfg(test)]
mod tests;
