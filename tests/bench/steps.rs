//! What is measured, one after the other, on one hub and its nodes.

use crate::{Figure, Plan, creates, list, photos};
use aincident_tests::http::Client;
use aincident_tests::load::{self, post_all};
use aincident_tests::{Hub, Node, Rng, Scratch, figures, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How many incidents go over the wire to see how large one is.
const WIRE_BATCH: usize = 500;
/// How many connections ask for the list.
const CONNECTIONS: usize = 100;
/// How many clients fill the ledger.
const FILLERS: usize = 32;
/// Incidents of a ledger with few, and how often a page is asked for.
const FEW: u64 = 100;
/// Incidents of a ledger that has been in use: its log need not grow any more while recording is measured.
const SOME: u64 = 10_000;
const PAGES: usize = 100;
/// How often a start is measured.
const STARTS: usize = 5;
/// However slow the machine is, it is done by then.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Measures everything.
///
/// # Panics
/// When a program does not do what it has to.
pub async fn all(plan: &Plan) -> Vec<Figure> {
    let mut rng = Rng::new(20_261_122);
    let scratch = Scratch::new("bench");
    let mut hub = Hub::with_stores(&scratch, &["042", "117", "300"]).await;
    let mut found = Vec::new();
    say("bytes on the wire");
    found.push(wire(&scratch, &hub, &mut rng).await);

    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    found.push(start(&mut node, "start to ready, empty ledger").await);
    let mut other = Node::enrolled(&scratch, &hub, "300").await;
    hub.stop().await;
    let manager = node.manager().await;
    say("the page of the list, few incidents");
    fill(&manager, FEW, &mut rng).await;
    let few = list::paced(&manager, PAGES).await;
    found.push(Figure::new("page /incidents, 100 incidents, p50", few.0, "ms"));
    say("acknowledged creates, 1 client and 32 in turn");
    let there = other.manager().await;
    fill(&there, SOME, &mut rng).await;
    // Longer than anything else: a log that is moved into the file, or not, within a few seconds makes a tenth of a difference.
    let (one, many) = creates::rates(&there, 32, Duration::from_secs(3 * plan.seconds), &mut rng).await;
    other.stop().await;
    found.push(Figure::new("acknowledged creates, 1 client", one, "/s"));
    found.push(Figure::new("acknowledged creates, 32 clients", many, "/s"));
    found.push(Figure::new("32 clients to 1", many / one, "x"));
    say("photos");
    found.extend(photos::uploads(&node, &manager, &mut rng).await);
    say("reports");
    found.extend(photos::report(&manager, &mut rng).await);
    say("filling the ledger");
    fill(&manager, plan.incidents, &mut rng).await;

    let many = list::paced(&manager, PAGES).await;
    found.push(Figure::new("page /incidents, full ledger, p50", many.0, "ms"));
    found.push(Figure::new("page /incidents, full ledger to 100", many.0 / few.0, "x"));
    found.push(Figure::new("list of 50, full ledger to 100", many.1 / few.1, "x"));
    say("list pages");
    let database = node.folder().join("ledger.sqlite");
    found.extend(list::measure(&manager, &database, CONNECTIONS, Duration::from_secs(plan.seconds)).await);
    found.extend(photos::cache(&manager).await);
    found.push(start(&mut node, "start to ready, full ledger").await);
    let manager = manager.at(node.url());
    let _ = manager.list("category=theft").await;
    let memory = node.daemon().resident_kib().unwrap_or_default() as f64 / 1024.0;
    found.push(Figure::new("node memory, full ledger", memory, "MiB"));

    say("draining");
    found.extend(drain(&mut hub, &node, &manager).await);
    let there = list::paced(&hub.harriet().await, PAGES).await;
    found.push(Figure::new("page /incidents at headquarters, full ledger, p50", there.0, "ms"));
    node.stop().await;
    hub.stop().await;
    found
}

pub fn say(what: &str) {
    eprintln!("bench: {what} …");
}

/// An outage of [`WIRE_BATCH`] incidents, then what goes over the link.
async fn wire(scratch: &Scratch, hub: &Hub, rng: &mut Rng) -> Figure {
    let mut node = Node::enrolled(scratch, hub, "117").await;
    let manager = node.manager().await;
    node.link().go_down();
    let bodies: Vec<Value> = (0..WIRE_BATCH).map(|_| load::incident(rng, 60)).collect();
    post_all(&vec![manager.clone(); 8], bodies).await;
    let before = node.link().traffic();
    node.link().heal();
    node.drained(&manager, DEADLINE).await;
    let after = node.link().traffic();
    node.stop().await;
    let each = (after.up - before.up) as f64 / WIRE_BATCH as f64;
    Figure::new("bytes up on the wire per incident, 500 after an outage", each, "B")
}

/// The median of several starts.
async fn start(node: &mut Node, name: &'static str) -> Figure {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        node.stop().await;
        node.start().await;
        times.push(node.daemon().ready_after());
    }
    Figure::new(name, figures::percentile(&mut times, 0.5).as_secs_f64() * 1e3, "ms")
}

pub async fn fill(manager: &Client, incidents: u64, rng: &mut Rng) {
    let clients = vec![manager.clone(); FILLERS];
    let mut there = manager.total().await;
    while there < incidents {
        let piece = (incidents - there).min(5000);
        let bodies = (0..piece).map(|_| load::incident(rng, 700)).collect();
        post_all(&clients, bodies).await;
        there += piece;
        eprintln!("bench: {} of {}", figures::count(there), figures::count(incidents));
    }
}

/// Headquarters comes back to everything that was recorded without it.
async fn drain(hub: &mut Hub, node: &Node, manager: &Client) -> [Figure; 3] {
    let pending = manager.total().await;
    let before = node.link().traffic();
    hub.start().await;
    let started = Instant::now();
    node.follow(hub);
    let harriet = hub.harriet().await;
    wait_until("everything to be at headquarters", DEADLINE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["pending_changes"] == 0 && harriet.get("/api/v1/stats?store=042").await.expect(200)["total"] == pending
    })
    .await;
    let seconds = started.elapsed().as_secs_f64();
    let bytes = (node.link().traffic().up - before.up) as f64 / pending as f64;
    [
        Figure::new("from headquarters up to everything drained", seconds, "s"),
        Figure::new("incidents drained", pending as f64 / seconds, "/s"),
        Figure::new("bytes up on the wire per incident, draining", bytes, "B"),
    ]
}
