//! What a company adds to incidents: categories beneath the built-in ones, and fields.
//!
//! A category of the company's is a `subcategory` by its name: programs that know nothing of it, exports and reports show it as
//! it was written, and whatever follows from the built-in category (NIBRS, figures) stays right. So one keeps its name, and one
//! that is retired is offered no more and stays where it is. A value of a custom field is in `custom`, under the field's key.

use crate::incidents::body::Fields;
use serde::Serialize;
use serde_json::Value;
use sync_protocol::merge::RecordState;
use sync_protocol::record::FieldError;

/// A category of the company's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Category {
    /// Its key.
    pub key: String,
    /// What people read, and what `subcategory` says.
    pub label: String,
    /// The built-in category that it is of.
    pub category: String,
    /// Whether it is offered no more.
    pub retired: bool,
}

/// What a custom field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A day, such as `2026-01-31`.
    Date,
    /// One of some texts.
    Choice,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Date, Self::Choice];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Date => "date",
            Self::Choice => "choice",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A field of the company's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomField {
    /// Its key in `custom`.
    pub key: String,
    /// What people read.
    pub label: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is chosen from.
    pub choices: Vec<String>,
    /// Whether an incident cannot be closed without it.
    pub required: bool,
    /// Whether it is asked for no more.
    pub retired: bool,
}

impl CustomField {
    /// What is wrong with a value.
    #[must_use]
    pub fn check(&self, value: &Value) -> Option<String> {
        let text = value.as_str();
        match self.kind {
            Kind::Text if text.is_some() => None,
            Kind::Text => Some("must be text".to_owned()),
            Kind::Number if value.is_number() => None,
            Kind::Number => Some("must be a number".to_owned()),
            Kind::Date if text.is_some_and(is_day) => None,
            Kind::Date => Some("must be a day, such as 2026-01-31".to_owned()),
            Kind::Choice if text.is_some_and(|text| self.choices.iter().any(|choice| choice == text)) => None,
            Kind::Choice => Some(format!("must be one of {}", self.choices.join(", "))),
        }
    }

    fn is_needed(&self) -> bool {
        self.required && !self.retired
    }
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok_and(|day| (1900..2200).contains(&day.year()))
}

/// Everything wrong with the custom values that `set` writes into an incident that is `before`. Keys that are no field of the
/// company's are a client's own, and right.
#[must_use]
pub fn check(fields: &[CustomField], before: &RecordState, set: &Fields) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in fields {
        let name = format!("custom/{}", field.key);
        let why = match set.get(&name) {
            None => continue,
            Some(Value::Null) if field.is_needed() && before.get(&name).is_some() => Some("is required".to_owned()),
            Some(Value::Null) => None,
            Some(value) => field.check(value),
        };
        errors.extend(why.map(|message| FieldError { field: format!("custom.{}", field.key), message }));
    }
    errors
}

/// What an incident lacks before it can be closed. `set`: what the same request writes.
#[must_use]
pub fn missing(fields: &[CustomField], before: &RecordState, set: Option<&Fields>) -> Vec<FieldError> {
    let stands = |name: &str| match set.and_then(|set| set.get(name)) {
        Some(value) => !value.is_null(),
        None => before.get(name).is_some(),
    };
    let lacking = fields.iter().filter(|field| field.is_needed() && !stands(&format!("custom/{}", field.key)));
    let error = |field: &CustomField| FieldError {
        field: format!("custom.{}", field.key),
        message: format!("{} has to be filled in before an incident is closed", field.label),
    };
    lacking.map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::body::after;
    use serde_json::json;

    fn field(key: &str, kind: Kind, required: bool) -> CustomField {
        let choices = if kind == Kind::Choice {
            vec!["early".to_owned(), "late".to_owned()]
        } else {
            Vec::new()
        };
        CustomField {
            key: key.to_owned(),
            label: key.to_owned(),
            kind,
            choices,
            required,
            retired: false,
        }
    }

    fn set(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_fit_their_fields_and_other_keys_are_a_clients_own() {
        let fields = Kind::ALL.map(|kind| field(kind.as_str(), kind, false));
        let none = RecordState::default();
        let wrong = |value: Value| -> Vec<String> {
            check(&fields, &none, &set(value)).into_iter().map(|error| error.field).collect()
        };
        let fine =
            json!({"custom/text": "x", "custom/number": 1.5, "custom/date": "2026-02-28", "custom/choice": "late"});
        assert_eq!(wrong(fine), [""; 0]);
        let bad =
            json!({"custom/text": 1, "custom/number": "1", "custom/date": "2026-02-29", "custom/choice": "night"});
        assert_eq!(wrong(bad), ["custom.text", "custom.number", "custom.date", "custom.choice"]);
        assert_eq!(wrong(json!({"custom/other": true, "custom/date": null, "title": "x"})), [""; 0]);
    }

    #[test]
    fn what_is_required_is_asked_for_when_an_incident_is_closed_and_is_not_taken_away_again() {
        let mut fields = [field("till", Kind::Number, true), field("shift", Kind::Choice, false)];
        let none = RecordState::default();
        let there = after(&none, &set(json!({"custom/till": 4})));
        assert_eq!(missing(&fields, &none, None).len(), 1);
        assert_eq!(missing(&fields, &none, Some(&set(json!({"custom/till": 4})))), []);
        assert_eq!(missing(&fields, &there, None), []);
        let taken = set(json!({"custom/till": null}));
        assert_eq!(missing(&fields, &there, Some(&taken)).len(), 1);
        assert_eq!(check(&fields, &there, &taken).len(), 1);
        assert_eq!(check(&fields, &none, &taken), []);
        fields[0].retired = true;
        assert_eq!(missing(&fields, &none, None), []);
        assert_eq!(check(&fields, &there, &taken), []);
    }
}
