//! The story, chapter by chapter.

use crate::darkroom::{Darkroom, Taken};
use crate::proof::{self, Witness};
use crate::screen::{self, Lane, Lanes};
use aincident_tests::demo_data::{DemoData, Person, Requests};
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use aincident_tests::pictures::add_captioned;
use aincident_tests::random::secret;
use aincident_tests::wait::{let_run, wait_for};
use aincident_tests::{Hub, Node, Scratch, Weather, figures};
use chassis::blobs::Sha256;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How fast each store's link is once the hub is back: slow enough to see something, as many a store's link is.
const LINK_KBPS: u32 = 16_000;
/// How long one way over the link takes.
const LINK_LATENCY: Duration = Duration::from_millis(40);
/// How many incidents are on their way into one node at a time.
const CLIENTS: usize = 4;
/// Everything has to be at headquarters this long after it came back.
const DRAIN_DEADLINE: Duration = Duration::from_secs(120);

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
    taken: Vec<Taken>,
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
    let darkroom = Darkroom::open(&data);
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
    report(&data, &darkroom, &mut shops).await;

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
            taken: shop.taken.clone(),
        })
        .collect();
    proof::all(&hub, &headquarters, &witnesses).await;
    let wire: u64 = lanes.iter().map(|lane| lane.bytes).sum();
    let content: u64 = lanes.iter().map(|lane| lane.content).sum();
    let over = format!("{} for {}", figures::bytes(wire), figures::bytes(content));
    screen::check("on the wire, records and answers and all, for photos", &over);
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
        shops.push(Shop { name, node, people, manager, acknowledged: Promised::new(), taken: Vec::new() });
    }
    shops
}

async fn report(data: &DemoData, darkroom: &Darkroom, shops: &mut [Shop]) {
    screen::chapter(4, "The stores report what happened");
    let started = Instant::now();
    let (mut said, mut moved) = (0, 0);
    for shop in &mut *shops {
        let mine = data.incidents.iter().filter(|incident| incident.store == shop.node.store());
        let requests: Vec<Requests> = mine.map(|incident| data.requests(incident)).collect();
        said += requests.iter().map(|requests| requests.talk.len()).sum::<usize>();
        moved += requests.iter().map(|requests| requests.steps.len()).sum::<usize>();
        let posts = requests.into_iter().map(|requests| record(&shop.people, darkroom, requests));
        let done: Vec<Recorded> = futures::stream::iter(posts).buffer_unordered(CLIENTS).collect().await;
        for recorded in done {
            shop.acknowledged.insert(recorded.id, recorded.report);
            shop.taken.extend(recorded.taken);
        }
        let bytes = figures::bytes(shop.taken.iter().map(|taken| taken.size_bytes).sum());
        let (incidents, photos) = (shop.acknowledged.len(), shop.taken.len());
        let name = &shop.name;
        screen::note(&format!(
            "{name:<20} {incidents} incidents, {photos} photos ({bytes}), each durable when acknowledged"
        ));
    }
    let took = figures::time(started.elapsed());
    screen::note(&format!("with {said} remarks and {moved} steps, by {CLIENTS} clients a store, in {took}"));
    for shop in shops {
        let all = shop.taken.len() as u64 * 3;
        wait_for("what is shown of the photos to be made", DRAIN_DEADLINE, async || {
            let sync = shop.manager().get("/api/v1/sync").await.expect(200);
            (sync["pending_blobs"].as_u64()? >= all).then_some(())
        })
        .await;
    }
    screen::note("thumbnails and upright pictures are made in the stores; nothing waits for headquarters");
}

/// An incident that a node acknowledged.
struct Recorded {
    id: String,
    report: Value,
    taken: Vec<Taken>,
}

/// Makes the requests of one incident.
async fn record(people: &BTreeMap<String, Client>, darkroom: &Darkroom, requests: Requests) -> Recorded {
    let made = people[&requests.by].post("/api/v1/incidents", &requests.report).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/incidents/{id}");
    let mut taken = Vec::new();
    for photo in &requests.photos {
        let picture = &photo.picture;
        let bytes = darkroom.develop(&picture.file).await;
        let (sha256, size_bytes) = (Sha256::of(&bytes).to_string(), bytes.len() as u64);
        let (name, caption) = (&picture.file, picture.caption.as_deref());
        let answer = add_captioned(&people[&picture.by], &id, name, caption, bytes).await.expect(201);
        let photo = answer["items"][0]["id"].as_str().expect("an id").to_owned();
        taken.push(Taken { incident: id.clone(), photo, sha256, size_bytes, located: picture.located });
    }
    for (by, remark) in &requests.talk {
        let _ = people[by].post(&format!("{path}/comments"), remark).await.expect(201);
    }
    for (by, patch) in &requests.steps {
        let _ = people[by].patch(&path, patch).await.expect(200);
    }
    Recorded { id, report: requests.report, taken }
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
    let mut lanes: Vec<Lane> = Vec::new();
    for shop in shops {
        let sync = shop.manager().get("/api/v1/sync").await.expect(200);
        lanes.push(Lane {
            name: shop.name.clone(),
            recorded: shop.acknowledged.len() as u64,
            photos: shop.taken.len() as u64,
            content: sync["pending_blob_bytes"].as_u64().unwrap_or_default(),
            ..Lane::default()
        });
    }
    let mut arrivals: Vec<Arrivals> = shops.iter().map(|_| Arrivals::default()).collect();
    let deadline = Instant::now() + DRAIN_DEADLINE;
    loop {
        for (n, shop) in shops.iter().enumerate() {
            look(shop, &watcher, before[n], &mut lanes[n], &mut arrivals[n]).await;
        }
        let done = lanes.iter().all(|lane| {
            let photos = lane.content_pending == 0 && lane.thumbnails == lane.photos && lane.originals == lane.photos;
            lane.pending == 0 && lane.arrived == lane.recorded && photos
        });
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

/// Photos that were seen at headquarters.
#[derive(Default)]
struct Arrivals {
    thumbnails: BTreeSet<String>,
    originals: BTreeSet<String>,
}

/// Looks where a store stands: what waits in the store, what is at headquarters.
async fn look(shop: &Shop, watcher: &Client, before: u64, lane: &mut Lane, arrivals: &mut Arrivals) {
    let sync = shop.manager().get("/api/v1/sync").await.expect(200);
    let stats = watcher.get(&format!("/api/v1/stats?store={}", shop.node.store())).await.expect(200);
    for taken in &shop.taken {
        if !arrivals.thumbnails.contains(&taken.photo) {
            if watcher.get(&format!("/api/v1/photos/{}/thumbnail", taken.photo)).await.status == 200 {
                arrivals.thumbnails.insert(taken.photo.clone());
            }
        } else if !arrivals.originals.contains(&taken.photo) {
            let incident = watcher.get(&format!("/api/v1/incidents/{}", taken.incident)).await.json();
            let photos = incident["photos"].as_array().into_iter().flatten();
            let verified = photos.filter(|photo| photo["at_hub"] == "verified");
            arrivals.originals.extend(verified.filter_map(|photo| photo["id"].as_str().map(str::to_owned)));
        }
    }
    lane.arrived = stats["total"].as_u64().unwrap_or_default();
    lane.pending = sync["pending_changes"].as_u64().unwrap_or_default();
    lane.content_pending = sync["pending_blob_bytes"].as_u64().unwrap_or_default();
    lane.bytes = both_ways(&shop.node) - before;
    lane.thumbnails = arrivals.thumbnails.len() as u64;
    lane.originals = arrivals.originals.len() as u64;
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
    screen::note("Open any of these in a browser, and log in:");
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
    screen::note("The API of each site is described at /docs; for example:");
    let url = hub.url();
    screen::note(&format!("curl {url}/api/v1/login \\"));
    screen::note("  -H 'content-type: application/json' \\");
    screen::note(&format!("  -d '{{\"username\":\"harriet\",\"password\":\"{}\"}}'", passwords["harriet"]));
    screen::note(&format!("curl {url}/api/v1/incidents \\"));
    screen::note("  -H 'authorization: Bearer TOKEN'");
    if let Some(taken) = shops.iter().find_map(|shop| shop.taken.first()) {
        screen::note("a report with photos, as PDF:");
        screen::note(&format!("curl {url}/api/v1/incidents/{}/report.pdf \\", taken.incident));
        screen::note("  -H 'authorization: Bearer TOKEN' -o report.pdf");
    }
}
