//! The fields of the form: their names, where their values are in an incident, and how they are written and read.

use crate::{moment, money};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use sync_protocol::record::vocabulary::{CATEGORIES, ITEM_OUTCOMES, PERSON_ROLES, PRECISIONS, TREATMENTS, ZONES};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line.
    Text,
    /// Several lines.
    Long,
    /// A word of a vocabulary.
    Word(&'static str),
    /// Several of them.
    Words(&'static str),
    /// A moment.
    Time,
    /// An amount.
    Money,
    /// Tags, with commas between them.
    Tags,
    /// Yes or no.
    Flag,
    /// A whole number.
    Whole,
    /// An ISO 4217 code.
    Currency,
    /// A number of the company's own.
    Number,
    /// Another value of the company's own: a text, a choice or a day.
    Own,
}

impl Kind {
    /// Whether a new element's field with this value says nothing.
    #[must_use]
    pub fn is_default(self, value: &str) -> bool {
        matches!((self, value), (Self::Whole, "1") | (Self::Words("person_role"), "other"))
    }

    /// A text as it is compared with what it was: without what a form alone makes of it. Browsers take line ends out of a line
    /// and give those of several as CR LF; boxes come in the form's order; space around it says nothing.
    #[must_use]
    pub fn normal(self, text: &str) -> String {
        match self {
            Self::Long => text.replace("\r\n", "\n").replace('\r', "\n").trim().to_owned(),
            Self::Words(_) => {
                let mut words: Vec<&str> = text.split_whitespace().collect();
                words.sort_unstable();
                words.dedup();
                words.join(" ")
            }
            _ => text.replace(['\r', '\n'], "").trim().to_owned(),
        }
    }
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name in the form.
    pub name: &'static str,
    /// Where its value is.
    pub path: &'static [&'static str],
    /// What it holds.
    pub kind: Kind,
    /// The message that names it, in `field`.
    pub label: &'static str,
}

const fn spec(name: &'static str, path: &'static [&'static str], kind: Kind, label: &'static str) -> Spec {
    Spec { name, path, kind, label }
}

/// Those that an incident has once.
pub const SCALARS: &[Spec] = &[
    spec("title", &["title"], Kind::Text, "title"),
    spec("description", &["description"], Kind::Long, "description"),
    spec("category", &["category"], Kind::Word("category"), "category"),
    spec("subcategory", &["subcategory"], Kind::Text, "subcategory"),
    spec("severity", &["severity"], Kind::Whole, "severity"),
    spec("occurred_at", &["occurred_at"], Kind::Time, "occurred_at"),
    spec("occurred_to", &["occurred_to"], Kind::Time, "occurred_to"),
    spec("occurred_precision", &["occurred_precision"], Kind::Word("precision"), "precision"),
    spec("zone", &["zone"], Kind::Word("zone"), "zone"),
    spec("location", &["location"], Kind::Text, "location"),
    spec("tags", &["tags"], Kind::Tags, "tags"),
    spec("loss.currency", &["loss", "currency"], Kind::Currency, "currency"),
    spec("loss.amount", &["loss", "amount_minor"], Kind::Money, "loss"),
    spec("loss.recovered", &["loss", "recovered_minor"], Kind::Money, "recovered"),
    spec("police.agency", &["police", "agency"], Kind::Text, "police_agency"),
    spec("police.officer", &["police", "officer"], Kind::Text, "police_officer"),
    spec("police.report_number", &["police", "report_number"], Kind::Text, "police_number"),
    spec("ambulance", &["ambulance"], Kind::Flag, "ambulance"),
    spec("cctv.camera", &["cctv", "camera"], Kind::Text, "cctv_camera"),
    spec("cctv.clip", &["cctv", "clip"], Kind::Text, "cctv_clip"),
    spec("assigned_to", &["assigned_to"], Kind::Text, "assigned_to"),
    spec("due_at", &["due_at"], Kind::Time, "due_at"),
];

/// Those of a person.
pub const PERSON: &[Spec] = &[
    spec("name", &["name"], Kind::Text, "name"),
    spec("roles", &["roles"], Kind::Words("person_role"), "roles"),
    spec("contact", &["contact"], Kind::Text, "contact"),
    spec("description", &["description"], Kind::Long, "looks"),
    spec("vehicle", &["vehicle"], Kind::Text, "vehicle"),
    spec("statement", &["statement"], Kind::Long, "statement"),
    spec("injury.body_part", &["injury", "body_part"], Kind::Text, "body_part"),
    spec("injury.nature", &["injury", "nature"], Kind::Text, "nature"),
    spec("injury.object", &["injury", "object"], Kind::Text, "object"),
    spec("injury.activity", &["injury", "activity"], Kind::Text, "activity"),
    spec("injury.treatment", &["injury", "treatment"], Kind::Word("treatment"), "treatment"),
    spec("injury.days_away", &["injury", "days_away"], Kind::Whole, "days_away"),
    spec("injury.days_restricted", &["injury", "days_restricted"], Kind::Whole, "days_restricted"),
    spec("injury.died_at", &["injury", "died_at"], Kind::Time, "died_at"),
];

/// Those of an item.
pub const ITEM: &[Spec] = &[
    spec("description", &["description"], Kind::Text, "item"),
    spec("sku", &["sku"], Kind::Text, "sku"),
    spec("quantity", &["quantity"], Kind::Whole, "quantity"),
    spec("value", &["value_minor"], Kind::Money, "value"),
    spec("outcome", &["outcome"], Kind::Word("outcome"), "outcome"),
];

/// The words of a vocabulary, by the name of its messages.
pub(super) fn vocabulary(group: &str) -> &'static [&'static str] {
    match group {
        "category" => CATEGORIES,
        "zone" => ZONES,
        "precision" => PRECISIONS,
        "person_role" => PERSON_ROLES,
        "treatment" => TREATMENTS,
        "outcome" => ITEM_OUTCOMES,
        "severity" => &["1", "2", "3", "4", "5"],
        _ => &[],
    }
}

/// The value at `path`, where there is one.
pub(super) fn take<'a>(from: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(from, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// Puts a value to where `path` leads.
pub(super) fn put(into: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            into.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = into.entry((*first).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A value as the form shows it.
pub(super) fn show(value: Option<&Value>, kind: Kind, zone: &TimeZone, currency: &str) -> String {
    let Some(value) = value else { return String::new() };
    let list = |between: &str| {
        let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(between)
    };
    match kind {
        Kind::Text | Kind::Long | Kind::Word(_) | Kind::Currency => value.as_str().unwrap_or_default().to_owned(),
        Kind::Words(_) => list(" "),
        Kind::Tags => list(", "),
        Kind::Time => value.as_str().map_or_else(String::new, |text| moment::local(text, zone)),
        Kind::Money => value.as_u64().map_or_else(String::new, |minor| money::plain(minor, currency)),
        Kind::Flag => if value.as_bool() == Some(true) { "true" } else { "" }.to_owned(),
        Kind::Number | Kind::Own => crate::own::plain(value),
        Kind::Whole => value.as_u64().map_or_else(String::new, |number| number.to_string()),
    }
}

/// A value as it was written.
///
/// # Errors
/// The message that says what it has to be.
pub(super) fn read(text: &str, kind: Kind, zone: &TimeZone, currency: &str) -> Result<Value, &'static str> {
    if kind == Kind::Flag {
        return Ok(Value::Bool(!text.is_empty()));
    }
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    Ok(match kind {
        Kind::Text | Kind::Long | Kind::Word(_) | Kind::Own => Value::from(text),
        Kind::Number => number(text.trim()).ok_or("sheet.not_number")?,
        Kind::Currency => Value::from(text.to_uppercase()),
        Kind::Words(_) => text.split(' ').filter(|word| !word.is_empty()).map(Value::from).collect(),
        Kind::Tags => {
            let mut tags: Vec<&str> = Vec::new();
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            tags.into_iter().map(Value::from).collect()
        }
        Kind::Time => Value::from(moment::from_local(text, zone).ok_or("sheet.no_time")?),
        Kind::Money => {
            // Whether it is an amount at all is told first.
            let known = if currency.is_empty() { "XXX" } else { currency };
            let minor = money::read(text, known).ok_or("sheet.no_money")?;
            if currency.is_empty() {
                return Err("sheet.no_currency");
            }
            Value::from(minor)
        }
        Kind::Whole => Value::from(text.trim().parse::<u64>().map_err(|_| "sheet.no_number")?),
        Kind::Flag => Value::Bool(true),
    })
}

/// A number as people write one: with a point or, where there is only one mark, a comma.
fn number(text: &str) -> Option<Value> {
    let text = if text.contains('.') { text.to_owned() } else { text.replacen(',', ".", 1) };
    text.parse::<u64>()
        .map(Value::from)
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .ok()
        .filter(Value::is_number)
}
