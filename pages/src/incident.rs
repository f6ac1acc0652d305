//! An incident as the features answer it, for templates: what a program of a later version adds is passed over.

use desk::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    /// Newest first.
    pub items: Vec<Incident>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// An incident. A list leaves `photos` and `comments` empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the API, whose document describes them")]
pub struct Incident {
    pub id: String,
    pub store_code: String,
    pub reference: String,
    pub title: String,
    pub description: String,
    pub category: String,
    pub subcategory: Option<String>,
    pub severity: u8,
    pub status: String,
    pub occurred_at: String,
    pub occurred_to: Option<String>,
    pub occurred_precision: String,
    pub recorded_at: String,
    pub received_at: Option<String>,
    pub clock_off: bool,
    pub reported_by: String,
    pub reported_by_name: Option<String>,
    pub zone: Option<String>,
    pub location: Option<String>,
    pub tags: Vec<String>,
    pub people: Vec<Person>,
    pub items: Vec<Item>,
    pub loss: Loss,
    pub police: Police,
    pub ambulance: bool,
    pub cctv: Cctv,
    pub assigned_to: Option<String>,
    pub due_at: Option<String>,
    pub duplicate_of: Option<String>,
    pub custom: BTreeMap<String, Value>,
    pub deleted: bool,
    pub hold: Option<Hold>,
    pub erased: Vec<Erased>,
    pub version: String,
    pub photo_count: u64,
    pub comment_count: u64,
    pub thumbnail_url: Option<String>,
    pub photos: Vec<Photo>,
    pub comments: Vec<Comment>,
}

/// Somebody who was involved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Person {
    pub id: String,
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub contact: Option<String>,
    pub description: Option<String>,
    pub vehicle: Option<String>,
    pub statement: Option<String>,
    pub injury: Option<Injury>,
}

/// What happened to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Injury {
    pub body_part: Option<String>,
    pub nature: Option<String>,
    pub object: Option<String>,
    pub activity: Option<String>,
    pub treatment: Option<String>,
    pub days_away: Option<u64>,
    pub days_restricted: Option<u64>,
    pub died_at: Option<String>,
}

/// A piece of property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Item {
    pub id: String,
    pub description: Option<String>,
    pub sku: Option<String>,
    pub quantity: Option<u64>,
    pub value_minor: Option<u64>,
    pub outcome: Option<String>,
}

/// What it cost.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Loss {
    pub amount_minor: Option<u64>,
    pub recovered_minor: Option<u64>,
    pub currency: Option<String>,
}

/// Whom it was told to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Police {
    pub agency: Option<String>,
    pub officer: Option<String>,
    pub report_number: Option<String>,
}

/// What was recorded of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Cctv {
    pub camera: Option<String>,
    pub clip: Option<String>,
}

/// Who keeps it from being erased.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Hold {
    pub by: String,
    pub at: String,
    pub reason: String,
}

/// What was erased.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Erased {
    pub at: String,
    pub by: String,
    pub reason: String,
    pub fields: Vec<String>,
}

/// A photo or another file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Photo {
    pub id: String,
    pub filename: String,
    pub media_type: String,
    pub size_bytes: u64,
    pub sha256: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub taken_at: Option<String>,
    pub caption: Option<String>,
    pub uploaded_by: String,
    pub uploaded_at: String,
    pub state: String,
    pub at_hub: String,
}

/// A comment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as above")]
pub struct Comment {
    pub id: String,
    pub kind: String,
    pub body: String,
    pub author: String,
    pub created_at: String,
}

/// Reads what a feature answered.
///
/// # Errors
/// [`Error::Fault`] where it is not what pages know: a fault of this program.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::Fault(format!("an answer cannot be shown: {error}")))
}
