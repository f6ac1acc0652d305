use crate::browser::{Browser, hub};
use serde_json::json;

#[tokio::test]
async fn the_list_shows_what_whoever_looks_may_see_and_no_more() {
    let hub = hub().await;
    let (mia, max) = (hub.login("mia").await, hub.login("max").await);
    hub.incident(&mia, json!({"description": "a puddle in Downtown", "severity": 4, "category": "hazard"}))
        .await;
    hub.incident(&max, json!({"description": "a fire in the Harbour", "severity": 2})).await;
    let page = Browser::of(&hub, "mia").await.get("/incidents").await.is(200);
    assert!(page.says("a puddle in Downtown") && !page.says("Harbour"));
    // Severity and status are words and shapes, not colours alone.
    assert!(page.says("sev-4") && page.says("Serious") && page.says("Submitted"));
    let page = Browser::of(&hub, "hana").await.get("/incidents").await.is(200);
    assert!(page.says("a puddle in Downtown") && page.says("a fire in the Harbour") && page.says("Downtown"));
    let page = Browser::of(&hub, "hana").await.get("/incidents?store=007").await.is(200);
    assert!(!page.says("a puddle") && page.says("a fire"));
    // Asking for another store's shows nothing of it.
    assert!(!Browser::of(&hub, "mia").await.get("/incidents?store=007").await.is(200).says("a fire"));
}

#[tokio::test]
async fn filters_narrow_the_list_and_what_is_wrong_with_one_is_said() {
    let hub = hub().await;
    let mia = hub.login("mia").await;
    for (description, severity, at) in [
        ("first", 1, "2026-11-18T05:30:00Z"),
        ("second", 5, "2026-11-19T05:30:00Z"),
        ("third", 3, "2026-11-19T06:30:00Z"),
    ] {
        hub.incident(&mia, json!({"description": description, "severity": severity, "occurred_at": at}))
            .await;
    }
    let mut browser = Browser::of(&hub, "mia").await;
    let page = browser.get("/incidents?severity_min=4&q=&category=").await.is(200);
    assert!(page.says("second") && !page.says("first") && !page.says("third"));
    let page = browser.get("/incidents?severity_min=3&severity_max=3").await.is(200);
    assert!(page.says("third") && !page.says("first") && !page.says("second"));
    let page = browser.get("/incidents?q=thi").await.is(200);
    assert!(page.says("third") && !page.says("second"));
    // The 18th of Chicago ends at six in the morning of the 19th, UTC.
    let page = browser.get("/incidents?from=2026-11-18&to=2026-11-18").await.is(200);
    assert!(page.says("second") && !page.says("first") && !page.says("third"));
    assert!(browser.get("/incidents?from=yesterday").await.is(422).says("yesterday is no day."));
    assert!(browser.get("/incidents?status=open").await.is(422).says("A filter cannot be used"));
    // What a mail program adds to an address changes nothing.
    assert!(browser.get("/incidents?utm_source=mail").await.is(200).says("first"));
    assert!(browser.get("/incidents?q=nothing+like+that").await.is(200).says("Nothing fits."));
    // Only managers see what was deleted.
    browser.get("/incidents?deleted=true").await.is(200);
    Browser::of(&hub, "kim").await.get("/incidents?deleted=true").await.is(403);
}

#[tokio::test]
async fn pages_of_the_list_follow_each_other_without_a_gap() {
    let hub = hub().await;
    let mia = hub.login("mia").await;
    for n in 0..120 {
        hub.incident(&mia, json!({"description": format!("number {n:03}")})).await;
    }
    let mut browser = Browser::of(&hub, "mia").await;
    let (mut path, mut seen, mut turned) = ("/incidents".to_owned(), Vec::new(), 0);
    loop {
        let page = browser.get(&path).await.is(200);
        seen.extend((0..120).filter(|n| page.says(&format!("number {n:03}"))));
        let Some(at) = page.text.find("rel=\"next\" href=\"") else {
            break;
        };
        let href = page.text[at + 17..].split('"').next().unwrap();
        path = href.replace("&#38;", "&").replace("&amp;", "&");
        turned += 1;
    }
    seen.sort_unstable();
    assert_eq!((turned, seen), (2, (0..120).collect::<Vec<_>>()));
}

#[tokio::test]
async fn hostile_text_is_shown_and_does_nothing() {
    let hub = hub().await;
    let mia = hub.login("mia").await;
    let hostile = "</textarea><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}";
    let (_, incident) = hub
        .incident(
            &mia,
            json!({"description": hostile, "title": hostile, "location": hostile, "tags": ["<b>\"x\"</b>"],
            "people": [{"name": hostile, "statement": hostile}], "items": [{"description": hostile}]}),
        )
        .await;
    let id = incident["id"].as_str().unwrap();
    hub.post(&mia, &format!("/api/v1/incidents/{id}/comments"), &json!({"body": hostile}))
        .await
        .expect(201);
    let mut browser = Browser::of(&hub, "mia").await;
    for path in [
        "/incidents".to_owned(),
        format!("/incidents?{}", serde_urlencoded::to_string([("q", hostile)]).unwrap()),
        format!("/incidents/{id}"),
        format!("/incidents/{id}/edit"),
        format!("/incidents/{id}/delete"),
    ] {
        let page = browser.get(&path).await.is(200);
        assert!(!page.says("<script>alert") && !page.says("<img src=x") && !page.says("<b>\"x"), "{path}");
        assert!(!page.says("</textarea><script"), "{path}");
    }
}
