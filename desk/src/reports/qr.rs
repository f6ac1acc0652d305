//! A QR code as rectangles.

use super::book::{Area, Book};
use super::style::BLACK;
use qrcodegen::{QrCode, QrCodeEcc};

/// The empty frame that a code needs to be found, in modules.
const QUIET: f32 = 4.0;

/// A code that leads to `text`; `None` where that is more than a code can hold.
pub(super) fn code(text: &str) -> Option<QrCode> {
    // A denser code would hold more, but no phone would read it at this size.
    QrCode::encode_text(text, QrCodeEcc::Medium).ok().filter(|code| code.size() <= 77)
}

/// Draws a code and its quiet frame into the square at `area`.
pub(super) fn draw(book: &mut Book, sheet: usize, code: &QrCode, area: Area) {
    let size = code.size();
    let module = area.width / (modules(size) + 2.0 * QUIET);
    let mut runs = Vec::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let begin = x;
            while x < size && code.get_module(x, y) {
                x += 1;
            }
            if x > begin {
                runs.push(Area {
                    x: area.x + (modules(begin) + QUIET) * module,
                    y: area.y + area.height - (modules(y) + QUIET + 1.0) * module,
                    width: modules(x - begin) * module,
                    // A trifle more, or viewers show hair lines between the rows.
                    height: module * 1.02,
                });
            }
            x += 1;
        }
    }
    book.fill_all(sheet, runs.into_iter(), BLACK);
}

fn modules(count: i32) -> f32 {
    f32::from(i16::try_from(count).unwrap_or(0))
}
