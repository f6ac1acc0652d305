//! Erasing a person's data at headquarters and in a store, whichever of the two hears of it first.

use crate::site::{Site, T0};
use desk::erasures::work::{self, Round};
use desk::ledger::{Enrolment, Identity, NewCode, NewNode, PageQuery, PageResult};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use sync_protocol::batch::{Page, Push};
use sync_protocol::message::{Limits, Outcome, PushResult};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// In no other text of these tests, so that it can be looked for in raw files.
const NAME: &str = "Zebulon Quartermain";
const CONTACT: &str = "quartermain.z@example.test";

fn store() -> Scope {
    Scope::Store("042".to_owned())
}

/// A node of store 042 that headquarters knows.
struct Node {
    site: Site,
    id: Uuid,
}

impl Node {
    async fn enrolled(hub: &Site) -> Self {
        let site = Site::open();
        let mut node = Self { site, id: Uuid::nil() };
        node.enrol(hub).await;
        node.pull(hub).await;
        node
    }

    async fn enrol(&mut self, hub: &Site) {
        let Identity::Hub { hub_id, epoch } = hub.desk.identity().await.unwrap() else {
            panic!("no hub")
        };
        self.id = self.site.desk.ids().new_v7(T0);
        let code_hash = *blake3::hash(self.id.as_bytes()).as_bytes();
        let code = NewCode {
            code_hash,
            store_code: "042".to_owned(),
            created_by: "ada".to_owned(),
            created_ms: T0,
            expires_ms: T0 + 1,
        };
        hub.desk.ledger().add_code(code).await.unwrap();
        let new = NewNode {
            code_hash,
            node_id: self.id,
            name: "till".to_owned(),
            version: "0".to_owned(),
            now_ms: T0,
            clock_offset_ms: 0,
            only_store: None,
        };
        hub.desk.ledger().enrol(new).await.unwrap().unwrap();
        let enrolment = Enrolment {
            hub_url: "http://127.0.0.1:1".to_owned(),
            hub_id,
            epoch,
            node_id: self.id,
            store_code: "042".to_owned(),
            store_name: "Downtown".to_owned(),
            scopes: vec![store(), Scope::Company],
            ca_pem: None,
            pins: Vec::new(),
        };
        let origin = self.site.desk.ids().new_v7(T0);
        self.site.desk.ledger().become_node(enrolment, "secret".to_owned(), origin).await.unwrap();
    }

    async fn push(&self, hub: &Site) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(run) = self.site.desk.ledger().unpushed(None, 100, 1 << 20).await.unwrap() {
            let bytes = Push::encode(run.origin, run.first_seq, run.prev, &run.bodies);
            let push = Push::decode(&bytes, &Limits::default()).unwrap();
            let taken = hub.desk.ledger().take_push(self.id, store(), push, hub.desk.now_ms()).await.unwrap();
            let PushResult::Accepted { applied_seq, answers, .. } = taken else {
                panic!("{taken:?}")
            };
            outcomes.extend(answers.iter().map(|answer| answer.outcome.clone()));
            self.site.desk.ledger().note_answers(run.origin, applied_seq, answers).await.unwrap();
        }
        outcomes
    }

    async fn pull(&self, hub: &Site) {
        let own = self.site.desk.ledger().backlog().await.unwrap().origin;
        loop {
            let cursors = self.site.desk.ledger().cursors().await.unwrap();
            let skip = BTreeSet::from([own]);
            let query = PageQuery { cursors, skip, limit: 3, max_bytes: 1 << 20, now_ms: T0 };
            let PageResult::Page(page) = hub.desk.ledger().page(query).await.unwrap() else {
                panic!("bad cursor")
            };
            let page = Page::decode(&page.encode(), &Limits::default()).unwrap();
            let more = page.header.more;
            self.site.desk.ledger().apply_page(page, T0).await.unwrap();
            if !more {
                return;
            }
        }
    }
}

/// Everything a site does by itself about orders.
async fn work_off(site: &Site) {
    while work::round(&site.desk).await.unwrap() != Round::Nothing {}
}

async fn assert_sound(site: &Site, erased: u64) {
    let audit = site.desk.ledger().audit().await.unwrap();
    assert_eq!((audit.faults, audit.erased), (Vec::<String>::new(), erased));
}

/// Files below `folder` that hold `text`.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn assert_nowhere(site: &Site) {
    for text in [NAME, CONTACT, &NAME.to_lowercase(), "quartermain"] {
        assert_eq!(holding(site.folder(), text), Vec::<String>::new(), "{text}");
    }
}

async fn report(site: &Site, token: &str) -> (String, String, Value) {
    let body = json!({
        "description": "somebody left without paying", "category": "theft", "severity": 4, "tags": ["till"],
        "people": [
            {"name": NAME, "contact": CONTACT, "roles": ["suspect"], "statement": "I, Quartermain, was never there",
             "injury": {"nature": "quartermain's bruise"}},
            {"name": "Ann Other", "roles": ["witness"]},
        ],
    });
    let (path, incident) = site.incident(token, body).await;
    (path, incident["people"][0]["id"].as_str().unwrap().to_owned(), incident)
}

async fn order(hub: &Site, token: &str, incident: &Value, what: Value) -> Value {
    let mut request = json!({"incident_id": incident["id"], "reason": "asked for it"});
    request.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    hub.post(token, "/api/v1/erasures", &request).await.expect(201)
}

#[tokio::test]
async fn a_person_is_erased_at_every_site_each_of_which_confirms_and_what_is_counted_stays() {
    let hub = Site::hub().await;
    let node = Node::enrolled(&hub).await;
    let (mia, hana) = (node.site.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&node.site, &mia).await;
    // Edited once, so that more than one change holds the name.
    let edit =
        json!({"people": [{"id": person, "name": NAME, "vehicle": "grey van of Quartermain", "roles": ["suspect"]}]});
    node.site.patch(&mia, &path, &edit).await.expect(200);
    node.push(&hub).await;
    let found = format!("/api/v1/incidents?person={}", "quartermain");
    assert_eq!(hub.get(&hana, &found).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_ne!(holding(hub.folder(), NAME), Vec::<String>::new(), "the search through raw files finds it before");

    let ordered = order(&hub, &hana, &incident, json!({"person_id": person})).await;
    assert_eq!((&ordered["complete"], &ordered["sites"][1]["state"]), (&json!(false), &json!("pending")));
    work_off(&hub).await;
    node.pull(&hub).await;
    work_off(&node.site).await;
    node.push(&hub).await;
    node.pull(&hub).await;

    for (site, token) in [(&hub, &hana), (&node.site, &mia)] {
        assert_nowhere(site);
        assert_sound(site, 2).await;
        let shown = site.get(token, &path).await.expect(200);
        assert_eq!(shown["people"], json!([{"id": person, "roles": ["suspect"]}]));
        assert_eq!(
            (&shown["category"], &shown["severity"], &shown["tags"]),
            (&json!("theft"), &json!(4), &json!(["till"]))
        );
        assert_eq!(shown["erased"][0]["fields"], json!([format!("people.{person}")]));
        assert_eq!(shown["erased"][0]["by"], "hana");
        for query in ["person=quartermain", "q=quartermain"] {
            let list = site.get(token, &format!("/api/v1/incidents?{query}")).await.expect(200);
            assert_eq!(list["items"], json!([]), "{query}");
        }
        let stats = site.get(token, "/api/v1/stats").await.expect(200);
        assert_eq!((&stats["total"], &stats["by_severity"]), (&json!(1), &json!([{"severity": 4, "count": 1}])));
        let history = site.get(token, &format!("{path}/history")).await.expect(200);
        let items = history["items"].as_array().unwrap();
        let edited = items.iter().find(|item| item["kind"] == "edited" && item["erased"].is_object()).unwrap();
        assert_eq!(
            (&edited["from"], &edited["to"], &edited["erased"]["by"]),
            (&Value::Null, &Value::Null, &json!("hana"))
        );
        let told = items.iter().find(|item| item["kind"] == "erased").unwrap();
        assert_eq!(
            (&told["actor"], &told["reason"], &told["site"]),
            (&json!("hana"), &json!("asked for it"), &json!("hub"))
        );
    }
    assert_eq!(
        hub.get(&hana, &path).await.expect(200)["version"],
        node.site.get(&mia, &path).await.expect(200)["version"],
        "both show the same"
    );
    let list = hub.get(&hana, "/api/v1/erasures?store=042").await.expect(200);
    let item = &list["items"][0];
    assert_eq!((&item["complete"], &item["ordered_by"]), (&json!(true), &json!("hana")));
    assert!(
        item["sites"]
            .as_array()
            .unwrap()
            .iter()
            .all(|site| site["state"] == "confirmed" && site["changes"] == 2)
    );
    // Their entry stays as it is.
    let again = json!({"people": [{"id": person, "name": NAME, "roles": ["suspect"]}]});
    node.site.patch(&mia, &path, &again).await.problem(409);
}

#[tokio::test]
async fn what_was_recorded_without_knowing_of_the_order_is_erased_when_it_comes() {
    let hub = Site::hub().await;
    let (one, two) = (Node::enrolled(&hub).await, Node::enrolled(&hub).await);
    let (mia, kim, hana) = (one.site.login("mia").await, two.site.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&one.site, &mia).await;
    one.push(&hub).await;
    two.pull(&hub).await;
    order(&hub, &hana, &incident, json!({"person_id": person})).await;
    work_off(&hub).await;
    // Neither has heard of it. The first pushes before it pulls, the other one pulls first.
    for (node, token, contact) in [(&one, &mia, "+1 555 quartermain 1"), (&two, &kim, "+1 555 quartermain 2")] {
        let edit = json!({"people": [{"id": person, "name": NAME, "contact": contact, "roles": ["suspect"]}]});
        node.site.patch(token, &path, &edit).await.expect(200);
    }
    one.push(&hub).await;
    one.pull(&hub).await;
    two.pull(&hub).await;
    two.push(&hub).await;
    one.pull(&hub).await;
    for site in [&hub, &one.site, &two.site] {
        work_off(site).await;
        assert_nowhere(site);
    }
    for node in [&one, &two] {
        node.push(&hub).await;
        work_off(&hub).await;
    }
    one.pull(&hub).await;
    two.pull(&hub).await;
    let mut versions = BTreeSet::new();
    for (site, token) in [(&hub, &hana), (&one.site, &mia), (&two.site, &kim)] {
        assert_sound(site, 3).await;
        let shown = site.get(token, &path).await.expect(200);
        assert_eq!(shown["people"], json!([{"id": person, "roles": ["suspect"]}]));
        versions.insert(shown["version"].as_str().unwrap().to_owned());
    }
    assert_eq!(versions.len(), 1, "all three show the same");
    // A new one has never had it, and is sound.
    let fresh = Node::enrolled(&hub).await;
    work_off(&fresh.site).await;
    assert_sound(&fresh.site, 3).await;
    assert_nowhere(&fresh.site);
    fresh.push(&hub).await;
    assert_eq!(hub.get(&hana, "/api/v1/erasures").await.expect(200)["items"][0]["complete"], true);
}

#[tokio::test]
async fn free_text_and_comments_that_are_named_go_and_may_be_written_anew() {
    let hub = Site::hub().await;
    let node = Node::enrolled(&hub).await;
    let (mia, hana) = (node.site.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&node.site, &mia).await;
    let text = json!({"description": format!("{NAME} ran"), "location": format!("behind {NAME}'s van")});
    node.site.patch(&mia, &path, &text).await.expect(200);
    let comment = json!({"body": format!("it was {NAME} again")});
    let comment = node.site.post(&mia, &format!("{path}/comments"), &comment).await.expect(201);
    node.push(&hub).await;
    let ordered = order(&hub, &hana, &incident, json!({"person_id": person})).await;
    let comment_place = format!("comments.{}", comment["id"].as_str().unwrap());
    let named = json!(["title", "description", "location", comment_place]);
    assert_eq!(ordered["still_named_in"], named, "headquarters is told what else to name");
    let what = json!({"fields": ["description", "location"], "comments": [comment["id"]]});
    assert_eq!(order(&hub, &hana, &incident, what).await.get("still_named_in"), None);
    work_off(&hub).await;
    node.pull(&hub).await;
    work_off(&node.site).await;
    for (site, token) in [(&hub, &hana), (&node.site, &mia)] {
        assert_nowhere(site);
        let shown = site.get(token, &path).await.expect(200);
        assert_eq!((&shown["description"], &shown["title"]), (&json!("[erased]"), &json!("[erased]")));
        assert_eq!(shown["comments"][0]["body"], "[erased]");
    }
    let anew = json!({"description": "a customer left without paying"});
    node.site.patch(&mia, &path, &anew).await.expect(200);
    node.push(&hub).await;
    assert_eq!(hub.get(&hana, &path).await.expect(200)["description"], "a customer left without paying");
    assert_sound(&hub, 3).await;
    assert_sound(&node.site, 3).await;
}

#[tokio::test]
async fn a_hold_blocks_an_erasure_and_says_whose_it_is_until_it_is_released() {
    let hub = Site::hub().await;
    let (mia, hana) = (hub.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&hub, &mia).await;
    let held = hub.post(&hana, &format!("{path}/hold"), &json!({"reason": "case 17"})).await.expect(200);
    assert_eq!((&held["hold"]["by"], &held["hold"]["reason"]), (&json!("hana"), &json!("case 17")));
    hub.post(&hana, &format!("{path}/hold"), &json!({"reason": "again"})).await.problem(409);
    let request = json!({"incident_id": incident["id"], "person_id": person, "reason": "asked for it"});
    let refused = hub.post(&hana, "/api/v1/erasures", &request).await.problem(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("hana holds") && detail.contains("case 17"), "{detail}");
    assert_eq!(hub.get(&mia, &path).await.expect(200)["people"][0]["name"], NAME);
    let free = hub.ask("POST", &format!("{path}/release")).token(&hana).send().await.expect(200);
    assert_eq!(free["hold"], Value::Null);
    hub.post(&hana, "/api/v1/erasures", &request).await.expect(201);
    let history = hub.get(&hana, &format!("{path}/history")).await.expect(200);
    let holds: Vec<&Value> =
        history["items"].as_array().unwrap().iter().filter(|item| item["field"] == "hold").collect();
    assert_eq!((holds.len(), &holds[0]["to"]["reason"], &holds[1]["to"]), (2, &json!("case 17"), &Value::Null));
}

#[tokio::test]
async fn only_headquarters_orders_holds_and_lists_and_a_request_names_what_can_be_erased() {
    let hub = Site::hub().await;
    let (kim, mia, hana) = (hub.login("kim").await, hub.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&hub, &mia).await;
    let request = json!({"incident_id": incident["id"], "person_id": person, "reason": "asked for it"});
    for token in [&kim, &mia] {
        hub.post(token, "/api/v1/erasures", &request).await.problem(403);
        hub.get(token, "/api/v1/erasures").await.problem(403);
        hub.post(token, &format!("{path}/hold"), &json!({"reason": "x"})).await.problem(403);
        hub.ask("POST", &format!("{path}/release")).token(token).send().await.problem(403);
    }
    hub.post(&hana, &format!("{path}/hold"), &json!({"reason": "  "})).await.problem(422);
    for (what, field) in [
        (json!({"person_id": Uuid::nil()}), "person_id"),
        (json!({"fields": ["severity"]}), "fields[0]"),
        (json!({"fields": ["title", "status"]}), "fields[0]"),
        (json!({"fields": ["custom.nothing"]}), "fields[0]"),
        (json!({"comments": [incident["people"][0]["id"]]}), "comments"),
        (json!({}), "person_id"),
    ] {
        let mut request = json!({"incident_id": incident["id"], "reason": "asked for it"});
        request.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        let fields = hub.post(&hana, "/api/v1/erasures", &request).await.fields();
        assert_eq!(fields, [field], "{what}");
    }
    let nowhere = json!({"incident_id": Uuid::nil(), "person_id": person, "reason": "x"});
    hub.post(&hana, "/api/v1/erasures", &nowhere).await.problem(404);
    // Nobody writes what only headquarters says, nor through the back door of a patch.
    hub.patch(&mia, &path, &json!({"hold": null})).await.problem(422);
    hub.patch(&mia, &path, &json!({"erased": []})).await.problem(422);
}

#[tokio::test]
async fn a_node_that_orders_an_erasure_or_releases_a_hold_is_not_obeyed() {
    let hub = Site::hub().await;
    let node = Node::enrolled(&hub).await;
    let (mia, hana) = (node.site.login("mia").await, hub.login("hana").await);
    let (path, person, incident) = report(&node.site, &mia).await;
    node.push(&hub).await;
    hub.post(&hana, &format!("{path}/hold"), &json!({"reason": "case 17"})).await.expect(200);
    node.pull(&hub).await;
    let backlog = node.site.desk.ledger().backlog().await.unwrap();
    let body = |id: &Value, kind: &str, new: bool, set: Value| {
        let new = if new { "\"new\":true," } else { "" };
        format!(r#"{{"at":{T0},"by":"mia","id":{id},"kind":"{kind}",{new}"set":{set}}}"#)
    };
    let id = incident["id"].as_str().unwrap();
    let forged = json!(Uuid::from_u128(77));
    let bodies = [
        body(&incident["id"], "incident", false, json!({"hold": null})),
        body(
            &forged,
            "erasure",
            true,
            json!({"incident": id, "reason": "x", format!("what/{id}"): [format!("people/{person}")]}),
        ),
        body(&incident["id"], "incident", false, json!({"erased/019aa2b3-c000-7000-8000-000000000020": {}})),
    ];
    let bytes = Push::encode(backlog.origin, backlog.seq + 1, backlog.head.unwrap(), &bodies);
    let push = Push::decode(&bytes, &Limits::default()).unwrap();
    let taken = hub.desk.ledger().take_push(node.id, store(), push, T0).await.unwrap();
    let PushResult::Accepted { answers, .. } = taken else {
        panic!("{taken:?}")
    };
    let codes: Vec<String> = answers
        .into_iter()
        .map(|answer| match answer.outcome {
            Outcome::Quarantined { code, .. } => code,
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, ["not-yours", "not-yours", "Deferred"]);
    let shown = hub.get(&hana, &path).await.expect(200);
    assert_eq!((&shown["people"][0]["name"], &shown["hold"]["by"]), (&json!(NAME), &json!("hana")));
}

#[tokio::test]
async fn what_is_left_of_an_erased_change_cannot_be_altered_unnoticed() {
    let hub = Site::hub().await;
    let (mia, hana) = (hub.login("mia").await, hub.login("hana").await);
    let (_, person, incident) = report(&hub, &mia).await;
    order(&hub, &hana, &incident, json!({"person_id": person})).await;
    work_off(&hub).await;
    assert_sound(&hub, 1).await;
    let db = chassis::sqlite::rusqlite::Connection::open(hub.folder().join("ledger.sqlite")).unwrap();
    let altered =
        "UPDATE changes SET body = replace(body, '\"severity\":4', '\"severity\":1') WHERE body LIKE '%erased%'";
    assert_eq!(db.execute(altered, []).unwrap(), 1);
    let faults = hub.desk.ledger().audit().await.unwrap().faults;
    assert!(faults.iter().any(|fault| fault.contains("altered after it was erased")), "{faults:?}");
    db.execute("DELETE FROM erased_fields", []).unwrap();
    let faults = hub.desk.ledger().audit().await.unwrap().faults;
    assert!(faults.iter().any(|fault| fault.contains("no order says so")), "{faults:?}");
}

#[tokio::test]
async fn nothing_is_left_in_any_page_of_a_database_that_was_written_for_long() {
    let hub = Site::hub().await;
    let (mia, hana) = (hub.login("mia").await, hub.login("hana").await);
    let mut named = Vec::new();
    // Rows of many lengths, edited and deleted, among others: pages split, merge, and are given free.
    for n in 0..160_usize {
        let (path, person, incident) = report(&hub, &mia).await;
        let long = format!("{NAME} number {n} {}", "word ".repeat(n * 7 % 900));
        let edit = json!({"people": [{"id": person, "name": NAME, "statement": long, "roles": ["suspect"]}]});
        hub.patch(&mia, &path, &edit).await.expect(200);
        if n % 3 == 0 {
            hub.incident(&mia, json!({"description": "y".repeat(n * 31 % 5000 + 1)})).await;
            let shorter = json!({"people": [{"id": person, "name": NAME, "roles": ["suspect"]}]});
            hub.patch(&mia, &path, &shorter).await.expect(200);
        }
        named.push((incident, person));
    }
    for (incident, person) in named {
        order(&hub, &hana, &incident, json!({"person_id": person})).await;
    }
    work_off(&hub).await;
    assert_nowhere(&hub);
    let audit = hub.desk.ledger().audit().await.unwrap();
    assert_eq!(audit.faults, Vec::<String>::new());
}
