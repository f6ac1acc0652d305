//! What proof, decisions and erasure send in version 2.

use super::{NOW, bodies, change, compact, file, id, laid_out, limits, origin, read, same, state, unpacked, v2};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::checksum::{
    BUCKETS, ChangeItem, ChangesRequest, ChecksumsAnswer, ChecksumsRequest, Compared, RecordChanges, RecordItem,
    ScopeAnswer, Sum, Sums, bucket_of, record_sum,
};
use sync_protocol::message::HelloAnswer;
use sync_protocol::record::{check, settlement_of};
use sync_protocol::scope::Scope;

fn change_id(seq: u64) -> ChangeId {
    ChangeId { origin: origin(), seq }
}

fn sum() -> Sum {
    record_sum(id(1), "incident", &state())
}

fn sums() -> Sums {
    let mut sums = Sums::default();
    sums.add(sum());
    sums
}

fn store() -> Scope {
    Scope::Store("042".to_owned())
}

fn request() -> ChecksumsRequest {
    ChecksumsRequest {
        origin: origin(),
        seq: 6,
        cursors: BTreeMap::from([(Scope::Company, None), (store(), Some("opaque/7".to_owned()))]),
        sums: BTreeMap::from([(Scope::Company, Sums::default()), (store(), sums())]),
        buckets: BTreeMap::new(),
        records: Vec::new(),
        damaged: 0,
        mended: 0,
    }
}

/// The second and the third question in one.
fn located() -> ChecksumsRequest {
    ChecksumsRequest {
        buckets: BTreeMap::from([(store(), vec![bucket_of(id(1)), 0])]),
        records: vec![id(1)],
        damaged: 2,
        mended: 1,
        ..request()
    }
}

fn scope_answer(state: Compared) -> ScopeAnswer {
    ScopeAnswer {
        state,
        node_lacks: 0,
        hub_lacks: 0,
        sums: sums(),
        buckets: Vec::new(),
        items: Vec::new(),
        more: false,
    }
}

fn answer() -> ChecksumsAnswer {
    let behind = ScopeAnswer { node_lacks: 3, hub_lacks: 1, ..scope_answer(Compared::Behind) };
    ChecksumsAnswer {
        hub_id: id(0xf0),
        epoch: id(0xf1),
        now_ms: NOW,
        scopes: BTreeMap::from([(Scope::Company, scope_answer(Compared::Equal)), (store(), behind)]),
        records: Vec::new(),
        wanted: Vec::new(),
        lost: Vec::new(),
    }
}

fn different() -> ChecksumsAnswer {
    let mut buckets = vec![Sums::default(); BUCKETS];
    buckets[usize::from(bucket_of(id(1)))] = sums();
    let items = vec![
        RecordItem { id: id(1), sum: sum(), aside: false },
        RecordItem { id: id(2), sum: Sum::from_bytes([2; 16]), aside: true },
    ];
    let scope = ScopeAnswer { buckets, items, more: true, ..scope_answer(Compared::Different) };
    let body = &bodies()[0];
    let held = ChangeItem {
        id: change_id(1),
        hlc: Change::from_body(body).unwrap().order(),
        body: Sum::of_body(body),
    };
    ChecksumsAnswer {
        scopes: BTreeMap::from([(store(), scope)]),
        records: vec![RecordChanges { id: id(1), changes: vec![held] }],
        wanted: vec![change_id(4)],
        lost: vec!["ab".repeat(32)],
        ..answer()
    }
}

fn changes_request() -> ChangesRequest {
    ChangesRequest { wanted: vec![change_id(1), ChangeId { origin: id(0xb), seq: 7 }] }
}

/// What mends: one line of somebody else with the hub's seal, one of the node's own without.
fn mend() -> Page {
    let mut page = v2::give();
    page.lines[1].seal = None;
    page
}

/// What people decide about a change in quarantine and about a review, and headquarters' orders.
fn decisions() -> Vec<Change> {
    let (bad, text) = (change_id(6), change_id(6).to_string());
    let edit = |at, record, kind: &str, set: Value| Change { new: false, ..change(at, record, kind, set) };
    let mut corrected = change(NOW + 20, id(5), "comment", json!({"incident_id": id(1), "body": "as it was meant"}));
    corrected.instead_of = Some(bad);
    let order = json!({
        "incident": id(1), "reason": "asked for it", format!("what/{}", id(1)): [format!("people/{}", id(0x20)), "description"],
    });
    let done = json!({format!("done/{}", id(0xe0)): {"at": "2026-11-23T00:00:00Z", "changes": 2, "contents": 0}});
    let left = json!({format!("left/{}", change_id(1)): {"digest": "0d".repeat(32), "seal": "0e".repeat(16)}});
    vec![
        change(
            NOW + 20,
            settlement_of(bad),
            "settlement",
            json!({"change": text, "retried": {"reason": "read again"}}),
        ),
        edit(
            NOW + 21,
            settlement_of(bad),
            "settlement",
            json!({"decided": {"action": "edit", "reason": "a slip", "instead": change_id(9).to_string()}}),
        ),
        corrected,
        change(
            NOW + 22,
            settlement_of(change_id(5)),
            "settlement",
            json!({"change": change_id(5).to_string(), "decided": {"action": "discard", "reason": "a test"}}),
        ),
        edit(
            NOW + 23,
            id(1),
            "incident",
            json!({"settled/severity": {"keep": "standing", "lost": [change_id(1).to_string()]}}),
        ),
        edit(
            NOW + 24,
            id(1),
            "incident",
            json!({"hold": {"by": "harriet", "at": "2026-11-23T00:00:00Z", "reason": "case 17"}}),
        ),
        change(NOW + 25, id(6), "erasure", order),
        edit(NOW + 26, id(6), "erasure", left),
        edit(NOW + 27, id(6), "erasure", done),
    ]
}

fn decided() -> Vec<u8> {
    let bodies: Vec<String> = decisions().iter().map(|change| change.to_body().unwrap()).collect();
    Push::encode(origin(), 7, Link::start(origin()), &bodies)
}

fn returned() -> HelloAnswer {
    HelloAnswer { returned: true, ..v2::hello_answer() }
}

/// Every sample by its file's name, as today's code writes it.
pub fn written() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("v2/checksums-request.json", compact(&request())),
        ("v2/checksums-request-located.json", compact(&located())),
        ("v2/checksums-answer.json", compact(&answer())),
        ("v2/checksums-answer-different.json", compact(&different())),
        ("v2/changes-request.json", compact(&changes_request())),
        ("v2/mend.ndjson", unpacked(&mend().encode())),
        ("v2/decisions.ndjson", unpacked(&decided())),
        ("v2/decisions.json", laid_out(&decided())),
        ("v2/hello-answer-returned.json", compact(&returned())),
    ]
}

pub fn compressed() -> Vec<(&'static str, Vec<u8>)> {
    vec![("v2/mend.zst", mend().encode()), ("v2/decisions.zst", decided())]
}

#[test]
fn what_proves_decides_and_erases_is_read_as_it_was_meant_and_sent_as_it_was() {
    same("v2/checksums-request.json", &request());
    same("v2/checksums-request-located.json", &located());
    same("v2/checksums-answer.json", &answer());
    same("v2/checksums-answer-different.json", &different());
    same("v2/changes-request.json", &changes_request());
    same("v2/hello-answer-returned.json", &returned());
    assert_eq!(Page::decode(&read("v2/mend.zst"), &limits()).unwrap(), mend());
    let push = Push::decode(&read("v2/decisions.zst"), &limits()).unwrap();
    let read_back: Vec<Change> = push.bodies.iter().map(|body| Change::from_body(body).unwrap()).collect();
    assert_eq!(read_back, decisions());
    for (name, bytes) in written() {
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&read(name)), "{name}");
    }
    for (packed, lines) in [("v2/mend.zst", "v2/mend.ndjson"), ("v2/decisions.zst", "v2/decisions.ndjson")] {
        assert_eq!(unpacked(&read(packed)), read(lines));
    }
    assert!(file("v2/decisions.json").exists());
}

#[test]
fn every_decision_of_the_samples_is_one_that_a_site_takes() {
    for change in decisions() {
        assert_eq!(check(&change.kind, &change.set), Vec::new(), "{}", change.to_body().unwrap());
    }
}
