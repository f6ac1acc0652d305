//! Every page of both programs, as people who do not see or point look at it (axe-core), and what it costs to open one on a slow
//! machine. `make axe` runs it; `target/debug/axe AXE.JS`.
//!
//! What axe-core calls serious or critical fails the run, as does a first load above its bytes. Times are printed and judged
//! against their budgets, too: the processor is throttled to a quarter.

mod budget;
mod pages;

use aincident_tests::{Browser, tell};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(axe) = std::env::args().nth(1) else {
        eprintln!("name axe-core's axe.min.js: make axe does it");
        return ExitCode::from(2);
    };
    let axe = match std::fs::read_to_string(&axe) {
        Ok(axe) => axe,
        Err(error) => {
            eprintln!("{axe} cannot be read: {error}; make axe installs it");
            return ExitCode::FAILURE;
        }
    };
    let sites = pages::Sites::start().await;
    let mut faults = Vec::new();
    for (width, height, dark) in [(1440, 900, false), (390, 844, true)] {
        for visit in sites.visits() {
            let browser = sites.browser(&visit).await;
            browser.size(width, height).await;
            let scheme =
                json!({"features": [{"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }}]});
            browser.cdp("Emulation.setEmulatedMedia", scheme).await;
            browser.go(&visit.url).await;
            for fault in look(browser, &axe).await {
                faults.push(format!("{} ({width}, {}): {fault}", visit.name, if dark { "dark" } else { "light" }));
            }
        }
    }
    tell(&format!("axe-core: {} pages, each twice", sites.visits().len()));
    let mut grouped: BTreeMap<String, u32> = BTreeMap::new();
    for fault in faults {
        *grouped.entry(fault).or_default() += 1;
    }
    for (fault, times) in &grouped {
        tell(&format!("  {fault}{}", if *times > 1 { format!(" (×{times})") } else { String::new() }));
    }
    let over = budget::measure(&sites).await;
    for line in &over {
        tell(&format!("  over: {line}"));
    }
    sites.end().await;
    if grouped.is_empty() && over.is_empty() {
        tell("nothing serious, and everything within its budget");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What axe-core finds serious or critical on the page that is open, everything folded open.
async fn look(browser: &Browser, axe: &str) -> Vec<String> {
    // Past the page's own policy, which lets no script in: as a developer's tool does.
    browser.cdp("Runtime.evaluate", json!({ "expression": axe })).await;
    let run = "(async () => { for (const d of document.querySelectorAll('details')) d.open = true; \
        const found = await axe.run(document, { resultTypes: ['violations'] }); \
        return JSON.stringify(found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)) \
          .map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))])); })()";
    let answer = browser
        .cdp("Runtime.evaluate", json!({ "expression": run, "awaitPromise": true, "returnByValue": true }))
        .await;
    let Some(text) = answer["result"]["value"].as_str() else {
        return vec![format!("axe-core did not run: {answer}")];
    };
    let found: Vec<(String, String, Vec<String>)> = serde_json::from_str(text).unwrap_or_default();
    found.into_iter().map(|(id, help, nodes)| format!("{id}: {help}: {}", nodes.join(" | "))).collect()
}

/// A number of an answer.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}
