//! A row of the log as a report.

use super::occurred::{Occurred, occurred};
use aincident_tests::load::new_id;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

/// A row as it is.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    ucpd_id: String,
    incident: String,
    location: String,
    occurred: String,
    reported: String,
    disposition: String,
    comments: String,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub struct Mapped {
    /// One report a row.
    pub bodies: Vec<Value>,
    ranges: usize,
    unknown: usize,
    other: usize,
    repeated: Vec<String>,
}

impl Mapped {
    /// The figures in a line.
    pub fn told(&self) -> String {
        format!(
            "{} ranges, {} with times unknown, {} in category other, repeated ids {:?} (kept as reports of their own)",
            self.ranges, self.unknown, self.other, self.repeated
        )
    }
}

/// Reads every row.
pub fn read(file: &Path) -> Vec<Row> {
    let file = File::open(file).unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
    csv::Reader::from_reader(GzDecoder::new(file))
        .deserialize()
        .map(|row| row.expect("a row"))
        .collect()
}

/// Makes a report of every row.
pub fn map(rows: &[Row]) -> Mapped {
    let mut mapped = Mapped::default();
    let mut seen = BTreeSet::new();
    for row in rows {
        let source: String = row.ucpd_id.split_whitespace().collect();
        let category = category(&row.incident);
        let when = occurred(&row.occurred, &row.reported);
        mapped.ranges += usize::from(when.precision == "range");
        mapped.unknown += usize::from(when.precision == "unknown");
        mapped.other += usize::from(category == "other");
        let mut tags = Vec::new();
        if !seen.insert(source.clone()) {
            mapped.repeated.push(source);
            tags.push("repeated-id");
        }
        mapped.bodies.push(body(row, category, &when, &tags));
    }
    mapped
}

fn body(row: &Row, category: &str, when: &Occurred, tags: &[&str]) -> Value {
    let description = if row.comments.trim().is_empty() { &row.incident } else { &row.comments };
    json!({
        "id": new_id(),
        "description": description,
        "title": row.incident.chars().take(200).collect::<String>(),
        "category": category,
        "location": row.location,
        "occurred_at": when.at,
        "occurred_to": when.to,
        "occurred_precision": when.precision,
        "tags": tags,
        "custom": { "source_id": row.ucpd_id, "disposition": row.disposition, "occurred": row.occurred },
    })
}

/// The category of an incident of hundreds of spellings: the first word that says it.
fn category(incident: &str) -> &'static str {
    const WORDS: &[(&str, &str)] = &[
        ("robbery", "robbery"),
        ("hijack", "robbery"),
        ("burglary", "burglary"),
        ("theft", "theft"),
        ("stolen", "theft"),
        ("deceptive", "fraud"),
        ("fraud", "fraud"),
        ("counterfeit", "fraud"),
        ("weapon", "weapon"),
        ("shots", "weapon"),
        ("firearm", "weapon"),
        ("homicide", "assault"),
        ("battery", "assault"),
        ("assault", "assault"),
        ("threat", "threat"),
        ("intimidation", "threat"),
        ("harass", "threat"),
        ("stalking", "threat"),
        ("trespass", "trespass"),
        ("criminal damage", "vandalism"),
        ("vandalism", "vandalism"),
        ("graffiti", "vandalism"),
        ("damage", "property_damage"),
        ("crash", "property_damage"),
        ("accident", "property_damage"),
        ("injur", "customer_injury"),
        ("medical", "emergency"),
        ("fire", "emergency"),
        ("ambulance", "emergency"),
        ("gas leak", "hazard"),
        ("hazard", "hazard"),
        ("suspicious", "suspicious_activity"),
        ("disturbance", "suspicious_activity"),
    ];
    let incident = incident.to_lowercase();
    WORDS.iter().find(|(word, _)| incident.contains(word)).map_or("other", |(_, category)| category)
}
