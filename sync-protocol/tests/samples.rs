//! `samples/v1` is what version 1 looks like on the wire, `samples/v2` what version 2 adds or words otherwise, both frozen.
//! These values in code and those bytes on disk must go on being the same thing in both directions, whatever becomes of
//! the code between them.
//!
//! A new message gets a sample by `AINCIDENT_FREEZE_SAMPLES=1 cargo test -p sync-protocol --test samples`, which writes
//! what is missing, never touches what is there, and then checks all of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod proof_samples;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use sync_protocol::batch::{Page, Push, raw_body};
use sync_protocol::chain::Link;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::erasure::{digest, redact};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::RecordState;
use sync_protocol::message::{
    Answer, EnrolAnswer, EnrolRequest, GiveAnswer, Given, GivenLine, HelloAnswer, HelloRequest, Limits, NodeStatus,
    OfferAnswer, OfferRequest, Outcome, PageHeader, PageLine, PullRequest, PushAnswer, PushResult, Receipt,
    SettingsReport, credential_keys, proof,
};
use sync_protocol::scope::Scope;
use sync_protocol::seal::HubKey;
use uuid::Uuid;

const NOW: i64 = 1_795_392_000_000;
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const NONCE: &str = "00112233445566778899aabbccddeeff";

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x019a_a2b3_c000_7000_8000_0000_0000_0000 + number)
}

fn origin() -> Uuid {
    id(0xa)
}

/// `name` without a folder is of version 1.
fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    if name.contains('/') {
        folder.join(name)
    } else {
        folder.join("v1").join(name)
    }
}

fn read(name: &str) -> Vec<u8> {
    freeze_what_is_missing();
    std::fs::read(file(name)).unwrap_or_else(|e| panic!("samples/{name}: {e}"))
}

fn change(at: i64, record: Uuid, kind: &str, set: Value) -> Change {
    Change {
        at,
        base: BTreeMap::new(),
        by: "kim".to_owned(),
        hlc: None,
        instead_of: None,
        id: record,
        kind: kind.to_owned(),
        new: true,
        set: serde_json::from_value(set).unwrap(),
    }
}

/// One of each thing a body can be: a report, a correction, a comment, a deletion, a kind of a later version.
fn changes() -> Vec<Change> {
    let person = format!("people/{}", id(0x20));
    let item = format!("items/{}", id(0x30));
    let report = change(
        NOW,
        id(1),
        "incident",
        json!({
            "reference": "042-2026-000017-K7", "description": "Zwei Flaschen Öl „verschwunden“ 🙂\n\tsiehe Foto",
            "occurred_at": "2026-11-22T23:59:59.250Z", "category": "theft", "severity": 3, "status": "submitted",
            "tags": ["oil", "öl"], "ambulance": false, "custom/register_no": 7.5, "loss/amount_minor": 1998,
            "loss/currency": "EUR",
            person: {"name": "Zoë", "roles": ["witness"], "injury": {"nature": "cut", "treatment": "first_aid"}},
            item: {"description": "olive oil", "sku": "00420", "quantity": 2, "value_minor": 999, "outcome": "stolen"},
        }),
    );
    let mut correction = change(NOW, id(1), "incident", json!({"severity": 4, "subcategory": null}));
    correction.new = false;
    correction.base = BTreeMap::from([("severity".to_owned(), ChangeId { origin: origin(), seq: 1 })]);
    correction.set_order(Hlc::new(NOW, 1));
    let comment =
        change(NOW + 5, id(2), "comment", json!({"incident_id": id(1), "body": "camera 3", "kind": "addendum"}));
    let mut deletion = change(NOW + 9, id(1), "incident", json!({"deleted": {"saw": {origin().to_string(): 2}}}));
    deletion.new = false;
    let later = change(NOW + 11, id(3), "weather", json!({"rain": {"mm": 1e-7, "since": null}}));
    vec![report, correction, comment, deletion, later]
}

fn bodies() -> Vec<String> {
    let bodies = changes().into_iter().map(|change| change.to_body().unwrap());
    // The last one is no change at all and travels all the same.
    bodies.chain(["{\"at\":\"yesterday\"}".to_owned()]).collect()
}

fn push_bytes() -> Vec<u8> {
    Push::encode(origin(), 1, Link::start(origin()), &bodies())
}

fn page() -> Page {
    // With white space in it, as another implementation may write a body.
    let spaced =
        format!(r#"{{ "set":{{"name": "Mitte"}}, "at": {NOW}, "by":"kim", "id":"{}", "kind":"store" }}"#, id(4));
    let line = |seq, scope, hlc, body: &str| PageLine {
        origin: id(0xb),
        seq,
        scope,
        received_ms: NOW + 1000,
        hlc,
        seal: None,
        body: raw_body(body).unwrap(),
    };
    Page {
        header: PageHeader {
            hub_id: id(0xf0),
            epoch: id(0xf1),
            now_ms: NOW + 2000,
            count: 2,
            cursors: BTreeMap::from([
                (Scope::Company, "c1".to_owned()),
                (Scope::Store("042".to_owned()), "opaque/7".to_owned()),
            ]),
            more: true,
            sites: BTreeMap::from([(id(0xb), "hub".to_owned())]),
        },
        lines: vec![
            line(7, Scope::Company, None, &spaced),
            line(8, Scope::Store("042".to_owned()), Some(Hlc::new(NOW + 300_000, 0)), &bodies()[0]),
        ],
    }
}

fn limits() -> Limits {
    Limits {
        push_changes: 1000,
        push_bytes: 4_194_304,
        change_bytes: 393_216,
        pull_changes: 1000,
        wait_ms: 25_000,
    }
}

fn status() -> NodeStatus {
    NodeStatus {
        pending_changes: 5,
        pending_blobs: 2,
        pending_blob_bytes: 5_000_000,
        quarantined: 1,
        clock_offset_ms: -1500,
        version: "0.1.0".to_owned(),
        settings: None,
        believes: Vec::new(),
        disk_low: false,
    }
}

fn enrol_request() -> EnrolRequest {
    EnrolRequest {
        code: "ABCD-EFGH-JKMN".to_owned(),
        node_name: "store-042-pc".to_owned(),
        version: "0.1.0".to_owned(),
        protocols: vec![1],
        now_ms: NOW,
        store_code: None,
    }
}

fn enrol_answer() -> EnrolAnswer {
    EnrolAnswer {
        hub_id: id(0xf0),
        epoch: id(0xf1),
        node_id: id(0xe0),
        store_code: "042".to_owned(),
        store_name: "Downtown".to_owned(),
        timezone: "America/Chicago".to_owned(),
        credential: SECRET.to_owned(),
        protocol: 1,
        scopes: vec![Scope::Company, Scope::Store("042".to_owned())],
        limits: limits(),
        photos: None,
        now_ms: NOW,
    }
}

fn hello_request() -> HelloRequest {
    HelloRequest {
        version: "0.1.0".to_owned(),
        protocols: vec![1],
        hub_id: id(0xf0),
        epoch: id(0xf1),
        origin: origin(),
        seq: 0,
        head: Link::start(origin()),
        now_ms: NOW,
        renew: false,
        acked: None,
        status: status(),
    }
}

fn hello_answer() -> HelloAnswer {
    HelloAnswer {
        hub_id: id(0xf0),
        epoch: id(0xf1),
        protocol: 1,
        scopes: vec![Scope::Company, Scope::Store("042".to_owned())],
        limits: limits(),
        photos: None,
        now_ms: NOW,
        applied_seq: 0,
        head: Link::start(origin()),
        credential: Some(SECRET.to_owned()),
        durable_seq: 0,
        version: String::new(),
        protocols: Vec::new(),
        retired: false,
        successor: None,
        returned: false,
        authorities: Vec::new(),
    }
}

fn pull_request() -> PullRequest {
    PullRequest {
        cursors: BTreeMap::from([
            (Scope::Company, None),
            (Scope::Store("042".to_owned()), Some("opaque/7".to_owned())),
        ]),
        skip: vec![origin()],
        limit: 1000,
        wait_ms: 25_000,
        status: status(),
        looks: false,
    }
}

fn push_answer(result: PushResult) -> PushAnswer {
    PushAnswer { hub_id: id(0xf0), epoch: id(0xf1), now_ms: NOW + 2000, result }
}

fn accepted() -> PushAnswer {
    let quarantined = Outcome::Quarantined {
        code: "malformed".to_owned(),
        reason: "not a change: missing field `by`".to_owned(),
    };
    let outcomes = [
        Outcome::Applied,
        Outcome::Merged,
        Outcome::Duplicate,
        Outcome::Deferred,
        Outcome::Applied,
        quarantined,
    ];
    let answers = (1..).zip(outcomes).map(|(seq, outcome)| Answer {
        seq,
        outcome,
        received_ms: NOW + 1500,
        hlc: (seq == 2).then(|| Hlc::new(NOW, 0)),
    });
    let head = bodies().iter().fold(Link::start(origin()), |link, body| link.extend(body.as_bytes()));
    push_answer(PushResult::Accepted {
        applied_seq: 6,
        durable_seq: 0,
        head,
        answers: answers.collect(),
        receipt: None,
    })
}

/// Chain, keys and proof with all that goes in and comes out, for whoever writes them anew.
fn digests() -> Value {
    let mut link = Link::start(origin());
    let chain: Vec<Value> = bodies()
        .iter()
        .map(|body| {
            link = link.extend(body.as_bytes());
            json!({"body": body, "link": link})
        })
        .collect();
    let keys = credential_keys(SECRET);
    let hex = |bytes: [u8; 32]| Link::from_bytes(bytes).to_string();
    let answer = String::from_utf8(compact(&push_answer(PushResult::Gap { expected: 3 }))).unwrap();
    let person = format!("people/{}", id(0x20));
    let whole = changes()[0].to_salted_body("00112233445566778899aabb", &[id(0x40)]).unwrap();
    let left = redact(&whole, |field| field == person || field == "description").unwrap();
    let erased = json!({
        "whole": whole, "fields": [person, "description"], "left": left, "digest": hex(digest(left.as_bytes())),
        "link": Link::start(origin()).extend(left.as_bytes()),
    });
    json!({
        "erased": erased, "origin": origin(), "start": Link::start(origin()), "chain": chain,
        "secret": SECRET, "auth_key": hex(keys.auth), "proof_key": hex(keys.proof), "nonce": NONCE, "status": 200,
        "answer": answer, "proof": proof(&keys.proof, NONCE, 200, answer.as_bytes()),
    })
}

/// The state that the push's changes make, as it is kept and compared.
fn state() -> RecordState {
    let changes = changes();
    let numbered = (1..).zip(&changes).filter(|(_, change)| change.id == id(1));
    RecordState::of(numbered.map(|(seq, change)| (ChangeId { origin: origin(), seq }, change.order(), change)))
}

fn compact<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::decompress(bytes, 1 << 20).unwrap()
}

/// For people: the same batch, laid out.
fn laid_out(batch: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(unpacked(batch)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut out = serde_json::to_vec_pretty(&lines).unwrap();
    out.push(b'\n');
    out
}

/// Every sample by its file's name, as today's code writes it. Compressed ones are not compared: another version of
/// the compressor may find shorter bytes.
fn written() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("enrol-request.json", compact(&enrol_request())),
        ("enrol-answer.json", compact(&enrol_answer())),
        ("hello-request.json", compact(&hello_request())),
        ("hello-answer.json", compact(&hello_answer())),
        ("pull-request.json", compact(&pull_request())),
        ("push-answer-accepted.json", compact(&accepted())),
        ("push-answer-gap.json", compact(&push_answer(PushResult::Gap { expected: 3 }))),
        ("push-answer-fork.json", compact(&push_answer(PushResult::Fork { agreed_seq: 2 }))),
        ("push.ndjson", unpacked(&push_bytes())),
        ("push.json", laid_out(&push_bytes())),
        ("page.ndjson", unpacked(&page().encode())),
        ("page.json", laid_out(&page().encode())),
        ("digests.json", serde_json::to_vec_pretty(&digests()).unwrap()),
        ("state.json", serde_json::to_vec_pretty(&state()).unwrap()),
    ]
}

fn compressed() -> Vec<(&'static str, Vec<u8>)> {
    vec![("push.zst", push_bytes()), ("page.zst", page().encode())]
}

/// What version 2 adds.
mod v2 {
    use super::*;

    pub fn key() -> HubKey {
        HubKey::new([7; 32])
    }

    pub fn receipt() -> Receipt {
        key().receipt(id(0xf1), origin(), 6, accepted_head())
    }

    fn accepted_head() -> Link {
        bodies().iter().fold(Link::start(origin()), |link, body| link.extend(body.as_bytes()))
    }

    pub fn hello_request() -> HelloRequest {
        HelloRequest {
            protocols: vec![1, 2],
            seq: 6,
            head: accepted_head(),
            renew: true,
            acked: Some(receipt()),
            ..super::hello_request()
        }
    }

    pub fn hello_request_settings() -> HelloRequest {
        let settings = SettingsReport {
            version: "af1349b9f5f9a1a6a0404dea36dcc949".to_owned(),
            refused: [("warp/factor".to_owned(), "this program does not know it: upgrade it".to_owned())].into(),
            overridden: vec!["photos/max_kbit_s".to_owned()],
        };
        HelloRequest { status: NodeStatus { settings: Some(settings), ..status() }, ..hello_request() }
    }

    pub fn hello_answer() -> HelloAnswer {
        HelloAnswer {
            protocol: 2,
            applied_seq: 6,
            head: accepted_head(),
            credential: Some(key().secret(id(0xe0), 2)),
            durable_seq: 4,
            version: "0.1.0".to_owned(),
            protocols: vec![1, 2],
            ..super::hello_answer()
        }
    }

    pub fn accepted() -> PushAnswer {
        let mut answer = super::accepted();
        if let PushResult::Accepted { receipt: sealed, durable_seq, .. } = &mut answer.result {
            *sealed = Some(receipt());
            *durable_seq = 4;
        }
        answer
    }

    /// The page of version 1 with the hub's seals, its cursors the hub's own.
    pub fn page() -> Page {
        let mut page = super::page();
        for line in &mut page.lines {
            let placed = line.hlc.unwrap_or_else(|| Change::from_body(line.body.get()).unwrap().order());
            line.seal = Some(key().line(line, "hub", placed));
        }
        page
    }

    /// What a node gives back: lines as they came, in a batch without cursors.
    pub fn give() -> Page {
        let page = page();
        Page {
            header: PageHeader { cursors: BTreeMap::new(), more: false, now_ms: 0, ..page.header },
            lines: page.lines,
        }
    }

    pub fn offer_request() -> OfferRequest {
        OfferRequest { origins: BTreeMap::from([(id(0xb), 8), (id(0xc), 3)]) }
    }

    pub fn offer_answer() -> OfferAnswer {
        OfferAnswer { hub_id: id(0xf0), epoch: id(0xf2), wanted: BTreeMap::from([(id(0xb), 7)]) }
    }

    pub fn give_answer() -> GiveAnswer {
        let line = |seq, outcome| GivenLine { origin: id(0xb), seq, outcome };
        let refused = |later, reason: &str| Given::Refused { later, reason: reason.to_owned() };
        GiveAnswer {
            hub_id: id(0xf0),
            epoch: id(0xf2),
            answers: vec![
                line(7, Given::Taken),
                line(7, Given::Known),
                line(8, refused(true, "something before it is missing")),
                line(9, refused(false, "it does not carry this hub's seal")),
            ],
        }
    }

    /// What only the hub with the key computes, for a second implementation of a hub.
    fn seals() -> Value {
        let company = Scope::Company;
        json!({
            "key": "07".repeat(32), "secret_2": key().secret(id(0xe0), 2), "receipt": receipt(),
            "lines": page().lines.iter().map(|line| line.seal).collect::<Vec<_>>(),
            "cursor": format!("{}.7.0102030a{}", id(0xf1), key().cursor(&company, id(0xf1), 7, 0x0102_030a)),
        })
    }

    pub fn written() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("v2/hello-request.json", compact(&hello_request())),
            ("v2/hello-request-settings.json", compact(&hello_request_settings())),
            ("v2/hello-answer.json", compact(&hello_answer())),
            ("v2/push-answer-accepted.json", compact(&accepted())),
            ("v2/page.ndjson", unpacked(&page().encode())),
            ("v2/page.json", laid_out(&page().encode())),
            ("v2/offer-request.json", compact(&offer_request())),
            ("v2/offer-answer.json", compact(&offer_answer())),
            ("v2/give.ndjson", unpacked(&give().encode())),
            ("v2/give-answer.json", compact(&give_answer())),
            ("v2/seals.json", serde_json::to_vec_pretty(&seals()).unwrap()),
        ]
    }

    pub fn compressed() -> Vec<(&'static str, Vec<u8>)> {
        vec![("v2/page.zst", page().encode()), ("v2/give.zst", give().encode())]
    }
}

#[test]
fn what_version_2_sent_is_read_as_it_was_meant_and_sent_as_it_was() {
    same("v2/hello-request.json", &v2::hello_request());
    same("v2/hello-request-settings.json", &v2::hello_request_settings());
    same("v2/hello-answer.json", &v2::hello_answer());
    same("v2/push-answer-accepted.json", &v2::accepted());
    same("v2/offer-request.json", &v2::offer_request());
    same("v2/offer-answer.json", &v2::offer_answer());
    same("v2/give-answer.json", &v2::give_answer());
    assert_eq!(Page::decode(&read("v2/page.zst"), &limits()).unwrap(), v2::page());
    assert_eq!(Page::decode(&read("v2/give.zst"), &limits()).unwrap(), v2::give());
    for (name, bytes) in v2::written() {
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&read(name)), "{name}");
    }
    assert_eq!(unpacked(&read("v2/page.zst")), read("v2/page.ndjson"));
    assert_eq!(unpacked(&read("v2/give.zst")), read("v2/give.ndjson"));
}

#[test]
fn what_version_2_adds_does_not_disturb_a_reader_of_version_1() {
    // Whoever drops the members that version 1 does not know is left with what version 1 would have been sent.
    let mut answer: Value = serde_json::from_slice(&read("v2/push-answer-accepted.json")).unwrap();
    answer.as_object_mut().unwrap().remove("receipt");
    answer["durable_seq"] = json!(0);
    assert_eq!(answer, serde_json::from_slice::<Value>(&read("push-answer-accepted.json")).unwrap());
    let (old, new) = (Page::decode(&read("page.zst"), &limits()).unwrap(), v2::page());
    assert_eq!(old.header, new.header);
    for (old, new) in old.lines.iter().zip(&new.lines) {
        assert!(new.seal.is_some() && *old == PageLine { seal: None, ..new.clone() });
    }
}

fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, wanted: &T) {
    assert_eq!(&serde_json::from_slice::<T>(&read(name)).unwrap(), wanted, "{name}");
}

#[test]
fn what_version_1_sent_is_read_as_it_was_meant() {
    same("enrol-request.json", &enrol_request());
    same("enrol-answer.json", &enrol_answer());
    same("hello-request.json", &hello_request());
    same("hello-answer.json", &hello_answer());
    same("pull-request.json", &pull_request());
    same("push-answer-accepted.json", &accepted());
    same("push-answer-gap.json", &push_answer(PushResult::Gap { expected: 3 }));
    same("push-answer-fork.json", &push_answer(PushResult::Fork { agreed_seq: 2 }));
    same("digests.json", &digests());
    same("state.json", &state());
    let push = Push::decode(&read("push.zst"), &limits()).unwrap();
    assert_eq!(push.bodies, bodies());
    assert_eq!((push.header.origin, push.header.first_seq), (origin(), 1));
    for (body, change) in push.bodies.iter().zip(changes()) {
        assert_eq!(Change::from_body(body).unwrap(), change);
    }
    assert!(Change::from_body(&push.bodies[5]).is_err());
    assert_eq!(Page::decode(&read("page.zst"), &limits()).unwrap(), page());
}

#[test]
fn what_is_sent_today_is_what_version_1_sent() {
    for (name, bytes) in written() {
        let (found, wanted) = (String::from_utf8_lossy(&bytes), read(name));
        assert_eq!(found, String::from_utf8_lossy(&wanted), "{name}");
    }
    assert_eq!(unpacked(&read("push.zst")), read("push.ndjson"));
    assert_eq!(unpacked(&read("page.zst")), read("page.ndjson"));
}

#[test]
fn messages_of_a_later_version_with_members_unknown_today_are_read() {
    let mut answer: Value = serde_json::from_slice(&read("push-answer-accepted.json")).unwrap();
    answer["later"] = json!({"a": 1});
    answer["answers"][0]["later"] = json!(1);
    assert_eq!(serde_json::from_value::<PushAnswer>(answer).unwrap(), accepted());
    let mut hello: Value = serde_json::from_slice(&read("hello-answer.json")).unwrap();
    hello["later"] = json!(1);
    hello["limits"]["later"] = json!(1);
    assert_eq!(serde_json::from_value::<HelloAnswer>(hello).unwrap(), hello_answer());
}

/// Writes samples that are missing, where it is asked for.
fn freeze_what_is_missing() {
    if std::env::var_os("AINCIDENT_FREEZE_SAMPLES").is_none() {
        return;
    }
    for folder in ["v1", "v2"] {
        std::fs::create_dir_all(file(&format!("{folder}/"))).unwrap();
    }
    let second = v2::written().into_iter().chain(v2::compressed());
    let second = second.chain(proof_samples::written()).chain(proof_samples::compressed());
    for (name, bytes) in written().into_iter().chain(compressed()).chain(second) {
        if !file(name).exists() {
            std::fs::write(file(name), bytes).unwrap();
        }
    }
}
