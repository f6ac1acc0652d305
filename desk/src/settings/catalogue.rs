//! Everything that headquarters can set for its nodes, and what each may be. Pure.
//!
//! Asked at headquarters before anything is recorded, and at a node before anything is applied: a node believes no value more
//! than a person's at the hub. Nothing in here is a command, a path or an address: what a node does with a setting is in its
//! program.

use super::own::{Category, CustomField, Kind};
use serde_json::Value;
use sync_protocol::record::vocabulary::CATEGORIES;

/// Levels of the log.
pub const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Most categories, and most custom fields, of one scope.
pub const MAX_OWN: usize = 100;
/// Longest name of a category or custom field, and of a choice, in characters.
pub const MAX_LABEL: usize = 100;
/// Most choices of a custom field.
pub const MAX_CHOICES: usize = 100;

/// What a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A level of the log.
    LogLevel,
    /// When originals go: `always`, `on-demand`, or a time of the day such as `22:00-06:00`.
    Originals,
    /// A whole number within these bounds.
    Whole(u64, u64),
}

/// The settings that a node has one of.
pub const SINGLE: [(&str, Shape); 8] = [
    ("log_level", Shape::LogLevel),
    ("photos/originals", Shape::Originals),
    ("photos/max_kbit_s", Shape::Whole(0, 10_000_000)),
    ("photos/originals_max_kbit_s", Shape::Whole(0, 10_000_000)),
    ("link/max_backoff_ms", Shape::Whole(100, 300_000)),
    ("drafts/keep_days", Shape::Whole(1, 90)),
    ("backup/keep_daily", Shape::Whole(1, 366)),
    ("backup/keep_weekly", Shape::Whole(0, 520)),
];
/// The settings that have elements, each under a key of its own.
pub const COLLECTIONS: [&str; 2] = ["categories", "custom_fields"];

/// What is wrong with a value of `field`, as a field's name and words for a person; nothing where it can be applied.
#[must_use]
pub fn check(field: &str, value: &Value) -> Vec<(String, String)> {
    if let Some((_, shape)) = SINGLE.iter().find(|(name, _)| *name == field) {
        return shape.check(value).map(|why| (field.to_owned(), why)).into_iter().collect();
    }
    let member = |(member, why): (&str, String)| {
        (if member.is_empty() { field.to_owned() } else { format!("{field}/{member}") }, why)
    };
    match field.split_once('/') {
        Some(("categories", _)) => category(value).into_iter().map(member).collect(),
        Some(("custom_fields", _)) => custom_field(value).into_iter().map(member).collect(),
        _ => vec![(field.to_owned(), "there is no such field".to_owned())],
    }
}

impl Shape {
    fn check(self, value: &Value) -> Option<String> {
        let text = value.as_str();
        match self {
            Self::LogLevel if text.is_some_and(|level| LOG_LEVELS.contains(&level)) => None,
            Self::LogLevel => Some(format!("must be one of {}", LOG_LEVELS.join(", "))),
            Self::Originals if text.is_some_and(|when| matches!(when, "always" | "on-demand") || is_window(when)) => {
                None
            }
            Self::Originals => Some("must be always, on-demand or a time of the day, such as 22:00-06:00".to_owned()),
            Self::Whole(least, most) => {
                let right = value.as_u64().is_some_and(|number| (least..=most).contains(&number));
                (!right).then(|| format!("must be a whole number from {least} to {most}"))
            }
        }
    }
}

/// `22:00-06:00`: two different times of the day.
fn is_window(text: &str) -> bool {
    let clock = |text: &str| {
        let bytes = text.as_bytes();
        let digits = |at: usize| text.get(at..at + 2).and_then(|two| two.parse::<u32>().ok());
        bytes.len() == 5
            && bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| if at == 2 { *byte == b':' } else { byte.is_ascii_digit() })
            && digits(0).is_some_and(|hour| hour < 24)
            && digits(3).is_some_and(|minute| minute < 60)
    };
    text.split_once('-').is_some_and(|(from, to)| clock(from) && clock(to) && from != to)
}

/// What is wrong with a name that people read.
fn label(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some("is required".to_owned()),
        Some(Value::String(text)) if text.trim().is_empty() => Some("must not be blank".to_owned()),
        Some(Value::String(text)) if text.chars().any(char::is_control) => Some("must be one line of text".to_owned()),
        Some(Value::String(text)) => {
            let count = text.chars().count();
            (count > MAX_LABEL).then(|| format!("must be at most {MAX_LABEL} characters and has {count}"))
        }
        Some(_) => Some("must be text".to_owned()),
    }
}

fn flag(value: Option<&Value>) -> Option<String> {
    let right = value.is_none_or(|value| value.is_boolean() || value.is_null());
    (!right).then(|| "must be true or false".to_owned())
}

type Wrong = Vec<(&'static str, String)>;

fn category(value: &Value) -> Wrong {
    let Some(members) = value.as_object() else {
        return vec![("", "must be an object".to_owned())];
    };
    let mut wrong = Wrong::new();
    wrong.extend(label(members.get("label")).map(|why| ("label", why)));
    let of = members.get("category").and_then(Value::as_str);
    if !of.is_some_and(|of| CATEGORIES.contains(&of)) {
        wrong.push(("category", format!("must be one of {}", CATEGORIES.join(", "))));
    }
    wrong.extend(flag(members.get("retired")).map(|why| ("retired", why)));
    unknown(members.keys(), &["label", "category", "retired"], &mut wrong);
    wrong
}

fn custom_field(value: &Value) -> Wrong {
    let Some(members) = value.as_object() else {
        return vec![("", "must be an object".to_owned())];
    };
    let mut wrong = Wrong::new();
    wrong.extend(label(members.get("label")).map(|why| ("label", why)));
    let kind = members.get("type").and_then(Value::as_str).and_then(|kind| kind.parse::<Kind>().ok());
    if kind.is_none() {
        wrong.push(("type", format!("must be one of {}", Kind::ALL.map(Kind::as_str).join(", "))));
    }
    match members.get("choices") {
        None | Some(Value::Null) if kind == Some(Kind::Choice) => wrong.push(("choices", "is required".to_owned())),
        None | Some(Value::Null) => {}
        Some(_) if kind.is_some_and(|kind| kind != Kind::Choice) => {
            wrong.push(("choices", "goes with the type choice".to_owned()));
        }
        Some(choices) => wrong.extend(self::choices(choices).map(|why| ("choices", why))),
    }
    for name in ["required", "retired"] {
        wrong.extend(flag(members.get(name)).map(|why| (name, why)));
    }
    unknown(members.keys(), &["label", "type", "choices", "required", "retired"], &mut wrong);
    wrong
}

fn choices(value: &Value) -> Option<String> {
    let Some(choices) = value.as_array().filter(|choices| !choices.is_empty()) else {
        return Some("must be a list of texts".to_owned());
    };
    if choices.len() > MAX_CHOICES {
        return Some(format!("must be at most {MAX_CHOICES} and are {}", choices.len()));
    }
    let twice = choices.iter().enumerate().any(|(at, choice)| choices.iter().take(at).any(|other| other == choice));
    if twice {
        return Some("must not name one twice".to_owned());
    }
    choices.iter().find_map(|choice| label(Some(choice))).map(|why| format!("each {why}"))
}

fn unknown<'a>(found: impl Iterator<Item = &'a String>, known: &[&str], wrong: &mut Wrong) {
    // Named by the whole: an error's field is one that somebody can find.
    wrong.extend(
        found
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| ("", format!("there is no member {name}"))),
    );
}

/// The category that `value` is, where it can be used.
pub(super) fn to_category(key: &str, value: &Value) -> Option<Category> {
    if !category(value).is_empty() {
        return None;
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Category {
        key: key.to_owned(),
        label: text("label"),
        category: text("category"),
        retired: value.get("retired").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// The custom field that `value` is, where it can be used.
pub(super) fn to_custom_field(key: &str, value: &Value) -> Option<CustomField> {
    if !custom_field(value).is_empty() {
        return None;
    }
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    let choices = value.get("choices").and_then(Value::as_array).into_iter().flatten();
    Some(CustomField {
        key: key.to_owned(),
        label: value.get("label").and_then(Value::as_str).unwrap_or_default().to_owned(),
        kind: value.get("type").and_then(Value::as_str).and_then(|kind| kind.parse().ok())?,
        choices: choices.filter_map(Value::as_str).map(str::to_owned).collect(),
        required: flag("required"),
        retired: flag("retired"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(field: &str, value: Value) -> Vec<String> {
        check(field, &value).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn every_single_setting_has_values_that_it_takes_and_values_that_it_does_not() {
        for (field, fine) in [
            ("log_level", json!("debug")),
            ("photos/originals", json!("always")),
            ("photos/originals", json!("on-demand")),
            ("photos/originals", json!("22:00-06:00")),
            ("photos/max_kbit_s", json!(0)),
            ("photos/originals_max_kbit_s", json!(256)),
            ("link/max_backoff_ms", json!(100)),
            ("drafts/keep_days", json!(90)),
            ("backup/keep_daily", json!(366)),
            ("backup/keep_weekly", json!(0)),
        ] {
            assert_eq!(wrong(field, fine), [""; 0], "{field}");
        }
        for (field, bad) in [
            ("log_level", json!("warn,aincident_node=debug")),
            ("log_level", json!(["debug"])),
            ("photos/originals", json!("at night")),
            ("photos/originals", json!("24:00-06:00")),
            ("photos/originals", json!("06:00-06:00")),
            ("photos/originals", json!("+1:00-06:00")),
            ("photos/originals", json!("$(reboot)")),
            ("photos/max_kbit_s", json!(-1)),
            ("photos/originals_max_kbit_s", json!(0.5)),
            ("photos/max_kbit_s", json!("500")),
            ("link/max_backoff_ms", json!(99)),
            ("drafts/keep_days", json!(0)),
            ("backup/keep_daily", json!(1.5)),
            ("backup/keep_weekly", json!(521)),
            ("command", json!("reboot")),
            ("photos", json!({})),
        ] {
            assert_eq!(wrong(field, bad.clone()), [field], "{field} {bad}");
        }
    }

    #[test]
    fn a_category_has_a_name_and_is_of_a_built_in_one() {
        let of = |value: Value| wrong("categories/gift_card", value);
        assert_eq!(of(json!({"label": "Gift card", "category": "fraud"})), [""; 0]);
        assert_eq!(of(json!({"label": "Gift card", "category": "fraud", "retired": true})), [""; 0]);
        assert_eq!(of(json!("Gift card")), ["categories/gift_card"]);
        assert_eq!(of(json!({})), ["categories/gift_card/label", "categories/gift_card/category"]);
        assert_eq!(of(json!({"label": " ", "category": "x", "retired": 1})).len(), 3);
        assert_eq!(of(json!({"label": "a\nb", "category": "fraud", "url": "https://x"})).len(), 2);
    }

    #[test]
    fn a_custom_field_has_a_name_and_a_type_and_choices_where_it_is_one() {
        let of = |value: Value| wrong("custom_fields/till", value);
        assert_eq!(of(json!({"label": "Till", "type": "number", "required": true})), [""; 0]);
        assert_eq!(of(json!({"label": "Shift", "type": "choice", "choices": ["early", "late"]})), [""; 0]);
        assert_eq!(of(json!({"label": "Shift", "type": "choice"})), ["custom_fields/till/choices"]);
        assert_eq!(of(json!({"label": "Shift", "type": "choice", "choices": ["a", "a"]})).len(), 1);
        assert_eq!(of(json!({"label": "Shift", "type": "choice", "choices": ["a", " "]})).len(), 1);
        assert_eq!(of(json!({"label": "Shift", "type": "text", "choices": ["a"]})).len(), 1);
        assert_eq!(of(json!({"label": "Shift", "type": "script"})), ["custom_fields/till/type"]);
    }
}
