//! Reports, read back with other people's programs: pdftotext finds what a reader would, qpdf finds nothing wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "reports/made.rs"]
mod made;

use desk::reports::{MAX_REPORTS, Paper, PhotoState, RenderError, Report, render, render_many};
use made::{LANDSCAPE, PORTRAIT, full, history, minimal, photo};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The words of a PDF in reading order. A program that is not there fails the test: it must not pass unseen.
fn text(pdf: &[u8]) -> String {
    let mut child = Command::new("pdftotext")
        .args(["-enc", "UTF-8", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("pdftotext is missing, install poppler-utils: {error}"));
    let mut input = child.stdin.take().unwrap();
    let bytes = pdf.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "pdftotext cannot read it");
    String::from_utf8(output.stdout).unwrap()
}

/// The same on one line: a name may stand on two.
fn line(pdf: &[u8]) -> String {
    text(pdf).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same without any space: a long word may stand on many lines.
fn run(pdf: &[u8]) -> String {
    text(pdf).split_whitespace().collect()
}

fn file(name: &str, pdf: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.pdf"));
    std::fs::write(&path, pdf).unwrap();
    path
}

/// qpdf's opinion, which must be that nothing is wrong; and how many pages there are.
fn check(name: &str, pdf: &[u8]) -> usize {
    let path = file(name, pdf);
    let qpdf = |argument: &str| {
        let output = Command::new("qpdf").arg(argument).arg(&path).output();
        let output = output.unwrap_or_else(|error| panic!("qpdf is missing, install qpdf: {error}"));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !said.contains("WARNING"), "{name}: {said}");
        said
    };
    assert!(qpdf("--check").contains("No syntax or stream encoding errors"));
    qpdf("--show-npages").trim().parse().unwrap()
}

fn made(report: &Report) -> Vec<u8> {
    render(report, Paper::A4).unwrap()
}

fn holds(pdf: &[u8], part: &[u8]) -> bool {
    pdf.windows(part.len()).any(|window| window == part)
}

#[test]
fn an_incident_with_nothing_but_a_description_fits_on_one_page() {
    for paper in [Paper::A4, Paper::Letter] {
        let pdf = render(&minimal(), paper).unwrap();
        assert_eq!(check(&format!("minimal-{paper:?}"), &pdf), 1);
        let line = line(&pdf);
        for words in [
            "Cedar & Sons",
            "Store 042 · Downtown",
            "Incident report 042-2026-000017-K7",
            "Somebody left a trolley",
            "Page 1 of 1",
            "Severity 3 of 5: Moderate",
            "Report version 0123456789abcdef0123456789abcdef",
            "Sun 22 Nov 2026, 14:03 (UTC-06:00) · 20:03 UTC",
        ] {
            assert!(line.contains(words), "{words} is not in: {line}");
        }
        for absent in ["People", "Property", "Photos", "null", "Workflow"] {
            assert!(!line.contains(absent), "{absent} is in: {line}");
        }
    }
}

#[test]
fn every_filled_field_is_there_in_plain_words() {
    let report = full();
    let pdf = made(&report);
    let pages = check("full", &pdf);
    assert!((3..=6).contains(&pages), "{pages} pages");
    let line = line(&pdf);
    for words in made::FULL_WORDS {
        assert!(line.contains(words), "{words} is not in: {line}");
    }
    for code in ["customer_injury", "manager_on_duty", "in_patient", "sales_floor", "needs_info", "null"] {
        assert!(!line.contains(code), "{code} is in: {line}");
    }
    for page in 1..=pages {
        assert!(line.contains(&format!("Page {page} of {pages}")));
    }
    let run = run(&pdf);
    assert_eq!(
        run.matches(&format!("Chainhash{}", report.chain)).count(),
        pages + 1,
        "on every page, and once more"
    );
    for photo in &report.photos {
        assert!(run.contains(&photo.sha256), "{}", photo.filename);
    }
}

#[test]
fn names_of_all_scripts_are_found() {
    let names = [
        "Nguyễn Thị Hồng Ánh",
        "Γεώργιος Παπαδόπουλος",
        "Ярослав Їжакевич",
        "Łukasz Świętochłowski-Żółć",
        "Þorbjörg Ólafsdóttir",
        "İbrahim Çağrı Şahin",
        "李明",
        "山田 太郎",
        "김민수",
        "محمد الأحمد",
        "יעקב כהן",
        "สมชาย",
        "Kim 🦊 Fox",
    ];
    let mut report = minimal();
    report.incident["people"] = names.iter().map(|name| json!({ "name": name, "roles": ["witness"] })).collect();
    let pdf = made(&report);
    check("names", &pdf);
    // A reader of text may put a right-to-left name's words into the order in which they are seen.
    let text = text(&pdf);
    for name in names {
        assert!(name.split(' ').all(|word| text.contains(word)), "{name} is not in: {text}");
    }
    assert!(line(&pdf).contains("A box with digits in it stands for a character"));

    // Letters that were typed in pieces are found as whole ones.
    report.incident["people"] = json!([{ "name": "Nguye\u{302}\u{303}n" }]);
    assert!(line(&made(&report)).contains("Nguyễn"));
}

#[test]
fn two_hundred_items_have_a_header_on_every_page_and_totals() {
    let mut report = minimal();
    report.incident["loss"] = json!({ "amount_minor": 1_990_000, "recovered_minor": null, "currency": "EUR" });
    report.incident["items"] = (0..200)
        .map(|n| {
            let outcome = ["stolen", "damaged"][n % 2];
            json!({ "description": format!("Item number {n}"), "sku": format!("0042{n}"), "quantity": 2, "value_minor": n * 100, "outcome": outcome })
        })
        .collect();
    let pdf = made(&report);
    let pages = check("items", &pdf);
    assert!((5..=8).contains(&pages), "{pages} pages");
    let text = text(&pdf);
    let headers = text.matches("Value, EUR").count();
    assert!(headers >= pages - 1 && headers <= pages, "{headers} headers on {pages} pages");
    let line = line(&pdf);
    for n in 0..200 {
        assert!(line.contains(&format!("Item number {n}")), "{n}");
    }
    for total in ["EUR 9,900.00", "EUR 10,000.00", "EUR 19,900.00"] {
        assert!(line.contains(total), "{total}");
    }
}

#[test]
fn a_long_description_without_a_space_is_all_there() {
    let mut report = minimal();
    let description: String = (0..20_000).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();
    report.incident["description"] = description.clone().into();
    report.incident["title"] = description[..200].into();
    let pdf = made(&report);
    let pages = check("long", &pdf);
    assert!((4..=8).contains(&pages), "{pages} pages");
    let letters: String = run(&pdf).chars().filter(char::is_ascii_lowercase).collect();
    assert!(letters.matches("abcdefghijklmnopqrstuvwxyz").count() > 740);
}

#[test]
fn a_page_never_ends_with_a_heading() {
    // Sections are moved down line by line, so that each comes to stand at the foot of a page once.
    for lines in 0..60 {
        let mut report = full();
        report.photos.clear();
        report.incident["description"] = "x\n".repeat(lines).trim_end().replace('x', "One line.").into();
        let text = text(&made(&report));
        for page in text.split('\u{c}') {
            let body: Vec<&str> = page.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let foot = body.iter().position(|line| line.starts_with("042-2026-000017-K7 · Store"));
            let Some(last) = foot.and_then(|at| body.get(at.wrapping_sub(1))) else {
                continue;
            };
            for heading in
                ["People", "Workflow", "Property and loss", "Description", "About this report", "Reason", "Item"]
            {
                assert_ne!(last, &heading, "with {lines} lines");
            }
        }
    }
}

#[test]
fn photos_are_in_it_byte_for_byte_and_what_is_none_is_named() {
    let mut report = minimal();
    report.photos = vec![
        photo("aisle.jpg", LANDSCAPE),
        photo("door.jpg", PORTRAIT),
        photo("camera 4.jpg", made::GREY),
        photo("scan of a drawing.jpg", made::CMYK),
        photo("broken.heic", &[]),
        photo("on its way.jpg", &[]),
    ];
    report.photos[4].state = PhotoState::Undecodable;
    report.photos[5].state = PhotoState::Processing;
    // What a caller says about a picture is not believed.
    report.photos[0].width = 0;
    let pdf = made(&report);
    check("photos", &pdf);
    for jpeg in [LANDSCAPE, PORTRAIT, made::GREY] {
        assert!(holds(&pdf, jpeg));
    }
    assert!(!holds(&pdf, made::CMYK), "readers show its colours upside down");
    let line = line(&pdf);
    for words in [
        "Photos (6 files)",
        "scan of a drawing.jpg",
        "broken.heic",
        "the original is kept as evidence",
        "was not ready",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    let run = run(&pdf);
    assert!(report.photos.iter().all(|photo| run.contains(&photo.sha256)));
}

#[test]
fn the_same_report_is_the_same_bytes() {
    let report = full();
    let first = made(&report);
    assert_eq!(first, made(&report));
    let mut other = full();
    other.incident["title"] = "Another".into();
    assert_ne!(first, made(&other));
    assert_ne!(first, render(&report, Paper::Letter).unwrap());
    let all = [minimal(), full()];
    assert_eq!(render_many(&all, Paper::A4).unwrap(), render_many(&all, Paper::A4).unwrap());
}

#[test]
fn it_says_what_it_is_in_which_language_and_how_it_is_built() {
    let pdf = made(&full());
    let path = file("about", &pdf);
    let output = Command::new("pdfinfo").arg(&path).output().expect("pdfinfo is missing, install poppler-utils");
    let said = String::from_utf8(output.stdout).unwrap();
    for words in [
        "Incident 042-2026-000017-K7: Kunde",
        "Author:          Cedar & Sons",
        "Tagged:          yes",
        "CreationDate:",
        "PDF version:     1.7",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let output = Command::new("pdfinfo").arg("-struct").arg(&path).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    for words in ["Document", "H1", "H2", "Table", "TH", "Figure"] {
        assert!(tree.contains(words), "{words}: {tree}");
    }
    let document = lopdf::Document::load_mem(&pdf).unwrap();
    let catalog = document.catalog().unwrap();
    assert_eq!(catalog.get(b"Lang").unwrap().as_str().unwrap(), b"en");
    let preferences = catalog.get(b"ViewerPreferences").unwrap().as_dict().unwrap();
    assert!(preferences.get(b"DisplayDocTitle").unwrap().as_bool().unwrap());
}

#[test]
fn several_reports_are_one_document_behind_a_list() {
    let reports: Vec<Report> = (0..40)
        .map(|n| {
            let mut report = if n % 10 == 0 { full() } else { minimal() };
            report.incident["reference"] = format!("042-2026-{n:06}-AB").into();
            report
        })
        .collect();
    let pdf = render_many(&reports, Paper::Letter).unwrap();
    let pages = check("many", &pdf);
    assert!(pages > 40);
    let text = text(&pdf);
    let pages_text: Vec<&str> = text.split('\u{c}').collect();
    assert!(pages_text[0].contains("40 incident reports"));
    // Where the list says a report begins, it begins.
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for n in 0..40 {
        assert!(line.contains(&format!("042-2026-{n:06}-AB")));
    }
    let begins: Vec<usize> = pages_text
        .iter()
        .enumerate()
        .filter(|(_, page)| page.contains("Incident report "))
        .map(|(at, _)| at + 1)
        .collect();
    assert_eq!(begins.len(), 40);
    let listed: Vec<usize> = pages_text[..begins[0] - 1]
        .iter()
        .flat_map(|page| page.lines())
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    assert_eq!(listed, begins);
    assert!(line.contains(&format!("sheet {pages} of {pages}")));
    assert!(matches!(render_many(&[], Paper::A4), Err(RenderError::Empty)));
    let too_many = vec![minimal(); MAX_REPORTS + 1];
    assert!(matches!(render_many(&too_many, Paper::A4), Err(RenderError::TooLarge { .. })));
}

#[test]
fn hostile_texts_are_only_texts() {
    let mut report = full();
    let hostile = "') Tj ET Q q BT (\\) <</JS (app.alert(1))>> stream endstream endobj %%EOF <script>alert(1)</script> \0\u{7} \u{202e}gpj.exe";
    for field in [
        "title",
        "description",
        "location",
        "reference",
        "subcategory",
        "version",
        "id",
        "status",
        "category",
    ] {
        report.incident[field] = hostile.into();
    }
    report.incident["occurred_at"] = hostile.into();
    report.incident["severity"] = json!(u64::MAX);
    report.company = hostile.repeat(20);
    report.store.name = hostile.into();
    report.store.timezone = "../../etc/passwd".into();
    report.url = "javascript:alert(1)".into();
    report.chain = hostile.repeat(3);
    report.photos[0].caption = Some(hostile.repeat(40));
    report.photos[0].sha256 = hostile.into();
    report.history = history(hostile);
    let pdf = made(&report);
    check("hostile", &pdf);
    let document = lopdf::Document::load_mem(&pdf).unwrap();
    for object in document.objects.values() {
        let Ok(dictionary) = object.as_dict() else { continue };
        assert!(!dictionary.has(b"JS") && !dictionary.has(b"JavaScript") && !dictionary.has(b"OpenAction"));
        assert!(!dictionary.has(b"URI"), "a link to no web page");
    }
    // The sign that turns text around is itself shown.
    assert!(line(&pdf).contains("gpj.exe"));
}

#[test]
fn a_link_leads_to_the_incident() {
    assert!(holds(&made(&minimal()), b"https://node.example/incidents/0198b4c0"));
    let mut report = minimal();
    report.url = format!("https://node.example/{}", "x".repeat(5000));
    check("long-url", &made(&report));
}

/// Any JSON at all where the incident should be.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let names = prop_oneof![
            Just("people".to_owned()),
            Just("name".to_owned()),
            Just("roles".to_owned()),
            Just("injury".to_owned()),
            Just("items".to_owned()),
            Just("value_minor".to_owned()),
            Just("loss".to_owned()),
            Just("currency".to_owned()),
            Just("custom".to_owned()),
            Just("comments".to_owned()),
            Just("body".to_owned()),
            Just("tags".to_owned()),
            "[a-z]{1,6}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_report_holds_makes_it_fail(
        texts in proptest::collection::vec(any::<String>(), 8),
        incident in any_json(),
        jpeg in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut report = full();
        report.incident["title"] = texts[0].clone().into();
        report.incident["description"] = texts[1].clone().into();
        report.incident["people"] = json!([{ "name": texts[2], "roles": [texts[3]], "statement": texts[4] }]);
        report.incident["custom"] = json!({ "a": texts[5] });
        report.company.clone_from(&texts[6]);
        report.photos[0].caption = Some(texts[7].clone());
        report.history = history(&texts[5]);
        let pdf = render(&report, Paper::A4).unwrap();
        prop_assert!(lopdf::Document::load_mem(&pdf).is_ok());

        let mut report = minimal();
        report.incident = incident;
        report.photos = vec![photo("a", &[&[0xff, 0xd8][..], &jpeg].concat())];
        let pdf = render(&report, Paper::Letter).unwrap();
        prop_assert!(lopdf::Document::load_mem(&pdf).is_ok());
    }
}
