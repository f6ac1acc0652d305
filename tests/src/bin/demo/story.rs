//! The story, chapter by chapter.

use crate::proof::{self, Witness};
use crate::screen::{self, Lane, Lanes};
use aincident_tests::demo_data::{DemoData, Person, Requests};
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use aincident_tests::random::secret;
use aincident_tests::wait::{let_run, wait_for};
use aincident_tests::{Hub, Node, Scratch, Weather, figures};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How fast the stores' links are once the hub is back: slow enough to see something, as many a store's link is.
const LINK_KBPS: u32 = 96;
/// How long one way over the link takes.
const LINK_LATENCY: Duration = Duration::from_millis(40);
/// How many incidents are on their way into one node at a time.
const CLIENTS: usize = 4;
/// Everything has to be at headquarters this long after it came back.
const DRAIN_DEADLINE: Duration = Duration::from_secs(45);

/// Everything that runs. Dropped, it is killed; [`Running::end`] is the polite way.
pub struct Running {
    hub: Hub,
    nodes: Vec<Node>,
    _scratch: Scratch,
}

impl Running {
    /// Ends nodes and hub with SIGTERM and removes the folder.
    pub async fn end(mut self) {
        for node in &mut self.nodes {
            node.stop().await;
        }
        self.hub.stop().await;
    }
}

/// One store's node and the people in it.
struct Shop {
    name: String,
    node: Node,
    people: BTreeMap<String, Client>,
    manager: String,
    acknowledged: Promised,
}

impl Shop {
    fn manager(&self) -> &Client {
        &self.people[&self.manager]
    }
}

/// Tells the whole story and leaves everything running.
///
/// # Panics
/// When anything is not as it should be.
pub async fn tell(once: bool) -> Running {
    let began = Instant::now();
    let data = DemoData::load();
    let passwords: BTreeMap<&str, String> =
        data.staff.iter().map(|person| (person.username.as_str(), secret())).collect();
    let scratch = Scratch::new("demo");
    let about = format!("scratch folder {}", scratch.path().display());
    screen::title("A.I.ncident", &["headquarters and two stores on this machine", &about]);

    let mut hub = set_up(&scratch, &data, &passwords).await;
    let mut shops = open_shops(&scratch, &hub, &data, &passwords).await;

    screen::chapter(3, "The line to headquarters breaks");
    hub.stop().await;
    screen::note("headquarters is gone; the stores work on alone");
    report(&data, &mut shops).await;

    screen::chapter(5, "Headquarters is back");
    let lanes = replicate(&mut hub, &shops, &data, &passwords).await;
    screen::note(&format!("nothing waits any more; {LINK_KBPS} kbit/s and {} each way", figures::time(LINK_LATENCY)));
    let headquarters = hub.login("harriet", &passwords["harriet"]).await;
    answer_back(&headquarters, &shops).await;

    screen::chapter(7, "The proof");
    let witnesses: Vec<Witness> = shops
        .iter()
        .map(|shop| Witness {
            store: shop.node.store().to_owned(),
            manager: shop.manager().clone(),
            acknowledged: shop.acknowledged.clone(),
        })
        .collect();
    proof::all(&hub, &headquarters, &witnesses).await;
    let wire: u64 = lanes.iter().map(|lane| lane.bytes).sum();
    let told: u64 = lanes.iter().map(|lane| lane.recorded).sum();
    let each = figures::bytes(wire.checked_div(told).unwrap_or_default());
    screen::check("bytes on the wire per incident, talk and steps", &each);
    screen::check("the whole demo", &figures::time(began.elapsed()));
    if !once {
        hand_over(&hub, &shops, &data, &passwords);
    }
    let nodes = shops.into_iter().map(|shop| shop.node).collect();
    Running { hub, nodes, _scratch: scratch }
}

/// The address to listen on: the one from the documentation where it is free, any other where it is not.
fn address(port: u16) -> String {
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    format!("127.0.0.1:{}", if free { port } else { 0 })
}

async fn set_up(scratch: &Scratch, data: &DemoData, passwords: &BTreeMap<&str, String>) -> Hub {
    screen::chapter(1, "Headquarters is set up");
    let mut hub = Hub::new(scratch);
    hub.shield();
    hub.listen_on(&address(7700));
    for store in &data.stores {
        hub.store_add(&store.code, &store.name, &store.timezone).await;
    }
    for person in &data.staff {
        add_person(&hub, person, &passwords[person.username.as_str()]).await;
    }
    hub.start().await;
    let url = hub.url().to_owned();
    hub.listen_on(url.trim_start_matches("http://"));
    screen::note(&format!("{} stores, {} accounts, {url}", data.stores.len(), data.staff.len()));
    hub
}

async fn add_person(hub: &Hub, person: &Person, password: &str) {
    let mut words = vec!["user", "add", "--username", &person.username, "--display-name", &person.name];
    words.extend(["--role", &person.role, "--password-stdin"]);
    if let Some(store) = &person.store {
        words.extend(["--store", store]);
    }
    hub.run_with(&words, password).await.ok("user add");
}

async fn open_shops(scratch: &Scratch, hub: &Hub, data: &DemoData, passwords: &BTreeMap<&str, String>) -> Vec<Shop> {
    screen::chapter(2, "Two stores enrol with one-time codes");
    let mut shops = Vec::new();
    for (store, port) in data.stores.iter().zip(7710..) {
        let mut node = Node::new(scratch, hub, &store.code, &format!("node-{}", store.code)).await;
        node.shield();
        node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "2000");
        node.listen_on(&address(port));
        node.enroll(&hub.node_code(&store.code).await).await.ok("enroll");
        node.start().await;
        screen::note(&format!("{} {:<14} {}", store.code, store.name, node.url()));
        let here = |person: &&Person| person.store.as_ref() == Some(&store.code);
        let mut people = BTreeMap::new();
        for person in data.staff.iter().filter(here) {
            let client = node.login(&person.username, &passwords[person.username.as_str()]).await;
            people.insert(person.username.clone(), client);
        }
        let manager = data.staff.iter().filter(here).find(|person| person.role == "manager").expect("a manager");
        let (manager, name) = (manager.username.clone(), format!("{} {}", store.code, store.name));
        shops.push(Shop { name, node, people, manager, acknowledged: Promised::new() });
    }
    shops
}

async fn report(data: &DemoData, shops: &mut [Shop]) {
    screen::chapter(4, "The stores report what happened");
    let started = Instant::now();
    let (mut said, mut moved) = (0, 0);
    for shop in &mut *shops {
        let mine = data.incidents.iter().filter(|incident| incident.store == shop.node.store());
        let requests: Vec<Requests> = mine.map(|incident| data.requests(incident)).collect();
        said += requests.iter().map(|requests| requests.talk.len()).sum::<usize>();
        moved += requests.iter().map(|requests| requests.steps.len()).sum::<usize>();
        let posts = requests.into_iter().map(|requests| record(&shop.people, requests));
        let done: Promised = futures::stream::iter(posts).buffer_unordered(CLIENTS).collect().await;
        screen::note(&format!("{:<20} {} incidents, each acknowledged after fsync", shop.name, done.len()));
        shop.acknowledged = done;
    }
    let took = figures::time(started.elapsed());
    screen::note(&format!("with {said} remarks and {moved} steps, by {CLIENTS} clients a store, in {took}"));
}

/// Makes the requests of one incident; answers its id and what was reported.
async fn record(people: &BTreeMap<String, Client>, requests: Requests) -> (String, Value) {
    let made = people[&requests.by].post("/api/v1/incidents", &requests.report).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/incidents/{id}");
    for (by, remark) in &requests.talk {
        let _ = people[by].post(&format!("{path}/comments"), remark).await.expect(201);
    }
    for (by, patch) in &requests.steps {
        let _ = people[by].patch(&path, patch).await.expect(200);
    }
    (id, requests.report)
}

/// Starts the hub and watches until nothing waits.
async fn replicate(hub: &mut Hub, shops: &[Shop], data: &DemoData, passwords: &BTreeMap<&str, String>) -> Vec<Lane> {
    let before: Vec<u64> = shops.iter().map(|shop| both_ways(&shop.node)).collect();
    for shop in shops {
        shop.node.link().set(Weather { latency: LINK_LATENCY, kbps: LINK_KBPS, ..Weather::default() });
    }
    hub.start().await;
    for shop in shops {
        shop.node.follow(hub);
    }
    let watcher = data.staff.iter().find(|person| person.role == "hq").expect("somebody at headquarters");
    let watcher = hub.login(&watcher.username, &passwords[watcher.username.as_str()]).await;
    let mut view = Lanes::new();
    let deadline = Instant::now() + DRAIN_DEADLINE;
    loop {
        let mut lanes = Vec::new();
        for (shop, before) in shops.iter().zip(&before) {
            lanes.push(lane(shop, &watcher, *before).await);
        }
        let done = lanes.iter().all(|lane| lane.pending == 0 && lane.arrived == lane.recorded);
        view.show(&lanes, done);
        if done {
            return lanes;
        }
        assert!(Instant::now() < deadline, "not everything arrived within {}", figures::time(DRAIN_DEADLINE));
        let_run(screen::FRAME).await;
    }
}

fn both_ways(node: &Node) -> u64 {
    let traffic = node.link().traffic();
    traffic.up + traffic.down
}

async fn lane(shop: &Shop, watcher: &Client, before: u64) -> Lane {
    let sync = shop.manager().get("/api/v1/sync").await.expect(200);
    let stats = watcher.get(&format!("/api/v1/stats?store={}", shop.node.store())).await.expect(200);
    Lane {
        name: shop.name.clone(),
        recorded: shop.acknowledged.len() as u64,
        arrived: stats["total"].as_u64().unwrap_or_default(),
        pending: sync["pending_changes"].as_u64().unwrap_or_default(),
        bytes: both_ways(&shop.node) - before,
    }
}

/// A question from headquarters appears in the store, and the store's answer at headquarters.
async fn answer_back(headquarters: &Client, shops: &[Shop]) {
    screen::chapter(6, "Headquarters asks, the store answers");
    let shop = shops.first().expect("a store");
    let (id, _) = shop.acknowledged.first_key_value().expect("an incident");
    let path = format!("/api/v1/incidents/{id}");
    let question = "Is the recording saved? The insurer asks for it.";
    let there = tell_and_see(headquarters, shop.manager(), &path, question).await;
    screen::note(&format!("“{question}”"));
    screen::note(&format!("from headquarters, on the store's screen after {}", figures::time(there)));
    let back = tell_and_see(shop.manager(), headquarters, &path, "Yes, all four minutes.").await;
    screen::note("“Yes, all four minutes.”");
    screen::note(&format!("from the store, at headquarters after {}", figures::time(back)));
    shop.node.drained(shop.manager(), DRAIN_DEADLINE).await;
}

/// Comments at one site and waits until the other one shows it.
async fn tell_and_see(from: &Client, to: &Client, path: &str, body: &str) -> Duration {
    let started = Instant::now();
    let _ = from.post(&format!("{path}/comments"), &json!({ "body": body })).await.expect(201);
    wait_for("the comment to arrive", DRAIN_DEADLINE, async || {
        let incident = to.get(path).await.expect(200);
        let there = incident["comments"].as_array()?.iter().any(|comment| comment["body"] == body);
        there.then(|| started.elapsed())
    })
    .await
}

/// Who can log in where.
fn hand_over(hub: &Hub, shops: &[Shop], data: &DemoData, passwords: &BTreeMap<&str, String>) {
    screen::chapter(8, "Have a look");
    let at = |person: &Person| {
        let shop = shops.iter().find(|shop| person.store.as_deref() == Some(shop.node.store()));
        shop.map_or_else(|| hub.url(), |shop| shop.node.url())
    };
    screen::note(&format!("{:<22} {:<9} {:<9} {}", "where", "username", "role", "password"));
    for person in &data.staff {
        let password = &passwords[person.username.as_str()];
        screen::note(&format!("{:<22} {:<9} {:<9} {password}", at(person), person.username, person.role));
    }
    screen::note("");
    screen::note("the API of each site is described at /docs; for example:");
    let url = hub.url();
    screen::note(&format!("curl {url}/api/v1/login \\"));
    screen::note("  -H 'content-type: application/json' \\");
    screen::note(&format!("  -d '{{\"username\":\"harriet\",\"password\":\"{}\"}}'", passwords["harriet"]));
    screen::note(&format!("curl {url}/api/v1/incidents \\"));
    screen::note("  -H 'authorization: Bearer TOKEN'");
}
