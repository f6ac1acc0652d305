//! What the demo looks like: 80 columns, live where stdout is a terminal, plain lines where it is not.

use aincident_tests::figures;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::{Duration, Instant};

/// How often a live view is drawn anew.
pub const FRAME: Duration = Duration::from_millis(80);
/// How often plain output gets a line per store.
const PLAIN_FRAME: Duration = Duration::from_secs(1);

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const GREEN: &str = "\u{1b}[32m";
const RESET: &str = "\u{1b}[0m";

/// Whether somebody watches.
pub fn is_live() -> bool {
    stdout().is_terminal()
}

fn write(text: &str) {
    let mut out = stdout().lock();
    // A closed pipe is no reason to fail: the story goes on, its exit code tells how it went.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn styled(style: &str, text: &str) -> String {
    if is_live() { format!("{style}{text}{RESET}") } else { text.to_owned() }
}

/// A line.
pub fn line(text: &str) {
    write(text);
}

/// The title and what the story is about.
pub fn title(name: &str, about: &[&str]) {
    write(&format!("\n{}", styled(BOLD, name)));
    for text in about {
        write(&styled(DIM, text));
    }
}

/// The head of a chapter.
pub fn chapter(number: u8, text: &str) {
    write(&format!("\n{} {}", styled(DIM, &format!("{number} ─")), styled(BOLD, text)));
}

/// A line of a chapter.
pub fn note(text: &str) {
    write(&format!("    {text}"));
}

/// Something that was found to be so.
pub fn check(text: &str, figure: &str) {
    write(&format!("    {} {text:<52} {figure:>20}", styled(GREEN, "✓")));
}

/// Where one store stands.
#[derive(Clone, Debug)]
pub struct Lane {
    /// `042 Downtown`.
    pub name: String,
    /// Incidents recorded in the store.
    pub recorded: u64,
    /// Of these, at headquarters.
    pub arrived: u64,
    /// Changes that wait.
    pub pending: u64,
    /// Bytes over the link since it came back, both ways.
    pub bytes: u64,
}

/// The live view of several lanes.
pub struct Lanes {
    started: Instant,
    drawn: usize,
    last: Option<Instant>,
}

impl Lanes {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { started: Instant::now(), drawn: 0, last: None }
    }

    /// Shows where the lanes stand; `last`: for the last time.
    pub fn show(&mut self, lanes: &[Lane], last: bool) {
        let elapsed = self.started.elapsed();
        if is_live() {
            let mut out = stdout().lock();
            if self.drawn > 0 {
                let _ = write!(out, "\u{1b}[{}A", self.drawn);
            }
            for lane in lanes {
                let _ = writeln!(out, "\u{1b}[2K{}", lane.drawn());
            }
            let _ = writeln!(out, "\u{1b}[2K    {DIM}{} since headquarters came back{RESET}", figures::time(elapsed));
            let _ = out.flush();
            self.drawn = lanes.len() + 1;
        } else if last || self.last.is_none_or(|at| at.elapsed() >= PLAIN_FRAME) {
            for lane in lanes {
                write(&format!("{}  {}", lane.drawn(), figures::time(elapsed)));
            }
            self.last = Some(Instant::now());
        }
    }
}

impl Lane {
    /// One line of at most 80 columns.
    fn drawn(&self) -> String {
        let bar = figures::bar(self.arrived, self.recorded, 20);
        let bytes = figures::bytes(self.bytes);
        let figures = format!("{:>3} of {:<3} {:>4} waiting", self.arrived, self.recorded, self.pending);
        format!("    {:<17} {} {figures} {bytes:>9}", self.name, styled(GREEN, &bar))
    }
}
