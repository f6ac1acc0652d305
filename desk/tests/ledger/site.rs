//! A site to test with: a ledger in a scratch folder, and short ways to record and replicate.

use chassis::ids::Ids;
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{
    Draft, Enrolment, Fleet as _, Identity, NewCode, NewNode, PageQuery, PageResult, Recording, Records as _,
    Replication as _, Site as _,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use sync_protocol::batch::{Page, Push};
use sync_protocol::message::{Limits, PushResult};
use sync_protocol::record;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// 2026-11-20T00:00:00Z.
pub const T0: i64 = 1_795_132_800_000;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder that goes when the test ends.
pub struct Scratch(pub PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!(
            "aincident-ledger-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct TestSite {
    pub ledger: SqliteLedger,
    pub ids: Ids,
    pub node_id: Uuid,
    pub folder: Scratch,
}

pub fn store_042() -> Scope {
    Scope::Store("042".to_owned())
}

/// A record id that is the same wherever it is asked for.
pub fn fixed_id(name: &str) -> Uuid {
    let hash = blake3::hash(name.as_bytes());
    uuid::Builder::from_custom_bytes(hash.as_bytes()[..16].try_into().unwrap()).into_uuid()
}

impl TestSite {
    pub fn open(seed: u64) -> Self {
        let folder = Scratch::new();
        let ids = Ids::seeded(seed);
        let ledger = SqliteLedger::open(&folder.0.join("ledger.sqlite"), ids.clone()).unwrap();
        Self { ledger, ids, node_id: Uuid::nil(), folder }
    }

    /// A hub with store 042 and its manager.
    pub async fn hub() -> Self {
        let site = Self::open(1);
        site.ledger.become_hub(site.ids.new_v7(T0), site.ids.new_v7(T0)).await.unwrap();
        site.record(
            "system:cli",
            T0,
            Draft {
                kind: record::STORE,
                id: fixed_id("store/042"),
                scope: store_042(),
                new: true,
                set: set(json!({"code": "042", "name": "Downtown", "timezone": "America/Chicago"})),
                number_year: None,
            },
        )
        .await;
        site
    }

    /// A node of store 042, enrolled at `hub`.
    pub async fn node(hub: &Self, seed: u64) -> Self {
        let mut site = Self::open(seed);
        site.enrol_anew(hub).await;
        site
    }

    /// Makes the site a new node of store 042, whatever it was.
    pub async fn enrol_anew(&mut self, hub: &Self) {
        let site = self;
        site.node_id = site.ids.new_v7(T0);
        let code_hash = *blake3::hash(site.node_id.as_bytes()).as_bytes();
        let code = NewCode {
            code_hash,
            store_code: "042".to_owned(),
            created_by: "system:cli".to_owned(),
            created_ms: T0,
            expires_ms: T0 + 1,
        };
        hub.ledger.add_code(code).await.unwrap();
        let node = NewNode {
            code_hash,
            node_id: site.node_id,
            name: "till".to_owned(),
            version: "0".to_owned(),
            now_ms: T0,
            clock_offset_ms: 0,
            only_store: None,
        };
        assert!(hub.ledger.enrol(node.clone()).await.unwrap().is_some());
        assert!(hub.ledger.enrol(node).await.unwrap().is_none(), "a code works once");
        let Identity::Hub { hub_id, epoch } = hub.ledger.identity().await.unwrap() else {
            panic!("no hub")
        };
        let enrolment = Enrolment {
            hub_url: "http://127.0.0.1:1".to_owned(),
            hub_id,
            epoch,
            node_id: site.node_id,
            store_code: "042".to_owned(),
            store_name: "Downtown".to_owned(),
            scopes: vec![store_042(), Scope::Company],
            ca_pem: None,
            pins: Vec::new(),
        };
        site.ledger.become_node(enrolment, "secret".to_owned(), site.ids.new_v7(T0)).await.unwrap();
    }

    pub async fn record(&self, by: &str, at_ms: i64, draft: Draft) {
        self.try_record(by, at_ms, draft).await.unwrap();
    }

    pub async fn try_record(&self, by: &str, at_ms: i64, draft: Draft) -> Result<(), desk::Error> {
        let recording = Recording::of(vec![draft.id], by, at_ms, Box::new(move |_: &_| Ok(vec![draft])));
        self.ledger.record(recording).await.map(|_| ())
    }

    /// Records an incident with these fields; answers its id.
    pub async fn incident(&self, by: &str, at_ms: i64, fields: Value) -> Uuid {
        let id = self.ids.new_v7(at_ms);
        self.record(
            by,
            at_ms,
            Draft {
                kind: record::INCIDENT,
                id,
                scope: store_042(),
                new: true,
                set: set(fields),
                number_year: Some(2026),
            },
        )
        .await;
        id
    }

    pub async fn edit(&self, by: &str, at_ms: i64, id: Uuid, fields: Value) {
        self.record(
            by,
            at_ms,
            Draft {
                kind: record::INCIDENT,
                id,
                scope: store_042(),
                new: false,
                set: set(fields),
                number_year: None,
            },
        )
        .await;
    }

    pub async fn child(&self, by: &str, at_ms: i64, kind: &'static str, incident: Uuid, mut fields: Value) -> Uuid {
        let id = self.ids.new_v7(at_ms);
        fields["incident_id"] = json!(incident);
        self.record(by, at_ms, Draft { kind, id, scope: store_042(), new: true, set: set(fields), number_year: None })
            .await;
        id
    }

    /// Pushes everything to `hub`, as the replicator would.
    pub async fn push_to(&self, hub: &Self, now_ms: i64) {
        while let Some(run) = self.ledger.unpushed(None, 3, 1 << 20).await.unwrap() {
            let bytes = Push::encode(run.origin, run.first_seq, run.prev, &run.bodies);
            let push = Push::decode(&bytes, &Limits::default()).unwrap();
            match hub.ledger.take_push(self.node_id, store_042(), push, now_ms).await.unwrap() {
                PushResult::Accepted { applied_seq, answers, .. } => {
                    self.ledger.note_answers(run.origin, applied_seq, answers).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Pulls everything from `hub`.
    pub async fn pull_from(&self, hub: &Self, now_ms: i64) {
        loop {
            let page = self.page_of(hub, now_ms).await;
            let more = page.header.more;
            self.ledger.apply_page(page, now_ms).await.unwrap();
            if !more {
                break;
            }
        }
    }

    pub async fn page_of(&self, hub: &Self, now_ms: i64) -> Page {
        let own = self.ledger.backlog().await.unwrap().origin;
        let query = PageQuery {
            cursors: self.ledger.cursors().await.unwrap(),
            skip: BTreeSet::from([own]),
            limit: 2,
            max_bytes: 1 << 20,
            now_ms,
        };
        match hub.ledger.page(query).await.unwrap() {
            PageResult::Page(page) => Page::decode(&page.encode(), &Limits::default()).unwrap(),
            PageResult::BadCursor | PageResult::Forgotten { .. } => panic!("bad cursor"),
        }
    }
}

pub fn set(fields: Value) -> BTreeMap<String, Value> {
    fields.as_object().unwrap().clone().into_iter().collect()
}
