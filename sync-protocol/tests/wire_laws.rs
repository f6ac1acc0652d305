//! The laws of what crosses the wire: what was sent arrives, and what was not sent is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod arbitrary;

use arbitrary::{config, json, origin};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sync_protocol::batch::{BatchError, Page, PageHeader, PageLine, Push, raw_body};
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::hlc::Hlc;
use sync_protocol::message::{self, Limits};
use sync_protocol::scope::Scope;

/// A line of any text, also of what is no JSON.
fn lines() -> impl Strategy<Value = Vec<String>> {
    vec(any::<String>().prop_map(|text| text.replace('\n', " ")), 0..20)
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Company), Just(Scope::Hub), "[A-Za-z0-9_-]{1,16}".prop_map(Scope::Store)]
}

fn page() -> impl Strategy<Value = Page> {
    let hlc = proptest::option::of((0..9_i64, 0..9_u16).prop_map(|(ms, counter)| Hlc::new(ms, counter)));
    let line = (0..9_usize, any::<u64>(), scope(), any::<i64>(), hlc, json(), 0..3_usize).prop_map(
        |(at, seq, scope, received_ms, hlc, value, spaces)| {
            let body = serde_json::to_string(&value).unwrap();
            // Insignificant white space inside a body is part of its bytes.
            let body = format!("{{{0}\"set\"{0}:{0}{body}{0}}}", " ".repeat(spaces));
            PageLine {
                origin: origin(at),
                seq,
                scope,
                received_ms,
                hlc,
                seal: None,
                body: raw_body(&body).unwrap(),
            }
        },
    );
    (vec(line, 0..12), btree_map(scope(), any::<String>(), 0..4), any::<bool>(), any::<i64>()).prop_map(
        |(lines, cursors, more, now_ms)| Page {
            header: PageHeader {
                hub_id: origin(1),
                epoch: origin(2),
                now_ms,
                count: lines.len() as u32,
                cursors,
                more,
                sites: lines.iter().map(|line| (line.origin, "042".to_owned())).collect(),
            },
            lines,
        },
    )
}

fn start(first_seq: u64) -> Link {
    if first_seq == 1 { Link::start(origin(0)) } else { Link::from_bytes([7; 32]) }
}

/// Frames whose inside is any lines: further into the reader than any bytes get.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "\\PC*",
        json().prop_map(|value| value.to_string()),
        Just("{\"hub_id\":\"x\",\"count\":1}".to_owned()),
        (any::<u64>(), any::<u32>()).prop_map(|(first_seq, count)| {
            let (origin, link) = (origin(0), start(1));
            format!(
                r#"{{"origin":"{origin}","first_seq":{first_seq},"prev":"{link}","count":{count},"head":"{link}"}}"#
            )
        }),
    ];
    vec(line, 0..5).prop_map(|lines| zstd::bulk::compress(lines.join("\n").as_bytes(), 1).unwrap())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_push_arrives_as_it_was_sent(bodies in lines(), first_seq in 1..u64::MAX / 2) {
        let bytes = Push::encode(origin(0), first_seq, start(first_seq), &bodies);
        let push = Push::decode(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(push.header.first_seq, first_seq);
        prop_assert_eq!(push.header.head, push.links().last().map_or(push.header.prev, |(_, _, link)| link));
        prop_assert_eq!(push.bodies, bodies);
    }

    #[test]
    fn a_page_arrives_as_it_was_sent(page in page()) {
        let read = Page::decode(&page.encode(), &Limits::default()).unwrap();
        for (read, sent) in read.lines.iter().zip(&page.lines) {
            prop_assert_eq!(read.body.get(), sent.body.get());
        }
        prop_assert_eq!(read, page);
    }

    #[test]
    fn a_push_with_one_byte_of_a_body_changed_is_refused(
        bodies in vec("[a-z{}\":]{1,40}", 1..8),
        at: proptest::sample::Index,
        by in 1..128_u8,
    ) {
        let bytes = Push::encode(origin(0), 1, start(1), &bodies);
        let mut text = zstd::bulk::decompress(&bytes, 1 << 20).unwrap();
        let header = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let at = header + at.index(text.len() - header);
        text[at] ^= by;
        let forged = zstd::bulk::compress(&text, 3).unwrap();
        prop_assert!(Push::decode(&forged, &Limits::default()).is_err());
    }

    #[test]
    fn a_push_under_a_forged_header_is_refused(bodies in vec("[a-z{}]{1,40}", 1..8), which in 0..4_usize, other: [u8; 32]) {
        let bytes = Push::encode(origin(0), 1, start(1), &bodies);
        let text = String::from_utf8(zstd::bulk::decompress(&bytes, 1 << 20).unwrap()).unwrap();
        let (header, rest) = text.split_once('\n').unwrap();
        let mut header: serde_json::Value = serde_json::from_str(header).unwrap();
        let link = serde_json::to_value(Link::from_bytes(other)).unwrap();
        match which {
            0 => header["prev"] = link,
            1 => header["head"] = link,
            2 => header["origin"] = serde_json::to_value(origin(1)).unwrap(),
            _ => header["count"] = (bodies.len() - 1).into(),
        }
        let forged = zstd::bulk::compress(format!("{header}\n{rest}").as_bytes(), 3).unwrap();
        let found = Push::decode(&forged, &Limits::default());
        let right = if which < 3 { found == Err(BatchError::ChainBroken) } else { matches!(found, Err(BatchError::Malformed(_))) };
        prop_assert!(right, "{found:?}");
    }

    #[test]
    fn any_bytes_are_a_batch_or_refused(bytes in vec(any::<u8>(), 0..400), framed in framed()) {
        for bytes in [bytes, framed] {
            let _ = Push::decode(&bytes, &Limits::default());
            let _ = Page::decode(&bytes, &Limits::default());
        }
    }

    #[test]
    fn a_batch_with_any_bit_changed_on_the_way_never_panics(page in page(), bodies in lines(), at: proptest::sample::Index, bit in 0..8) {
        for (mut bytes, is_page) in [(page.encode(), true), (Push::encode(origin(0), 1, start(1), &bodies), false)] {
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            if is_page {
                let _ = Page::decode(&bytes, &Limits::default());
            } else if let Ok(read) = Push::decode(&bytes, &Limits::default()) {
                // A bit that means nothing to zstd may flip; the changes are the same or the push is refused.
                prop_assert_eq!(&read.bodies, &bodies);
            }
        }
    }

    #[test]
    fn any_text_is_a_change_or_refused_and_a_change_always_rides_in_a_page(text: String, value in json()) {
        let like = format!(r#"{{"at":1,"by":"k","id":"{}","kind":"k","set":{{"f":{value}}},"later":{value}}}"#, origin(1));
        for body in [text, value.to_string(), like] {
            if Change::from_body(&body).is_ok() {
                let raw = raw_body(&body).unwrap();
                prop_assert_eq!(raw.get(), body.as_str());
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written(text in "\\PC{0,60}", seq in 1..u64::MAX, scope in scope()) {
        let id = ChangeId { origin: origin(3), seq };
        prop_assert_eq!(id.to_string().parse::<ChangeId>().unwrap(), id);
        prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        // One thing, one spelling.
        prop_assert!(text.parse::<ChangeId>().map_or(true, |id| id.to_string() == text));
        prop_assert!(text.parse::<Hlc>().map_or(true, |hlc| hlc.to_string() == text));
        prop_assert!(text.parse::<Scope>().map_or(true, |scope| scope.to_string() == text));
    }

    #[test]
    fn a_proof_holds_for_its_answer_only(
        secret: String,
        nonce in "[0-9a-f]{32}",
        status in 100..1000_u16,
        body in vec(any::<u8>(), 0..50),
        at: proptest::sample::Index,
    ) {
        let key = message::credential_keys(&secret).proof;
        let proof = message::proof(&key, &nonce, status, &body);
        prop_assert!(message::proves(&proof, &key, &nonce, status, &body));
        let mut other = body.clone();
        other.push(0);
        let mut flipped = key;
        flipped[at.index(32)] ^= 1;
        prop_assert!(!message::proves(&proof, &key, &nonce, status, &other));
        prop_assert!(!message::proves(&proof, &key, &nonce, status - 1, &body));
        prop_assert!(!message::proves(&proof, &flipped, &nonce, status, &body));
        prop_assert!(!message::proves(&proof, &key, &nonce[1..], status, &body));
        prop_assert!(!message::proves(&proof[1..], &key, &nonce, status, &body));
    }
}

#[test]
fn other_spellings_of_a_change_id_are_refused() {
    let id = ChangeId { origin: origin(3), seq: 7 };
    let text = id.to_string();
    let spellings = [
        text.replace(':', ":+"),
        text.replace(":7", ":07"),
        text.to_uppercase(),
        text.replace('-', ""),
        text.replace(":7", ":0"),
    ];
    for other in spellings {
        assert!(other == text || other.parse::<ChangeId>().is_err(), "{other}");
    }
}

#[test]
fn members_are_sorted_at_every_depth_so_that_one_edit_has_one_body() {
    let set = serde_json::from_str(r#"{"b":{"z":1,"a":{"y":1,"x":2}},"a":1}"#).unwrap();
    let change = Change {
        at: 1,
        base: [].into(),
        by: "kim".into(),
        hlc: None,
        instead_of: None,
        id: origin(1),
        kind: "k".into(),
        new: false,
        set,
    };
    let body = change.to_body().unwrap();
    assert!(body.ends_with(r#""set":{"a":1,"b":{"a":{"x":2,"y":1},"z":1}}}"#), "{body}");
}
