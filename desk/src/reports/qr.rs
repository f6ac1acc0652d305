//! A QR code as rectangles.

use super::book::{Area, Book};
use super::style::BLACK;
use chassis::qr::Code;

/// Draws a code and its quiet frame into the square at `area`.
pub(super) fn draw(book: &mut Book, sheet: usize, code: &Code, area: Area) {
    let module = area.width / f32::from(code.size);
    let runs = code.runs.iter().map(|run| Area {
        x: area.x + f32::from(run.x) * module,
        y: area.y + area.height - f32::from(run.y + 1) * module,
        width: f32::from(run.length) * module,
        // A trifle more, or viewers show hair lines between the rows.
        height: module * 1.02,
    });
    book.fill_all(sheet, runs, BLACK);
}
