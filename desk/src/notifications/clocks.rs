//! When an incident has to be looked at again: its follow-up, and what OSHA asks for. Pure.
//!
//! 29 CFR 1904.39: an employee's death is reported within 8 hours; an in-patient hospitalisation, an amputation or the loss of an eye within
//! 24. 29 CFR 1904.29: form 301 is filled in within 7 calendar days of hearing of an injury that has to be recorded, which (1904.7) is one
//! that led to death, days away, restricted work or more treatment than first aid. The time runs from when the employer knows, which here
//! is when it was recorded at the latest.

use chassis::clock::parse_rfc3339;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::record::forced_severity;
use uuid::Uuid;

/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// What the clocks are called.
pub const OVERDUE: &str = "overdue";
/// Some time before an OSHA deadline.
pub const OSHA: &str = "osha";
/// At an OSHA deadline.
pub const OSHA_PASSED: &str = "osha_passed";

/// Some time before form 301 has to be filled in.
pub const FORM_301: &str = "form301";
/// When it has to be.
pub const FORM_301_PASSED: &str = "form301_passed";
/// Seven times a day of hours is never after the end of the seventh calendar day.
const FORM_301_MS: i64 = 7 * 24 * HOUR_MS;
/// People are told of form 301 so long before: two days.
const FORM_301_BEFORE_MS: i64 = 2 * 24 * HOUR_MS;

/// What rules and clocks look at of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// It.
    pub id: Uuid,
    /// The last change of it, in order of arrival.
    pub no: i64,
    /// Its store.
    pub store_code: String,
    /// Its reference.
    pub reference: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its status.
    pub status: String,
    /// Its category.
    pub category: String,
    /// 1 to 5.
    pub severity: u8,
    /// The rest, as a JSON object.
    pub doc: String,
    /// Whether clocks of it are kept.
    pub has_clocks: bool,
}

/// A moment at which an incident has to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// [`OVERDUE`], [`OSHA`], [`OSHA_PASSED`], [`FORM_301`] or [`FORM_301_PASSED`].
    pub what: &'static str,
    /// When.
    pub at_ms: i64,
    /// The end that it is about.
    pub end_ms: i64,
}

/// Members of the document that clocks follow from.
#[derive(Deserialize)]
struct Doc {
    #[serde(default)]
    recorded_at: String,
    due_at: Option<String>,
    #[serde(default)]
    people: Vec<Person>,
}

#[derive(Deserialize)]
struct Person {
    #[serde(default)]
    roles: Vec<String>,
    injury: Option<Value>,
}

impl Facts {
    /// When it was recorded, by the store's clock; milliseconds since 1970.
    #[must_use]
    pub fn recorded_ms(&self) -> Option<i64> {
        let doc: Doc = serde_json::from_str(&self.doc).ok()?;
        parse_rfc3339(&doc.recorded_at)
    }

    /// When it has to be looked at; nothing once it is closed, void or deleted.
    #[must_use]
    pub fn clocks(&self) -> Vec<Clock> {
        let mut clocks = Vec::new();
        if self.deleted || matches!(self.status.as_str(), "closed" | "void") {
            return clocks;
        }
        let Ok(doc) = serde_json::from_str::<Doc>(&self.doc) else {
            return clocks;
        };
        if let Some(due_ms) = doc.due_at.as_deref().and_then(parse_rfc3339) {
            clocks.push(Clock { what: OVERDUE, at_ms: due_ms, end_ms: due_ms });
        }
        let recorded_ms = parse_rfc3339(&doc.recorded_at).unwrap_or(0);
        if let Some((end_ms, before_ms)) = osha(&self.category, &doc.people, recorded_ms) {
            clocks.push(Clock { what: OSHA, at_ms: end_ms - before_ms, end_ms });
            clocks.push(Clock { what: OSHA_PASSED, at_ms: end_ms, end_ms });
        }
        if at_work(&self.category, &doc.people).any(is_recordable) {
            let end_ms = recorded_ms.saturating_add(FORM_301_MS);
            clocks.push(Clock { what: FORM_301, at_ms: end_ms - FORM_301_BEFORE_MS, end_ms });
            clocks.push(Clock { what: FORM_301_PASSED, at_ms: end_ms, end_ms });
        }
        clocks
    }
}

/// When OSHA has to know, and how long before that people are told that it is near.
fn osha(category: &str, people: &[Person], recorded_ms: i64) -> Option<(i64, i64)> {
    let ends = at_work(category, people).filter_map(|injury| {
        is_grave(injury).then_some(())?;
        match injury.get("died_at").and_then(Value::as_str).and_then(parse_rfc3339) {
            Some(died_ms) => Some((died_ms.max(recorded_ms) + 8 * HOUR_MS, 4 * HOUR_MS)),
            None => Some((recorded_ms + 24 * HOUR_MS, 6 * HOUR_MS)),
        }
    });
    ends.min()
}

/// Injuries of people who work there.
fn at_work<'a>(category: &'a str, people: &'a [Person]) -> impl Iterator<Item = &'a Value> {
    let is_at_work =
        move |person: &&Person| category == "employee_injury" || person.roles.iter().any(|role| role == "employee");
    people.iter().filter(is_at_work).filter_map(|person| person.injury.as_ref())
}

/// A death, in-patient treatment, an amputation or the loss of an eye.
fn is_grave(injury: &Value) -> bool {
    let fields = BTreeMap::from([("people/0".to_owned(), serde_json::json!({ "injury": injury }))]);
    forced_severity(&fields).is_some()
}

/// Whether an injury has to be recorded, as far as the report says. What it does not ask for (somebody who fainted, a diagnosis) shows in the
/// treatment; a visit to an emergency room is taken for more than first aid: better to be told in vain.
fn is_recordable(injury: &Value) -> bool {
    let days = |name: &str| injury.get(name).and_then(Value::as_u64).unwrap_or(0) > 0;
    let treatment = injury.get("treatment").and_then(Value::as_str);
    matches!(treatment, Some("medical" | "emergency_room" | "in_patient"))
        || days("days_away")
        || days("days_restricted")
        || is_grave(injury)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const T0: i64 = 1_795_132_800_000; // 2026-11-20T00:00:00Z

    fn incident(category: &str, doc: &Value) -> Facts {
        Facts {
            id: Uuid::nil(),
            no: 1,
            store_code: "042".to_owned(),
            reference: String::new(),
            deleted: false,
            status: "submitted".to_owned(),
            category: category.to_owned(),
            severity: 5,
            doc: doc.to_string(),
            has_clocks: false,
        }
    }

    fn told(facts: &Facts) -> Vec<(&'static str, i64)> {
        facts.clocks().into_iter().map(|clock| (clock.what, (clock.at_ms - T0) / HOUR_MS)).collect()
    }

    #[test]
    fn a_death_has_eight_hours_and_other_grave_injuries_have_a_day() {
        let hurt = |category: &str, roles: &[&str], injury: Value| {
            let people = [json!({"roles": roles, "injury": injury})];
            told(&incident(category, &json!({"recorded_at": "2026-11-20T00:00:00Z", "people": people})))
        };
        let form = [(FORM_301, 120), (FORM_301_PASSED, 168)];
        let and_form = |told: [(&'static str, i64); 2]| [told, form].concat();
        let day = and_form([(OSHA, 18), (OSHA_PASSED, 24)]);
        assert_eq!(hurt("employee_injury", &["victim"], json!({"treatment": "in_patient"})), day);
        assert_eq!(hurt("robbery", &["employee"], json!({"nature": "loss of an eye"})), day);
        assert_eq!(hurt("robbery", &["customer"], json!({"treatment": "in_patient"})), []);
        assert_eq!(hurt("employee_injury", &[], json!({"treatment": "first_aid"})), []);
        let died = |at: &str| hurt("employee_injury", &[], json!({"died_at": at, "treatment": "in_patient"}));
        assert_eq!(died("2026-11-19T20:00:00Z"), and_form([(OSHA, 4), (OSHA_PASSED, 8)]));
        assert_eq!(died("2026-11-20T10:00:00Z"), and_form([(OSHA, 14), (OSHA_PASSED, 18)]));
        // Nothing to be reported at once, and a form all the same.
        for injury in [
            json!({"treatment": "medical"}),
            json!({"treatment": "emergency_room"}),
            json!({"days_away": 1}),
            json!({"days_restricted": 3}),
        ] {
            assert_eq!(hurt("employee_injury", &[], injury.clone()), form, "{injury}");
            assert_eq!(hurt("customer_injury", &["customer"], injury), []);
        }
        assert_eq!(hurt("employee_injury", &[], json!({"treatment": "none", "days_away": 0})), []);
    }

    #[test]
    fn a_follow_up_has_a_clock_until_its_incident_is_closed() {
        let doc = json!({"recorded_at": "2026-11-20T00:00:00Z", "due_at": "2026-11-21T00:00:00Z"});
        let open = incident("theft", &doc);
        assert_eq!(told(&open), [(OVERDUE, 24)]);
        for status in ["closed", "void"] {
            assert_eq!(told(&Facts { status: status.to_owned(), ..open.clone() }), []);
        }
        assert_eq!(told(&Facts { deleted: true, ..open.clone() }), []);
        assert_eq!(told(&incident("theft", &json!({"due_at": null}))), []);
        assert_eq!((open.recorded_ms(), incident("theft", &json!([])).recorded_ms()), (Some(T0), None));
    }
}
