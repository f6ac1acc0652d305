//! What it costs to open a page, and to do something on it, with a quarter of the processor.
//!
//! Told is what came over the wire, what the server took, when something was painted, and what the browser's own thread did for it:
//! style, layout, scripts, everything. Beside the pages stands one with a word on it and nothing else: what no page can be cheaper than on
//! this machine at this moment. Where even that takes more than a tenth of a second the machine has other things to do, and a page may be
//! seen two tenths later than it. The programs of a debug build answer many times slower than those of a release; with them the server's
//! part is told and not judged.

use crate::number;
use crate::pages::{self, Visit};
use crate::sites::Sites;
use aincident_tests::{Browser, tell};
use serde_json::{Value, json};

/// Compressed, photos left out, style and scripts included.
const MOST_BYTES: f64 = 60_000.0;
/// Until something is painted, in milliseconds, on loopback.
const MOST_PAINT_MS: f64 = 300.0;
/// On a machine that is busy otherwise: until so much after what a page with a word on it takes.
const MOST_LATER_MS: f64 = 200.0;
/// From a press to the frame that shows what it does, in milliseconds.
const MOST_INTERACTION_MS: f64 = 50.0;
/// Each page is opened so often. The best time counts: whatever else the machine does can only add to it.
const TIMES: usize = 4;
/// What seems to be over its budget is measured again, up to so often.
const ROUNDS: usize = 3;

/// What opening a page took, in milliseconds.
#[derive(Clone, Copy)]
struct Cost {
    /// From the beginning to the last byte of the page.
    server: f64,
    /// From the beginning to the first thing that is seen.
    painted: f64,
    style: f64,
    layout: f64,
    script: f64,
    task: f64,
}

impl Cost {
    const WORST: Self = Self {
        server: f64::INFINITY,
        painted: f64::INFINITY,
        style: f64::INFINITY,
        layout: f64::INFINITY,
        script: f64::INFINITY,
        task: f64::INFINITY,
    };

    /// The best of each.
    fn or(self, other: Self) -> Self {
        Self {
            server: self.server.min(other.server),
            painted: self.painted.min(other.painted),
            style: self.style.min(other.style),
            layout: self.layout.min(other.layout),
            script: self.script.min(other.script),
            task: self.task.min(other.task),
        }
    }
}

/// Whether a visit is measured: once each page, as it mostly is.
fn is_measured(visit: &Visit, only: &[String]) -> bool {
    let not = [
        "nothing-here",
        "soon",
        "nothing+like",
        "first",
        "unenrolled",
        "settled",
        "deleted",
        "at headquarters",
        "nobody",
    ];
    visit.deeds.is_empty() && not.iter().all(|part| !visit.name.contains(part)) && visit.is_among(only)
}

/// Measures every page; answers what is over its budget.
pub async fn measure(browser: &Browser, sites: &Sites, only: &[String]) -> Vec<String> {
    browser.size(1440, 900).await;
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Performance.enable", json!({})).await;
    tell(&format!(
        "{:52} {:>7} | {:>6} {:>7} {:>7} | {:>5} {:>6} {:>6} {:>5} | {:>5}  (ms, best of {TIMES}, a quarter of the processor)",
        "page", "bytes", "server", "painted", "a word", "style", "layout", "script", "all", "press"
    ));
    let empty = format!("{}/healthz", sites.hub.url());
    let mut over = Vec::new();
    for visit in pages::visits(sites).into_iter().filter(|visit| is_measured(visit, only)) {
        browser.cdp("Network.clearBrowserCache", json!({})).await;
        // What a worker hands on is counted as it is unpacked.
        browser.cdp("Network.setBypassServiceWorker", json!({"bypass": true})).await;
        crate::open(browser, sites, &visit, "en").await;
        let bytes = came(browser).await;
        browser.cdp("Network.setBypassServiceWorker", json!({"bypass": false})).await;
        let (mut cost, mut word, mut press) = (Cost::WORST, Cost::WORST, f64::INFINITY);
        let mut wrong = Vec::new();
        for _ in 0..ROUNDS {
            browser.cdp("Emulation.setCPUThrottlingRate", json!({"rate": 4})).await;
            for _ in 0..TIMES {
                word = word.or(opened(browser, &empty).await);
                cost = cost.or(opened(browser, &visit.url).await);
                press = press.min(pressed(browser).await);
            }
            browser.cdp("Emulation.setCPUThrottlingRate", json!({"rate": 1})).await;
            wrong = complaints(bytes, cost, word, press);
            if wrong.is_empty() {
                break;
            }
        }
        tell(&format!(
            "{:52} {bytes:>7.0} | {:>6.0} {:>7.0} {:>7.0} | {:>5.0} {:>6.0} {:>6.0} {:>5.0} | {press:>5.0}",
            visit.name, cost.server, cost.painted, word.painted, cost.style, cost.layout, cost.script, cost.task
        ));
        over.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", visit.name)));
    }
    over
}

/// What is over its budget.
fn complaints(bytes: f64, cost: Cost, word: Cost, press: f64) -> Vec<String> {
    let judged = if cfg!(debug_assertions) { cost.painted - cost.server } else { cost.painted };
    let most = MOST_PAINT_MS.max(word.painted - word.server + MOST_LATER_MS);
    let all = [
        ("bytes", bytes, MOST_BYTES),
        ("painted after (ms)", judged, most),
        ("from a press to its frame (ms)", press, MOST_INTERACTION_MS),
    ];
    let over = all.into_iter().filter(|(_, value, most)| value > most);
    over.map(|(what, value, most)| format!("{what} {value:.0}, at most {most:.0}")).collect()
}

/// Everything but photos that came over the wire when nothing was kept yet.
async fn came(browser: &Browser) -> f64 {
    let script = "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]; \
        return all.filter((e) => !e.name.includes('/api/v1/photos/')).reduce((sum, e) => sum + e.transferSize, 0)";
    number(&browser.js(script, &[]).await)
}

/// Opens the page, with style and scripts kept.
async fn opened(browser: &Browser, url: &str) -> Cost {
    let before = worked(browser).await;
    browser.go(url).await;
    let script = "return new Promise((done) => { const look = () => { \
        const paint = performance.getEntriesByName('first-contentful-paint')[0]; \
        const page = performance.getEntriesByType('navigation')[0]; \
        paint ? done([page.responseEnd, paint.startTime]) : requestAnimationFrame(look); }; look(); })";
    let times = browser.js(script, &[]).await;
    let after = worked(browser).await;
    let ms = |name: &str| {
        let (was, is) = (number(&before[name]), number(&after[name]));
        // Another process of the browser's begins anew.
        1e3 * if is >= was { is - was } else { is }
    };
    Cost {
        server: number(&times[0]),
        painted: number(&times[1]),
        style: ms("RecalcStyleDuration"),
        layout: ms("LayoutDuration"),
        script: ms("ScriptDuration"),
        task: ms("TaskDuration"),
    }
}

/// What the browser's thread for the page has done so far, in seconds, by name.
async fn worked(browser: &Browser) -> Value {
    let all = browser.cdp("Performance.getMetrics", json!({})).await;
    let metrics = all["metrics"].as_array().cloned().unwrap_or_default();
    metrics
        .into_iter()
        .filter_map(|metric| Some((metric["name"].as_str()?.to_owned(), metric["value"].clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// From a press on the first control of the page to the frame after it.
async fn pressed(browser: &Browser) -> f64 {
    let script = "return new Promise((done) => { \
        const control = document.querySelector('main summary, main input[type=checkbox], main input, header summary'); \
        const began = performance.now(); control.focus(); control.click(); \
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0)); })";
    number(&browser.js(script, &[]).await)
}
