//! What people have at one site: drafts, views, the site on their phone, in a real browser.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Browser, Hub, Node, Scratch, wait_until};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_at_the_till_is_sent_from_the_phone_and_no_keystroke_is_an_incident() {
    let scratch = Scratch::new("drafts");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let till = Browser::start(&scratch).await;
    till.log_in(node.url(), "employee-042", PASSWORD).await;
    till.says("What happened?").await;
    till.press("A man in a red jacket, no: it was blue").await;
    till.says("Kept as a draft at this site, not sent.").await;
    let manager = node.manager().await;
    assert_eq!(manager.list("").await.len(), 0);

    let phone = Browser::with_profile(&scratch.join("phone")).await;
    phone.size(360, 740).await;
    phone.log_in(node.url(), "employee-042", PASSWORD).await;
    phone.go(&format!("{}/drafts", node.url())).await;
    phone.says("A man in a red jacket, no: it was blue").await;
    phone.click(".draft-row a.primary").await;
    phone.keys("textarea[name=description]", ", and he ran").await;
    phone.says("Kept as a draft at this site, not sent.").await;
    // Closed in mid-sentence, and gone on with.
    phone.go(&format!("{}/drafts", node.url())).await;
    phone.click(".draft-row a.primary").await;
    let written = "return document.querySelector('textarea[name=description]')?.value ?? ''";
    wait_until("what was written", PATIENCE, async || {
        phone.js(written, &[]).await == json!("A man in a red jacket, no: it was blue, and he ran")
    })
    .await;
    phone.click("form.sheet .sticky button.primary").await;
    phone.is_at("said=recorded").await;
    wait_until("the report at headquarters", PATIENCE, async || hub.harriet().await.total().await == 1).await;
    let listed = manager.list("").await;
    assert_eq!(listed[0]["description"], "A man in a red jacket, no: it was blue, and he ran");
    phone.go(&format!("{}/drafts", node.url())).await;
    phone.says("You are in the middle of nothing.").await;
    // The page that is still open at the till says so.
    till.press(" and bald").await;
    till.says("This draft was sent or thrown away on another device.").await;
    let mut complaints = till.complaints().await;
    complaints.retain(|complaint| !complaint.contains("status of 410"));
    complaints.extend(phone.complaints().await);
    assert_eq!(complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_kept_as_a_view_and_a_phone_is_shown_the_way() {
    let scratch = Scratch::new("own");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    for text in ["a puddle by the freezers", "a broken window"] {
        let _ = manager.post("/api/v1/incidents", &json!({"description": text})).await.expect(201);
    }
    let browser = Browser::start(&scratch).await;
    browser.log_in(node.url(), "manager-042", PASSWORD).await;
    browser.go(&format!("{}/incidents", node.url())).await;
    browser.says("a broken window").await;
    // As one types: no page is loaded in between.
    browser.keys("input[name=q]", "puddle").await;
    wait_until("the search", PATIENCE, async || !browser.text("#list").await.contains("window")).await;
    browser.click(".own-views summary").await;
    browser.keys(".own-views input[name=name]", "Puddles").await;
    browser.click(".own-views button.primary").await;
    browser.is_at("q=puddle&view=kept").await;
    browser.go(&format!("{}/incidents", node.url())).await;
    browser.says("a broken window").await;
    browser.click(".views a[href='/incidents?q=puddle']").await;
    browser.is_at("/incidents?q=puddle").await;
    assert!(!browser.text("#list").await.contains("window"));
    browser.click(".own-views summary").await;
    browser.click(".own-list button").await;
    browser.is_at("view=deleted").await;
    assert_eq!(browser.count(".views a[href='/incidents?q=puddle']").await, 0);

    browser.go(&format!("{}/trends", node.url())).await;
    browser.says("By weekday and hour").await;
    assert!(browser.count("svg.chart").await >= 2 && browser.count("details.behind table").await >= 2);
    assert_eq!(browser.text(".figure b").await, "2");

    // Charts are a manager's: the menu of others does not lead there, and nor does the address.
    assert_eq!(node.employee().await.get("/trends").await.status, 403);
    assert_eq!(manager.get("/trends").await.status, 200);

    browser.go(&format!("{}/on-phone", node.url())).await;
    browser.says("Phones cannot reach this PC").await;
    let icons = "return fetch('/manifest.webmanifest').then((answer) => answer.json()).then((manifest) => Promise.all( \
                 manifest.icons.map((icon) => createImageBitmapOf(icon)))); \
                 async function createImageBitmapOf(icon) { const image = new Image(); image.src = icon.src; await image.decode(); \
                 return icon.sizes === 'any' ? 'any' : `${image.naturalWidth}x${image.naturalHeight}` === icon.sizes; }";
    assert_eq!(browser.js(icons, &[]).await, json!(["any", true, true, true]));
    node.stop().await;
    node.env("AINCIDENT_NODE_PUBLIC_URL", "https://incidents.store-042.example");
    node.start().await;
    // On another port it is another site to this machine's browsers.
    browser.log_in(node.url(), "manager-042", PASSWORD).await;
    browser.go(&format!("{}/on-phone", node.url())).await;
    browser.says("https://incidents.store-042.example").await;
    assert_eq!(browser.count("svg.qr").await, 1);
}
