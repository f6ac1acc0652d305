//! Benchmarks over the real programs: how fast, how small. A table for people; `--json FILE` writes it for machines.
//!
//! `bench [--json FILE] [--incidents N] [--seconds S]`: N incidents in the ledger for the list (100,000), S seconds for each
//! measurement (8). Figures of one run on one machine: compare them with another run on the same one.
//!
//! `bench --backup [--incidents N]`: nothing but the backup of a store with N incidents and a tenth as many photos, and its way back.
//!
//! `bench --narrow`: nothing but 20 MB of photos over a narrow line that loses, some twelve minutes.

mod backup;
mod creates;
mod list;
mod photos;
mod steps;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is measured how long, with how much.
struct Plan {
    incidents: u64,
    seconds: u64,
    json: Option<PathBuf>,
    backup: bool,
    narrow: bool,
}

/// One line of the table.
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Figure {
    fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit }
    }

    fn shown(&self) -> String {
        let digits = if self.value < 10.0 { 2 } else { 0 };
        format!("{:<58} {:>12.digits$} {}", self.name, self.value, self.unit)
    }
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan { incidents: 100_000, seconds: 8, json: None, backup: false, narrow: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--backup" => plan.backup = true,
            "--narrow" => plan.narrow = true,
            "--json" => plan.json = Some(PathBuf::from(value()?)),
            "--incidents" => plan.incidents = number(value()?)?.max(1),
            "--seconds" => plan.seconds = number(value()?)?.max(1),
            _ => {
                return Err(format!(
                    "unknown option {word}; there are --json FILE, --incidents N, --seconds S, --backup and --narrow"
                ));
            }
        }
    }
    Ok(plan)
}

/// Twenty incidents with a photo of a megabyte each, over 256 kbit/s with 600 ms there and back and 2 % loss.
async fn narrow() -> Vec<Figure> {
    let cargo = aincident_tests::narrow::Cargo { incidents: 20, pixels: (1300, 975), files: Vec::new() };
    let found = aincident_tests::narrow::run(&cargo, &mut aincident_tests::Rng::new(20_261_128)).await;
    vec![
        Figure::new("narrow line: 20 records at headquarters", found.records.as_secs_f64(), "s"),
        Figure::new("narrow line: their thumbnails, too", found.thumbnails.as_secs_f64(), "s"),
        Figure::new("narrow line: everything", found.all.as_secs_f64(), "s"),
        Figure::new("narrow line: bytes after the thumbnails", found.bytes as f64 / 1e6, "MB"),
        Figure::new("narrow line: what these took of its width", found.share * 100.0, "%"),
        Figure::new("narrow line: all bytes by those of the contents", found.sent, "x"),
    ]
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("bench: {wrong}");
            return ExitCode::from(2);
        }
    };
    let figures = match &plan {
        Plan { narrow: true, .. } => narrow().await,
        Plan { backup: true, .. } => backup::measure(&plan).await,
        _ => steps::all(&plan).await,
    };
    println!();
    for figure in &figures {
        println!("{}", figure.shown());
    }
    if let Some(file) = &plan.json {
        let rows: Vec<Value> = figures
            .iter()
            .map(|figure| json!({ "name": figure.name, "value": figure.value, "unit": figure.unit }))
            .collect();
        let text = json!({ "incidents": plan.incidents, "seconds": plan.seconds, "figures": rows }).to_string();
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("bench: cannot write {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
