//! Text onto pages: from top to bottom, with room for what belongs together.
//!
//! A heading never stands alone at the foot of a page, a paragraph never leaves one line behind or takes one along, a
//! table's header is repeated on every page that the table reaches, and a row that is longer than a page goes on.

use super::book::{Area, Book, Bookmark};
use super::lines::{Lines, width, wrap};
use super::style::{BODY, CELL_HEAD, Face, HEADING, LABEL, RULE, SMALL, STRONG, SUBHEADING, Style};
use std::borrow::Cow;

/// Margins of a page, in points.
pub(super) const SIDE: f32 = 54.0;
pub(super) const TOP: f32 = 50.0;
/// Below it stands the footer.
pub(super) const BOTTOM: f32 = 70.0;
/// Of the labels before facts.
const LABEL_WIDTH: f32 = 118.0;
/// Between a table's columns.
const GUTTER: f32 = 8.0;
/// The shortest piece of a row that is worth beginning on a page, in lines.
const FEWEST_LINES: usize = 2;
/// A row of no more lines stays in one piece.
const WHOLE_LINES: usize = 6;
/// Height of the running head.
const RUNNING: f32 = 22.0;
/// Above a section's heading.
const ABOVE_HEADING: f32 = 14.0;

/// What stands at the head of every page but the first.
pub(super) struct Running {
    pub(super) left: String,
    pub(super) right: String,
}

/// A column of a table.
pub(super) struct Column {
    pub(super) title: Cow<'static, str>,
    /// Its part of the width, to be compared with the others'.
    pub(super) share: f32,
    /// Whether its lines end at its right edge: numbers.
    pub(super) right: bool,
}

/// A table that is being written.
pub(super) struct Table {
    /// Begun with the first row, so that it comes behind the heading that waits for it.
    element: Option<usize>,
    columns: Vec<Slot>,
    /// Empty where it has no header.
    titles: Vec<Cow<'static, str>>,
    /// Above and below each row.
    pad: f32,
    ruled: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    x: f32,
    width: f32,
    right: bool,
}

/// Where the next thing goes.
pub(super) struct Flow<'a> {
    pub(super) book: &'a mut Book,
    /// The pages so far.
    pub(super) sheets: Vec<usize>,
    /// The element that new ones become part of.
    pub(super) part: usize,
    running: Running,
    sheet: usize,
    y: f32,
    paper: (f32, f32),
    row_top: (usize, f32),
    /// Whether each section is a bookmark.
    marked: bool,
    /// Headings that wait for what they head, so that they land on one page with it: a section's, one within it.
    waiting: [Option<String>; 2],
}

impl<'a> Flow<'a> {
    /// Begins on a fresh sheet, without a running head. `marked`: whether a viewer lists the sections.
    pub(super) fn new(book: &'a mut Book, running: Running, part: usize, marked: bool) -> Self {
        let sheet = book.sheet();
        let paper = book.paper.size();
        let y = paper.1 - TOP;
        Self {
            book,
            sheets: vec![sheet],
            part,
            running,
            sheet,
            y,
            paper,
            row_top: (sheet, y),
            marked,
            waiting: [None, None],
        }
    }

    /// The page that is being written.
    pub(super) const fn sheet(&self) -> usize {
        self.sheet
    }

    /// The upper edge of what comes next.
    pub(super) const fn y(&self) -> f32 {
        self.y
    }

    /// Left edge of the text.
    pub(super) const fn left(&self) -> f32 {
        SIDE
    }

    /// Width of the text.
    pub(super) fn width(&self) -> f32 {
        self.paper.0 - 2.0 * SIDE
    }

    /// Lets a viewer jump to what comes next.
    pub(super) fn bookmark(&mut self, title: &str) {
        let (sheet, y) = (self.sheet, self.y + 6.0);
        self.book.bookmarks.push(Bookmark { title: title.to_owned(), sheet, y });
    }

    /// Where the row that was written last began.
    pub(super) const fn row_top(&self) -> (usize, f32) {
        self.row_top
    }

    /// Leaves `height` empty.
    pub(super) fn skip(&mut self, height: f32) {
        self.y -= height;
    }

    /// What is left of the page.
    fn room(&self) -> f32 {
        self.y - BOTTOM
    }

    /// Goes to a new page where fewer than `height` points are left on this one.
    fn need(&mut self, height: f32) {
        let fresh = self.paper.1 - TOP - RUNNING;
        // What is higher than a page gains nothing by a new one.
        if self.room() < height && self.y < fresh {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.sheet = self.book.sheet();
        self.sheets.push(self.sheet);
        self.y = self.paper.1 - TOP;
        let (left, right, sheet) = (self.left(), self.left() + self.width(), self.sheet);
        self.book.open_artifact(sheet);
        let baseline = self.y - 8.0;
        let style = SMALL;
        let reference = fit(self.book, &self.running.right, style, self.width() * 0.6);
        let right_width = width(self.book.faces, &reference, style);
        let most = self.width() - right_width - GUTTER;
        let shown = fit(self.book, &self.running.left, style, most);
        self.book.text(sheet, left, baseline, style, &shown);
        self.book.text(sheet, right - right_width, baseline, style, &reference);
        self.book.fill(sheet, Area { x: left, y: baseline - 5.0, width: right - left, height: 0.5 }, RULE);
        self.book.close(sheet);
        self.y -= RUNNING;
    }

    /// Makes room for the first `height` points of something, together with the headings that wait for it.
    pub(super) fn settle(&mut self, height: f32) {
        let [section, within] = std::mem::take(&mut self.waiting);
        let within = within.map(|text| wrap(self.book.faces, &text, SUBHEADING, self.width()));
        let mut together = height;
        if section.is_some() {
            together += ABOVE_HEADING + HEADING.leading + 6.0;
        }
        if let Some(lines) = &within {
            together += 4.0 + SUBHEADING.leading * count(lines.ranges.len());
        }
        self.need(together);
        if let Some(text) = section {
            self.draw_heading(&text);
        }
        if let Some(lines) = within {
            self.skip(3.0);
            let element = self.book.tree.add(self.part, "H3");
            self.lines(&lines, SUBHEADING, element, 0.0);
            self.skip(1.0);
        }
    }

    /// The heading of a section. It is drawn with what follows.
    pub(super) fn heading(&mut self, text: &str) {
        if self.waiting.iter().any(Option::is_some) {
            self.settle(0.0);
        }
        self.waiting = [Some(text.to_owned()), None];
    }

    /// A heading within a section. It is drawn with what follows.
    pub(super) fn subheading(&mut self, text: &str) {
        let [_, within] = &mut self.waiting;
        if within.is_none() {
            *within = Some(text.to_owned());
            return;
        }
        self.settle(0.0);
        self.waiting = [None, Some(text.to_owned())];
    }

    fn draw_heading(&mut self, text: &str) {
        self.skip(ABOVE_HEADING);
        let (x, y, wide, sheet) = (self.left(), self.y, self.width(), self.sheet);
        if self.marked {
            self.bookmark(text);
        }
        self.book.open_artifact(sheet);
        self.book.fill(sheet, Area { x, y: y - HEADING.leading - 1.0, width: wide, height: 0.6 }, RULE);
        self.book.close(sheet);
        let element = self.book.tree.add(self.part, "H2");
        self.book.open(sheet, element);
        self.book.text(sheet, x, y - 11.0, HEADING, text);
        self.book.close(sheet);
        self.skip(HEADING.leading + 6.0);
    }

    /// A paragraph.
    pub(super) fn paragraph(&mut self, text: &str, style: Style) {
        self.block("P", text, style, 0.0);
    }

    /// Text of a structure `role`, `indent` points from the left.
    pub(super) fn block(&mut self, role: &'static str, text: &str, style: Style, indent: f32) {
        let lines = wrap(self.book.faces, text, style, self.width() - indent);
        let all = lines.ranges.len();
        // Three lines cannot be parted without leaving one alone.
        self.settle(style.leading * count(if all <= 3 { all } else { FEWEST_LINES }));
        let element = self.book.tree.add(self.part, role);
        self.lines(&lines, style, element, indent);
    }

    /// Lines that may go on over pages, never one alone.
    fn lines(&mut self, lines: &Lines, style: Style, element: usize, indent: f32) {
        let all: Vec<&str> = lines.iter().collect();
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let fits = fitting(self.room(), style.leading);
            let count = break_at(rest.len(), fits);
            if count == 0 {
                self.turn();
                continue;
            }
            let (now, later) = rest.split_at(count.min(rest.len()));
            let (x, sheet) = (self.left() + indent, self.sheet);
            self.book.open(sheet, element);
            for line in now {
                self.book.text(sheet, x, self.y - style.size * 1.05, style, line);
                self.y -= style.leading;
            }
            self.book.close(sheet);
            rest = later;
            if !rest.is_empty() {
                self.turn();
            }
        }
    }

    /// Labels and what they stand for, one below the other.
    pub(super) fn facts(&mut self, facts: &[(String, String)], indent: f32) {
        if facts.is_empty() {
            return;
        }
        let x = self.left() + indent;
        let label = Slot { x, width: LABEL_WIDTH - GUTTER, right: false };
        let value = Slot { x: x + LABEL_WIDTH, width: self.width() - indent - LABEL_WIDTH, right: false };
        let mut table = Table {
            element: None,
            columns: vec![label, value],
            titles: Vec::new(),
            pad: 0.6,
            ruled: false,
        };
        for (label, value) in facts {
            self.row(&mut table, &[(label, LABEL), (value, BODY)], Some(0));
        }
    }

    /// Begins a table with a header, which is drawn with its first row.
    pub(super) fn table(&mut self, columns: &[Column]) -> Table {
        let gutters = GUTTER * f32::from(u16::try_from(columns.len().saturating_sub(1)).unwrap_or(0));
        let shares: f32 = columns.iter().map(|column| column.share).sum();
        let per_share = (self.width() - gutters) / shares;
        let mut x = self.left();
        let mut slots = Vec::with_capacity(columns.len());
        for column in columns {
            let width = column.share * per_share;
            slots.push(Slot { x, width, right: column.right });
            x += width + GUTTER;
        }
        let titles = columns.iter().map(|column| column.title.clone()).collect();
        Table { element: None, columns: slots, titles, pad: 2.6, ruled: true }
    }

    fn header(&mut self, table: &Table, element: usize, again: bool) {
        if table.titles.is_empty() {
            return;
        }
        let sheet = self.sheet;
        if again {
            self.book.open_artifact(sheet);
        }
        let row = if again { 0 } else { self.book.tree.add(element, "TR") };
        for (slot, title) in table.columns.iter().zip(&table.titles) {
            if !again {
                let cell = self.book.tree.add_header(row, "Column");
                self.book.open(sheet, cell);
            }
            let x = if slot.right {
                slot.x + slot.width - width(self.book.faces, title, CELL_HEAD)
            } else {
                slot.x
            };
            self.book.text(sheet, x, self.y - 9.5, CELL_HEAD, title);
            if !again {
                self.book.close(sheet);
            }
        }
        if again {
            self.book.close(sheet);
        }
        self.skip(header_height(table));
        self.rule();
    }

    /// A row of a table: each cell's text and how it is set. `head`: which cell is the row's header.
    pub(super) fn row(&mut self, table: &mut Table, cells: &[(&str, Style)], head: Option<usize>) {
        let faces = self.book.faces;
        let set: Vec<(Slot, Style, Lines)> = table
            .columns
            .iter()
            .zip(cells)
            .map(|(slot, (text, style))| (*slot, *style, wrap(faces, text, *style, slot.width)))
            .collect();
        let leading = set.iter().map(|(_, style, _)| style.leading).fold(0.0, f32::max).max(1.0);
        let all = set.iter().map(|(_, _, lines)| lines.ranges.len()).max().unwrap_or(0);
        let first = if all <= WHOLE_LINES { all } else { FEWEST_LINES };
        let header = if table.element.is_none() { header_height(table) } else { 0.0 };
        let before = self.sheet;
        self.settle(header + 2.0 * table.pad + leading * count(first));
        let element = match table.element {
            Some(element) => {
                if self.sheet != before {
                    self.header(table, element, true);
                }
                element
            }
            None => {
                let element = self.book.tree.add(self.part, "Table");
                table.element = Some(element);
                self.header(table, element, false);
                element
            }
        };
        let row = self.book.tree.add(element, "TR");
        let elements: Vec<usize> = (0..set.len())
            .map(|at| {
                if head == Some(at) {
                    self.book.tree.add_header(row, "Row")
                } else {
                    self.book.tree.add(row, "TD")
                }
            })
            .collect();
        let mut done = 0;
        while done < all {
            let fits = fitting(self.room() - 2.0 * table.pad, leading);
            let left = all - done;
            let now = if left <= fits || (done == 0 && left <= WHOLE_LINES) {
                left
            } else {
                break_at(left, fits)
            };
            if now == 0 || now > fits {
                self.turn();
                self.header(table, element, true);
                continue;
            }
            if done == 0 {
                self.row_top = (self.sheet, self.y);
            }
            self.skip(table.pad);
            for ((slot, style, lines), element) in set.iter().zip(&elements) {
                self.cell(*slot, *style, lines, *element, done, now);
            }
            self.y -= leading * count(now) + table.pad;
            done += now;
            if done < all {
                self.turn();
                self.header(table, element, true);
            }
        }
        if table.ruled {
            self.rule();
        }
    }

    fn cell(&mut self, slot: Slot, style: Style, lines: &Lines, element: usize, from: usize, count: usize) {
        let sheet = self.sheet;
        let mut y = self.y;
        if from >= lines.ranges.len() && from > 0 {
            return;
        }
        self.book.open(sheet, element);
        for line in lines.iter().skip(from).take(count) {
            let x = if slot.right {
                slot.x + slot.width - width(self.book.faces, line, style)
            } else {
                slot.x
            };
            // All cells of a row share a baseline, whatever their size.
            self.book.text(sheet, x, y - style.leading * 0.74, style, line);
            y -= style.leading;
        }
        self.book.close(sheet);
    }

    /// A hair line over the whole width.
    pub(super) fn rule(&mut self) {
        let (x, wide, sheet) = (self.left(), self.width(), self.sheet);
        self.book.open_artifact(sheet);
        self.book.fill(sheet, Area { x, y: self.y, width: wide, height: 0.4 }, RULE);
        self.book.close(sheet);
    }

    /// A line of facts that are to be seen first, such as totals: a label and a figure at the right edge.
    pub(super) fn total(&mut self, label: &str, figure: &str, strong: bool) {
        let face = if strong { Face::Bold } else { Face::Regular };
        let style = Style { face, ..STRONG };
        let wide = self.width();
        let figure_width = width(self.book.faces, figure, style).min(wide * 0.6);
        let x = self.left();
        let columns = vec![
            Slot { x, width: wide - figure_width - GUTTER, right: true },
            Slot { x: x + wide - figure_width, width: figure_width + 0.1, right: true },
        ];
        let mut table = Table { element: None, columns, titles: Vec::new(), pad: 0.8, ruled: false };
        self.row(&mut table, &[(label, Style { face, ..LABEL }), (figure, style)], Some(0));
    }

    /// Two texts side by side, each in its half of the page.
    pub(super) fn halves(&mut self, halves: &[Vec<(String, Style)>], gap: f32) {
        let half = (self.width() - gap) / 2.0;
        let x = self.left();
        let columns =
            vec![Slot { x, width: half, right: false }, Slot { x: x + half + gap, width: half, right: false }];
        let mut table = Table { element: None, columns, titles: Vec::new(), pad: 0.0, ruled: false };
        let most = halves.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..most {
            let cells: Vec<(&str, Style)> = halves
                .iter()
                .map(|half| half.get(at).map_or(("", SMALL), |(text, style)| (text.as_str(), *style)))
                .collect();
            self.row(&mut table, &cells, None);
        }
    }
}

const fn header_height(table: &Table) -> f32 {
    if table.titles.is_empty() { 0.0 } else { 15.0 }
}

#[allow(clippy::cast_precision_loss, reason = "lines are counted far below what a float holds exactly")]
const fn count(lines: usize) -> f32 {
    lines as f32
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a page holds some hundred lines")]
fn fitting(room: f32, leading: f32) -> usize {
    if room <= 0.0 { 0 } else { ((room + 0.01) / leading) as usize }
}

/// How many of `left` lines go onto a page that has room for `fits`, so that neither page has one line alone.
const fn break_at(left: usize, fits: usize) -> usize {
    if left <= fits {
        left
    } else if fits < FEWEST_LINES || (left == fits + 1 && fits < 2 * FEWEST_LINES - 1) {
        0
    } else if left == fits + 1 {
        fits - 1
    } else {
        fits
    }
}

/// As much of `text` as fits on one line of `most` points.
pub(super) fn fit(book: &Book, text: &str, style: Style, most: f32) -> String {
    let text = super::lines::clean(text).replace('\n', " ");
    if width(book.faces, &text, style) <= most {
        return text;
    }
    let mut kept = String::new();
    let mut taken = width(book.faces, "…", style);
    for c in text.chars() {
        taken += f32::from(book.faces.width(style.face, c)) * style.size / 1000.0;
        if taken > most {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::break_at;

    #[test]
    fn no_line_stands_alone_on_either_page() {
        assert_eq!(break_at(5, 5), 5);
        assert_eq!(break_at(5, 4), 3);
        assert_eq!(break_at(5, 1), 0);
        assert_eq!(break_at(3, 2), 0);
        assert_eq!(break_at(1, 1), 1);
        assert_eq!(break_at(100, 2), 2);
    }
}
