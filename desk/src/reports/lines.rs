//! Text into lines of a given width.

use super::faces::{Faces, Shown};
use super::style::Style;
use std::borrow::Cow;
use std::ops::Range;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A text and where its lines begin and end in it.
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) ranges: Vec<Range<usize>>,
}

impl Lines {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.ranges.iter().map(|range| self.text.get(range.clone()).unwrap_or(""))
    }
}

/// Composed letters (the faces hold those), one kind of line break, no tabs.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let composed = is_nfc_quick(text.chars()) == IsNormalized::Yes;
    let plain = |c: char| !matches!(c, '\t' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if composed && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.nfc() {
        match c {
            '\n' if after_return => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\t' => out.push_str("    "),
            other => out.push(other),
        }
        after_return = c == '\r';
    }
    Cow::Owned(out)
}

/// Width of `text` on one line, in points.
pub(super) fn width(faces: &Faces, text: &str, style: Style) -> f32 {
    let sum: u32 = text.chars().map(|c| u32::from(faces.width(style.face, c))).sum();
    points(sum, style)
}

#[allow(clippy::cast_precision_loss, reason = "a line's width is far below what a float holds exactly")]
fn points(thousandths: u32, style: Style) -> f32 {
    thousandths as f32 * style.size / 1000.0
}

/// Breaks `text` between words, and within one that is longer than a line. Blank lines stay, but for those at the end.
pub(super) fn wrap(faces: &Faces, text: &str, style: Style, most: f32) -> Lines {
    let text = clean(text).trim_end().to_owned();
    let mut ranges = Vec::new();
    let mut at = 0;
    for paragraph in text.split('\n') {
        wrap_paragraph(faces, paragraph, at, style, most, &mut ranges);
        at += paragraph.len() + 1;
    }
    Lines { text, ranges }
}

fn wrap_paragraph(faces: &Faces, text: &str, offset: usize, style: Style, most: f32, out: &mut Vec<Range<usize>>) {
    let mut start = 0;
    // Where the line could end, and where the next one would then begin.
    let mut chance: Option<usize> = None;
    let (mut sum, mut since_chance) = (0_u32, 0_u32);
    let mut push = |from: usize, to: usize| {
        let line = text.get(from..to).unwrap_or("");
        out.push(offset + from..offset + from + line.trim_end_matches(' ').len());
    };
    let mut characters = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = characters.next() {
        let wide = u32::from(faces.width(style.face, c));
        // A space at the end of a line may hang over its edge.
        while c != ' ' && wide > 0 && at > start && points(sum + wide, style) > most {
            let next = chance.unwrap_or(at);
            push(start, next);
            sum = if chance.is_some() { since_chance } else { 0 };
            (start, chance, since_chance) = (next, None, 0);
        }
        sum += wide;
        since_chance += wide;
        let after = characters.peek().map_or(' ', |(_, after)| *after);
        if breaks_after(faces, before, c, after) {
            chance = Some(at + c.len_utf8());
            since_chance = 0;
        }
        before = c;
    }
    push(start, text.len());
}

/// Whether a line may end behind `c`, which stands between two others.
fn breaks_after(faces: &Faces, before: char, c: char, after: char) -> bool {
    match c {
        ' ' | '\u{ad}' | '\u{200b}' | '\u{2013}' | '\u{2014}' => true,
        // Between letters, not in "-6", "UTC-06:00", "1,000" or "24/7".
        '-' | '/' | ';' | ',' | '\u{2010}' => before.is_alphabetic() && after.is_alphabetic(),
        // Scripts that the faces do not hold are mostly written without spaces.
        other => faces.shown(other) == Shown::Boxed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::faces::faces;
    use crate::reports::style::BODY;
    use proptest::prelude::*;

    fn wrapped(text: &str, most: f32) -> Vec<String> {
        wrap(faces().unwrap(), text, BODY, most).iter().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn lines_break_between_words_and_within_long_ones() {
        assert_eq!(wrapped("one two three", 40.0), ["one two", "three"]);
        assert_eq!(wrapped("one\n\ntwo\n\n", 400.0), ["one", "", "two"]);
        assert_eq!(wrapped("a\r\nb\u{2028}c\td", 400.0), ["a", "b", "c    d"]);
        assert!(wrapped(&"x".repeat(1000), 100.0).iter().all(|line| line.len() < 25));
        assert_eq!(wrapped(&"x".repeat(1000), 0.1).len(), 1000);
        assert_eq!(wrapped("", 100.0), [""]);
        assert_eq!(wrapped("at UTC-06:00", 55.0), ["at", "UTC-06:00"]);
        assert_eq!(wrapped("sister-in-law", 36.0), ["sister-", "in-law"]);
    }

    #[test]
    fn letters_are_composed() {
        assert_eq!(clean("Nguye\u{302}\u{303}n"), "Nguy\u{1ec5}n");
        assert!(matches!(clean("Nguy\u{1ec5}n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_but_spaces_is_lost_and_no_line_is_too_long(text in "\\PC{0,200}", most in 20.0_f32..300.0) {
            let faces = faces().unwrap();
            let lines = wrap(faces, &text, BODY, most);
            let kept: String = lines.iter().flat_map(str::chars).filter(|c| !matches!(c, ' ' | '\n')).collect();
            let given: String = clean(&text).trim_end().chars().filter(|c| !matches!(c, ' ' | '\n')).collect();
            prop_assert_eq!(kept, given);
            for line in lines.iter().filter(|line| line.chars().count() > 1) {
                prop_assert!(width(faces, line, BODY) <= most + 0.01, "{:?}", line);
            }
        }
    }
}
