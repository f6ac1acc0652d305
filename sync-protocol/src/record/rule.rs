//! What a value must be like, as tables of rules say it.

use super::{FieldError, time};
use crate::change::ChangeId;
use crate::scope::is_store_code;
use serde_json::{Map, Value};

/// The largest amount of money, in minor units: the largest whole number that every JSON reader keeps exactly.
pub const MAX_MINOR: u64 = 9_007_199_254_740_991;

pub(super) const REQUIRED: &str = "is required";

/// A field, or a member of an object.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) rule: Rule,
    /// Whether it can be taken away.
    pub(super) required: bool,
}

/// What a value must be like.
#[derive(Debug)]
pub(super) enum Rule {
    /// Text of at most so many characters.
    Text(usize),
    /// The same, and something other than white space in it.
    Filled(usize),
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Some of some words: at least one, each once.
    SomeOf(&'static [&'static str]),
    /// At most so many texts of at most so many characters, none of them blank.
    Texts(usize, usize),
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// Yes or no.
    Flag,
    /// A time as [`time`] has it.
    Time,
    /// A UUID.
    Id,
    /// A SHA-256.
    Digest,
    /// A BLAKE3.
    Blake3,
    /// An account's name.
    Username,
    /// A store's code.
    StoreCode,
    /// Three upper-case letters.
    Currency,
    /// A text of at most so many characters, a number, or yes or no.
    Scalar(usize),
    /// An object with these members, and others that this version does not know.
    Object(&'static [(&'static str, Part)]),
    /// [`crate::merge::Deletion`].
    Deletion,
    /// The id of a change.
    ChangeId,
    /// At most so many ids of changes.
    ChangeIds(usize),
    /// Whatever it is: it is judged where it is used.
    Any,
}

impl Part {
    pub(super) const fn optional(rule: Rule) -> Self {
        Self { rule, required: false }
    }

    pub(super) const fn required(rule: Rule) -> Self {
        Self { rule, required: true }
    }

    /// Notes what is wrong with `value`, found at `path`.
    pub(super) fn check(&self, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
        match (value, self.required) {
            (Value::Null, true) => errors.push(FieldError::new(path, REQUIRED)),
            (Value::Null, false) => {}
            (value, _) => self.rule.check(path, value, errors),
        }
    }
}

impl Rule {
    fn check(&self, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
        let found = match self {
            Self::Object(members) => return object(path, members, value, errors),
            Self::Text(most) => text(value, *most),
            Self::Filled(most) => filled(value, *most),
            Self::OneOf(words) => one_of(value, words),
            Self::SomeOf(words) => some_of(value, words),
            Self::Texts(count, most) => texts(value, *count, *most),
            Self::Whole(least, most) => whole(value, *least, *most),
            Self::Any => None,
            Self::Flag => need(value.is_boolean(), "must be true or false"),
            Self::Time => need(value.as_str().is_some_and(time::is_time), time::FORM),
            Self::Id => need(value.as_str().is_some_and(is_uuid), "must be a UUID in lower case with hyphens"),
            Self::Digest => {
                need(value.as_str().is_some_and(is_digest), "must be a SHA-256 in 64 lower-case hexadecimal characters")
            }
            Self::Blake3 => {
                need(value.as_str().is_some_and(is_digest), "must be a BLAKE3 in 64 lower-case hexadecimal characters")
            }
            Self::Username => need(value.as_str().is_some_and(is_username), "must be 1 to 64 of a-z, 0-9, ., _ and -"),
            Self::StoreCode => {
                need(value.as_str().is_some_and(is_store_code), "must be 1 to 16 letters, digits, - or _")
            }
            Self::Currency => need(
                value.as_str().is_some_and(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase())),
                "must be a currency's three upper-case letters, such as USD",
            ),
            Self::Scalar(most) => match value {
                Value::Bool(_) | Value::Number(_) => None,
                Value::String(_) => text(value, *most),
                _ => Some("must be a text, a number, or true or false".to_owned()),
            },
            Self::ChangeId => need(is_change_id(value), "must be the id of a change, ORIGIN:SEQ"),
            Self::ChangeIds(most) => {
                let right = value.as_array().is_some_and(|ids| ids.len() <= *most && ids.iter().all(is_change_id));
                need(right, &format!("must be a list of at most {most} ids of changes, ORIGIN:SEQ"))
            }
            Self::Deletion => {
                need(is_deletion(value), "must be an object with what its author saw: {\"saw\": {ORIGIN: SEQ}}")
            }
        };
        errors.extend(found.map(|message| FieldError::new(path, message)));
    }

    /// Notes members that this version does not know.
    pub(super) fn unknown(&self, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
        let (Self::Object(members), Value::Object(found)) = (self, value) else {
            return;
        };
        for (name, value) in found {
            let path = format!("{path}/{name}");
            match members.iter().find(|(known, _)| known == name) {
                Some((_, part)) => part.rule.unknown(&path, value, errors),
                None => errors.push(FieldError::new(path, "there is no such field")),
            }
        }
    }
}

fn need(right: bool, message: &str) -> Option<String> {
    (!right).then(|| message.to_owned())
}

fn object(path: &str, members: &[(&str, Part)], value: &Value, errors: &mut Vec<FieldError>) {
    let Value::Object(found) = value else {
        errors.push(FieldError::new(path, "must be an object"));
        return;
    };
    for (name, part) in members {
        match found.get(*name) {
            Some(value) => part.check(&format!("{path}/{name}"), value, errors),
            None if part.required => errors.push(FieldError::new(format!("{path}/{name}"), REQUIRED)),
            None => {}
        }
    }
}

/// Counts characters as Unicode does (scalar values), never bytes: a limit is the same in every language.
fn text(value: &Value, most: usize) -> Option<String> {
    let Some(text) = value.as_str() else {
        return Some("must be text".to_owned());
    };
    // Every character is at least a byte, so most texts need no counting.
    if text.len() > most {
        let count = text.chars().count();
        if count > most {
            return Some(format!("must be at most {most} characters and has {count}"));
        }
    }
    text.chars()
        .find(|c| *c < ' ' && !matches!(c, '\n' | '\t' | '\r'))
        .map(|c| format!("must not contain the control character U+{:04X}", u32::from(c)))
}

fn filled(value: &Value, most: usize) -> Option<String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Some("must not be blank".to_owned()),
        _ => text(value, most),
    }
}

fn one_of(value: &Value, words: &[&str]) -> Option<String> {
    let right = value.as_str().is_some_and(|word| words.contains(&word));
    (!right).then(|| format!("must be one of {}", words.join(", ")))
}

fn some_of(value: &Value, words: &[&str]) -> Option<String> {
    let wrong = || Some(format!("must be a list of at least one of {}, each once", words.join(", ")));
    let Value::Array(found) = value else { return wrong() };
    let right = !found.is_empty()
        && found
            .iter()
            .enumerate()
            .all(|(at, word)| one_of(word, words).is_none() && !found.iter().take(at).any(|earlier| earlier == word));
    if right { None } else { wrong() }
}

fn texts(value: &Value, count: usize, most: usize) -> Option<String> {
    let Value::Array(found) = value else {
        return Some("must be a list of texts".to_owned());
    };
    if found.len() > count {
        return Some(format!("must be at most {count} and are {}", found.len()));
    }
    found.iter().find_map(|text| filled(text, most)).map(|message| format!("each {message}"))
}

fn whole(value: &Value, least: u64, most: u64) -> Option<String> {
    let right = value.as_u64().is_some_and(|number| (least..=most).contains(&number));
    (!right).then(|| format!("must be a whole number from {least} to {most}"))
}

/// The form in which ids travel: lower case, with hyphens.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// No colon: names such as `system:import` are never a person's.
pub(super) fn is_username(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_change_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<ChangeId>().is_ok())
}

fn is_deletion(value: &Value) -> bool {
    let saw = value.as_object().and_then(|deletion| deletion.get("saw")).and_then(Value::as_object);
    saw.is_some_and(|saw: &Map<String, Value>| saw.iter().all(|(origin, seq)| is_uuid(origin) && seq.is_u64()))
}
