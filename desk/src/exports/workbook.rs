//! Incidents as a spreadsheet: a sheet with the columns of the CSV, texts as texts and numbers as numbers. Rows go to a
//! temporary file as they come, so that memory does not grow with their number.
//!
//! A cell of a spreadsheet holds 32,767 UTF-16 code units (Excel's limit, which all go by). A text that is longer goes on in a second sheet,
//! piece by piece, and its cell says so: nothing is left out.

use super::csv::{COLUMNS, text_of};
use crate::error::{Error, Refusal};
use crate::ledger::Whole;
use bytes::Bytes;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use serde_json::Value;
use tokio::sync::mpsc;

/// Most rows of a sheet, its head apart.
pub const MAX_ROWS: u64 = 1_048_575;
/// Longest text of a cell, in UTF-16 code units.
const MAX_CELL: usize = 32_767;
/// What stands at the end of a cell whose text goes on elsewhere.
const GOES_ON: &str = " … (goes on in the sheet Continued)";
/// Most bytes that the second sheet may hold: they are kept until the first one is whole.
const MOST_CONTINUED: usize = 64 << 20;

/// Why there is no workbook.
enum Failed {
    Xlsx(XlsxError),
    TooLong,
}

impl From<XlsxError> for Failed {
    fn from(error: XlsxError) -> Self {
        Self::Xlsx(error)
    }
}

/// A piece of a text that is too long for its cell: of which incident, in which column, and which piece.
struct Continued {
    reference: String,
    id: String,
    column: &'static str,
    piece: u32,
    text: String,
}

/// A workbook of the pages that come; whole once they end.
///
/// # Errors
/// [`Error::Fault`] where it cannot be written; [`Refusal::Invalid`] where more texts are too long for a spreadsheet than one can hold.
pub fn book(pages: mpsc::Receiver<Vec<Whole>>) -> Result<Bytes, Error> {
    write(pages).map(Bytes::from).map_err(|failed| match failed {
        Failed::Xlsx(error) => Error::Fault(format!("writing a spreadsheet: {error}")),
        Failed::TooLong => Refusal::field(
            "format",
            "these texts are too long for a spreadsheet: choose csv or json, or fewer incidents",
        )
        .into(),
    })
}

fn write(mut pages: mpsc::Receiver<Vec<Whole>>) -> Result<Vec<u8>, Failed> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory()?;
    sheet.set_name("Incidents")?;
    let head = Format::new().set_bold();
    for (column, (name, _)) in (0..).zip(COLUMNS) {
        sheet.set_column_width(column, if matches!(name, "description" | "title") { 40 } else { 16 })?;
        sheet.write_with_format(0, column, name, &head)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    let (mut row, mut continued, mut bytes) = (0, Vec::new(), 0);
    while let Some(page) = pages.blocking_recv() {
        for whole in &page {
            row += 1;
            let before = continued.len();
            write_row(sheet, row, whole, &mut continued)?;
            bytes += continued[before..].iter().map(|piece: &Continued| piece.text.len()).sum::<usize>();
            if bytes > MOST_CONTINUED {
                return Err(Failed::TooLong);
            }
        }
    }
    let last = u16::try_from(COLUMNS.len() - 1).unwrap_or(u16::MAX);
    sheet.autofilter(0, 0, row.max(1), last)?;
    if !continued.is_empty() {
        go_on(book.add_worksheet_with_constant_memory()?, &head, &continued)?;
    }
    Ok(book.save_to_buffer()?)
}

/// Writes what did not fit into its cells.
fn go_on(sheet: &mut Worksheet, head: &Format, continued: &[Continued]) -> Result<(), XlsxError> {
    sheet.set_name("Continued")?;
    for (column, name) in (0..).zip(["reference", "id", "column", "piece", "text"]) {
        sheet.write_with_format(0, column, name, head)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    for (row, Continued { reference, id, column, piece, text }) in (1..).zip(continued) {
        sheet.write_string(row, 0, reference)?;
        sheet.write_string(row, 1, id)?;
        sheet.write_string(row, 2, *column)?;
        sheet.write(row, 3, *piece)?;
        sheet.write_string(row, 4, text)?;
    }
    Ok(())
}

/// The beginning of `text` that has at most `most` UTF-16 code units, and the rest.
fn cut(text: &str, most: usize) -> (&str, &str) {
    let mut units = 0;
    let end = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > most
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

fn write_row(sheet: &mut Worksheet, row: u32, whole: &Whole, continued: &mut Vec<Continued>) -> Result<(), XlsxError> {
    let doc: Value = serde_json::from_str(&whole.row.doc).unwrap_or(Value::Null);
    for (column, (name, pointer)) in (0..).zip(COLUMNS) {
        match doc.pointer(pointer).filter(|_| !pointer.is_empty()) {
            Some(Value::Number(number)) => {
                sheet.write(row, column, number.as_f64().unwrap_or(0.0))?;
            }
            value => {
                let text = text_of(name, value, whole);
                if !text.is_empty() {
                    let (fits, rest) = cut(&text, MAX_CELL);
                    if rest.is_empty() {
                        sheet.write_string(row, column, fits)?;
                        continue;
                    }
                    let (first, mut rest) = cut(&text, MAX_CELL - GOES_ON.encode_utf16().count());
                    sheet.write_string(row, column, format!("{first}{GOES_ON}"))?;
                    let told =
                        |pointer: &str| doc.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                    for piece in 2.. {
                        let (text, after) = cut(rest, MAX_CELL);
                        continued.push(Continued {
                            reference: told("/reference"),
                            id: told("/id"),
                            column: name,
                            piece,
                            text: text.to_owned(),
                        });
                        rest = after;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::answer::tests::row;
    use std::io::Read as _;

    #[test]
    fn a_text_is_cut_between_characters_and_by_what_a_spreadsheet_counts() {
        assert_eq!(cut("abc", 3), ("abc", ""));
        assert_eq!(cut("abc", 2), ("ab", "c"));
        assert_eq!(cut("😀😀", 3), ("😀", "😀"));
        assert_eq!(cut("", 3), ("", ""));
    }

    /// All texts of the sheets, one after the other.
    fn texts(book: &Bytes) -> String {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(book.to_vec())).unwrap();
        let mut all = String::new();
        for at in 0..archive.len() {
            let mut file = archive.by_index(at).unwrap();
            if file.name().is_ok_and(|name| name.ends_with(".xml")) {
                file.read_to_string(&mut all).unwrap();
            }
        }
        all
    }

    #[test]
    fn what_does_not_fit_into_a_cell_goes_on_in_a_second_sheet_to_the_last_character() {
        let (told, pages) = mpsc::channel(1);
        let mut incident = row();
        let long = format!("{}end of it", "😀".repeat(40_000));
        incident.doc = serde_json::json!({ "reference": "042-2026-000001-K7", "description": long }).to_string();
        told.try_send(vec![Whole { row: incident, comments: Vec::new(), photos: Vec::new() }]).unwrap();
        drop(told);
        let all = texts(&book(pages).unwrap());
        assert!(all.contains("goes on in the sheet Continued") && all.contains("end of it"));
        assert_eq!(all.matches('😀').count(), 40_000);
    }
}
