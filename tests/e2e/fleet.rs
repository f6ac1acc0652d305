//! Five thousand nodes in a real browser: the page opens, is sorted, searched and turned; what it takes is told.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Browser, Hub, Scratch, plant, tell};
use serde_json::json;
use std::time::Instant;

const NODES: u32 = 5000;
/// From the beginning of the page's navigation to its last byte and to the first thing that was seen, in milliseconds.
const TIMES: &str = "return new Promise((done) => { const look = () => { \
    const paint = performance.getEntriesByName('first-contentful-paint')[0]; \
    const page = performance.getEntriesByType('navigation')[0]; \
    paint ? done([Math.round(page.responseEnd), Math.round(paint.startTime)]) : requestAnimationFrame(look); }; look(); })";

async fn told(browser: &Browser, what: &str, began: Instant) {
    let took = began.elapsed().as_millis();
    let times = browser.js(TIMES, &[]).await;
    tell(&format!(
        "fleet of {NODES}: {what}: {took} ms; the page came after {}, was seen after {}",
        times[0], times[1]
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_five_thousand_opens_is_sorted_searched_and_turned_in_a_browser() {
    let scratch = Scratch::new("fleet");
    let mut hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    hub.stop().await;
    plant::fleet(&hub, NODES, &["042", "117"]);
    hub.start().await;
    let browser = Browser::start(&scratch).await;
    browser.log_in(hub.url(), "harriet", PASSWORD).await;
    let began = Instant::now();
    browser.go(&format!("{}/fleet", hub.url())).await;
    browser.says("5,000 nodes").await;
    told(&browser, "opened", began).await;
    browser.says("50 need a look").await;
    let rows = browser.count("tbody tr").await;
    assert!((100..=200).contains(&rows), "{rows} rows at once");
    // What needs a look stands first.
    assert!(browser.text("tbody tr:first-child").await.contains("silent"));

    let began = Instant::now();
    browser.click("th a.sorter[href*='sort=-lag']").await;
    browser.is_at("sort=-lag").await;
    told(&browser, "sorted by what waits", began).await;
    let lag = "return [...document.querySelectorAll('tbody tr')].map((row) => Number(row.children[3].textContent))";
    let lags: Vec<u64> = serde_json::from_value(browser.js(lag, &[]).await).unwrap();
    assert!(lags[0] == 49 && lags.windows(2).all(|two| two[0] >= two[1]), "{lags:?}");
    assert_eq!(browser.count("th[aria-sort=descending]").await, 1);

    let first = browser.text("tbody tr:first-child th").await;
    let began = Instant::now();
    browser.click("a[rel=next]").await;
    browser.is_at("page=2").await;
    told(&browser, "turned", began).await;
    assert_ne!(browser.text("tbody tr:first-child th").await, first);

    // As one types, without a page in between.
    let began = Instant::now();
    browser.keys("input[name=q]", "till-0777").await;
    browser.says("1 node / 5").await;
    tell(&format!("fleet of {NODES}: found after {} ms from the first key on", began.elapsed().as_millis()));
    assert_eq!(browser.count("tbody tr").await, 1);
    browser.click("tbody a").await;
    browser.is_at("/fleet/0197").await;
    browser.says("till-0777").await;

    browser.size(360, 740).await;
    browser.go(&format!("{}/fleet?alarms=true", hub.url())).await;
    browser.says("till-").await;
    assert_eq!(browser.count("tbody tr").await, 50);
    assert_eq!(browser.js("return document.documentElement.scrollWidth <= 360", &[]).await, json!(true));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
