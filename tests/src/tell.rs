//! Lines that have to be seen whether a test passes or not: what was left out, what was measured, which seed was used.

use std::io::Write as _;

/// Writes a line to stdout, past the test runner, which keeps what `println!` prints of a test that passes.
pub fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads it: no reason to fail.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
