//! The list before several reports that are bound together.

use super::Report;
use super::bind::About;
use super::book::{Area, Book};
use super::flow::{Column, Flow, Running};
use super::front::{grade, reference};
use super::moment::Zone;
use super::style::{BODY, CELL, CELL_STRONG, SMALL, STRONG, Style, TITLE};
use super::words::{severity, text, word};

/// What the document says of itself.
pub(super) fn about(first: &Report, count: usize) -> About {
    About {
        title: title(count),
        author: first.company.clone(),
        subject: "Incident reports".to_owned(),
        made_at_ms: first.printed_at_ms,
    }
}

fn title(count: usize) -> String {
    if count == 1 {
        "1 incident report".to_owned()
    } else {
        format!("{count} incident reports")
    }
}

/// Writes the list into the element `part`; `parts` are each report's sheets. The sheets it takes itself.
pub(super) fn write(book: &mut Book, reports: &[Report], parts: &[Vec<usize>], part: usize) -> Vec<usize> {
    // How long the list is says on which page the first report begins, and that does not change how long it is: so it
    // is measured on sheets that are then thrown away.
    let (sheets, marks) = (book.sheets.len(), book.bookmarks.len());
    let (elements, kids) = (book.tree.elements.len(), book.tree.elements.get(part).map_or(0, |part| part.kids.len()));
    let length = draw(book, reports, parts, part, 0).len();
    book.sheets.truncate(sheets);
    book.bookmarks.truncate(marks);
    book.tree.elements.truncate(elements);
    if let Some(part) = book.tree.elements.get_mut(part) {
        part.kids.truncate(kids);
    }
    draw(book, reports, parts, part, length)
}

fn draw(book: &mut Book, reports: &[Report], parts: &[Vec<usize>], part: usize, length: usize) -> Vec<usize> {
    let company = reports.first().map(|report| report.company.clone()).unwrap_or_default();
    let running = Running { left: company.clone(), right: title(reports.len()) };
    let mut flow = Flow::new(book, running, part, false);
    flow.book.boxed = false;
    flow.bookmark("List of the reports");
    flow.block("P", &company, Style { size: 12.0, leading: 17.0, ..STRONG }, 0.0);
    flow.block("H1", &title(reports.len()), TITLE, 0.0);
    flow.skip(2.0);
    if let Some(first) = reports.first() {
        let printed = Zone::named(&first.store.timezone).long_ms(first.printed_at_ms);
        flow.paragraph(&format!("Printed {printed}"), BODY);
    }
    flow.skip(10.0);
    let column = |title: &'static str, share: f32, right: bool| Column { title: title.into(), share, right };
    let mut table = flow.table(&[
        column("Incident", 1.75, false),
        column("Occurred", 1.5, false),
        column("Category and title", 3.1, false),
        column("Severity", 1.0, false),
        column("Status", 1.1, false),
        column("Sheet", 0.55, true),
    ]);
    let mut page = length + 1;
    for (report, sheets) in reports.iter().zip(parts) {
        let zone = Zone::named(&report.store.timezone);
        let incident = &report.incident;
        let name = format!("{}\n{} {}", reference(report), report.store.code, report.store.name);
        let at = text(incident, "/occurred_at").map(|at| zone.short(at)).unwrap_or_default();
        let category = word(text(incident, "/category").unwrap_or("other"));
        let what = format!("{category}\n{}", text(incident, "/title").unwrap_or(""));
        let grade = severity(grade(report));
        let status = word(text(incident, "/status").unwrap_or("submitted"));
        let number = page.to_string();
        let cells = [
            (name.as_str(), CELL_STRONG),
            (at.as_str(), CELL),
            (what.as_str(), CELL),
            (grade, CELL),
            (status.as_str(), CELL),
            (number.as_str(), CELL),
        ];
        flow.row(&mut table, &cells, Some(0));
        // The row's first line leads to its report.
        let (sheet, y) = flow.row_top();
        let area = Area { x: flow.left(), y: y - 15.0, width: flow.width(), height: 15.0 };
        flow.book.link_page(sheet, area, page);
        page += sheets.len();
    }
    if flow.book.boxed {
        flow.skip(6.0);
        flow.paragraph("A box with digits in it stands for a character that the fonts do not have.", SMALL);
    }
    let sheets = flow.sheets;
    footers(book, &sheets, page.saturating_sub(1));
    sheets
}

/// The foot of the list's own pages.
fn footers(book: &mut Book, sheets: &[usize], all: usize) {
    use super::flow::{BOTTOM, SIDE};
    use super::lines::width;
    use super::style::RULE;
    let right = book.paper.size().0 - SIDE;
    for (at, sheet) in sheets.iter().enumerate() {
        let page = format!("List, page {} of {} · sheet {} of {all}", at + 1, sheets.len(), at + 1);
        book.open_artifact(*sheet);
        book.fill(*sheet, Area { x: SIDE, y: BOTTOM - 16.0, width: right - SIDE, height: 0.5 }, RULE);
        let wide = width(book.faces, &page, SMALL);
        book.text(*sheet, right - wide, BOTTOM - 27.0, SMALL, &page);
        book.close(*sheet);
    }
}
