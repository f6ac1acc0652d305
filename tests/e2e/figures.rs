//! What alerts look at is there from a program's first moment: the increase of a counter that first shows as 1 is none.

use aincident_tests::{Hub, Node, Scratch, wait_until};
use std::path::Path;
use std::time::Duration;

/// What need not be there, and why.
const LATER: [(&str, &str); 5] = [
    ("up", "Prometheus makes it"),
    ("outbound_breaker_open", "a gauge, there as soon as a service is asked"),
    ("backup_last_made_time_seconds", "a gauge, of sites that are told to make backups"),
    (
        "tls_certificate_not_after_seconds",
        "a gauge, of sites that have TLS: these listen on a loopback address",
    ),
    ("process_max_fds", "not there where the system grants any number"),
];

/// A series that a rule names: its figure and the labels that have to be just so.
type Series = (String, Vec<(String, String)>);

/// Every series of the rules' expressions.
fn named() -> Vec<Series> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus/aincident.rules.yml");
    let rules = std::fs::read_to_string(rules).unwrap();
    let mut series = Vec::new();
    for (at, _) in rules.match_indices("{job=~\"aincident.*\"") {
        let before = &rules[..at];
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        let figure = before[before.trim_end_matches(is_part).len()..].to_owned();
        let inside = rules[at + 1..].split('}').next().unwrap();
        let labels = inside.split(", ").filter_map(|one| one.split_once("=\""));
        let labels = labels.filter(|(name, _)| !name.ends_with(['!', '~']));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
        series.push((figure, labels.collect()));
    }
    assert!(series.len() > 25, "the walk found almost none: {series:?}");
    series
}

/// Whether `text` shows the series.
fn shows(text: &str, (figure, labels): &Series) -> bool {
    text.lines().any(|line| {
        let rest = line.strip_prefix(figure.as_str()).filter(|rest| rest.starts_with(['{', ' ']));
        rest.is_some_and(|rest| labels.iter().all(|(name, value)| rest.contains(&format!("{name}=\"{value}\""))))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_was_just_started_shows_every_series_that_alerts_look_at() {
    let scratch = Scratch::new("figures");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    // One that nobody has enrolled yet.
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.start().await;
    for (site, program, others) in [(&*hub, "hub", "aincident_"), (&*node, "node", "hub_")] {
        let here = |figure: &str| {
            let is_the_nodes = figure == "clock_offset_seconds" && program == "hub";
            !figure.starts_with(others) && !is_the_nodes && LATER.iter().all(|(later, _)| *later != figure)
        };
        let wanted: Vec<Series> = named().into_iter().filter(|(figure, _)| here(figure)).collect();
        let client = site.client();
        // The log of the database is measured by a thread of its own.
        wait_until(&format!("the {program} to show them"), Duration::from_secs(20), async || {
            let text = String::from_utf8(client.get("/metrics").await.body).unwrap();
            let missing: Vec<_> = wanted.iter().filter(|series| !shows(&text, series)).collect();
            if !missing.is_empty() {
                eprintln!("the {program} does not show {missing:?} yet");
            }
            missing.is_empty()
        })
        .await;
    }
}
