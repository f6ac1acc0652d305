#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::change::Change;

fn origin() -> Uuid {
    Uuid::from_u128(0x0199_a6c5_7d1e_7000_8000_0000_0000_0001)
}

fn push(bodies: &[&str]) -> Vec<u8> {
    Push::encode(origin(), 1, Link::start(origin()), bodies)
}

fn decode(bytes: &[u8]) -> Result<Push, BatchError> {
    Push::decode(bytes, &Limits::default())
}

fn malformed<T: std::fmt::Debug>(found: Result<T, BatchError>) -> String {
    match found {
        Err(BatchError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_carries_bodies_that_are_no_changes() {
    let bodies = ["{}", "", "not json", " \t", "{\"at\":1}", "\u{0}"];
    let push = decode(&push(&bodies)).unwrap();
    assert_eq!(push.bodies, bodies);
    assert_eq!(push.header.count, 6);
    let links: Vec<_> = push.links().collect();
    assert_eq!(links[1].0, 2);
    assert_eq!(links[2].1, "not json");
    assert_eq!(links[5].2, push.header.head);
}

#[test]
fn a_push_of_nothing_is_a_push() {
    let none: [&str; 0] = [];
    let push = decode(&Push::encode(origin(), 7, Link::start(origin()), &none)).unwrap();
    assert_eq!(push.header.prev, push.header.head);
}

#[test]
fn a_frame_that_is_stored_reads_like_one_that_is_compressed() {
    for length in [0, 1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 300_000] {
        let text = "x".repeat(length);
        assert_eq!(frame::unpack(&frame::stored(text.as_bytes()), 300_000).unwrap(), text);
    }
}

#[test]
fn a_few_bytes_that_unpack_to_very_many_are_refused_before_they_do() {
    let bomb = zstd::bulk::compress(&vec![b' '; 256 * 1024 * 1024], 3).unwrap();
    assert!(bomb.len() < 64 * 1024);
    assert_eq!(decode(&bomb), Err(BatchError::TooLarge));
    assert_eq!(Page::decode(&bomb, &Limits::default()), Err(BatchError::TooLarge));
}

#[test]
fn a_frame_that_asks_for_a_large_window_is_refused() {
    // Window of 2^27 bytes, one empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 1, 0, 0];
    assert!(malformed(decode(&frame)).contains("unpacked"));
}

#[test]
fn what_is_not_exactly_one_complete_frame_is_refused() {
    let whole = push(&["{}"]);
    malformed(decode(&[]));
    malformed(decode(&whole[..whole.len() - 1]));
    malformed(decode(&[whole.clone(), vec![0]].concat()));
    malformed(decode(&[whole.clone(), whole].concat()));
}

#[test]
fn more_than_the_limits_is_refused() {
    let limits = Limits { push_changes: 2, ..Limits::default() };
    assert!(Push::decode(&push(&["{}"; 2]), &limits).is_ok());
    assert_eq!(Push::decode(&push(&["{}"; 3]), &limits), Err(BatchError::TooLarge));
    let limits = Limits { push_bytes: 10, ..Limits::default() };
    assert_eq!(Push::decode(&push(&["{}"]), &limits), Err(BatchError::TooLarge));
}

#[test]
fn one_largest_change_fits_the_smallest_limits() {
    let limits = Limits { push_bytes: 1024, ..Limits::default() };
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(limits.change_bytes as usize - 8));
    assert!(Push::decode(&push(&[&body]), &limits).is_ok());
}

#[test]
fn a_header_that_does_not_hold_is_refused() {
    let start = Link::start(origin());
    let good = Push::text(origin(), 1, start, &["{}", "{}"]);
    let with = |from: &str, to: &str| decode(&frame::pack(&good.replacen(from, to, 1)));
    assert!(with("", "").is_ok());
    malformed(with("\"count\":2", "\"count\":3"));
    malformed(with("\"count\":2", "\"count\":1"));
    malformed(with("\"first_seq\":1", "\"first_seq\":0"));
    malformed(with("\"first_seq\":1", "\"first_seq\":18446744073709551615"));
    malformed(with("{}\n{}\n", "{}\n{}"));
    malformed(with("\"head\"", "\"tail\""));
    assert_eq!(with("8000-000000000001", "8000-000000000002"), Err(BatchError::ChainBroken));
    assert_eq!(with("{}\n{}", "{}\n[]"), Err(BatchError::ChainBroken));
    let head = start.extend(b"{}").extend(b"{}").to_string();
    assert_eq!(with(&head, &start.to_string()), Err(BatchError::ChainBroken));
    assert_eq!(
        with(&format!("\"prev\":\"{start}\""), &format!("\"prev\":\"{head}\"")),
        Err(BatchError::ChainBroken)
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut text = Push::text(origin(), 1, Link::start(origin()), &["{}"]).into_bytes();
    text.extend([0xff, b'\n']);
    assert_eq!(malformed(decode(&zstd::bulk::compress(&text, 3).unwrap())), "not UTF-8");
}

#[test]
fn a_page_keeps_the_bytes_of_bodies_with_white_space_escapes_and_odd_numbers() {
    let bodies = [
        r#"{"at": 1.0e2,  "set":{ "b":1,"a":"\u00e9\/" } , "x":00000}"#,
        r#"{"at":1764000000000,"by":"kim","id":"0199a6c5-7d1e-7000-8000-000000000001","kind":"k","set":{}}"#,
        r#"{ "z":1e400, "a":[ ],"a":[1 , 2]	}"#,
    ];
    assert!(raw_body(bodies[0]).is_err(), "00000 is no JSON");
    for body in &bodies[1..] {
        let raw = raw_body(body).unwrap();
        let line = PageLine {
            origin: origin(),
            seq: 1,
            scope: crate::scope::Scope::Company,
            received_ms: 5,
            hlc: None,
            seal: None,
            body: raw,
        };
        let header = PageHeader {
            hub_id: origin(),
            epoch: origin(),
            now_ms: 6,
            count: 77,
            cursors: [].into(),
            more: false,
            sites: [].into(),
        };
        let page = Page { header, lines: vec![line.clone(), line] };
        let read = Page::decode(&page.encode(), &Limits::default()).unwrap();
        assert_eq!(read.header.count, 2);
        assert_eq!(read.lines[1].body.get(), *body);
        assert_eq!(read.lines, page.lines);
    }
}

#[test]
fn a_body_that_a_page_could_not_carry_is_no_change() {
    for body in ["", "no", " {}", "{} ", "{\n}", "\t{}"] {
        assert!(Change::from_body(body).is_err(), "{body:?}");
        assert!(raw_body(body).is_err(), "{body:?}");
    }
}

#[test]
fn a_page_of_more_lines_than_asked_for_is_refused() {
    let header = r#"{"hub_id":"0199a6c5-7d1e-7000-8000-000000000001","epoch":"0199a6c5-7d1e-7000-8000-000000000001","now_ms":1,"count":3,"cursors":{},"more":false,"sites":{}}"#;
    let bytes = frame::pack(&format!("{header}\n{{}}\n{{}}\n{{}}\n"));
    let limits = Limits { pull_changes: 2, ..Limits::default() };
    assert_eq!(Page::decode(&bytes, &limits), Err(BatchError::TooLarge));
    malformed(Page::decode(&bytes, &Limits::default()));
}
