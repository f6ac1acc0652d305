use crate::browser::{Browser, hub};
use crate::site::Site;
use serde_json::json;

async fn one(hub: &Site) -> String {
    let kim = hub.login("kim").await;
    let (_, incident) = hub.incident(&kim, json!({"description": "Two people\nran away", "severity": 4})).await;
    incident["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_incident_is_recorded_by_a_plain_form_and_once_however_often_it_is_sent() {
    let hub = hub().await;
    let mut kim = Browser::of(&hub, "kim").await;
    let id = kim.get("/incidents/new").await.is(200).field("id");
    let fields = [
        ("id", id.as_str()),
        ("description", "The mirror is broken\r\nin two"),
        ("category", "vandalism"),
        ("severity", "2"),
        ("occurred_at", "2026-11-19T14:05"),
        ("people.new1.name", "Ann"),
        ("people.new1.roles", "witness"),
        ("people.new1.roles", "customer"),
        ("loss.amount", "12.50"),
        ("loss.currency", "usd"),
        ("ambulance.there", "1"),
    ];
    let to = kim.post("/incidents/new", &fields).await.leads();
    assert_eq!(to, format!("/incidents/{id}?said=recorded"));
    assert_eq!(kim.post("/incidents/new", &fields).await.leads(), to);
    let token = hub.login("kim").await;
    let listed = hub.get(&token, "/api/v1/incidents").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let incident = &listed["items"][0];
    assert_eq!(incident["description"], "The mirror is broken\nin two");
    assert_eq!(incident["occurred_at"], "2026-11-19T20:05:00Z");
    assert_eq!(incident["people"][0]["roles"], json!(["witness", "customer"]));
    assert_eq!(incident["loss"]["amount_minor"], 1250);
    assert_eq!(incident["status"], "submitted");
    let page = kim.get(&to).await.is(200);
    assert!(page.says("Recorded.") && page.says("The mirror is broken\nin two") && page.says("12.50 USD"));
    // The same form with another text: what stands is shown, to be changed.
    let other = [("id", id.as_str()), ("description", "something else")];
    assert_eq!(kim.post("/incidents/new", &other).await.leads(), format!("/incidents/{id}/edit"));
}

#[tokio::test]
async fn photos_come_along_with_the_form_and_afterwards() {
    let hub = hub().await;
    let mut kim = Browser::of(&hub, "kim").await;
    let part = |name: &str, more: &str, body: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n{body}\r\n")
    };
    let id = kim.get("/incidents/new").await.is(200).field("id");
    let form = [
        part("id", "", &id),
        part("description", "", "with a file"),
        part("file", "; filename=\"\"", ""),
        part("file", "; filename=\"note.txt\"", "hello"),
        "--b--\r\n".to_owned(),
    ];
    let sent = kim.send("/incidents/new", "multipart/form-data; boundary=b", form.concat().into_bytes()).await;
    assert_eq!(sent.leads(), format!("/incidents/{id}?said=recorded"));
    assert!(kim.get(&format!("/incidents/{id}")).await.is(200).says("note.txt"));
    let more = [part("file", "; filename=\"two.txt\"", "hello again"), "--b--\r\n".to_owned()];
    let path = format!("/incidents/{id}/photos");
    let sent = kim.send(&path, "multipart/form-data; boundary=b", more.concat().into_bytes()).await;
    assert_eq!(sent.leads(), format!("/incidents/{id}?said=photos"));
    let none = [part("file", "; filename=\"\"", ""), "--b--\r\n".to_owned()];
    let sent = kim.send(&path, "multipart/form-data; boundary=b", none.concat().into_bytes()).await;
    assert!(sent.is(422).says("role=\"alert\""));
    let large = vec![b'x'; 300 * 1024];
    let form = [b"description=".to_vec(), large].concat();
    kim.send("/incidents/new", "application/x-www-form-urlencoded", form).await.is(413);
}

#[tokio::test]
async fn an_incident_shows_what_whoever_looks_may_do() {
    let hub = hub().await;
    let id = one(&hub).await;
    let path = format!("/incidents/{id}");
    let page = Browser::of(&hub, "kim").await.get(&path).await.is(200);
    assert!(page.says("/edit\"") && !page.says("value=\"closed\"") && !page.says("/delete\""));
    let page = Browser::of(&hub, "lee").await.get(&path).await.is(200);
    assert!(!page.says("/edit\"") && page.says("name=\"body\""));
    let page = Browser::of(&hub, "mia").await.get(&path).await.is(200);
    assert!(
        page.says("/edit\"") && page.says("value=\"closed\"") && page.says("value=\"void\"") && page.says("/delete\"")
    );
    Browser::of(&hub, "max").await.get(&path).await.is(404);
    // Rules hold whatever a page shows.
    Browser::of(&hub, "lee").await.get(&format!("{path}/edit")).await.is(403);
    Browser::of(&hub, "kim").await.post(&format!("{path}/step"), &[("to", "closed")]).await.is(403);
    Browser::of(&hub, "kim").await.post(&format!("{path}/delete"), &[]).await.is(403);
    Browser::of(&hub, "max").await.post(&format!("{path}/comments"), &[("body", "x")]).await.is(404);
}

#[tokio::test]
async fn comments_and_steps_are_in_the_timeline() {
    let hub = hub().await;
    let id = one(&hub).await;
    let path = format!("/incidents/{id}");
    let mut mia = Browser::of(&hub, "mia").await;
    let comment = mia.get(&path).await.is(200).field("id");
    let fields = [("id", comment.as_str()), ("body", "Clip is saved"), ("kind", "addendum")];
    assert_eq!(mia.post(&format!("{path}/comments"), &fields).await.leads(), format!("{path}?said=commented"));
    mia.post(&format!("{path}/comments"), &fields).await.leads();
    assert_eq!(
        mia.post(&format!("{path}/step"), &[("to", "in_review")]).await.leads(),
        format!("{path}?said=moved")
    );
    let page = mia.get(&path).await.is(200);
    assert_eq!(page.text.matches("Clip is saved").count(), 1);
    assert!(page.says("Addendum") && page.says("Submitted → In review"));
    assert!(mia.post(&format!("{path}/comments"), &[("body", "  ")]).await.is(422).says("role=\"alert\""));
    assert!(mia.post(&format!("{path}/step"), &[("to", "void")]).await.is(422).says("required to void"));
    mia.post(&format!("{path}/step"), &[("to", "void"), ("reason", "twice reported")]).await.leads();
    assert!(mia.get(&path).await.is(200).says("twice reported"));
    // An address says nothing on its own.
    let page = mia.get(&format!("{path}?said=%3Cb%3Ehacked")).await.is(200);
    assert!(!page.says("<b>hacked") && !page.says("id=\"said\""));
}

#[tokio::test]
async fn a_deleted_incident_is_gone_but_for_managers_who_bring_it_back() {
    let hub = hub().await;
    let id = one(&hub).await;
    let path = format!("/incidents/{id}");
    let mut mia = Browser::of(&hub, "mia").await;
    assert!(mia.get(&format!("{path}/delete")).await.is(200).says("Delete this incident?"));
    mia.post(&format!("{path}/delete"), &[]).await.leads();
    assert!(mia.get(&path).await.is(410).says("Bring it back"));
    let page = Browser::of(&hub, "kim").await.get(&path).await.is(410);
    assert!(page.says("This was deleted") && !page.says("/restore"));
    assert_eq!(mia.post(&format!("{path}/restore"), &[]).await.leads(), format!("{path}?said=restored"));
    mia.get(&path).await.is(200);
}

#[tokio::test]
async fn headquarters_chooses_the_store_it_records_for() {
    let hub = hub().await;
    let mut hana = Browser::of(&hub, "hana").await;
    assert!(hana.get("/incidents/new").await.is(200).says("name=\"store_code\""));
    assert!(!Browser::of(&hub, "mia").await.get("/incidents/new").await.is(200).says("name=\"store_code\""));
    let sent = hana.post("/incidents/new", &[("description", "seen on camera"), ("store_code", "")]).await.is(422);
    assert!(sent.says("is required at headquarters") && sent.says("seen on camera"));
    let to = hana
        .post("/incidents/new", &[("description", "seen on camera"), ("store_code", "007")])
        .await
        .leads();
    assert!(hana.get(&to).await.is(200).says("007 Harbour"));
}

fn part(name: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
    [head.as_bytes(), body, b"\r\n"].concat()
}

/// A picture whose header says that it is larger than any that may be opened.
fn bomb() -> Vec<u8> {
    let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\0\0\0\x01\0\0\x08\x03\0\0\0";
    [header.as_slice(), &[0; 64]].concat()
}

#[tokio::test]
async fn a_refused_photo_hides_neither_the_recorded_incident_nor_the_other_photos() {
    let hub = hub().await;
    let mut kim = Browser::of(&hub, "kim").await;
    let id = kim.get("/incidents/new").await.is(200).field("id");
    let form = [
        part("id", "", id.as_bytes()),
        part("description", "", b"with three files"),
        part("file", "; filename=\"one.txt\"", b"first"),
        part("file", "; filename=\"bomb.png\"", &bomb()),
        part("file", "; filename=\"two.txt\"", b"second"),
        b"--b--\r\n".to_vec(),
    ];
    let sent = kim.send("/incidents/new", "multipart/form-data; boundary=b", form.concat()).await;
    let page = sent.is(422);
    assert!(page.says("with three files") && page.says("Recorded.") && page.says("bomb.png: "), "{}", page.text);
    assert!(page.says("one.txt") && page.says("two.txt"));
    let form = [
        part("file", "; filename=\"bomb.png\"", &bomb()),
        part("file", "; filename=\"three.txt\"", b"third"),
        b"--b--\r\n".to_vec(),
    ];
    let path = format!("/incidents/{id}/photos");
    let page = kim.send(&path, "multipart/form-data; boundary=b", form.concat()).await.is(422);
    assert!(page.says("three.txt") && page.says("bomb.png: ") && !page.says("id=\"said\""));
}

#[tokio::test]
async fn a_damaged_change_takes_the_timeline_and_nothing_else() {
    let hub = hub().await;
    let id = one(&hub).await;
    let mia = hub.login("mia").await;
    hub.patch(&mia, &format!("/api/v1/incidents/{id}"), &json!({"location": "aisle 9"}))
        .await
        .expect(200);
    let mut browser = Browser::of(&hub, "mia").await;
    assert!(!browser.get(&format!("/incidents/{id}")).await.is(200).says("The timeline cannot be told"));
    let db = chassis::sqlite::rusqlite::Connection::open(hub.folder().join("ledger.sqlite")).unwrap();
    db.execute("UPDATE changes SET body = replace(body, 'aisle 9', 'aisle 8')", []).unwrap();
    let page = browser.get(&format!("/incidents/{id}")).await.is(200);
    assert!(page.says("The timeline cannot be told now") && page.says("aisle 9") && page.says("ran away"));
}

#[tokio::test]
async fn a_page_that_answers_a_form_speaks_another_language_where_one_can_go() {
    let hub = hub().await;
    let id = one(&hub).await;
    let mut mia = Browser::of(&hub, "mia").await;
    for (path, fields) in [
        (format!("/incidents/{id}/comments"), vec![("body", " ")]),
        (format!("/incidents/{id}/step"), vec![("to", "void")]),
        (format!("/incidents/{id}/edit"), vec![("description", "other")]),
        (format!("/incidents/{id}/photos"), vec![]),
        (format!("/reviews/{id}/location"), vec![]),
        (format!("/quarantine/{id}:1"), vec![]),
        ("/incidents/new".to_owned(), vec![("description", "")]),
        (format!("/incidents/{}/comments", uuid::Uuid::nil()), vec![("body", "x")]),
    ] {
        let seen = mia.post(&path, &fields).await;
        assert!(seen.answer.status.is_client_error(), "{path}");
        let at = seen.text.find("name=\"next\" value=\"").unwrap_or_else(|| panic!("{path}: {}", seen.text)) + 19;
        let next = seen.text[at..].split('"').next().unwrap().replace("&#38;", "&");
        let to = mia.post("/language", &[("lang", "en"), ("next", &next)]).await.leads();
        // The start page is not one of these pages, but there is one at every site.
        let there = mia.get(&to).await.answer.status.as_u16();
        assert!(there == 200 || (to == "/" && there == 404), "{path} leads to {to}: {there}");
    }
}
