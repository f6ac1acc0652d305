//! Photos in a grid, two a row, upright and whole; and by name and hash what cannot be shown.

use super::book::{Area, Image};
use super::flow::{Column, Flow};
use super::jpeg::{Frame, frame};
use super::moment::Zone;
use super::style::{CELL, CELL_STRONG, PALE, RULE, SMALL, STRONG, Style, TINY};
use super::{Photo, PhotoState, Report};

/// Between the two columns, in points.
const GAP: f32 = 16.0;
/// Height of the field that a photo is fitted into, in parts of its width: a photo of 4 to 3 fills it.
const SHAPE: f32 = 0.75;
/// Of what stands below it at least.
const CAPTION: f32 = 58.0;

/// All files of the incident.
pub(super) fn write(flow: &mut Flow<'_>, report: &Report) {
    let zone = Zone::named(&report.store.timezone);
    let (mut shown, mut others) = (Vec::new(), Vec::new());
    for (at, photo) in report.photos.iter().enumerate() {
        match (photo.state, frame(&photo.jpeg)) {
            (PhotoState::Ready, Some(frame)) => shown.push((at + 1, photo, frame)),
            _ => others.push((at + 1, photo)),
        }
    }
    if !shown.is_empty() {
        let (photos, s) = (report.photos.len(), if report.photos.len() == 1 { "" } else { "s" });
        flow.heading(&format!("Photos ({photos} file{s})"));
        for pair in shown.chunks(2) {
            row(flow, pair, &zone);
        }
    }
    if !others.is_empty() {
        unshown(flow, &others, &zone);
    }
}

fn row(flow: &mut Flow<'_>, pair: &[(usize, &Photo, Frame)], zone: &Zone) {
    let half = (flow.width() - GAP) / 2.0;
    let high = half * SHAPE;
    flow.settle(high + CAPTION);
    let (sheet, bottom) = (flow.sheet(), flow.y() - high);
    let mut x = flow.left();
    for (number, photo, frame) in pair {
        let field = Area { x, y: bottom, width: half, height: high };
        flow.book.open_artifact(sheet);
        flow.book.fill(sheet, field, PALE);
        flow.book.outline(sheet, field, RULE, 0.5);
        flow.book.close(sheet);
        let figure = flow.book.tree.add(flow.part, "Figure");
        let caption = photo.caption.as_deref().unwrap_or(&photo.filename);
        flow.book.tree.describe(figure, format!("Photo {number}: {caption}"));
        let image = Image {
            jpeg: photo.jpeg.clone(),
            width: frame.width,
            height: frame.height,
            components: frame.components,
        };
        flow.book.open(sheet, figure);
        flow.book.image(sheet, image, fitted(*frame, field));
        flow.book.close(sheet);
        x += half + GAP;
    }
    flow.skip(high + 4.0);
    let captions: Vec<_> = pair.iter().map(|(number, photo, _)| caption(*number, photo, zone)).collect();
    flow.halves(&captions, GAP);
    flow.skip(8.0);
}

/// What stands below a photo.
fn caption(number: usize, photo: &Photo, zone: &Zone) -> Vec<(String, Style)> {
    let heading = Style { size: 8.5, leading: 12.0, ..STRONG };
    let said = photo.caption.as_deref().filter(|caption| !caption.trim().is_empty());
    let title = said.map_or_else(|| format!("Photo {number}"), |said| format!("Photo {number}: {said}"));
    let taken = photo
        .taken_at
        .as_deref()
        .map_or_else(|| "Time of taking not known".to_owned(), |at| format!("Taken {}", zone.short(at)));
    vec![
        (title, heading),
        (taken, SMALL),
        (format!("Added {}", zone.short(&photo.uploaded_at)), SMALL),
        (format!("{}, SHA-256 of the original:", photo.filename), SMALL),
        (photo.sha256.clone(), TINY),
    ]
}

/// The largest place for a picture in `field`, in the middle of it.
#[allow(clippy::cast_precision_loss, reason = "a JPEG's sides have at most 65535 pixels")]
fn fitted(frame: Frame, field: Area) -> Area {
    let (wide, high) = (frame.width as f32, frame.height as f32);
    let scale = (field.width / wide).min(field.height / high);
    // Even a picture of one line of pixels is to be seen.
    let (width, height) = ((wide * scale).max(1.0), (high * scale).max(1.0));
    Area {
        x: field.x + (field.width - width) / 2.0,
        y: field.y + (field.height - height) / 2.0,
        width,
        height,
    }
}

fn unshown(flow: &mut Flow<'_>, others: &[(usize, &Photo)], zone: &Zone) {
    let column = |title: &'static str, share: f32| Column { title: title.into(), share, right: false };
    flow.heading("Files that are not shown here");
    let mut table = flow.table(&[
        column("No.", 0.35),
        column("File", 1.6),
        column("Why", 2.0),
        column("SHA-256 of the original", 3.85),
    ]);
    for (number, photo) in others {
        let why = match photo.state {
            PhotoState::Processing => "Its picture was not ready when this was printed",
            PhotoState::Undecodable => "It is no picture that can be shown; the original is kept as evidence",
            PhotoState::Ready => "Its picture cannot be printed; it can be seen in the program",
        };
        let why = format!("{why}. Added {}.", zone.short(&photo.uploaded_at));
        let name = photo.caption.as_deref().filter(|caption| !caption.trim().is_empty());
        let name = name.map_or_else(|| photo.filename.clone(), |caption| format!("{}\n{caption}", photo.filename));
        let number = number.to_string();
        let hash = Style { leading: CELL.leading, ..TINY };
        let cells = [
            (number.as_str(), CELL),
            (name.as_str(), CELL_STRONG),
            (why.as_str(), CELL),
            (photo.sha256.as_str(), hash),
        ];
        flow.row(&mut table, &cells, Some(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_shape_within_its_field() {
        let field = Area { x: 10.0, y: 20.0, width: 200.0, height: 100.0 };
        for (width, height) in [(1600, 1200), (900, 1600), (1, 65_535), (65_535, 1)] {
            let area = fitted(Frame { width, height, components: 3 }, field);
            assert!(area.x >= field.x - 0.01 && area.y >= field.y - 0.01);
            assert!(area.width <= 200.01 && area.height <= 100.01);
        }
        let tall = fitted(Frame { width: 900, height: 1600, components: 3 }, field);
        assert!((tall.width / tall.height - 900.0 / 1600.0).abs() < 0.001);
    }
}
