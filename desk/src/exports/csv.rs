//! Incidents as CSV. What has a place of its own has a column of its own; lists are JSON in their cell, so nothing is lost.
//!
//! A text that a spreadsheet would take for a formula gets an apostrophe in front: whoever reports an incident must not
//! be able to run something on the PC of whoever exports it.

use crate::error::Error;
use crate::ledger::Whole;
use bytes::Bytes;
use chassis::clock::format_rfc3339;
use serde_json::Value;

/// A column, and where in the document its value is; empty for those that other records add.
pub(super) const COLUMNS: [(&str, &str); 37] = [
    ("reference", "/reference"),
    ("store_code", "/store_code"),
    ("occurred_at", "/occurred_at"),
    ("occurred_to", "/occurred_to"),
    ("occurred_precision", "/occurred_precision"),
    ("recorded_at", "/recorded_at"),
    ("received_at", ""),
    ("reported_by", "/reported_by"),
    ("reported_by_name", ""),
    ("status", "/status"),
    ("category", "/category"),
    ("subcategory", "/subcategory"),
    ("severity", "/severity"),
    ("title", "/title"),
    ("description", "/description"),
    ("zone", "/zone"),
    ("location", "/location"),
    ("tags", "/tags"),
    ("people", "/people"),
    ("items", "/items"),
    ("loss_amount_minor", "/loss/amount_minor"),
    ("loss_recovered_minor", "/loss/recovered_minor"),
    ("loss_currency", "/loss/currency"),
    ("police_agency", "/police/agency"),
    ("police_officer", "/police/officer"),
    ("police_report_number", "/police/report_number"),
    ("ambulance", "/ambulance"),
    ("cctv_camera", "/cctv/camera"),
    ("cctv_clip", "/cctv/clip"),
    ("assigned_to", "/assigned_to"),
    ("due_at", "/due_at"),
    ("duplicate_of", "/duplicate_of"),
    ("custom", "/custom"),
    ("comments", ""),
    ("photo_count", ""),
    ("deleted", "/deleted"),
    ("id", "/id"),
];

/// Rows of the file, behind its header row where they are the first.
///
/// # Errors
/// [`Error::Fault`] where a document cannot be read.
pub fn rows(rows: &[Whole], first: bool) -> Result<Bytes, Error> {
    let fault = |error: &dyn std::fmt::Display| Error::Fault(format!("writing CSV: {error}"));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if first {
        writer.write_record(COLUMNS.map(|(name, _)| name)).map_err(|error| fault(&error))?;
    }
    for whole in rows {
        let doc: Value = serde_json::from_str(&whole.row.doc).map_err(|error| fault(&error))?;
        for (name, pointer) in COLUMNS {
            let text = text_of(name, doc.pointer(pointer).filter(|_| !pointer.is_empty()), whole);
            writer.write_field(guarded(&text)).map_err(|error| fault(&error))?;
        }
        writer.write_record(None::<&[u8]>).map_err(|error| fault(&error))?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| fault(&error))
}

/// What stands in the cell of the column `name`, which has `value` where the document has one.
pub(super) fn text_of(name: &str, value: Option<&Value>, whole: &Whole) -> String {
    match value {
        Some(value) => cell(value),
        None => extra(name, whole),
    }
}

fn extra(name: &str, Whole { row, comments, .. }: &Whole) -> String {
    match name {
        "received_at" => row.received_ms.map(format_rfc3339).unwrap_or_default(),
        "reported_by_name" => row.reported_by_name.clone().unwrap_or_default(),
        "photo_count" => row.photo_count.to_string(),
        "comments" if !comments.is_empty() => serde_json::to_string(comments).unwrap_or_default(),
        _ => String::new(),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Object(members) if members.is_empty() => String::new(),
        // Tags are plain words: a list of them is read more easily without quotes.
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

pub(crate) fn guarded(text: &str) -> String {
    // Full-width signs begin a formula too where a spreadsheet thinks in Japanese.
    let begins_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if begins_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::answer::tests::row;
    use crate::ledger::Comment;
    use serde_json::json;

    fn read(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        reader.records().map(|record| record.unwrap().iter().map(ToOwned::to_owned).collect()).collect()
    }

    fn column(name: &str) -> usize {
        COLUMNS.iter().position(|(column, _)| *column == name).unwrap()
    }

    #[test]
    fn a_row_reads_back_whatever_is_in_it() {
        let mut incident = row();
        incident.doc = json!({
            "description": "he said \"no\", then\r\nleft; żółć",
            "tags": ["a", "b"], "people": [{"name": "Anna"}], "loss": {"amount_minor": 5}, "custom": {}, "deleted": false,
        })
        .to_string();
        let comment = Comment {
            id: uuid::Uuid::nil(),
            kind: "comment".to_owned(),
            body: "x".to_owned(),
            author: "kim".to_owned(),
            created_at: String::new(),
        };
        let bytes = rows(&[Whole { row: incident, comments: vec![comment], photos: Vec::new() }], true).unwrap();
        let table = read(&bytes);
        assert_eq!(table.len(), 2);
        assert_eq!(table[0].len(), COLUMNS.len());
        let cell = |name| table[1][column(name)].as_str();
        assert_eq!(cell("description"), "he said \"no\", then\r\nleft; żółć");
        assert_eq!(cell("tags"), "a; b");
        assert_eq!(cell("people"), "[{\"name\":\"Anna\"}]");
        assert_eq!(cell("loss_amount_minor"), "5");
        assert_eq!(cell("custom"), "");
        assert_eq!(cell("deleted"), "false");
        assert!(cell("comments").starts_with("[{"));
        assert!(cell("received_at").starts_with("2025-"));
    }

    #[test]
    fn what_looks_like_a_formula_is_made_a_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\u{ff1d}1"] {
            assert_eq!(guarded(&cell(&json!(text))), format!("'{text}"));
        }
        assert_eq!(guarded(&cell(&json!(["=1"]))), "'=1");
        assert_eq!(guarded(&cell(&json!("1=1"))), "1=1");
    }

    #[test]
    fn lines_end_as_the_rfc_says_and_later_pages_have_no_header() {
        let first = rows(&[], true).unwrap();
        assert!(first.ends_with(b"\r\n"));
        assert!(rows(&[], false).unwrap().is_empty());
        assert_eq!(
            read(&rows(&[Whole { row: row(), comments: Vec::new(), photos: Vec::new() }], false).unwrap()).len(),
            1
        );
    }
}
