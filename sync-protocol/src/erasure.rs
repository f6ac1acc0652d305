//! Taking a person's data out of changes without breaking the chains that seal them.
//!
//! A chain link is made of a body's *digest*, so a body can lose values and its stream still be walked: what is left of
//! it says in a member `erased` what the digest of the whole was. An order of erasure is a record of its own (kind
//! `erasure`, [`crate::record::ERASURE`]); it names fields of records, never their values. Every site takes the same
//! values out of the same changes, whichever it got first, the order or the change:
//!
//! * a change that writes a named field and does not say that its author knew the order ([`knows`]) loses the value;
//! * what is left is a function of the body and the fields ([`redact`]), so all sites are left with the same bytes.
//!
//! A body's `salt` goes with the values: without it nobody can find out what they were by trying digests.

use crate::change::Field;
use crate::record;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The member of a body that lost values: the digest of the whole. Also the name before the slash of the cells that
/// orders leave in the records they name.
pub const ERASED: &str = "erased";

/// What stands for a text that was taken out.
pub const ERASED_TEXT: &str = "[erased]";

/// What an order names to have the content of a photo removed.
pub const CONTENT: &str = "content";

/// Everything that a photo loses together with its content.
pub const PHOTO_FIELDS: &[&str] = &[
    "caption",
    CONTENT,
    "display/sha256",
    "display/size_bytes",
    "filename",
    "reason",
    "taken_at",
    "thumbnail/sha256",
    "thumbnail/size_bytes",
];

/// How much longer than the largest body what is left of one can be, in bytes.
pub const MOST_LEFT_OVER: usize = 128;

/// The digest of a body: what its chain link is made of. What is left of an erased one has the digest of the whole.
#[must_use]
pub fn digest(body: &[u8]) -> [u8; 32] {
    original(body).unwrap_or_else(|| *blake3::hash(body).as_bytes())
}

/// The digest of the whole, where `body` is what is left of one.
#[must_use]
pub fn original(body: &[u8]) -> Option<[u8; 32]> {
    #[derive(Deserialize)]
    struct Only {
        erased: Option<String>,
    }
    let text = std::str::from_utf8(body).ok()?;
    // Inside a text the quotes would be escaped, so few bodies come further than this.
    if !text.contains("\"erased\"") {
        return None;
    }
    let digest = serde_json::from_str::<Only>(text).ok()?.erased?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Some(*blake3::Hash::from_hex(digest).ok().filter(|_| is_digest)?.as_bytes())
}

/// The orders that the author of `body` knew of.
#[must_use]
pub fn knows(body: &str) -> Vec<Uuid> {
    #[derive(Deserialize)]
    struct Only {
        #[serde(default)]
        knows: Vec<Uuid>,
    }
    if !body.contains("\"knows\"") {
        return Vec::new();
    }
    serde_json::from_str::<Only>(body).map(|only| only.knows).unwrap_or_default()
}

/// What is left of `body` without the values of the fields for which `is_erased`; `None` where that takes nothing away.
///
/// Members and fields are sorted by the bytes of their names and have no white space between them; values that stay keep
/// their bytes. `salt` goes, `erased` is added. A body that is no change is left alone.
#[must_use]
pub fn redact(body: &str, is_erased: impl Fn(&str) -> bool) -> Option<String> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).ok()?;
    let kind: String = serde_json::from_str(members.get("kind")?.get()).ok()?;
    let mut set: BTreeMap<Field, Box<RawValue>> = serde_json::from_str(members.get("set")?.get()).ok()?;
    let mut took = false;
    for (field, raw) in &mut set {
        if !is_erased(field) {
            continue;
        }
        let value: Value = serde_json::from_str(raw.get()).ok()?;
        let left = left_of(&kind, field, &value);
        if left != value {
            *raw = raw_of(&left)?;
            took = true;
        }
    }
    if !took {
        return None;
    }
    let whole = blake3::Hash::from_bytes(digest(body.as_bytes())).to_hex();
    members.insert("set".to_owned(), raw_of(&set)?);
    members.insert(ERASED.to_owned(), raw_of(&whole.as_str())?);
    members.remove("salt");
    serde_json::to_string(&members).ok()
}

/// What is left of a body of which nothing can stay: one that is no change.
#[must_use]
pub fn nothing_left(body: &str) -> String {
    format!("{{\"erased\":\"{}\"}}", blake3::Hash::from_bytes(digest(body.as_bytes())).to_hex())
}

fn raw_of<T: serde::Serialize>(value: &T) -> Option<Box<RawValue>> {
    RawValue::from_string(serde_json::to_string(value).ok()?).ok()
}

/// What is left of a field's value.
#[must_use]
pub fn left_of(kind: &str, field: &str, value: &Value) -> Value {
    let keep = |members: &Map<String, Value>, name: &str| members.get(name).cloned().map(|v| (name.to_owned(), v));
    match (kind, field.split_once('/').map_or(field, |(collection, _)| collection), value) {
        // Counts by role stay right, and nobody can be told by one.
        (record::INCIDENT, "people", Value::Object(person)) => {
            Value::Object(keep(person, "roles").into_iter().collect())
        }
        (record::INCIDENT, "items", Value::Object(item)) => {
            let left = ["outcome", "quantity", "sku", "value_minor"];
            Value::Object(left.iter().filter_map(|name| keep(item, name)).collect())
        }
        (record::PHOTO, "display" | "thumbnail" | "taken_at", _) => Value::Null,
        (_, _, Value::String(_)) => Value::from(ERASED_TEXT),
        _ => Value::Null,
    }
}

/// Whether an order may name that field of a record of `kind`. Not what is counted: category, severity, status, times,
/// amounts.
#[must_use]
pub fn is_erasable(kind: &str, field: &str) -> bool {
    let named = match kind {
        record::INCIDENT => {
            matches!(field, "title" | "description" | "location" | "subcategory" | "tags")
                || ["people/", "items/", "custom/", "police/", "cctv/"].iter().any(|group| field.starts_with(group))
        }
        record::COMMENT => field == "body",
        record::STEP => field == "reason",
        record::PHOTO => return PHOTO_FIELDS.contains(&field),
        _ => false,
    };
    named && record::knows(kind, field)
}

/// Whether `field` is one that orders leave in a record, and no change can write.
#[must_use]
pub fn is_mark(field: &str) -> bool {
    field.strip_prefix(ERASED).is_some_and(|rest| rest.starts_with('/'))
}

/// The name of the cell that the order `id` leaves in a record.
#[must_use]
pub fn mark(id: Uuid) -> Field {
    format!("{ERASED}/{}", id.hyphenated())
}

#[cfg(test)]
mod tests;
