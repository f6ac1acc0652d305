//! Reports over the API: never older than the incident, and as files of many.

use super::site::Site;
use serde_json::json;
use std::io::{Cursor, Read as _, Write as _};
use std::process::{Command, Stdio};

fn text_of(pdf: &[u8]) -> String {
    let mut child = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("pdftotext is missing, install poppler-utils: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let pdf = pdf.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&pdf));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_report_is_never_older_than_its_incident_and_kept_while_it_stands() {
    let hub = Site::hub().await;
    let (kim, mia, max) = (hub.login("kim").await, hub.login("mia").await, hub.login("max").await);
    let (incident, body) = hub
        .incident(&kim, json!({"description": "Żółta ściana", "people": [{"name": "Đặng Thị Ngọc"}]}))
        .await;
    let path = format!("{incident}/report.pdf");
    let first = hub.get(&kim, &path).await;
    assert_eq!((first.status.as_u16(), first.header("content-type")), (200, "application/pdf"));
    let name = format!("inline; filename=\"incident-{}.pdf\"", body["reference"].as_str().unwrap());
    assert_eq!(first.header("content-disposition"), name);
    let text = text_of(&first.bytes);
    for word in ["Żółta ściana", "Đặng Thị Ngọc", body["reference"].as_str().unwrap()] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let again = hub.get(&mia, &path).await;
    assert!(again.bytes == first.bytes && again.header("etag") == first.header("etag"));
    let known = hub.ask("GET", &path).token(&mia).header("if-none-match", first.header("etag")).response().await;
    assert_eq!(known.status().as_u16(), 304);

    // Something else changed: the same report. This one changed: another.
    hub.incident(&kim, json!({"description": "another"})).await;
    assert_eq!(hub.get(&mia, &path).await.header("etag"), first.header("etag"));
    hub.post(&kim, &format!("{incident}/comments"), &json!({"body": "a later remark"}))
        .await
        .expect(201);
    let changed = hub.get(&mia, &path).await;
    assert!(text_of(&changed.bytes).contains("a later remark") && changed.header("etag") != first.header("etag"));

    let (letter, a4) = (
        hub.get(&mia, &format!("{path}?paper=letter")).await,
        hub.get(&mia, &format!("{path}?paper=a4")).await,
    );
    assert!(a4.status.as_u16() == 200 && letter.header("etag") != a4.header("etag"));
    assert_eq!(hub.get(&mia, &format!("{path}?paper=a5")).await.fields(), ["paper"]);
    // Another store's manager does not learn of it, kept or not.
    hub.get(&max, &path).await.problem(404);
    hub.ask("DELETE", &incident).token(&mia).response().await;
    hub.get(&mia, &path).await.problem(410);
}

#[tokio::test]
async fn a_report_says_what_the_company_calls_its_fields_also_once_that_is_another_word() {
    let hub = Site::hub().await;
    let (kim, mia, ada) = (hub.login("kim").await, hub.login("mia").await, hub.login("ada").await);
    let call = async |label: &str| {
        let till = json!({"custom_fields": {"till_no": {"label": label, "type": "number"}}});
        hub.patch(&ada, "/api/v1/settings", &till).await.expect(200);
    };
    call("Register at the door").await;
    let (incident, _) =
        hub.incident(&kim, json!({"description": "x", "custom": {"till_no": 4, "other_key": "y"}})).await;
    let path = format!("{incident}/report.pdf");
    let first = text_of(&hub.get(&mia, &path).await.bytes);
    assert!(first.contains("Register at the door") && first.contains("Other key"), "{first}");
    call("Cash desk").await;
    let second = text_of(&hub.get(&mia, &path).await.bytes);
    assert!(second.contains("Cash desk") && !second.contains("Register at the door"), "{second}");
    // In the list of changes, too, where the value itself is gone.
    hub.patch(&mia, &incident, &json!({"custom": {"till_no": null, "other_key": null}}))
        .await
        .expect(200);
    assert!(text_of(&hub.get(&mia, &path).await.bytes).contains("Cash desk"));
}

#[tokio::test]
async fn many_incidents_are_one_document_an_archive_or_a_sheet() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let mut references = Vec::new();
    for n in 0..3 {
        let (_, body) = hub.incident(&kim, json!({"description": format!("case {n} =1+1"), "severity": 4})).await;
        references.push(body["reference"].as_str().unwrap().to_owned());
    }
    let export = |format: &str| format!("/api/v1/incidents/export?format={format}");
    let pdf = hub.get(&mia, &export("pdf")).await;
    assert_eq!(pdf.header("content-type"), "application/pdf");
    let text = text_of(&pdf.bytes);
    assert!(references.iter().all(|reference| text.contains(reference)), "{text}");

    let archive = hub.get(&mia, &export("zip")).await;
    assert!(archive.header("content-disposition").ends_with(".zip\""));
    let mut archive = zip::ZipArchive::new(Cursor::new(archive.bytes)).unwrap();
    assert_eq!(archive.len(), 3);
    for reference in &references {
        let mut report = Vec::new();
        archive.by_name(&format!("{reference}.pdf")).unwrap().read_to_end(&mut report).unwrap();
        assert!(text_of(&report).contains(reference.as_str()));
    }

    let sheet = hub.get(&mia, &export("xlsx")).await;
    let mut sheet = zip::ZipArchive::new(Cursor::new(sheet.bytes)).unwrap();
    let mut cells = String::new();
    sheet.by_name("xl/worksheets/sheet1.xml").unwrap().read_to_string(&mut cells).unwrap();
    assert!(references.iter().all(|reference| cells.contains(reference)) && cells.contains("case 2 =1+1"));
    assert!(!cells.contains("<f>"), "a text became a formula");
    let none = format!("{}&category=theft", export("pdf"));
    assert_eq!(hub.get(&mia, &none).await.fields(), ["format"]);
    hub.get(&kim, &export("pdf")).await.problem(403);
}
