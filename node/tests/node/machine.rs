//! A node's ledger in a folder of its own, and its replicator, which can be started and ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aincident_node::replicator::blobs::{Originals, Policy};
use aincident_node::replicator::board::Board;
use aincident_node::replicator::{Replicator, Tempo};
use chassis::blobs::Blobs;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::outbound::Backoff;
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{Draft, Enrolment, Recording, SharedLedger};
use desk::{Desk, Storage};
use serde_json::Value;
use sync_protocol::record::INCIDENT;
use sync_protocol::scope::Scope;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::hub::{FakeHub, SECRET, STORE};

/// Fast enough for tests, slow enough not to fill the log.
const TEMPO: Tempo = Tempo {
    pace: Backoff { floor: Duration::from_millis(20), cap: Duration::from_millis(100) },
    stall: Duration::from_secs(120),
    contents: Policy {
        originals: Originals::Always,
        max_bytes_per_s: None,
        originals_max_bytes_per_s: None,
    },
    proof: Duration::from_secs(900),
};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `is_so`.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "not in time: {what}");
}

/// A fresh folder.
pub fn scratch() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("aincident-node-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The enrolment at `hub`.
pub fn enrolment(hub: &FakeHub) -> Enrolment {
    let state = hub.state();
    Enrolment {
        hub_url: hub.url.clone(),
        hub_id: state.hub_id,
        epoch: state.epoch,
        node_id: state.node_id,
        store_code: STORE.into(),
        store_name: "Downtown".into(),
        scopes: vec![Scope::Company, Scope::Store(STORE.into())],
        ca_pem: None,
        pins: Vec::new(),
    }
}

pub struct Node {
    pub desk: Desk,
    pub board: Arc<Board>,
    pub replicator: Replicator,
    folder: PathBuf,
    running: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

impl Node {
    pub async fn unenrolled() -> Self {
        Self::with(TEMPO).await
    }

    async fn with(tempo: Tempo) -> Self {
        let folder = scratch();
        let ids = Ids::system();
        let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), ids.clone()).unwrap();
        let storage = Storage::sqlite(
            ledger,
            Blobs::open(&folder.join("blobs")).unwrap(),
            Arc::new(desk::cache::Memory::new(1_000_000)),
        );
        let desk = Desk::new(storage, SystemClock::shared(), ids);
        let replicator = Replicator::new(desk.clone(), tempo);
        Self { desk, board: replicator.board(), replicator, folder, running: Mutex::new(None) }
    }

    pub async fn enrolled(hub: &FakeHub) -> Self {
        Self::enrolled_with(hub, TEMPO.stall).await
    }

    /// One whose backlog may stand still for `stall`.
    pub async fn enrolled_with(hub: &FakeHub, stall: Duration) -> Self {
        let node = Self::with(Tempo { stall, ..TEMPO }).await;
        node.desk
            .ledger()
            .become_node(enrolment(hub), SECRET.to_owned(), node.desk.ids().new_v7(0))
            .await
            .unwrap();
        node
    }

    /// The same database as another process sees it.
    pub fn other_ledger(&self) -> SharedLedger {
        Arc::new(SqliteLedger::open(&self.folder.join("ledger.sqlite"), Ids::system()).unwrap())
    }

    pub fn start(&self) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.replicator.clone().run(stop.clone()));
        *self.running.lock().unwrap() = Some((stop, task));
    }

    pub async fn end(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some((stop, task)) = running {
            stop.cancel();
            task.await.unwrap();
        }
    }

    pub async fn record(&self, description: &str) {
        let id = self.desk.ids().new_v7(self.desk.now_ms());
        let set = BTreeMap::from([("description".to_owned(), Value::from(description))]);
        let draft = Draft {
            kind: INCIDENT,
            id,
            scope: Scope::Store(STORE.into()),
            new: true,
            set,
            number_year: Some(2026),
        };
        let plan = Box::new(move |_: &_| Ok(vec![draft]));
        let recording = Recording {
            records: vec![id],
            by: "ann".into(),
            when: self.desk.when(),
            claim: None,
            jobs: Vec::new(),
            plan,
        };
        self.desk.ledger().record(recording).await.unwrap();
    }

    pub async fn pending(&self) -> u64 {
        self.desk.ledger().backlog().await.unwrap().pending_changes
    }

    pub async fn pulled(&self) -> u64 {
        self.desk.ledger().link_state().await.unwrap().pulled_changes
    }

    pub async fn has_account(&self, username: &str) -> bool {
        self.desk.ledger().account(username).await.unwrap().is_some()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((_, task)) = self.running.lock().unwrap().take() {
            task.abort();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
