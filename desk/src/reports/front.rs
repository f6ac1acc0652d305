//! What frames a report: letterhead, running head, footers, and what is said about the document itself.

use super::bind::About;
use super::book::{Area, Book};
use super::flow::{BOTTOM, Flow, Running, SIDE, fit};
use super::lines::{width, wrap};
use super::moment::Zone;
use super::qr;
use super::style::{BLACK, BLUE, GREY, Ink, LABEL, PALE, RED, RULE, SMALL, STRONG, Style, TINY, TITLE, WARNING};
use super::words::{severity, text, word};
use super::{Report, Store};
use chassis::qr::Code;

/// Side of the QR code with its quiet frame, in points: some 25 mm.
const CODE: f32 = 72.0;
/// Most lines of a company's and a store's name.
const NAME_LINES: usize = 3;

const COMPANY: Style = Style { size: 12.0, leading: 15.5, ink: BLUE, ..STRONG };
const STORE: Style = Style { size: 9.5, leading: 13.0, ..LABEL };
const KIND: Style = Style { size: 9.0, leading: 14.0, ink: GREY, ..STRONG };

/// `Store 042 · Downtown`.
pub(super) fn store_line(store: &Store) -> String {
    if store.name.trim().is_empty() {
        format!("Store {}", store.code)
    } else {
        format!("Store {} · {}", store.code, store.name)
    }
}

/// How an incident is called: its reference, or its id where it has none.
pub(super) fn reference(report: &Report) -> &str {
    text(&report.incident, "/reference")
        .or_else(|| text(&report.incident, "/id"))
        .unwrap_or("without reference")
}

/// What stands at the head of the second page and those behind it.
pub(super) fn running(report: &Report) -> Running {
    Running {
        left: format!("{} · {}", report.company, store_line(&report.store)),
        right: format!("Incident {}", reference(report)),
    }
}

/// What the document says of itself.
pub(super) fn about(report: &Report) -> About {
    let title = text(&report.incident, "/title").unwrap_or("Incident report");
    About {
        title: format!("Incident {}: {title}", reference(report)),
        author: report.company.clone(),
        subject: format!("Incident report, {}", store_line(&report.store)),
        made_at_ms: report.printed_at_ms,
    }
}

/// The head of the first page. `alone`: whether the document holds nothing else.
pub(super) fn letterhead(flow: &mut Flow<'_>, report: &Report, alone: bool) {
    flow.book.boxed = false;
    let (sheet, top, left, wide) = (flow.sheet(), flow.y(), flow.left(), flow.width());
    if !alone {
        let title = format!("{}: {}", reference(report), text(&report.incident, "/title").unwrap_or("Incident"));
        flow.bookmark(&title);
    }
    let names = flow.book.tree.add(flow.part, "P");
    flow.book.open(sheet, names);
    let mut y = top;
    for (name, style) in [(report.company.as_str(), COMPANY), (store_line(&report.store).as_str(), STORE)] {
        let lines = wrap(flow.book.faces, name, style, wide - CODE - 16.0);
        for (at, range) in lines.ranges.iter().take(NAME_LINES).enumerate() {
            let end = if at + 1 == NAME_LINES { lines.text.len() } else { range.end };
            let line = lines.text.get(range.start..end).unwrap_or("");
            let line = fit(flow.book, line, style, wide - CODE - 16.0);
            flow.book.text(sheet, left, y - style.size, style, &line);
            y -= style.leading;
        }
    }
    flow.book.close(sheet);
    let foot = (top - CODE).min(y - 4.0);
    if let Some(code) = Code::of(&report.url) {
        let figure = flow.book.tree.add(flow.part, "Figure");
        flow.book.tree.describe(figure, format!("QR code that leads to {}", report.url));
        let area = Area { x: left + wide - CODE + 7.0, y: top - CODE + 7.0, width: CODE, height: CODE };
        flow.book.open(sheet, figure);
        qr::draw(flow.book, sheet, &code, area);
        flow.book.close(sheet);
        flow.book.link(sheet, area, &report.url);
    }
    flow.skip(top - foot);
    flow.rule();
    flow.skip(14.0);
    flow.block("P", &format!("Incident report  {}", reference(report)), KIND, 0.0);
    flow.block("H1", text(&report.incident, "/title").unwrap_or("Without title"), TITLE, 0.0);
    flow.skip(5.0);
    marks(flow, report);
    notices(flow, report);
}

/// Status, severity and category, each in words, so that none depends on a colour.
fn marks(flow: &mut Flow<'_>, report: &Report) {
    let baseline = flow.y() - 11.0;
    let status = word(text(&report.incident, "/status").unwrap_or("submitted"));
    let grade = grade(report);
    let category = word(text(&report.incident, "/category").unwrap_or("other"));
    let ink = if grade >= 4 { RED } else { BLACK };
    let mut x = flow.left();
    x = chip(flow, x, baseline, &status, BLACK, None);
    x = chip(flow, x, baseline, &format!("Severity {}", severity(grade)), ink, Some(grade));
    chip(flow, x, baseline, &category, BLACK, None);
    flow.skip(20.0);
}

/// 1 to 5; 0 where it is none of these.
pub(super) fn grade(report: &Report) -> u64 {
    report
        .incident
        .pointer("/severity")
        .and_then(serde_json::Value::as_u64)
        .filter(|grade| *grade <= 5)
        .unwrap_or(0)
}

/// A framed word, with a scale of five squares before it where it has a `grade`. The left edge of the next one.
fn chip(flow: &mut Flow<'_>, x: f32, baseline: f32, words: &str, ink: Ink, grade: Option<u64>) -> f32 {
    const SQUARE: f32 = 6.0;
    let style = Style { size: 9.0, ink, ..STRONG };
    let sheet = flow.sheet();
    let scale = if grade.is_some() { 5.0 * (SQUARE + 2.0) + 4.0 } else { 0.0 };
    // The API's own words are short; whatever else stands there must not push the others off the page.
    let words = &fit(flow.book, words, style, 130.0);
    let words_wide = width(flow.book.faces, words, style);
    let area = Area { x, y: baseline - 5.0, width: words_wide + scale + 16.0, height: 17.0 };
    flow.book.open_artifact(sheet);
    flow.book.fill(sheet, area, PALE);
    flow.book.outline(sheet, area, RULE, 0.6);
    if let Some(grade) = grade {
        let mut at = x + 8.0;
        for step in 1..=5 {
            let square = Area { x: at, y: baseline, width: SQUARE, height: SQUARE };
            if step <= grade {
                flow.book.fill(sheet, square, ink);
            }
            flow.book.outline(sheet, square, ink, 0.6);
            at += SQUARE + 2.0;
        }
    }
    flow.book.close(sheet);
    let element = flow.book.tree.add(flow.part, "P");
    flow.book.open(sheet, element);
    flow.book.text(sheet, x + 8.0 + scale, baseline, style, words);
    flow.book.close(sheet);
    x + area.width + 8.0
}

/// What must not be overlooked.
fn notices(flow: &mut Flow<'_>, report: &Report) {
    let incident = &report.incident;
    let mut notices = Vec::new();
    if incident.pointer("/deleted").and_then(serde_json::Value::as_bool) == Some(true) {
        notices.push("DELETED: this incident was deleted. It is kept with its history and can be restored.".to_owned());
    }
    match text(incident, "/status") {
        Some("void") => notices.push("VOID: this report was declared void. The workflow below says why.".to_owned()),
        Some("draft") => notices.push("DRAFT: this report has not been submitted.".to_owned()),
        _ => {}
    }
    if let Some(other) = text(incident, "/duplicate_of") {
        notices.push(format!("DUPLICATE of incident {other}."));
    }
    for notice in notices {
        flow.skip(3.0);
        let (x, sheet, top, page) = (flow.left(), flow.sheet(), flow.y(), flow.sheets.len());
        flow.block("P", &notice, WARNING, 10.0);
        if page == flow.sheets.len() {
            let area = Area { x, y: flow.y() + 1.0, width: 3.0, height: top - flow.y() - 2.0 };
            flow.book.open_artifact(sheet);
            flow.book.fill(sheet, area, RED);
            flow.book.close(sheet);
        }
    }
}

/// What the document is, at its end.
pub(super) fn colophon(flow: &mut Flow<'_>, report: &Report) {
    let zone = Zone::named(&report.store.timezone);
    let mut facts = vec![("Printed".to_owned(), zone.long_ms(report.printed_at_ms))];
    let version = text(&report.incident, "/version").unwrap_or("unknown");
    facts.push(("Report version".to_owned(), version.to_owned()));
    facts.push(("Chain hash".to_owned(), report.chain.clone()));
    if let Some(id) = text(&report.incident, "/id") {
        facts.push(("Incident ID".to_owned(), id.to_owned()));
    }
    facts.push(("Address".to_owned(), report.url.clone()));
    if let Some(note) = zone.note {
        facts.push(("Time zone".to_owned(), note));
    }
    facts.retain(|(_, value)| !value.trim().is_empty());
    flow.heading("About this report");
    flow.facts(&facts, 0.0);
    flow.skip(5.0);
    flow.paragraph(
        "The report version is a digest of everything the incident held when this was printed: two prints with the same version \
         show the same facts. The chain hash seals every change up to then; the program can verify it against its records.",
        SMALL,
    );
    if !report.photos.is_empty() {
        flow.skip(3.0);
        flow.paragraph(
            "Photos are shown at reduced size; each SHA-256 is that of the original file, which is kept unchanged.",
            SMALL,
        );
    }
    if flow.book.boxed {
        flow.skip(3.0);
        flow.paragraph(
            "A box with digits in it stands for a character that this report's fonts do not have; the digits are its Unicode \
             number. Text that is copied from this file, or searched in it, holds the character itself.",
            SMALL,
        );
    }
}

/// Writes the foot of a report's pages. `within`: pages before it in the document, and how many that has altogether.
pub(super) fn footers(book: &mut Book, report: &Report, sheets: &[usize], within: Option<(usize, usize)>) {
    let (left, right) = (SIDE, book.paper.size().0 - SIDE);
    let version = text(&report.incident, "/version").unwrap_or("unknown");
    let seal = format!("Report version {version}   Chain hash {}", report.chain);
    for (at, sheet) in sheets.iter().enumerate() {
        let page = match within {
            None => format!("Page {} of {}", at + 1, sheets.len()),
            Some((before, all)) => {
                format!("Page {} of {} · sheet {} of {all}", at + 1, sheets.len(), before + at + 1)
            }
        };
        book.open_artifact(*sheet);
        book.fill(*sheet, Area { x: left, y: BOTTOM - 16.0, width: right - left, height: 0.5 }, RULE);
        let page_wide = width(book.faces, &page, SMALL);
        book.text(*sheet, right - page_wide, BOTTOM - 27.0, SMALL, &page);
        let most = right - left - page_wide - 12.0;
        let name = format!("{} · {}", reference(report), store_line(&report.store));
        let name = fit(book, &name, SMALL, most);
        book.text(*sheet, left, BOTTOM - 27.0, SMALL, &name);
        let seal = fit(book, &seal, TINY, right - left);
        book.text(*sheet, left, BOTTOM - 37.0, TINY, &seal);
        book.close(*sheet);
    }
}
