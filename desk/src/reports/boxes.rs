//! What stands for a character that the faces do not have: a box with its Unicode number in it, two rows of digits.
//!
//! Each such character gets a glyph of its own, drawn here, in a font that is made for the document and says which
//! character the glyph is. A reader sees that something is there and what it is; who copies or searches gets it.

use super::faces::box_width;
use lopdf::{Dictionary, Document, Object, ObjectId, Stream, dictionary};
use printpdf::FontId;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Side of a digit's dot, in thousandths of the type size.
const DOT: i64 = 85;
/// The box's lower edge and height, and how thick its sides are.
const FOOT: i64 = -220;
const HEIGHT: i64 = 14 * DOT;
const SIDE: i64 = 40;
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
/// Glyphs in one font. Codes are those that both Latin-1 and the encoding of plain PDF text give the same character.
const PER_FONT: usize = 94 + 95;

/// The characters that have boxes in a document, in the order in which they came up.
#[derive(Default)]
pub(super) struct Boxes {
    places: BTreeMap<char, usize>,
    characters: Vec<char>,
}

impl Boxes {
    /// The font of a character's box and its code in it.
    pub(super) fn place(&mut self, c: char) -> (FontId, char) {
        let next = self.characters.len();
        let place = *self.places.entry(c).or_insert(next);
        if place == next {
            self.characters.push(c);
        }
        (font_id(place / PER_FONT), char::from(code(place % PER_FONT)))
    }

    /// Adds the fonts to a document; their names and where they are.
    pub(super) fn bind(&self, document: &mut Document) -> Vec<(FontId, ObjectId)> {
        let fonts = self.characters.chunks(PER_FONT).enumerate();
        fonts.map(|(at, characters)| (font_id(at), font(document, characters))).collect()
    }
}

fn font_id(at: usize) -> FontId {
    FontId(format!("Boxes{at}"))
}

fn code(at: usize) -> u8 {
    let at = u8::try_from(at).unwrap_or(0);
    if at < 94 { b'!' + at } else { 0xa1 + (at - 94) }
}

fn font(document: &mut Document, characters: &[char]) -> ObjectId {
    let mut glyphs = Dictionary::new();
    let mut names = Vec::new();
    let mut widths = vec![Object::Integer(0); 256 - usize::from(code(0))];
    let mut unicode = String::from(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Boxes def /CMapType 2 def\n\
         1 begincodespacerange <00> <ff> endcodespacerange\n",
    );
    for (at, c) in characters.iter().enumerate() {
        let (code, name) = (code(at), format!("u{:04X}", u32::from(*c)));
        names.extend([Object::Integer(i64::from(code)), Object::Name(name.clone().into_bytes())]);
        if let Some(width) = widths.get_mut(usize::from(code - b'!')) {
            *width = Object::Integer(i64::from(box_width(*c)));
        }
        let glyph = Stream::new(Dictionary::new(), draw(*c).into_bytes());
        glyphs.set(name, document.add_object(glyph));
        let _ = write!(unicode, "1 beginbfchar <{code:02x}> <");
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(unicode, "{unit:04x}");
        }
        unicode.push_str("> endbfchar\n");
    }
    unicode.push_str("endcmap CMapName currentdict /CMap defineresource pop end end\n");
    let unicode = document.add_object(Stream::new(Dictionary::new(), unicode.into_bytes()));
    let scale = |number: f32| Object::Real(number);
    document.add_object(dictionary! {
        "Type" => "Font",
        "Subtype" => "Type3",
        "FontBBox" => vec![0.into(), FOOT.into(), 1200.into(), (FOOT + HEIGHT).into()],
        "FontMatrix" => vec![scale(0.001), 0.into(), 0.into(), scale(0.001), 0.into(), 0.into()],
        "CharProcs" => glyphs,
        "Encoding" => dictionary! { "Type" => "Encoding", "Differences" => names },
        "FirstChar" => i64::from(code(0)),
        "LastChar" => 255,
        "Widths" => widths,
        "Resources" => dictionary! {},
        "ToUnicode" => unicode,
    })
}

/// A box as PDF's painting operators.
fn draw(c: char) -> String {
    let number = u32::from(c);
    let (across, dots): (u32, i64) = if number > 0xffff { (3, 11) } else { (2, 7) };
    let wide = i64::from(box_width(c));
    let (inner, top) = (wide - 2 * SIDE, FOOT + HEIGHT);
    let mut out = format!("{wide} 0 0 {FOOT} {wide} {top} d1\n");
    let mut rect = |x: i64, y: i64, width: i64, height: i64| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{x} {y} {width} {height} re");
    };
    rect(SIDE, FOOT, inner, SIDE);
    rect(SIDE, top - SIDE, inner, SIDE);
    rect(SIDE, FOOT, SIDE, HEIGHT);
    rect(wide - 2 * SIDE, FOOT, SIDE, HEIGHT);
    let (left, top) = ((wide - dots * DOT) / 2, top - 3 * DOT / 2);
    for place in 0..2 * across {
        let figure = (number >> (4 * (2 * across - 1 - place))) & 0xf;
        let rows = DIGITS.get(figure as usize).copied().unwrap_or_default();
        let (column, line) = (i64::from(place % across), i64::from(place / across));
        for (row, bits) in (0_i64..).zip(rows) {
            for bit in 0..3_i64 {
                if bits & (4 >> bit) != 0 {
                    rect(left + (4 * column + bit) * DOT, top - (6 * line + row + 1) * DOT, DOT, DOT);
                }
            }
        }
    }
    out.push_str("f\n");
    out
}
