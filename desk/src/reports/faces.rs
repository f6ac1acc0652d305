//! The faces: what they can show, how wide it is, and the part of them that goes into a document.

use super::RenderError;
use super::style::Face;
use allsorts::binary::read::ReadScope;
use allsorts::font_data::FontData;
use allsorts::subset::{CmapTarget, SubsetProfile, subset};
use printpdf::ParsedFont;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Noto Sans 2.004, unmodified, under the SIL Open Font License 1.1: see `fonts/README.md` and `fonts/OFL.txt`.
const REGULAR: &[u8] = include_bytes!("fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("fonts/NotoSans-Bold.ttf");

/// Width of the box that stands for a character of four and of more hexadecimal digits, in thousandths of the size.
const BOX: u16 = 800;
const WIDE_BOX: u16 = 1140;

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// A glyph.
    Drawn,
    /// A box with its number: the face has no glyph, or a hidden one that turns what follows around.
    Boxed,
    /// Nothing, as it should: joiners and the like.
    Silent,
}

/// Both faces.
pub(super) struct Faces {
    regular: Table,
    bold: Table,
}

/// A face's glyphs, by character of the basic plane; neither face has others.
struct Table {
    bytes: &'static [u8],
    name: &'static str,
    parsed: ParsedFont,
    glyphs: Vec<u16>,
    widths: Vec<u16>,
}

/// The faces, read when they are first asked for.
pub(super) fn faces() -> Result<&'static Faces, RenderError> {
    static FACES: OnceLock<Result<Faces, String>> = OnceLock::new();
    let read = || Ok(Faces { regular: read(REGULAR, "NotoSans-Regular")?, bold: read(BOLD, "NotoSans-Bold")? });
    FACES.get_or_init(read).as_ref().map_err(|error| RenderError::Fonts(error.clone()))
}

fn read(bytes: &'static [u8], name: &'static str) -> Result<Table, String> {
    let mut parsed = ParsedFont::from_bytes(bytes, 0, &mut Vec::new()).ok_or_else(|| format!("{name} is no font"))?;
    let per_em = u32::from(parsed.units_per_em.max(1));
    let mut glyphs = vec![0; 0x1_0000];
    let mut widths = vec![0; 0x1_0000];
    for (character, glyph) in &parsed.codepoint_to_glyph {
        let slot = *character as usize;
        let width = u32::from(parsed.glyph_widths.get(glyph).copied().unwrap_or(0)) * 1000 / per_em;
        if let (Some(glyph_slot), Some(width_slot)) = (glyphs.get_mut(slot), widths.get_mut(slot)) {
            *glyph_slot = *glyph;
            *width_slot = u16::try_from(width).unwrap_or(u16::MAX);
        }
    }
    // What goes into documents is cut out of the bytes themselves.
    parsed.original_bytes = Vec::new();
    Ok(Table { bytes, name, parsed, glyphs, widths })
}

impl Faces {
    fn table(&self, face: Face) -> &Table {
        match face {
            Face::Regular => &self.regular,
            Face::Bold => &self.bold,
        }
    }

    /// What becomes of `character`. Both faces hold the same.
    pub(super) fn shown(&self, character: char) -> Shown {
        match character {
            ' '..='~' => Shown::Drawn,
            // Turns text around: in a name it can make a reader see another one, so it must be seen itself.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Shown::Boxed,
            '\u{ad}'
            | '\u{34f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{2064}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' => Shown::Silent,
            '\u{e0100}'..='\u{e01ef}' => Shown::Silent,
            other if other.is_control() => Shown::Boxed,
            other => match self.regular.glyphs.get(other as usize) {
                Some(glyph) if *glyph != 0 => Shown::Drawn,
                _ => Shown::Boxed,
            },
        }
    }

    /// Width of `character` in thousandths of the size.
    pub(super) fn width(&self, face: Face, character: char) -> u16 {
        match self.shown(character) {
            Shown::Drawn => self.table(face).widths.get(character as usize).copied().unwrap_or(0),
            Shown::Boxed => box_width(character),
            Shown::Silent => 0,
        }
    }

    /// The part of a face that shows `used` characters; each of them must be [`Shown::Drawn`].
    pub(super) fn cut(&self, face: Face, used: impl Iterator<Item = char>) -> Result<ParsedFont, RenderError> {
        let table = self.table(face);
        let failed = |error: &dyn std::fmt::Display| RenderError::Fonts(format!("{}: {error}", table.name));
        let wanted: BTreeMap<u32, u16> = used
            .filter_map(|c| table.glyphs.get(c as usize).filter(|glyph| **glyph != 0).map(|glyph| (c as u32, *glyph)))
            .collect();
        // What a missing glyph looks like comes first, by the format's rule.
        let mut glyphs: Vec<u16> = std::iter::once(0).chain(wanted.values().copied()).collect();
        glyphs.sort_unstable();
        glyphs.dedup();
        let data = ReadScope::new(table.bytes).read::<FontData<'_>>().map_err(|error| failed(&error))?;
        let provider = data.table_provider(0).map_err(|error| failed(&error))?;
        let bytes =
            subset(&provider, &glyphs, &SubsetProfile::Pdf, CmapTarget::Unicode).map_err(|error| failed(&error))?;

        // Glyphs are numbered anew, in the order in which they were asked for.
        let new = |old: u16| glyphs.binary_search(&old).ok().and_then(|at| u16::try_from(at).ok()).unwrap_or(0);
        let characters: BTreeMap<u32, u16> = wanted.iter().map(|(c, old)| (*c, new(*old))).collect();
        let width = |old: &u16| table.parsed.glyph_widths.get(old).copied().unwrap_or(0);
        let widths = glyphs.iter().map(|old| (new(*old), width(old))).collect();
        let name = format!("{}+{}", tag(&bytes), table.name);
        let parsed = &table.parsed;
        let metrics = parsed.font_metrics.clone();
        let mut cut =
            ParsedFont::with_glyph_data(bytes, 0, Some(name), characters, widths, parsed.units_per_em, metrics);
        cut.pdf_font_metrics = parsed.pdf_font_metrics.clone();
        Ok(cut)
    }
}

/// Width of the box that stands for `character`, in thousandths of the size.
pub(super) const fn box_width(character: char) -> u16 {
    if character as u32 > 0xffff { WIDE_BOX } else { BOX }
}

/// Six capitals that tell different parts of one face apart.
fn tag(bytes: &[u8]) -> String {
    blake3::hash(bytes).as_bytes().iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
}
