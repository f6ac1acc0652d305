//! An incident as the API shows it: the ledger's document with what other records add spliced in.
//!
//! The document is kept as text and is passed on as text: a list of two hundred incidents parses nothing.

use crate::ledger::{Comment, IncidentRow, Photo, Whole};
use chassis::clock::format_rfc3339;
use std::fmt::Write as _;

/// The strong `ETag` of an incident's answer: a digest of its `version` and of everything else the answer shows.
#[must_use]
pub fn etag_of(row: &IncidentRow) -> String {
    let mut hasher = blake3::Hasher::new();
    let received = row.received_ms.map_or_else(String::new, |ms| ms.to_string());
    let name = row.reported_by_name.as_deref();
    let parts = [
        row.version.as_str(),
        &received,
        &row.comment_count.to_string(),
        &row.photo_count.to_string(),
        &row.photos_rev.to_string(),
        name.unwrap_or(""),
    ];
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&[u8::from(name.is_some())]);
    format!("\"{}\"", &hasher.finalize().to_hex()[..32])
}

/// The `ETag` of an answer whose thumbnails are fetched from `images`: another one for another place.
#[must_use]
pub fn etag_at(row: &IncidentRow, images: &str) -> String {
    let tag = etag_of(row);
    if images.is_empty() {
        return tag;
    }
    format!("{}{PLACE}{}\"", tag.trim_end_matches('"'), &blake3::hash(images.as_bytes()).to_hex()[..8])
}

/// What parts an `ETag` from the place of its thumbnails.
const PLACE: char = '-';

/// An `ETag` without the place of its thumbnails: what says which incident, and which of its versions, was seen.
#[must_use]
pub fn without_place(tag: &str) -> String {
    match tag.split_once(PLACE) {
        Some((incident, _)) if tag.starts_with('"') => format!("{incident}\""),
        _ => tag.to_owned(),
    }
}

/// One line of a list: the document, counts and names, with a thumbnail that is fetched from `images` (empty: this site).
/// Appended to `out`.
pub fn push_item(out: &mut String, row: &IncidentRow, images: &str) {
    // The document is an object with members; everything else goes in before its closing brace.
    out.push_str(row.doc.trim_end().strip_suffix('}').unwrap_or(&row.doc));
    out.push_str(",\"received_at\":");
    match row.received_ms {
        Some(ms) => push_text(out, &format_rfc3339(ms)),
        None => out.push_str("null"),
    }
    out.push_str(",\"reported_by_name\":");
    match &row.reported_by_name {
        Some(name) => push_text(out, name),
        None => out.push_str("null"),
    }
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        ",\"photo_count\":{},\"comment_count\":{},\"thumbnail_url\":",
        row.photo_count, row.comment_count
    );
    match row.thumbnail {
        Some(id) => {
            push_text(out, &format!("{images}/api/v1/photos/{}/thumbnail", id.hyphenated()));
            out.push('}');
        }
        None => out.push_str("null}"),
    }
}

/// The whole incident. Appended to `out`.
pub fn push_whole(out: &mut String, whole: &Whole, images: &str) {
    let Whole { row, comments, photos } = whole;
    push_item(out, row, images);
    out.pop();
    out.push_str(",\"photos\":");
    out.push_str(&serde_json::to_string::<[Photo]>(photos).unwrap_or_else(|_| "[]".to_owned()));
    out.push_str(",\"comments\":");
    // Comments are plain texts: there is nothing in them that JSON could not hold.
    out.push_str(&serde_json::to_string::<[Comment]>(comments).unwrap_or_else(|_| "[]".to_owned()));
    out.push('}');
}

/// The whole incident as a text of its own.
#[must_use]
pub fn whole(whole: &Whole, images: &str) -> String {
    let mut out =
        String::with_capacity(whole.row.doc.len() + 256 + whole.comments.len() * 256 + whole.photos.len() * 512);
    push_whole(&mut out, whole, images);
    out
}

/// A page of a list: `{items, next_cursor}`.
#[must_use]
pub fn page(rows: &[IncidentRow], next_cursor: Option<&str>, images: &str) -> String {
    let mut out = String::with_capacity(rows.iter().map(|row| row.doc.len() + 192).sum::<usize>() + 64);
    out.push_str("{\"items\":[");
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        push_item(&mut out, row, images);
    }
    out.push_str("],\"next_cursor\":");
    match next_cursor {
        Some(cursor) => push_text(&mut out, cursor),
        None => out.push_str("null"),
    }
    out.push('}');
    out
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    pub(crate) fn row() -> IncidentRow {
        IncidentRow {
            id: Uuid::nil(),
            store_code: "042".to_owned(),
            deleted: false,
            reported_by: "kim".to_owned(),
            reported_by_name: Some("Kim \"K\" O'Hara".to_owned()),
            status: "submitted".to_owned(),
            version: "00".to_owned(),
            received_ms: Some(1_763_851_234_567),
            comment_count: 1,
            photo_count: 0,
            thumbnail: None,
            photos_rev: 0,
            occurred_at_ms: 0,
            doc: json!({"id": Uuid::nil(), "title": "x"}).to_string(),
        }
    }

    fn comment() -> Comment {
        Comment {
            id: Uuid::nil(),
            kind: "comment".to_owned(),
            body: "said \"no\"\n\u{2028}".to_owned(),
            author: "kim".to_owned(),
            created_at: "2026-01-02T03:04:05Z".to_owned(),
        }
    }

    #[test]
    fn a_whole_incident_is_one_json_object_with_everything() {
        let whole: Value =
            serde_json::from_str(&whole(&Whole { row: row(), comments: vec![comment()], photos: Vec::new() }, ""))
                .unwrap();
        assert_eq!(whole["title"], "x");
        assert_eq!(whole["reported_by_name"], "Kim \"K\" O'Hara");
        assert_eq!(whole["photo_count"], 0);
        assert_eq!(whole["comment_count"], 1);
        assert_eq!(whole["photos"], json!([]));
        assert_eq!(whole["comments"][0]["body"], "said \"no\"\n\u{2028}");
        assert!(whole["received_at"].as_str().unwrap().starts_with("2025-11-22T"));
        assert_eq!(whole["thumbnail_url"], Value::Null);
    }

    #[test]
    fn a_page_is_one_json_object_whatever_its_length() {
        for count in 0..3 {
            let rows = vec![row(); count];
            let page: Value = serde_json::from_str(&page(&rows, (count == 2).then_some("c"), "")).unwrap();
            assert_eq!(page["items"].as_array().unwrap().len(), count);
            assert_eq!(page["next_cursor"], if count == 2 { json!("c") } else { Value::Null });
        }
    }

    #[test]
    fn thumbnails_may_come_from_elsewhere_and_the_etag_tells() {
        let row = IncidentRow { thumbnail: Some(Uuid::nil()), ..row() };
        let mut out = String::new();
        push_item(&mut out, &row, "https://images.example.com");
        let item: Value = serde_json::from_str(&out).unwrap();
        let here = format!("/api/v1/photos/{}/thumbnail", Uuid::nil());
        assert_eq!(item["thumbnail_url"], format!("https://images.example.com{here}"));
        let elsewhere = etag_at(&row, "https://images.example.com");
        assert_eq!(etag_at(&row, ""), etag_of(&row));
        assert_ne!(elsewhere, etag_of(&row));
        assert_eq!(without_place(&elsewhere), etag_of(&row));
        assert_eq!(without_place(&etag_of(&row)), etag_of(&row));
    }

    #[test]
    fn the_etag_changes_with_everything_that_is_shown() {
        let base = etag_of(&row());
        assert!(base.starts_with('"') && base.ends_with('"'));
        let others = [
            IncidentRow { version: "01".to_owned(), ..row() },
            IncidentRow { received_ms: None, ..row() },
            IncidentRow { comment_count: 2, ..row() },
            IncidentRow { photo_count: 1, ..row() },
            IncidentRow { photos_rev: 1, ..row() },
            IncidentRow { reported_by_name: None, ..row() },
            IncidentRow { reported_by_name: Some(String::new()), ..row() },
        ];
        for other in &others {
            assert_ne!(base, etag_of(other));
        }
        assert_eq!(base, etag_of(&row()));
    }
}
