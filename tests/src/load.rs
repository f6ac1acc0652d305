//! Incidents by the dozen: believable enough to index and compress like real ones, made from a seed.

use crate::http::Client;
use crate::random::Rng;
use chassis::clock::{Clock as _, SystemClock, format_rfc3339};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sync_protocol::record::vocabulary::{CATEGORIES, PERSON_ROLES, ZONES};
use tokio::task::JoinHandle;

const WORDS: &[&str] = &[
    "customer",
    "jacket",
    "left",
    "through",
    "east",
    "gate",
    "without",
    "paying",
    "alarm",
    "sounded",
    "guard",
    "called",
    "receipt",
    "trolley",
    "aisle",
    "bottle",
    "fell",
    "nobody",
    "hurt",
    "camera",
    "shows",
    "grey",
    "cap",
    "backpack",
    "returned",
    "later",
    "police",
    "informed",
    "closed",
    "door",
    "stockroom",
    "pallet",
    "till",
    "queue",
    "refund",
    "voucher",
    "shouted",
    "calmly",
    "witness",
    "found",
    "empty",
    "package",
    "shelf",
    "razor",
    "blades",
    "cleaner",
    "wet",
    "floor",
    "sign",
    "missing",
];
const NAMES: &[&str] = &[
    "Łucja Żak",
    "Nguyễn Văn Bình",
    "Ελπίδα Νικολάου",
    "Пётр Лебедев",
    "田中 翔",
    "Zoë Brouwer",
    "Fatou Ndiaye",
    "Iñigo Etxeberria",
    "Siân Prosser",
    "Øystein Bakke",
    "Çağla Demir",
    "Liam Okafor",
];

/// A new id of an incident, as a device makes it.
#[must_use]
pub fn new_id() -> String {
    chassis::ids::Ids::system().new_v7(SystemClock.now_ms()).hyphenated().to_string()
}

/// The body of `POST /api/v1/incidents` for one incident with an id of its own; it happened within the last `days`.
pub fn incident(rng: &mut Rng, days: u64) -> Value {
    let words = 12 + rng.below(40);
    let text: Vec<&str> = (0..words).map(|_| *rng.pick(WORDS)).collect();
    let ago = rng.below(days.max(1) * 86_400) as i64;
    let mut body = json!({
        "id": new_id(),
        "description": format!("{}.", text.join(" ")),
        "category": rng.pick(CATEGORIES),
        "severity": rng.between(1, 6),
        "zone": rng.pick(ZONES),
        "occurred_at": format_rfc3339((SystemClock.now_ms() / 1000 - ago) * 1000),
    });
    if rng.chance(0.4) {
        let people =
            (0..rng.between(1, 3)).map(|_| json!({ "name": rng.pick(NAMES), "roles": [rng.pick(PERSON_ROLES)] }));
        body["people"] = people.collect();
    }
    if rng.chance(0.3) {
        let value = rng.between(100, 50_000);
        body["items"] =
            json!([{ "description": rng.pick(WORDS), "quantity": 1, "value_minor": value, "outcome": "stolen" }]);
        body["loss"] = json!({ "amount_minor": value, "currency": "USD" });
    }
    if rng.chance(0.3) {
        body["tags"] = json!([rng.pick(WORDS)]);
    }
    body
}

/// What a client was promised: for each acknowledged incident, by id, what it sent.
pub type Promised = BTreeMap<String, Value>;

/// Posts `bodies` over `clients`, each of which has one request under way at a time; all must be acknowledged.
///
/// # Panics
/// When one is refused.
pub async fn post_all(clients: &[Client], bodies: Vec<Value>) -> Promised {
    let lanes = clients.len();
    let posts = bodies.into_iter().enumerate().map(|(n, body)| {
        let client = clients[n % lanes].clone();
        async move {
            let made = client.post("/api/v1/incidents", &body).await.expect(201);
            assert_eq!(made["id"], body["id"]);
            (body["id"].as_str().unwrap_or_default().to_owned(), body)
        }
    });
    futures::stream::iter(posts).buffer_unordered(lanes).collect().await
}

/// Clients that post one incident after the other until told to stop, whatever happens to the site meanwhile.
#[derive(Debug)]
pub struct Pressure {
    stop: Arc<AtomicBool>,
    base: Arc<Mutex<String>>,
    acknowledged: Arc<Mutex<Promised>>,
    workers: Vec<JoinHandle<()>>,
}

/// What a client of a [`Pressure`] takes for an answer of a site that is going down or coming up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// 503 and nothing else: the site is well, or gone.
    Unavailable,
    /// Any 5xx: its disk is being taken away from under it.
    AnyFault,
}

impl Pressure {
    /// Starts `lanes` clients with the account of `client`.
    #[must_use]
    pub fn start(client: &Client, lanes: u32, patience: Patience, rng: &mut Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let base = Arc::new(Mutex::new(client.base().to_owned()));
        let acknowledged = Arc::new(Mutex::new(Promised::new()));
        let workers = (0..lanes).map(|_| {
            let (stop, base, acknowledged) = (Arc::clone(&stop), Arc::clone(&base), Arc::clone(&acknowledged));
            let (client, mut rng) = (client.clone(), rng.fork());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let body = incident(&mut rng, 30);
                    let sent =
                        Sent { client: &client, base: &base, stop: &stop, patience, acknowledged: &acknowledged };
                    sent.deliver(body).await;
                }
            })
        });
        let workers = workers.collect();
        Self { stop, base, acknowledged, workers }
    }

    /// The site came back at another address.
    pub fn move_to(&self, url: &str) {
        url.clone_into(&mut self.base.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How many were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What the clients were promised so far.
    #[must_use]
    pub fn promised(&self) -> Promised {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the clients and says what they were promised.
    ///
    /// # Panics
    /// When one of them saw an answer it should not have seen.
    pub async fn finish(self) -> Promised {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.expect("a client of the load");
        }
        std::mem::take(&mut self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One client's part of the load.
struct Sent<'a> {
    client: &'a Client,
    base: &'a Mutex<String>,
    stop: &'a AtomicBool,
    patience: Patience,
    acknowledged: &'a Mutex<Promised>,
}

impl Sent<'_> {
    /// Sends one incident until it is acknowledged or the load stops: like a client that repeats what was not answered.
    async fn deliver(&self, body: Value) {
        loop {
            let at = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match self.client.at(&at).try_post("/api/v1/incidents", &body).await {
                Ok(answer) if answer.status == 201 => {
                    let id = body["id"].as_str().unwrap_or_default().to_owned();
                    self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id, body);
                    return;
                }
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) if answer.status >= 500 && self.patience == Patience::AnyFault => {}
                Ok(answer) => drop(answer.expect(201)),
                Err(_) => {}
            }
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            crate::wait::let_run(Duration::from_millis(10)).await;
        }
    }
}
