//! People who share a device, in a real browser.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Browser, Hub, Node, Scratch, wait_until};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const PIN: &str = "2580";

async fn set_pin(till: &Browser, url: &str, username: &str) {
    till.log_in(url, username, PASSWORD).await;
    till.go(&format!("{url}/pin")).await;
    till.keys("input[name=pin]", PIN).await;
    till.keys("input[name=again]", PIN).await;
    till.keys("input[name=password]", PASSWORD).await;
    till.click("form[action='/pin'] button.primary").await;
    till.says("Your PIN is set.").await;
}

/// Keeps a report on the device that waits for its writer.
const KEEP: &str = "const entry = {id: arguments[0], user: arguments[1], at: Date.now(), fields: [['description', arguments[2]]], files: []}; \
    return new Promise((done, failed) => { const asked = indexedDB.open('aincident', 1); \
      asked.onupgradeneeded = () => asked.result.createObjectStore('outbox', {keyPath: 'id'}); asked.onsuccess = () => { \
      const kept = asked.result.transaction('outbox', 'readwrite'); kept.objectStore('outbox').put(entry); \
      kept.oncomplete = () => { asked.result.close(); done(true); }; kept.onerror = failed; }; });";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_switched_by_pin_and_what_waits_on_the_device_stays_its_writers() {
    let scratch = Scratch::new("switch");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let till = Browser::start(&scratch).await;
    set_pin(&till, node.url(), "employee-042").await;
    set_pin(&till, node.url(), "manager-042").await;
    till.go(node.url()).await;
    till.says("What happened?").await;
    let id = "019aa000-0000-7000-8000-00000000004a";
    assert_eq!(till.js(KEEP, &[json!(id), json!("employee-042"), json!("The till was short")]).await, true);

    // By thumb, on the pad.
    till.click(".top-end details.drop summary").await;
    till.click(".drop-body a[href='/switch']").await;
    till.says("Switch user").await;
    assert_eq!(till.count(".face").await, 2);
    till.click(".face[href*='who=employee-042']").await;
    for digit in ["2", "5", "8", "8"] {
        till.click(&format!(".pad [data-digit='{digit}']")).await;
    }
    till.click(".pad [data-digit='']").await;
    till.click(".pad [data-digit='0']").await;
    till.click("form[data-pad] button.primary").await;
    till.says("What happened?").await;
    assert_eq!(till.js("return document.body.dataset.user", &[]).await, "employee-042");
    // What waited goes now, under its writer's name.
    let manager = node.manager().await;
    wait_until("the report", PATIENCE, async || manager.list("").await.len() == 1).await;
    assert_eq!(manager.list("").await[0]["reported_by"], "employee-042");

    // By keyboard: the field has the focus.
    till.go(&format!("{}/switch?who=manager-042", node.url())).await;
    till.says("PIN").await;
    till.press("1357").await;
    till.press("\u{e007}").await;
    till.says("This is not the PIN. After 4 more").await;
    till.press(PIN).await;
    till.press("\u{e007}").await;
    till.says("What happened?").await;
    assert_eq!(till.js("return document.body.dataset.user", &[]).await, "manager-042");

    // A wrong PIN is answered 401, which the browser notes.
    let mut complaints = till.complaints().await;
    complaints.retain(|complaint| !complaint.contains("status of 401"));
    assert_eq!(complaints, Vec::<String>::new());

    // Switched off by whoever runs the store's PC.
    node.stop().await;
    node.env("AINCIDENT_NODE_PIN_DAYS", "0");
    node.start().await;
    till.go(&format!("{}/switch", node.url())).await;
    till.says("There is nothing here").await;
    hub.audit().await;
}
