//! Sheets and what is drawn on them. Lengths are points; y grows upwards from the lower edge, as in PDF.

use super::Paper;
use super::boxes::Boxes;
use super::faces::{Faces, Shown};
use super::style::{Face, Ink, Style};
use super::tree::{Kid, Tree};
use printpdf::{
    Actions, BorderArray, Color, Destination, DictItem, FontId, LinkAnnotation, Op, PaintMode, PdfFontHandle, Point,
    Pt, Rect, Rgb, TextItem, XObjectId, XObjectTransform,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One page.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) ops: Vec<Op>,
    /// Which element each mark belongs to.
    pub(super) marks: Vec<usize>,
}

/// A photo as it goes into the document.
pub(super) struct Image {
    pub(super) jpeg: Arc<[u8]>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// 1 for grey, 3 for colour.
    pub(super) components: u8,
}

/// A line of the table of contents that a viewer shows beside the pages.
pub(super) struct Bookmark {
    pub(super) title: String,
    pub(super) sheet: usize,
    pub(super) y: f32,
}

/// A document in the making.
pub(super) struct Book {
    pub(super) faces: &'static Faces,
    pub(super) paper: Paper,
    pub(super) tree: Tree,
    pub(super) sheets: Vec<Sheet>,
    /// Sheets in the order in which they are bound.
    pub(super) order: Vec<usize>,
    pub(super) images: Vec<Image>,
    pub(super) bookmarks: Vec<Bookmark>,
    /// Characters that are drawn, per face.
    pub(super) regular: BTreeSet<char>,
    pub(super) bold: BTreeSet<char>,
    /// What stands for characters that no face has.
    pub(super) boxes: Boxes,
    /// Whether a box was drawn since this was last unset.
    pub(super) boxed: bool,
}

/// A rectangle by its lower left corner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Paper {
    /// Width and height in points.
    pub(super) const fn size(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.276, 841.89),
            Self::Letter => (612.0, 792.0),
        }
    }
}

impl Book {
    pub(super) fn new(faces: &'static Faces, paper: Paper) -> Self {
        Self {
            faces,
            paper,
            tree: Tree::new(),
            sheets: Vec::new(),
            order: Vec::new(),
            images: Vec::new(),
            bookmarks: Vec::new(),
            regular: BTreeSet::new(),
            bold: BTreeSet::new(),
            boxes: Boxes::default(),
            boxed: false,
        }
    }

    /// Begins an empty sheet.
    pub(super) fn sheet(&mut self) -> usize {
        self.sheets.push(Sheet::default());
        self.sheets.len() - 1
    }

    pub(super) fn push(&mut self, sheet: usize, op: Op) {
        if let Some(sheet) = self.sheets.get_mut(sheet) {
            sheet.ops.push(op);
        }
    }

    /// What is drawn until [`Book::close`] belongs to `element`.
    pub(super) fn open(&mut self, sheet: usize, element: usize) {
        let Some(role) = self.tree.elements.get(element).map(|element| element.role) else {
            return;
        };
        let Some(page) = self.sheets.get_mut(sheet) else { return };
        let mark = page.marks.len();
        page.marks.push(element);
        let number = DictItem::Int(i64::try_from(mark).unwrap_or(i64::MAX));
        let properties = DictItem::Dict { map: BTreeMap::from([("MCID".to_owned(), number)]) };
        page.ops.push(Op::BeginMarkedContentWithProperties { tag: role.to_owned(), properties });
        self.tree.give(element, Kid::Marked { sheet, mark });
    }

    /// What is drawn until [`Book::close`] says nothing new: page numbers, rules, repeated headers.
    pub(super) fn open_artifact(&mut self, sheet: usize) {
        self.push(sheet, Op::BeginMarkedContent { tag: "Artifact".to_owned() });
    }

    pub(super) fn close(&mut self, sheet: usize) {
        self.push(sheet, Op::EndMarkedContent);
    }

    fn ink(&mut self, sheet: usize, ink: Ink) {
        self.push(sheet, Op::SetFillColor { col: colour(ink) });
    }

    /// One line of text, its baseline beginning at `x`, `y`.
    pub(super) fn text(&mut self, sheet: usize, x: f32, y: f32, style: Style, text: &str) {
        let mut pen = x;
        let mut rest = text;
        while !rest.is_empty() {
            let (run, kind) = first_run(self.faces, rest);
            self.boxed |= kind != Run::Glyphs;
            pen = match kind {
                Run::Glyphs => self.glyphs(sheet, pen, y, style, run),
                Run::Boxes => self.boxes(sheet, pen, y, style, run),
                Run::BoxesFromRight => self.boxes_from_right(sheet, pen, y, style, run),
            };
            rest = rest.get(run.len()..).unwrap_or("");
        }
    }

    /// Boxes from the left to the right; where the next character begins.
    fn boxes(&mut self, sheet: usize, x: f32, y: f32, style: Style, run: &str) -> f32 {
        let faces = self.faces;
        let (mut font, mut codes, mut pen, mut begin) = (None, String::new(), x, x);
        for c in run.chars().filter(|c| faces.shown(*c) == Shown::Boxed) {
            let (own, code) = self.boxes.place(c);
            if font.as_ref() != Some(&own) {
                self.show(sheet, (begin, y), font.replace(own), style, std::mem::take(&mut codes));
                begin = pen;
            }
            codes.push(code);
            pen += f32::from(faces.width(style.face, c)) * style.size / 1000.0;
        }
        self.show(sheet, (begin, y), font, style, codes);
        pen
    }

    /// The same for words that are read from right to left: each box lies where its letter would.
    fn boxes_from_right(&mut self, sheet: usize, x: f32, y: f32, style: Style, run: &str) -> f32 {
        let end = x + super::lines::width(self.faces, run, style);
        let mut pen = end;
        for c in run.chars() {
            pen -= f32::from(self.faces.width(style.face, c)) * style.size / 1000.0;
            if self.faces.shown(c) == Shown::Boxed {
                let (font, code) = self.boxes.place(c);
                self.show(sheet, (pen, y), Some(font), style, code.to_string());
            }
        }
        end
    }

    fn glyphs(&mut self, sheet: usize, x: f32, y: f32, style: Style, run: &str) -> f32 {
        let faces = self.faces;
        let shown: String = run.chars().filter(|c| faces.shown(*c) == Shown::Drawn).collect();
        if shown.is_empty() {
            return x;
        }
        let used = if style.face == Face::Bold { &mut self.bold } else { &mut self.regular };
        used.extend(shown.chars());
        let width = super::lines::width(faces, &shown, style);
        self.show(sheet, (x, y), Some(font_id(style.face)), style, shown);
        x + width
    }

    /// Text in codes of `font`.
    fn show(&mut self, sheet: usize, (x, y): (f32, f32), font: Option<FontId>, style: Style, text: String) {
        let Some(font) = font.filter(|_| !text.is_empty()) else {
            return;
        };
        self.ink(sheet, style.ink);
        self.push(sheet, Op::StartTextSection);
        self.push(sheet, Op::SetFont { font: PdfFontHandle::External(font), size: Pt(style.size) });
        self.push(sheet, Op::SetTextCursor { pos: point(x, y) });
        self.push(sheet, Op::ShowText { items: vec![TextItem::Text(text)] });
        self.push(sheet, Op::EndTextSection);
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, sheet: usize, area: Area, ink: Ink) {
        self.ink(sheet, ink);
        self.push(sheet, Op::DrawRectangle { rectangle: rect(area, PaintMode::Fill) });
    }

    /// A rectangle's outline, `thick` points wide.
    pub(super) fn outline(&mut self, sheet: usize, area: Area, ink: Ink, thick: f32) {
        self.push(sheet, Op::SetOutlineColor { col: colour(ink) });
        self.push(sheet, Op::SetOutlineThickness { pt: Pt(thick) });
        self.push(sheet, Op::DrawRectangle { rectangle: rect(area, PaintMode::Stroke) });
    }

    /// Many filled rectangles.
    pub(super) fn fill_all(&mut self, sheet: usize, areas: impl Iterator<Item = Area>, ink: Ink) {
        self.ink(sheet, ink);
        for area in areas {
            self.push(sheet, Op::DrawRectangle { rectangle: rect(area, PaintMode::Fill) });
        }
    }

    /// A photo, filling `area`.
    pub(super) fn image(&mut self, sheet: usize, image: Image, area: Area) {
        let id = image_id(self.images.len());
        self.images.push(image);
        let transform = XObjectTransform {
            translate_x: Some(Pt(area.x)),
            translate_y: Some(Pt(area.y)),
            scale_x: Some(area.width),
            scale_y: Some(area.height),
            no_auto_scale: true,
            ..XObjectTransform::default()
        };
        self.push(sheet, Op::UseXobject { id, transform });
    }

    /// Makes `area` lead to a web page. Anything but `http` and `https` is left alone: a report must not start programs.
    pub(super) fn link(&mut self, sheet: usize, area: Area, url: &str) {
        let web = url.starts_with("https://") || url.starts_with("http://");
        if web && url.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.annotate(sheet, area, Actions::Uri(url.to_owned()));
        }
    }

    /// Makes `area` lead to a page of this document, counted from 1.
    pub(super) fn link_page(&mut self, sheet: usize, area: Area, page: usize) {
        self.annotate(sheet, area, Actions::Goto(Destination::Xyz { page, left: None, top: None, zoom: None }));
    }

    fn annotate(&mut self, sheet: usize, area: Area, actions: Actions) {
        let border = BorderArray::Solid([0.0, 0.0, 0.0]);
        let link = LinkAnnotation::new(rect(area, PaintMode::Fill), actions, Some(border), None, None);
        self.push(sheet, Op::LinkAnnotation { link });
    }
}

pub(super) fn font_id(face: Face) -> FontId {
    FontId(if face == Face::Bold { "Bold" } else { "Regular" }.to_owned())
}

pub(super) fn image_id(at: usize) -> XObjectId {
    XObjectId(format!("Photo{at}"))
}

/// How a piece of a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Glyphs,
    Boxes,
    BoxesFromRight,
}

/// The longest piece at the beginning of `text` that is drawn in one way.
fn first_run<'t>(faces: &Faces, text: &'t str) -> (&'t str, Run) {
    let kind = |c: char| match faces.shown(c) {
        // Joiners and the like go with what they stand behind.
        Shown::Silent => None,
        Shown::Drawn => Some(Run::Glyphs),
        Shown::Boxed if is_from_right(c) => Some(Run::BoxesFromRight),
        Shown::Boxed => Some(Run::Boxes),
    };
    let first = text.chars().find_map(kind).unwrap_or(Run::Glyphs);
    let mut end = 0;
    for (at, c) in text.char_indices() {
        match kind(c) {
            None => {}
            Some(kind) if kind == first => {}
            // Between words that are read from the right a space is one of them, if another such word follows.
            Some(_) if first == Run::BoxesFromRight && c == ' ' => continue,
            Some(_) => break,
        }
        end = at + c.len_utf8();
    }
    text.split_at_checked(end).map_or((text, first), |(run, _)| (run, first))
}

/// Hebrew, Arabic and their kin.
const fn is_from_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

fn colour([r, g, b]: Ink) -> Color {
    Color::Rgb(Rgb::new(r, g, b, None))
}

fn point(x: f32, y: f32) -> Point {
    Point { x: pt(x), y: pt(y) }
}

/// A hundredth of a point is finer than any printer, and shorter to write than what a float holds.
fn pt(length: f32) -> Pt {
    Pt((length * 100.0).round() / 100.0)
}

fn rect(area: Area, mode: PaintMode) -> Rect {
    Rect {
        mode: Some(mode),
        ..Rect::from_xywh(pt(area.x), pt(area.y), pt(area.width), pt(area.height))
    }
}
