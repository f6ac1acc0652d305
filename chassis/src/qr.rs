//! QR codes, as runs of dark modules: whoever draws one fills rectangles.

use qrcodegen::{QrCode, QrCodeEcc};

/// The empty frame that a code needs to be found, in modules.
pub const QUIET: u16 = 4;
/// A denser code would hold more, but no phone would read it at the size of a label.
const MOST_MODULES: u16 = 77;

/// Dark modules beside each other, counted from the outer edge of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first one's column.
    pub x: u16,
    /// Their row, from the top.
    pub y: u16,
    /// How many.
    pub length: u16,
}

/// A code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Modules of one side, with the frame.
    pub size: u16,
    /// What is dark, row by row.
    pub runs: Vec<Run>,
}

impl Code {
    /// A code that says `text`; `None` where that is more than one can hold.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let side = u16::try_from(code.size()).ok().filter(|side| *side <= MOST_MODULES)?;
        let is_dark = |x: u16, y: u16| code.get_module(x.into(), y.into());
        let mut runs = Vec::new();
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let length = (x..side).take_while(|x| is_dark(*x, y)).count() as u16;
                if length > 0 {
                    runs.push(Run { x: x + QUIET, y: y + QUIET, length });
                }
                x += length + 1;
            }
        }
        Some(Self { size: side + 2 * QUIET, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_the_modules_of_the_code_inside_its_frame() {
        let text = "https://hub.example.com/incidents/1";
        let (code, drawn) = (QrCode::encode_text(text, QrCodeEcc::Medium).unwrap(), Code::of(text).unwrap());
        assert_eq!(i32::from(drawn.size), code.size() + 8);
        let is_in = |run: &Run, x: u16, y: u16| run.y == y && (run.x..run.x + run.length).contains(&x);
        for (x, y) in (0..drawn.size).flat_map(|x| (0..drawn.size).map(move |y| (x, y))) {
            let dark = code.get_module(i32::from(x) - 4, i32::from(y) - 4);
            assert_eq!(drawn.runs.iter().any(|run| is_in(run, x, y)), dark, "{x} {y}");
        }
        assert_eq!(Code::of(&"x".repeat(3000)), None);
    }
}
