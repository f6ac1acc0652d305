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
#[derive(Clone, Debug, Default)]
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
    /// Photos taken in the store.
    pub photos: u64,
    /// Of these, how many can be looked at, at headquarters.
    pub thumbnails: u64,
    /// Of these, how many are there whole, their digest checked.
    pub originals: u64,
    /// What photos consist of, in bytes.
    pub content: u64,
    /// Of that, what headquarters has not verified.
    pub content_pending: u64,
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
            for line in lanes.iter().flat_map(Lane::drawn) {
                let _ = writeln!(out, "\u{1b}[2K{line}");
            }
            let _ = writeln!(out, "\u{1b}[2K    {DIM}{} since headquarters came back{RESET}", figures::time(elapsed));
            let _ = out.flush();
            self.drawn = lanes.len() * 2 + 1;
        } else if last || self.last.is_none_or(|at| at.elapsed() >= PLAIN_FRAME) {
            for line in lanes.iter().flat_map(Lane::drawn) {
                write(&line);
            }
            write(&format!("    {} since headquarters came back", figures::time(elapsed)));
            self.last = Some(Instant::now());
        }
    }
}

impl Lane {
    /// Two lines of at most 80 columns: records, photos.
    fn drawn(&self) -> [String; 2] {
        let (all, there) = (self.content, self.content - self.content_pending.min(self.content));
        let bar = |done, all| styled(GREEN, &figures::bar(done, all, 14));
        let records = format!("{:>2} of {:<2} incidents, {:>3} wait", self.arrived, self.recorded, self.pending);
        let photos = format!(
            "{:>2} of {} thumbnails, {:>2} originals  {:>9}",
            self.thumbnails,
            self.photos,
            self.originals,
            figures::bytes(there),
        );
        let (first, second) = (bar(self.arrived, self.recorded), bar(there, all));
        let wire = figures::bytes(self.bytes);
        [
            format!("    {:<17} {first} {records}  {wire:>8}", self.name),
            format!("    {:<17} {second} {photos}", "  photos"),
        ]
    }
}
