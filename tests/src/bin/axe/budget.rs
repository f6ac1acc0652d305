//! What it costs to open a page for the first time, and to do something on it.

use crate::number;
use crate::pages::Sites;
use aincident_tests::{Browser, tell};
use serde_json::json;

/// Compressed, photos left out, style and scripts included.
const MOST_BYTES: f64 = 60_000.0;
/// Until something is painted, in milliseconds, on loopback with a quarter of the processor.
const MOST_PAINT_MS: f64 = 300.0;
/// From a key to what it does, in milliseconds.
const MOST_INTERACTION_MS: f64 = 50.0;
/// Each page is opened so often. The best time counts: whatever else the machine does can only add to it.
const TIMES: usize = 5;

/// Measures every page that headquarters opens; answers what is over its budget.
pub async fn measure(sites: &Sites) -> Vec<String> {
    let browser = sites.administrator();
    browser.size(1440, 900).await;
    browser.cdp("Network.enable", json!({})).await;
    tell(
        "page                                     first bytes   painted   interaction (best of 5, processor at a quarter)",
    );
    let mut over = Vec::new();
    let mut seen = Vec::new();
    for visit in sites.visits() {
        let is_ours = visit.url.starts_with(sites.hub.url()) && !visit.url.ends_with("/login");
        if !is_ours || visit.url.contains("nothing-here") || visit.url.contains("soon") || seen.contains(&visit.name) {
            continue;
        }
        seen.push(visit.name.clone());
        let bytes = first_bytes(browser, &visit.url).await;
        browser.cdp("Emulation.setCPUThrottlingRate", json!({"rate": 4})).await;
        let (mut paints, mut acts) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            paints.push(painted(browser, &visit.url).await);
            acts.push(interaction(browser).await);
        }
        browser.cdp("Emulation.setCPUThrottlingRate", json!({"rate": 1})).await;
        let (paint, act) = (best(&paints), best(&acts));
        tell(&format!("{:40} {bytes:>9.0} B {paint:>7.0} ms {act:>8.0} ms", visit.name));
        for (what, value, most) in [
            ("bytes", bytes, MOST_BYTES),
            ("painted", paint, MOST_PAINT_MS),
            ("interaction", act, MOST_INTERACTION_MS),
        ] {
            if value > most {
                over.push(format!("{}: {what} {value:.0}, at most {most:.0}", visit.name));
            }
        }
    }
    over
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Everything but photos that comes over the wire when nothing is kept yet.
async fn first_bytes(browser: &Browser, url: &str) -> f64 {
    browser.cdp("Network.clearBrowserCache", json!({})).await;
    browser.go(url).await;
    let script = "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]; \
        return all.filter((e) => !e.name.includes('/api/v1/photos/')).reduce((sum, e) => sum + e.transferSize, 0)";
    number(&browser.js(script, &[]).await)
}

/// From the beginning of the navigation to the first thing that is seen, with style and scripts kept.
async fn painted(browser: &Browser, url: &str) -> f64 {
    browser.go(url).await;
    let script = "return new Promise((done) => { const look = () => { \
        const paint = performance.getEntriesByName('first-contentful-paint')[0]; \
        paint ? done(paint.startTime) : requestAnimationFrame(look); }; look(); })";
    number(&browser.js(script, &[]).await)
}

/// From a press on the first control of the page to the frame after it.
async fn interaction(browser: &Browser) -> f64 {
    let script = "return new Promise((done) => { \
        const control = document.querySelector('main summary, main input[type=checkbox], main input, header summary'); \
        const began = performance.now(); control.focus(); control.click(); \
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0)); })";
    number(&browser.js(script, &[]).await)
}
