//! An incident as paper: PDF reports for a manager's file, an insurer, the police.
//!
//! Pure and synchronous: a [`Report`] in, bytes out, the same bytes for the same report. Nothing is asked of the ledger,
//! the clock or the network, so a report can be made ahead, cached under its incident's version and compared.
//!
//! Inside, one way: the sections (`front`, `details`, `account`, `pictures`, `index`) say what stands where in words,
//! `flow` breaks it into lines and pages, `book` draws and notes what each stroke means, `bind` makes a PDF of it.
//!
//! What the fonts cannot show is never dropped: such a character is drawn as a box with its Unicode number in it, and
//! the text that a reader copies or searches still holds the character itself.

mod account;
mod bind;
mod book;
mod boxes;
mod details;
mod faces;
pub mod flights;
mod flow;
mod front;
mod index;
pub mod job;
mod jpeg;
mod lines;
mod moment;
pub mod order;
mod pictures;
mod qr;
mod style;
mod tree;
mod words;

use crate::ledger::HistoryItem;
use book::Book;
use flow::Flow;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most reports in one document.
pub const MAX_REPORTS: usize = 500;
/// Most bytes of photos in one document: they are held twice while it is put together.
pub const MAX_PHOTO_BYTES: usize = 128 * 1024 * 1024;

/// Everything that a report shows.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose letterhead.
    pub company: String,
    /// Where it happened.
    pub store: Store,
    /// The whole incident as the API answers it.
    pub incident: Value,
    /// What was done to it, oldest first.
    pub history: Vec<HistoryItem>,
    /// Its photos and files, in the order in which they are shown.
    pub photos: Vec<Photo>,
    /// What the company calls its own fields, by their keys in `custom`.
    pub labels: BTreeMap<String, String>,
    /// Head of the change chain that the incident was read from, in hexadecimal.
    pub chain: String,
    /// Milliseconds since 1970.
    pub printed_at_ms: i64,
    /// Where the incident can be opened.
    pub url: String,
}

impl Report {
    /// What people call a field of the incident, such as `police/agency` or `custom/KEY`.
    fn label(&self, field: &str) -> String {
        let own = field.strip_prefix("custom/").and_then(|key| self.labels.get(key));
        own.map_or_else(|| words::label(field), Clone::clone)
    }
}

/// The store of a report.
#[derive(Clone, Debug)]
pub struct Store {
    /// `042`.
    pub code: String,
    /// What people call it.
    pub name: String,
    /// IANA name; an unknown one is said to be unknown, and times are then UTC.
    pub timezone: String,
}

/// A file of an incident.
#[derive(Clone, Debug)]
pub struct Photo {
    /// A baseline or progressive JPEG, upright and without metadata; goes into the PDF byte for byte. Empty where the
    /// photo is not [`PhotoState::Ready`].
    pub jpeg: Arc<[u8]>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What its taker says about it.
    pub caption: Option<String>,
    /// RFC 3339, UTC.
    pub taken_at: Option<String>,
    /// RFC 3339, UTC.
    pub uploaded_at: String,
    /// Of the original file, in hexadecimal.
    pub sha256: String,
    /// As it was uploaded.
    pub filename: String,
    /// Whether there is a picture to show.
    pub state: PhotoState,
}

/// Whether a photo can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhotoState {
    /// It can.
    Ready,
    /// Its picture is still being made, or on its way.
    Processing,
    /// It never can: the file is kept as evidence all the same.
    Undecodable,
}

/// What it is printed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Paper {
    /// 210 × 297 mm.
    #[default]
    A4,
    /// 8.5 × 11 in.
    Letter,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// There is nothing to print.
    #[error("there is no incident to print: choose a filter that finds some")]
    Empty,
    /// More than one document should hold.
    #[error("{found} {what} do not fit into one document, at most {most} do: narrow the filter")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// The fonts that this program was built with cannot be read.
    #[error("the report's fonts cannot be read: {0}")]
    Fonts(String),
    /// The document could not be put together.
    #[error("putting the report together failed: {0}")]
    Binding(String),
}

/// One incident's report.
///
/// # Errors
/// [`RenderError::TooLarge`] for more than [`MAX_PHOTO_BYTES`]; [`RenderError::Fonts`] and [`RenderError::Binding`]
/// for faults of the program itself, never for what a report holds.
pub fn render(report: &Report, paper: Paper) -> Result<Vec<u8>, RenderError> {
    check_sizes(std::slice::from_ref(report))?;
    let mut book = Book::new(faces::faces()?, paper);
    let root = book.tree.root();
    let sheets = write(&mut book, report, root, true);
    front::footers(&mut book, report, &sheets, None);
    book.order = sheets;
    bind::bind(book, &front::about(report))
}

/// Several incidents' reports as one document, behind a page that lists them.
///
/// # Errors
/// [`RenderError::Empty`] for none; [`RenderError::TooLarge`] for more than [`MAX_REPORTS`] or [`MAX_PHOTO_BYTES`];
/// [`RenderError::Fonts`] and [`RenderError::Binding`] for faults of the program itself.
pub fn render_many(reports: &[Report], paper: Paper) -> Result<Vec<u8>, RenderError> {
    let Some(first) = reports.first() else {
        return Err(RenderError::Empty);
    };
    check_sizes(reports)?;
    let mut book = Book::new(faces::faces()?, paper);
    let root = book.tree.root();
    // The list comes first, for whoever has the document read to them; its pages are drawn once their numbers are known.
    let list = book.tree.add(root, "Sect");
    let mut parts = Vec::with_capacity(reports.len());
    for report in reports {
        let part = book.tree.add(root, "Part");
        parts.push(write(&mut book, report, part, false));
    }
    let pages: usize = parts.iter().map(Vec::len).sum();
    let listed = index::write(&mut book, reports, &parts, list);
    let all = listed.len() + pages;
    let mut at = listed.len();
    for (report, sheets) in reports.iter().zip(&parts) {
        front::footers(&mut book, report, sheets, Some((at, all)));
        at += sheets.len();
    }
    book.order = listed.into_iter().chain(parts.into_iter().flatten()).collect();
    bind::bind(book, &index::about(first, reports.len()))
}

/// Writes one report behind what the book has; the sheets it takes.
fn write(book: &mut Book, report: &Report, part: usize, alone: bool) -> Vec<usize> {
    let running = front::running(report);
    let mut flow = Flow::new(book, running, part, alone);
    front::letterhead(&mut flow, report, alone);
    details::write(&mut flow, report);
    account::talk(&mut flow, report);
    pictures::write(&mut flow, report);
    account::changes(&mut flow, report);
    front::colophon(&mut flow, report);
    flow.sheets
}

fn check_sizes(reports: &[Report]) -> Result<(), RenderError> {
    let too_large = |what, found, most| Err(RenderError::TooLarge { what, found, most });
    if reports.len() > MAX_REPORTS {
        return too_large("incidents", reports.len(), MAX_REPORTS);
    }
    let bytes: usize = reports.iter().flat_map(|report| &report.photos).map(|photo| photo.jpeg.len()).sum();
    if bytes > MAX_PHOTO_BYTES {
        return too_large("bytes of photos", bytes, MAX_PHOTO_BYTES);
    }
    Ok(())
}
