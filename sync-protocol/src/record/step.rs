//! One step of an incident's workflow: a record of its own, so two steps never conflict. What an incident's `status`
//! is, its own field says; steps say who moved it, from where, when and why.

use super::FieldError;
use super::rule::{Part, Rule};
use super::vocabulary::STATUSES;
use crate::change::Field;
use crate::merge::RecordState;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FIELDS: &[(&str, Part)] = &[
    ("incident_id", Part::required(Rule::Id)),
    ("from", Part::required(Rule::OneOf(STATUSES))),
    ("to", Part::required(Rule::OneOf(STATUSES))),
    ("reason", Part::optional(Rule::Text(2000))),
];

/// Whether an incident may go from status `from` to status `to` in one step.
#[must_use]
pub fn step_allowed(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("draft", "submitted")
            | ("submitted", "in_review" | "needs_info" | "closed")
            | ("in_review", "needs_info" | "closed")
            | ("needs_info", "submitted" | "in_review" | "closed")
            | ("closed" | "void", "in_review")
            | ("draft" | "submitted" | "in_review" | "needs_info" | "closed", "void")
    )
}

/// A step is written by one change, so that change has the reason or nothing has.
pub(super) fn check(set: &BTreeMap<Field, Value>, errors: &mut Vec<FieldError>) {
    if set.contains_key("to") {
        reason(set.get("to"), set.get("reason"), errors);
    }
}

pub(super) fn check_whole(state: &RecordState, errors: &mut Vec<FieldError>) {
    let word = |field| state.get(field).and_then(Value::as_str);
    if let (Some(from), Some(to)) = (word("from"), word("to"))
        && !step_allowed(from, to)
    {
        errors.push(FieldError::new("to", format!("an incident that is {from} cannot become {to}")));
    }
    reason(state.get("to"), state.get("reason"), errors);
}

fn reason(to: Option<&Value>, reason: Option<&Value>, errors: &mut Vec<FieldError>) {
    let void = to.and_then(Value::as_str) == Some("void");
    let given = match reason {
        None | Some(Value::Null) => false,
        // What is no text has its complaint already.
        Some(reason) => reason.as_str().is_none_or(|text| !text.trim().is_empty()),
    };
    if void && !given {
        errors.push(FieldError::new("reason", "is required to void an incident"));
    }
}
