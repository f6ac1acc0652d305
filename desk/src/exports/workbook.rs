//! Incidents as a spreadsheet: a sheet with the columns of the CSV, texts as texts and numbers as numbers. Rows go to a
//! temporary file as they come, so that memory does not grow with their number.

use super::csv::{COLUMNS, text_of};
use crate::error::Error;
use crate::ledger::Whole;
use bytes::Bytes;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use serde_json::Value;
use tokio::sync::mpsc;

/// Most rows of a sheet, its head apart.
pub const MAX_ROWS: u64 = 1_048_575;
/// Longest text of a cell, in characters.
const MAX_CELL: usize = 32_767;

/// A workbook of the pages that come; whole once they end.
///
/// # Errors
/// [`Error::Fault`] where it cannot be written.
pub fn book(pages: mpsc::Receiver<Vec<Whole>>) -> Result<Bytes, Error> {
    write(pages)
        .map(Bytes::from)
        .map_err(|error| Error::Fault(format!("writing a spreadsheet: {error}")))
}

fn write(mut pages: mpsc::Receiver<Vec<Whole>>) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory()?;
    sheet.set_name("Incidents")?;
    let head = Format::new().set_bold();
    for (column, (name, _)) in (0..).zip(COLUMNS) {
        sheet.set_column_width(column, if matches!(name, "description" | "title") { 40 } else { 16 })?;
        sheet.write_with_format(0, column, name, &head)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    let mut row = 0;
    while let Some(page) = pages.blocking_recv() {
        for whole in &page {
            row += 1;
            write_row(sheet, row, whole)?;
        }
    }
    let last = u16::try_from(COLUMNS.len() - 1).unwrap_or(u16::MAX);
    sheet.autofilter(0, 0, row.max(1), last)?;
    book.save_to_buffer()
}

fn write_row(sheet: &mut Worksheet, row: u32, whole: &Whole) -> Result<(), XlsxError> {
    let doc: Value = serde_json::from_str(&whole.row.doc).unwrap_or(Value::Null);
    for (column, (name, pointer)) in (0..).zip(COLUMNS) {
        match doc.pointer(pointer).filter(|_| !pointer.is_empty()) {
            Some(Value::Number(number)) => {
                sheet.write(row, column, number.as_f64().unwrap_or(0.0))?;
            }
            value => {
                let text = text_of(name, value, whole);
                if !text.is_empty() {
                    let text: String = text.chars().take(MAX_CELL).collect();
                    sheet.write_string(row, column, text)?;
                }
            }
        }
    }
    Ok(())
}
