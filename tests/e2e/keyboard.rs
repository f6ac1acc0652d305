//! Without a mouse, in a real browser: a report is written and sent, and the same is done to many, by keys alone; and it is always seen
//! where one is.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Browser, Hub, Node, Scratch, wait_until};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const ENTER: &str = "\u{e007}";
const DOWN: &str = "\u{e015}";
const SHIFT: char = '\u{e008}';

/// Logs in at a page of `url` as people do who do not point.
async fn log_in(browser: &Browser, url: &str, username: &str) {
    browser.go(&format!("{url}/login")).await;
    // The focus is on the first field.
    browser.press(username).await;
    browser.tab_to("input[name=password]", 2).await;
    browser.press(PASSWORD).await;
    browser.press(ENTER).await;
    wait_until("to be logged in", PATIENCE, async || !browser.url().await.contains("/login")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_written_and_sent_by_keys_alone() {
    let scratch = Scratch::new("keys");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let browser = Browser::start(&scratch).await;
    log_in(&browser, node.url(), "employee-042").await;
    browser.says("What happened?").await;
    browser.press("A shelf came down in aisle 4").await;
    browser.tab_to("input[name=category]", 4).await;
    browser.press(" ").await;
    // Within a group of choices it is the arrows.
    browser.press(DOWN).await;
    browser.tab_to("input[name=severity]", 2).await;
    browser.tab_to("details.part:nth-of-type(1) > summary", 2).await;
    browser.press(ENTER).await;
    browser.tab_to("input[name=location]", 24).await;
    browser.press("By the paint").await;
    browser.tab_to("form.sheet .sticky button.primary", 8).await;
    browser.press(ENTER).await;
    browser.says("On the store's PC").await;
    let listed = node.manager().await.list("").await;
    assert_eq!(
        (&listed[0]["description"], &listed[0]["location"]),
        (&json!("A shelf came down in aisle 4"), &json!("By the paint"))
    );
    assert_eq!(listed[0]["category"], "fraud", "the second one of the list");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_incidents_are_chosen_closed_and_told_of_by_keys_alone() {
    let scratch = Scratch::new("keys-bulk");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let ada = hub.login("ada", PASSWORD).await;
    for n in 0..6 {
        let fields = json!({"store_code": "042", "description": format!("number {n}"), "assigned_to": "manager-042"});
        let _ = ada.post("/api/v1/incidents", &fields).await.expect(201);
    }
    let browser = Browser::start(&scratch).await;
    log_in(&browser, hub.url(), "harriet").await;
    browser.go(&format!("{}/incidents", hub.url())).await;
    browser.says("number 5").await;
    // Past the header, the search, the filters and the views.
    browser.tab_to(".choose input", 40).await;
    browser.press(" ").await;
    browser.tab_to(".row:nth-of-type(4) .choose input", 8).await;
    browser.press_with(SHIFT, ' ').await;
    wait_until("three to be chosen", PATIENCE, async || browser.text("[data-chosen]").await == "3").await;
    assert!(browser.text("#live").await.starts_with("Chosen: 3."), "whoever does not see it is told, too");
    browser.press(ENTER).await;
    browser.press("\u{e004}").await;
    browser.tab_to(".bulk [name=reason]", 2).await;
    // Without a reason nothing happens but that it is asked for; with one, Enter closes and does not assign.
    browser.press(ENTER).await;
    assert!(browser.url().await.ends_with("/incidents"));
    browser.press("settled at the till").await;
    browser.press(ENTER).await;
    browser.says("Done for 3 incidents.").await;
    let listed = hub.harriet().await.list("").await;
    let closed = listed.iter().filter(|incident| incident["status"] == "closed").count();
    assert_eq!(closed, 3);
    assert!(
        listed.iter().all(|incident| incident["assigned_to"] == "manager-042"),
        "nobody was taken anything from"
    );
    browser.tab_to("a.button.primary", 20).await;
    browser.press(ENTER).await;
    browser.says("number 5").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
