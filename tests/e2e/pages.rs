//! The pages, as people see them: a real browser, both real programs.

use aincident_tests::hub::PASSWORD;
use aincident_tests::pictures::noisy_jpeg;
use aincident_tests::{Browser, Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// That a page fits its screen: nobody has to push it sideways.
async fn fits(browser: &Browser, width: u64) {
    let wide = browser.js("return document.documentElement.scrollWidth", &[]).await;
    assert!(wide.as_u64().unwrap() <= width, "{} is {wide} wide", browser.url().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_hub_leads_to_its_first_account_store_and_node() {
    let scratch = Scratch::new("first-run");
    let mut hub = Hub::new(&scratch);
    hub.start().await;
    let browser = Browser::start(&scratch).await;
    browser.go(hub.url()).await;
    browser.is_at("/setup").await;
    let code = std::fs::read_to_string(scratch.join("hub").join("setup-code")).unwrap();
    browser.keys("input[name=code]", code.trim()).await;
    browser.keys("input[name=username]", "ada").await;
    browser.keys("input[name=password]", PASSWORD).await;
    browser.click("form[action='/setup'] button").await;
    browser.says("Add the first store").await;
    browser.click("a[href='/stores']").await;
    browser.keys("input[name=code]", "042").await;
    browser.keys("input[name=name]", "Downtown").await;
    browser.keys("form[action='/stores'] input[name=timezone]", "America/Chicago").await;
    browser.click("form[action='/stores'].grid button").await;
    browser.click("form[action='/stores/042/enrol'] button").await;
    browser.says("Enrolment code").await;
    assert_eq!(browser.count("svg.qr").await, 1);
    let code = browser.text(".big-code").await;
    let mut node = Node::new(&scratch, &hub, "042", "node-042").await;
    node.start().await;
    // Before it is enrolled the node's own page says how, and goes on by itself.
    browser.go(node.url()).await;
    browser.says("This PC belongs to no store yet").await;
    node.enroll(&code).await.ok("enroll with the code of the page");
    browser.is_at("/login").await;
    browser.log_in(hub.url(), "ada", PASSWORD).await;
    browser.go(&format!("{}/fleet", hub.url())).await;
    browser.says("Downtown").await;
    browser.size(360, 740).await;
    for page in ["/", "/fleet", "/stores", "/users", "/incidents", "/reviews", "/erasures/new", "/acts"] {
        browser.go(&format!("{}{page}", hub.url())).await;
        fits(&browser, 360).await;
    }
    // A node without a store answers 503, which the browser notes.
    let mut complaints = browser.complaints().await;
    complaints.retain(|complaint| !complaint.contains("status of 503"));
    assert_eq!(complaints, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_at_a_store_appears_on_the_open_page_at_headquarters() {
    let mut rng = Rng::announced("pages");
    let scratch = Scratch::new("pages");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let picture = scratch.join("puddle.jpg");
    std::fs::write(&picture, noisy_jpeg(&mut rng, 800, 600)).unwrap();
    let headquarters = Browser::start(&scratch).await;
    headquarters.log_in(hub.url(), "harriet", PASSWORD).await;
    headquarters.go(&format!("{}/incidents", hub.url())).await;
    headquarters.says("No incidents yet.").await;

    let phone = Browser::with_profile(&scratch.join("phone")).await;
    phone.size(360, 740).await;
    phone.log_in(node.url(), "employee-042", PASSWORD).await;
    phone.says("What happened?").await;
    fits(&phone, 360).await;
    // The focus is where one writes: nothing has to be touched first.
    phone.press("A puddle <b>by</b> the freezers").await;
    phone.keys("input[type=file][multiple]", &picture.display().to_string()).await;
    assert_eq!(phone.count(".chosen img").await, 1);
    // By the keyboard: on a small screen the buttons below may lie over a chip.
    phone.js("document.querySelector('[name=category][value=hazard]').focus()", &[]).await;
    phone.press(" ").await;
    phone.click("form.sheet .sticky button.primary").await;
    phone.says("On the store's PC").await;
    headquarters.says("A puddle <b>by</b> the freezers").await;
    assert!(headquarters.text(".row").await.contains("Hazard"));

    let manager = node.manager().await;
    let listed = manager.list("").await;
    assert_eq!((listed.len(), &listed[0]["photo_count"]), (1, &json!(1)));
    // An edit at headquarters shows on the store's open page.
    let id = listed[0]["id"].as_str().unwrap();
    phone.go(&format!("{}/incidents/{id}", node.url())).await;
    phone.says("A puddle <b>by</b> the freezers").await;
    wait_until("the thumbnail", PATIENCE, async || {
        phone.js("return document.querySelector('.photos img')?.naturalWidth ?? 0", &[]).await.as_u64() > Some(0)
    })
    .await;
    phone.keys("textarea[name=body]", "half a sent").await;
    let harriet = hub.harriet().await;
    let _ = harriet
        .patch(&format!("/api/v1/incidents/{id}"), &json!({"location": "Aisle 9, by the door"}))
        .await
        .expect(200);
    phone.says("Aisle 9, by the door").await;
    // What somebody types meanwhile stays.
    let typed = phone.js("return document.querySelector('textarea[name=body]').value", &[]).await;
    assert_eq!(typed, "half a sent");
    fits(&phone, 360).await;
    for browser in [&phone, &headquarters] {
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_without_the_stores_pc_is_sent_once_after_the_browser_was_killed() {
    let mut rng = Rng::announced("capture");
    let scratch = Scratch::new("capture");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let picture = scratch.join("door.jpg");
    std::fs::write(&picture, noisy_jpeg(&mut rng, 1200, 900)).unwrap();
    let port = node.daemon().port();
    let url = format!("http://127.0.0.1:{port}");
    let phone = Browser::start(&scratch).await;
    phone.log_in(&url, "employee-042", PASSWORD).await;
    let ready = "return caches.match('/offline').then((kept) => !!kept && !!navigator.serviceWorker.controller)";
    wait_until("the app to be kept on the phone", PATIENCE, async || phone.js(ready, &[]).await == json!(true)).await;

    node.stop().await;
    phone.go(&url).await;
    phone.says("The store's PC cannot be reached from here").await;
    phone.keys("textarea[name=description]", "The back door was open").await;
    phone.keys("input[type=file][multiple]", &picture.display().to_string()).await;
    phone.click("form.sheet .sticky button.primary").await;
    phone.says("On this phone").await;
    let profile = phone.profile.clone();
    phone.kill();

    let phone = Browser::with_profile(&profile).await;
    node.listen_on(&format!("127.0.0.1:{port}"));
    node.start().await;
    phone.go(&url).await;
    // A killed browser may have forgotten the session; never the report.
    if phone.url().await.contains("/login") {
        phone.log_in(&url, "employee-042", PASSWORD).await;
    }
    let manager = node.manager().await;
    let there = async || {
        let listed = manager.list("").await;
        listed.len() == 1 && listed[0]["photo_count"] == json!(1)
    };
    wait_until("the report with its photo", PATIENCE, there).await;
    let waiting = "return new Promise((done) => { const asked = indexedDB.open('aincident', 1); asked.onsuccess = () => { \
                   const count = asked.result.transaction('outbox').objectStore('outbox').count(); \
                   count.onsuccess = () => done(count.result); }; })";
    wait_until("nothing to wait on the phone", PATIENCE, async || phone.js(waiting, &[]).await == json!(0)).await;
    phone.go(&url).await;
    phone.says("What happened?").await;
    let listed = manager.list("").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["description"], "The back door was open");
}

/// Keeps a report on the phone as if it had been written two hours ago, with a picture that no site takes and a note.
const WRITTEN: &str = "const header = [137,80,78,71,13,10,26,10,0,0,0,13,73,72,68,82,0,1,0,0,0,1,0,0,8,3,0,0,0]; \
    const entry = {id: arguments[0], user: 'employee-042', at: Date.now() - 7200000, \
      fields: [['description', 'The lights went out'], ['occurred_at', '']], files: [ \
      {name: 'bomb.png', type: 'image/png', blob: new Blob([new Uint8Array([...header, ...new Array(64).fill(0)])])}, \
      {name: 'note.txt', type: 'text/plain', blob: new Blob(['two of them'])}]}; \
    return new Promise((done, failed) => { const asked = indexedDB.open('aincident', 1); asked.onsuccess = () => { \
      const kept = asked.result.transaction('outbox', 'readwrite'); kept.objectStore('outbox').put(entry); \
      kept.oncomplete = () => { asked.result.close(); done(true); }; kept.onerror = failed; }; });";
/// Logs somebody in behind the open page's back.
const LOG_IN: &str = "return fetch('/api/v1/login', {method: 'POST', headers: {'content-type': 'application/json'}, \
    body: JSON.stringify({username: arguments[0], password: arguments[1]})}).then((answer) => answer.status);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_on_a_phone_waits_for_its_writer_keeps_its_time_and_no_refused_file_holds_up_another() {
    let scratch = Scratch::new("writer");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let phone = Browser::start(&scratch).await;
    phone.log_in(node.url(), "employee-042", PASSWORD).await;
    phone.says("What happened?").await;
    assert_eq!(phone.js(LOG_IN, &[json!("manager-042"), json!(PASSWORD)]).await, 200);
    let id = "019aa000-0000-7000-8000-00000000002a";
    assert_eq!(phone.js(WRITTEN, &[json!(id)]).await, true);
    phone.says("Waits for you to log in").await;
    let manager = node.manager().await;
    assert_eq!(manager.list("").await.len(), 0);
    assert_eq!(phone.js(LOG_IN, &[json!("employee-042"), json!(PASSWORD)]).await, 200);
    phone.says("bomb.png: ").await;
    let listed = manager.list("").await;
    assert_eq!((listed.len(), &listed[0]["photo_count"]), (1, &json!(1)), "{listed:?}");
    assert_eq!(listed[0]["reported_by"], "employee-042");
    let ms = |name: &str| chassis::clock::parse_rfc3339(listed[0][name].as_str().unwrap()).unwrap();
    let waited_s = (ms("recorded_at") - ms("occurred_at")) / 1000;
    assert!((7190..7500).contains(&waited_s), "{waited_s}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_decided_in_the_browser_and_pages_speak_two_languages() {
    let scratch = Scratch::new("decided");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let made = manager
        .post("/api/v1/incidents", &json!({"description": "a window", "location": "front"}))
        .await
        .expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the incident at headquarters", PATIENCE, async || harriet.total().await == 1).await;
    node.link().go_down();
    let _ = manager.patch(&path, &json!({"location": "at the store"})).await.expect(200);
    let _ = harriet.patch(&path, &json!({"location": "at headquarters"})).await.expect(200);
    node.link().heal();
    let open = async || harriet.get("/api/v1/reviews").await.expect(200)["items"].as_array().unwrap().clone();
    wait_until("the conflict", PATIENCE, async || open().await.len() == 1).await;
    let lost: Value = open().await[0]["lost"][0]["value"].clone();
    let browser = Browser::start(&scratch).await;
    browser.log_in(hub.url(), "harriet", PASSWORD).await;
    browser.go(&format!("{}/reviews", hub.url())).await;
    browser.says("at the store").await;
    browser.says("at headquarters").await;
    browser.click(".sides .side:not(.side-standing) input").await;
    browser.click(".review button.primary").await;
    browser.is_at("said=settled").await;
    browser.says(lost.as_str().unwrap()).await;
    wait_until("the decision at the store", PATIENCE, async || {
        manager.get(&path).await.expect(200)["location"] == lost
    })
    .await;
    browser.click(".top-end details.drop summary").await;
    browser.click("button[name=lang][value=es]").await;
    browser.says("Cronología").await;
    browser.go(&format!("{}/incidents", hub.url())).await;
    browser.says("Nuevo incidente").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
