//! An incident as people see it: a pure function of its merged state.
//!
//! Fields that were never written show their defaults; collections that travel element by element
//! (`people/ID`, `items/ID`, `custom/KEY`) are put together again, in the order of their ids, which is the order in
//! which they were added.

use crate::erasures::{Mark, marks};
use crate::search::fold;
use chassis::clock::{format_rfc3339, parse_rfc3339};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Bound;
use sync_protocol::merge::RecordState;
use uuid::Uuid;

/// Longest derived title, in characters.
const TITLE_CHARS: usize = 80;

/// An incident's document and what it is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The JSON object, without what other records add to an answer.
    pub doc: String,
    /// Digest of the merged state: 32 hexadecimal characters, the same at every site that holds the same.
    pub version: String,
    /// Milliseconds since 1970.
    pub occurred_at_ms: i64,
    /// Status.
    pub status: String,
    /// Category.
    pub category: String,
    /// 1 to 5.
    pub severity: u8,
    /// Username.
    pub reported_by: String,
    /// Whether it is deleted.
    pub deleted: bool,
    /// `042-2026-000017-K7`.
    pub reference: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Names of people, folded, one a line.
    pub people: String,
    /// Everything that is searched but comments, folded.
    pub words: String,
}

/// The document's members, in the order in which they are written.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    store_code: &'a str,
    reference: &'a str,
    title: &'a str,
    description: &'a str,
    category: &'a str,
    subcategory: Option<&'a Value>,
    severity: u8,
    status: &'a str,
    occurred_at: String,
    occurred_to: Option<&'a Value>,
    occurred_precision: &'a str,
    recorded_at: String,
    /// The store's clock was off, so that `recorded_at` is not when it was recorded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    clock_off: bool,
    reported_by: &'a str,
    zone: Option<&'a Value>,
    location: Option<&'a Value>,
    tags: &'a [String],
    people: &'a [Value],
    items: &'a [Value],
    loss: Loss<'a>,
    police: Police<'a>,
    ambulance: bool,
    cctv: Cctv<'a>,
    assigned_to: Option<&'a Value>,
    due_at: Option<&'a Value>,
    duplicate_of: Option<&'a Value>,
    custom: BTreeMap<&'a str, &'a Value>,
    deleted: bool,
    hold: Option<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<Erased>,
    version: &'a str,
}

/// What was erased, as people see it.
#[derive(Serialize)]
struct Erased {
    at: String,
    by: String,
    reason: String,
    fields: Vec<String>,
}

#[derive(Serialize)]
struct Loss<'a> {
    amount_minor: Option<&'a Value>,
    recovered_minor: Option<&'a Value>,
    currency: Option<&'a Value>,
}

#[derive(Serialize)]
struct Police<'a> {
    agency: Option<&'a Value>,
    officer: Option<&'a Value>,
    report_number: Option<&'a Value>,
}

#[derive(Serialize)]
struct Cctv<'a> {
    camera: Option<&'a Value>,
    clip: Option<&'a Value>,
}

/// Makes the document of the incident `id` of store `store_code`.
#[must_use]
pub fn document(id: Uuid, store_code: &str, state: &RecordState) -> Document {
    let text = |field: &str| state.get(field).and_then(Value::as_str);
    let value = |field: &str| state.get(field);
    let recorded_ms = state.born.as_ref().map_or(0, |born| born.at);
    let reported_by = state.born.as_ref().map_or("", |born| born.by.as_str());
    let occurred_at_ms = text("occurred_at").and_then(parse_rfc3339).unwrap_or(recorded_ms);
    let description = text("description").unwrap_or("");
    let title = text("title")
        .filter(|t| !t.trim().is_empty())
        .map_or_else(|| title_of(description), ToOwned::to_owned);
    let status = text("status").unwrap_or("submitted");
    let category = text("category").unwrap_or("other");
    let severity = state.get("severity").and_then(Value::as_u64).map_or(3, |s| s.clamp(1, 5) as u8);
    let reference = text("reference").unwrap_or("");
    let tags: Vec<String> = state
        .get("tags")
        .and_then(Value::as_array)
        .map(|tags| tags.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
        .unwrap_or_default();
    let people = collection(state, "people/");
    let items = collection(state, "items/");
    let custom = elements(state, "custom/").collect();
    let deleted = state.is_deleted();
    let version = version(store_code, state);

    let names: Vec<String> =
        people.iter().filter_map(|person| person.get("name").and_then(Value::as_str)).map(fold).collect();
    let mut words = String::with_capacity(description.len() + 128);
    for part in [reference, &title, description, text("location").unwrap_or("")] {
        push_folded(&mut words, part);
    }
    for tag in &tags {
        push_folded(&mut words, tag);
    }
    for person in &people {
        for member in ["name", "contact", "description", "vehicle", "statement"] {
            if let Some(part) = person.get(member).and_then(Value::as_str) {
                push_folded(&mut words, part);
            }
        }
    }

    let shown = Shown {
        id,
        store_code,
        reference,
        occurred_at: format_rfc3339(occurred_at_ms),
        occurred_to: value("occurred_to"),
        occurred_precision: text("occurred_precision").unwrap_or("exact"),
        recorded_at: format_rfc3339(recorded_ms),
        clock_off: state.born.as_ref().is_some_and(|born| born.stamp.hlc.tells_a_wrong_clock(born.at)),
        reported_by,
        category,
        subcategory: value("subcategory"),
        tags: &tags,
        severity,
        status,
        title: &title,
        description,
        zone: value("zone"),
        location: value("location"),
        people: &people,
        items: &items,
        loss: Loss {
            amount_minor: value("loss/amount_minor"),
            recovered_minor: value("loss/recovered_minor"),
            currency: value("loss/currency"),
        },
        police: Police {
            agency: value("police/agency"),
            officer: value("police/officer"),
            report_number: value("police/report_number"),
        },
        ambulance: state.get("ambulance").and_then(Value::as_bool).unwrap_or(false),
        cctv: Cctv { camera: value("cctv/camera"), clip: value("cctv/clip") },
        assigned_to: value("assigned_to"),
        due_at: value("due_at"),
        duplicate_of: value("duplicate_of"),
        custom,
        deleted,
        hold: value("hold"),
        erased: erased(state),
        version: &version,
    };
    // Texts, numbers and maps with text keys: there is nothing in it that JSON could not hold.
    let doc = serde_json::to_string(&shown).unwrap_or_default();

    Document {
        doc,
        version,
        occurred_at_ms,
        status: status.to_owned(),
        category: category.to_owned(),
        severity,
        reported_by: reported_by.to_owned(),
        deleted,
        reference: reference.to_owned(),
        tags,
        people: names.join("\n"),
        words,
    }
}

fn erased(state: &RecordState) -> Vec<Erased> {
    let public = |field: String| field.replace('/', ".");
    let shown = |mark: Mark| Erased {
        at: format_rfc3339(mark.at),
        by: mark.by,
        reason: mark.reason,
        fields: mark.fields.into_iter().map(public).collect(),
    };
    marks(state).into_iter().map(shown).collect()
}

/// Digest over every value that stands, fields this version does not know included.
fn version(store_code: &str, state: &RecordState) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(store_code.as_bytes());
    if let Some(born) = &state.born {
        part(born.by.as_bytes());
        part(&born.at.to_le_bytes());
    }
    for (field, cell) in &state.cells {
        if !cell.value.is_null() {
            part(field.as_bytes());
            part(cell.value.to_string().as_bytes());
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The fields of one collection that have a value: the name behind `prefix`, and the value.
fn elements<'a>(state: &'a RecordState, prefix: &'static str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    state
        .cells
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .map_while(move |(field, cell)| Some((field.strip_prefix(prefix)?, &cell.value)))
        .filter(|(_, value)| !value.is_null())
}

fn collection(state: &RecordState, prefix: &'static str) -> Vec<Value> {
    elements(state, prefix)
        .filter_map(|(id, value)| {
            let mut element = value.as_object()?.clone();
            element.insert("id".to_owned(), Value::from(id));
            Some(Value::Object(element))
        })
        .collect()
}

fn push_folded(words: &mut String, part: &str) {
    if !part.is_empty() {
        words.push_str(&fold(part));
        words.push('\n');
    }
}

/// A title for a description without one: its first line, cut between words.
#[must_use]
pub fn title_of(description: &str) -> String {
    let line = description.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let mut ends = line.char_indices().map(|(at, _)| at).skip(TITLE_CHARS);
    let Some(end) = ends.next() else { return line.to_owned() };
    let cut = &line[..end];
    let cut = cut.rfind(char::is_whitespace).filter(|at| *at > end / 2).map_or(cut, |at| &cut[..at]);
    format!("{}…", cut.trim_end_matches([' ', ',', ';', ':', '.']))
}
