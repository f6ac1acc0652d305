//! The heavy work of a store's PC by itself, in processor time: a photo made into what people look at, and a report with ten
//! photos. `cargo bench -p desk --bench work -- PHOTO.jpg`; `tests/bench/peers/run.sh` puts others' figures beside it.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to a person, and may panic"
)]

use desk::photos::derive::derive;
use desk::reports::{Paper, Photo, PhotoState, Report, Store, render};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

const TIMES: u32 = 20;

fn main() -> ExitCode {
    // Cargo adds words of its own.
    let Some(path) = std::env::args().skip(1).find(|word| !word.starts_with("--")) else {
        eprintln!("work: name a photo");
        return ExitCode::from(2);
    };
    let derived = derive(Path::new(&path)).expect("the file").expect("a picture");
    line("photo to 1600x1200 and 320x240, processor", || {
        let _ = derive(Path::new(&path)).expect("the file").expect("a picture");
    });
    let report = report(&derived.display);
    line("report with 10 photos, processor", || {
        let _ = render(&report, Paper::A4).expect("a report");
    });
    std::fs::write(format!("{path}.display.jpg"), &derived.display).expect("the folder");
    ExitCode::SUCCESS
}

/// The mean of several runs, in milliseconds.
fn line(name: &str, mut work: impl FnMut()) {
    let before = cpu_ms();
    for _ in 0..TIMES {
        work();
    }
    println!("{name}\tours\t{:.1}\tms", (cpu_ms() - before) as f64 / f64::from(TIMES));
}

/// Processor time of this process, all threads together: the decoder has some of its own.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a Linux");
    // Behind the name, which may hold anything: fields 14 and 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum::<u64>() * 10
}

fn report(jpeg: &[u8]) -> Report {
    let photo = |n: usize| Photo {
        jpeg: Arc::from(jpeg),
        width: 1600,
        height: 1200,
        caption: Some(format!("Aisle {n}, from the entrance")),
        taken_at: Some("2026-11-20T10:00:00Z".to_owned()),
        uploaded_at: "2026-11-20T10:05:00Z".to_owned(),
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        filename: format!("aisle-{n}.jpg"),
        state: PhotoState::Ready,
    };
    Report {
        company: "Cedar & Sons".to_owned(),
        store: Store {
            code: "042".to_owned(),
            name: "Downtown".to_owned(),
            timezone: "America/Chicago".to_owned(),
        },
        incident: json!({
            "id": "0198b4c0-0000-7000-8000-000000000001", "store_code": "042", "reference": "042-2026-000017-K7",
            "occurred_at": "2026-11-20T09:40:00Z", "recorded_at": "2026-11-20T10:00:00Z", "reported_by": "kim",
            "reported_by_name": "Kim O'Hara", "category": "vandalism", "severity": 3, "status": "submitted",
            "title": "Broken window", "description": "The window beside the entrance was broken overnight. ".repeat(10),
            "people": [], "items": [], "tags": [], "photos": [], "comments": [], "custom": {},
            "version": "0123456789abcdef0123456789abcdef",
        }),
        history: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        photos: (1..=10).map(photo).collect(),
        chain: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        printed_at_ms: 1_795_435_200_000,
        url: "https://node.example/incidents/0198b4c0-0000-7000-8000-000000000001".to_owned(),
    }
}
