//! What stands for a character that the faces do not have: a box with its Unicode number in it, two rows of digits.
//!
//! The box is drawn, digits and all, so that it adds no text of its own; the character itself lies on it as invisible
//! text. A reader sees that something is there and which character it is; who copies or searches gets the character.

use super::book::{Area, Book};
use super::faces::{Shown, box_width};
use super::lines::width;
use super::style::Style;
use printpdf::{DictItem, Op, PdfFontHandle, Pt, TextItem, TextRenderingMode};
use std::collections::BTreeMap;

/// Side of a digit's dot, in parts of the type size.
const DOT: f32 = 0.085;
/// Rows of three dots, from the top, one octal figure a row: 0 to 9, A to F.
const DIGITS: [[u8; 5]; 16] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [2, 5, 7, 5, 5],
    [6, 5, 6, 5, 6],
    [3, 4, 4, 4, 3],
    [6, 5, 5, 5, 6],
    [7, 4, 6, 4, 7],
    [7, 4, 6, 4, 4],
];

/// As wide as the type size in both faces, and always in them.
const CARRIER: char = '—';

impl Book {
    /// Boxes from the left to the right; where the next character begins.
    pub(super) fn boxes(&mut self, sheet: usize, x: f32, y: f32, style: Style, run: &str) -> f32 {
        let mut pen = x;
        for c in run.chars().filter(|c| self.faces.shown(*c) == Shown::Boxed) {
            pen += self.one_box(sheet, pen, y, style, c);
        }
        self.carry(sheet, x, y, pen - x, style, run);
        pen
    }

    /// Boxes of words that are read from right to left. Each letter stands for itself, or programs that put words into
    /// their order by where letters stand would turn them around.
    pub(super) fn boxes_from_right(&mut self, sheet: usize, x: f32, y: f32, style: Style, run: &str) -> f32 {
        let end = x + width(self.faces, run, style);
        let mut pen = end;
        for c in run.chars() {
            let wide = f32::from(self.faces.width(style.face, c)) * style.size / 1000.0;
            pen -= wide;
            if self.faces.shown(c) == Shown::Boxed {
                self.one_box(sheet, pen, y, style, c);
                self.carry(sheet, pen, y, wide, style, c.encode_utf8(&mut [0; 4]));
            }
        }
        end
    }

    fn one_box(&mut self, sheet: usize, x: f32, y: f32, style: Style, c: char) -> f32 {
        let wide = f32::from(box_width(c)) * style.size / 1000.0;
        let dot = DOT * style.size;
        let (across, rows) = if u32::from(c) > 0xffff { (3, 11.0) } else { (2, 7.0) };
        let (width, height) = (rows * dot, 11.0 * dot);
        let frame = Area {
            x: x + style.size * 0.04,
            y: y - style.size * 0.22,
            width: wide - style.size * 0.08,
            height: height + 3.0 * dot,
        };
        self.outline(sheet, frame, style.ink, style.size * 0.04);
        let (left, top) = (x + (wide - width) / 2.0, frame.y + frame.height - 1.5 * dot);
        let mut dots = Vec::new();
        for place in 0..2 * across {
            let figure = (u32::from(c) >> (4 * (2 * across - 1 - place))) & 0xf;
            let rows = DIGITS.get(figure as usize).copied().unwrap_or_default();
            let (column, line) = (u8::try_from(place % across).unwrap_or(0), u8::try_from(place / across).unwrap_or(0));
            for (row, bits) in (0_u8..).zip(rows) {
                for bit in 0..3_u8 {
                    if bits & (4 >> bit) != 0 {
                        dots.push(Area {
                            x: left + f32::from(column * 4 + bit) * dot,
                            y: top - f32::from(line * 6 + row + 1) * dot,
                            width: dot,
                            height: dot,
                        });
                    }
                }
            }
        }
        self.fill_all(sheet, dots.into_iter(), style.ink);
        wide
    }

    /// Lays `text` over `wide` points, invisible.
    fn carry(&mut self, sheet: usize, x: f32, y: f32, wide: f32, style: Style, text: &str) {
        if wide <= 0.0 {
            return;
        }
        self.boxed = true;
        self.use_characters(style.face, std::iter::once(CARRIER));
        let own = width(self.faces, CARRIER.encode_utf8(&mut [0; 4]), style).max(0.1);
        let actual = DictItem::String { data: super::bind::utf16(text), literal: false };
        let properties = DictItem::Dict { map: BTreeMap::from([("ActualText".to_owned(), actual)]) };
        let font = PdfFontHandle::External(super::book::font_id(style.face));
        let ops = [
            Op::BeginMarkedContentWithProperties { tag: "Span".to_owned(), properties },
            Op::StartTextSection,
            Op::SetFont { font, size: Pt(style.size) },
            Op::SetTextRenderingMode { mode: TextRenderingMode::Invisible },
            Op::SetHorizontalScaling { percent: 100.0 * wide / own },
            Op::SetTextCursor { pos: super::book::point(x, y) },
            Op::ShowText { items: vec![TextItem::Text(CARRIER.to_string())] },
            Op::SetHorizontalScaling { percent: 100.0 },
            Op::SetTextRenderingMode { mode: TextRenderingMode::Fill },
            Op::EndTextSection,
            Op::EndMarkedContent,
        ];
        for op in ops {
            self.push(sheet, op);
        }
    }
}
