//! Sites with something to show: headquarters and two stores after some weeks of work, a headquarters of the first day, one of the first
//! minute, and a PC that belongs to no store. What happened is the demo's.

use aincident_tests::demo_data::DemoData;
use aincident_tests::hooks::Hooks;
use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::load::new_id;
use aincident_tests::pictures::add_captioned;
use aincident_tests::scenes::{self, Shot};
use aincident_tests::{Hub, Node, Scratch, plant, wait_until};
use chassis::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// Photos that are taken: enough to see a list with some.
const PHOTOS: usize = 8;
/// Pixels along their longer side: they are only looked at.
const WIDTH: u32 = 800;

/// Everything that runs, and what is looked at of it.
pub struct Sites {
    /// Headquarters.
    pub hub: Hub,
    /// The store 042's.
    pub node: Node,
    /// Headquarters on its first day: an administrator and nothing else.
    pub empty: Hub,
    /// Headquarters before anybody has an account there.
    pub fresh: Hub,
    /// A PC that belongs to no store.
    pub unenrolled: Node,
    /// What the browser has to bring along, by who looks.
    pub tokens: BTreeMap<&'static str, String>,
    /// Ids by what they are of.
    pub ids: BTreeMap<&'static str, String>,
    _scratch: Scratch,
}

fn id_of(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

impl Sites {
    /// Starts everything and fills it.
    ///
    /// # Panics
    /// When a program does not do what it is asked for.
    pub async fn start() -> Self {
        let scratch = Scratch::new("axe");
        let hooks = Hooks::start().await;
        hooks.answer(410);
        let data = DemoData::load();
        let hub = headquarters(&scratch, &data, &hooks).await;
        let mut node = Node::enrolled(&scratch, &hub, "042").await;
        let mut other = Node::enrolled(&scratch, &hub, "117").await;
        let mut people = BTreeMap::new();
        for person in data.staff.iter().filter(|person| person.store.is_some()) {
            let at = if person.store.as_deref() == Some("042") { &node } else { &other };
            people.insert(person.username.clone(), at.login(&person.username, PASSWORD).await);
        }
        let made = report(&data, &people).await;
        let (ada, harriet) = (hub.login("ada", PASSWORD).await, hub.login("harriet", PASSWORD).await);
        wait_until("headquarters to have it all", PATIENCE, async || {
            harriet.total().await == data.incidents.len() as u64
        })
        .await;
        // A store's PC that does not answer.
        other.stop().await;
        let lukasz = &people["lukasz"];
        let mut ids = BTreeMap::from([("incident", made[1].clone()), ("plain", made[6].clone())]);
        let deleted = lukasz.post("/api/v1/incidents", &json!({"description": "Typed into the wrong store"})).await;
        ids.insert("deleted", id_of(&deleted.expect(201)));
        assert_eq!(lukasz.delete(&format!("/api/v1/incidents/{}", ids["deleted"])).await.status, 204);
        headquarters_acts(&ada, &harriet, &made, &hooks, &mut ids).await;
        own(&people["ngoc"], lukasz, &ada).await;
        conflict(&mut node, lukasz, &harriet, &made[3]).await;
        let inbox = node.folder().join("inbox");
        wait_until("the drop folder", PATIENCE, async || inbox.join("failed").is_dir()).await;
        std::fs::write(inbox.join("IMG_2041 back door.jpg"), photo(&data)).expect("a file in the drop folder");
        aside(&mut node, &made[6]).await;
        let lukasz = node.login("lukasz", PASSWORD).await;
        wait_until("what was set aside, and the file", PATIENCE, async || {
            let aside = harriet.get("/api/v1/quarantine").await.expect(200);
            let files = lukasz.get("/api/v1/inbox").await.expect(200);
            let is_any = |list: &Value| list["items"].as_array().is_some_and(|items| !items.is_empty());
            is_any(&aside) && is_any(&files)
        })
        .await;
        let nodes = harriet.get("/api/v1/nodes").await.expect(200);
        for item in nodes["items"].as_array().expect("nodes") {
            let key = if item["store_code"] == "042" { "node" } else { "silent" };
            ids.insert(key, item["node_id"].as_str().expect("an id").to_owned());
        }
        let (empty, fresh, unenrolled) = beginnings(&scratch, &hub).await;
        let mut tokens = BTreeMap::new();
        for (who, client) in [
            ("ada", &ada),
            ("lukasz", &lukasz),
            ("ngoc", &node.login("ngoc", PASSWORD).await),
            ("lukasz at headquarters", &hub.login("lukasz", PASSWORD).await),
            ("first day", &empty.login("ada", PASSWORD).await),
        ] {
            tokens.insert(who, client.token().expect("a session").to_owned());
        }
        Self { hub, node, empty, fresh, unenrolled, tokens, ids, _scratch: scratch }
    }

    /// The line to headquarters breaks, and somebody goes on.
    pub async fn cut(&mut self) {
        self.node.link().go_down();
        let ngoc = self.node.login("ngoc", PASSWORD).await;
        let fields = json!({"description": "The lights in aisle 4 go on and off"});
        let _ = ngoc.post("/api/v1/incidents", &fields).await.expect(201);
        wait_until("the line to be known as cut", PATIENCE, async || {
            ngoc.get("/api/v1/sync").await.expect(200)["hub_reachable"] == false
        })
        .await;
    }

    /// Ends the programs.
    pub async fn end(mut self) {
        for node in [&mut self.node, &mut self.unenrolled] {
            node.stop().await;
        }
        for hub in [&mut self.hub, &mut self.empty, &mut self.fresh] {
            hub.stop().await;
        }
    }
}

async fn headquarters(scratch: &Scratch, data: &DemoData, hooks: &Hooks) -> Hub {
    let mut hub = Hub::new(scratch);
    let settings = scratch.join("hub.toml");
    std::fs::write(&settings, format!("[webhooks]\nallow = ['{}']\n", hooks.url())).expect("settings");
    hub.env("AINCIDENT_HUB_CONFIG", &settings.display().to_string());
    for store in &data.stores {
        hub.store_add(&store.code, &store.name, &store.timezone).await;
    }
    for person in &data.staff {
        hub.user_add(&person.username, &person.role, person.store.as_deref(), PASSWORD).await;
    }
    hub.start().await;
    hub
}

/// A photo of the demo.
fn photo(data: &DemoData) -> Vec<u8> {
    let picture = data.incidents.iter().flat_map(|incident| &incident.photos).next().expect("a photo");
    let shot = Shot {
        scene: picture.scene,
        orientation: picture.turned,
        taken: "2026:01:02 03:04:05".to_owned(),
        located: false,
        width: WIDTH,
    };
    scenes::take(&shot, 7)
}

/// Records what the demo tells; answers the ids.
async fn report(data: &DemoData, people: &BTreeMap<String, Client>) -> Vec<String> {
    let mut photos = 0;
    let mut ids = Vec::new();
    for incident in &data.incidents {
        let requests = data.requests(incident);
        let made = people[&requests.by].post("/api/v1/incidents", &requests.report).await.expect(201);
        let path = format!("/api/v1/incidents/{}", id_of(&made));
        for (picture, seed) in incident.photos.iter().zip(1_u64..) {
            if photos == PHOTOS {
                break;
            }
            photos += 1;
            let shot = Shot {
                scene: picture.scene,
                orientation: picture.turned,
                taken: "2026:01:02 03:04:05".to_owned(),
                located: picture.located,
                width: WIDTH,
            };
            let bytes = scenes::take(&shot, seed + photos as u64);
            let by = &people[&picture.by];
            let added = add_captioned(by, &id_of(&made), &picture.file, picture.caption.as_deref(), bytes).await;
            assert_eq!(added.status, 201);
        }
        for (by, body) in &requests.talk {
            let _ = people[by].post(&format!("{path}/comments"), body).await.expect(201);
        }
        for (by, patch) in &requests.steps {
            let _ = people[by].patch(&path, patch).await.expect(200);
        }
        ids.push(id_of(&made));
    }
    ids
}

/// An order of erasure, a hold, rules, and a message that could not be sent.
async fn headquarters_acts(
    ada: &Client,
    harriet: &Client,
    made: &[String],
    hooks: &Hooks,
    ids: &mut BTreeMap<&'static str, String>,
) {
    let order = json!({"incident_id": made[8], "fields": ["location"], "reason": "asked for by letter"});
    assert!(harriet.post("/api/v1/erasures", &order).await.status < 300);
    let hold = json!({"reason": "the insurer's case 17"});
    let _ = harriet.post(&format!("/api/v1/incidents/{}/hold", made[1]), &hold).await.expect(200);
    let url = format!("{}/hook", hooks.url());
    let rule = json!({"name": "Grave, to the guards", "severity_min": 4, "channel": "webhook", "url": url});
    let rule = id_of(&ada.post("/api/v1/notifications", &rule).await.expect(201));
    let _ = ada.post(&format!("/api/v1/notifications/{rule}/test"), &json!({})).await.expect(202);
    wait_until("a message that cannot be sent", PATIENCE, async || {
        ada.get("/api/v1/jobs").await.json()["items"].as_array().is_some_and(|items| !items.is_empty())
    })
    .await;
    ids.insert("rule", rule);
    let settings = json!({"log_level": "debug", "drafts": {"keep_days": 14},
        "categories": {"sweethearting": {"label": "Till fraud with friends", "category": "theft"}},
        "custom_fields": {"till": {"label": "Till number", "type": "number", "required": true}}});
    let _ = ada.patch("/api/v1/settings", &settings).await.expect(200);
    let _ = ada.patch("/api/v1/settings/stores/042", &json!({"drafts": {"keep_days": 30}})).await.expect(200);
    let users = ada.get("/api/v1/users").await.expect(200);
    let ngoc = users["items"].as_array().and_then(|users| users.iter().find(|user| user["username"] == "ngoc"));
    ids.insert("user", ngoc.map(id_of).expect("an account"));
}

/// Drafts and views.
async fn own(ngoc: &Client, lukasz: &Client, ada: &Client) {
    for (client, text) in
        [(ngoc, "A man asked three times for"), (lukasz, "The freezer in aisle 9"), (ada, "A call from")]
    {
        let draft = client.request("PUT", &format!("/api/v1/drafts/{}", new_id()));
        let sent = client
            .send(draft.json(
                &json!({"fields": [{"name": "description", "value": text}, {"name": "category", "value": "other"}]}),
            ))
            .await;
        assert!(sent.status < 300, "{}", sent.status);
    }
    let view = json!({"name": "Thefts that are open", "filters": [{"name": "category", "value": "theft"}, {"name": "status", "value": "in_review"}]});
    assert!(lukasz.post("/api/v1/views", &view).await.status < 300);
}

/// Two people edit a field without knowing of each other.
async fn conflict(node: &mut Node, lukasz: &Client, harriet: &Client, incident: &str) {
    let path = format!("/api/v1/incidents/{incident}");
    node.link().go_down();
    let _ = lukasz
        .patch(&path, &json!({"location": "Emergency exit 2, behind the stockroom"}))
        .await
        .expect(200);
    let _ = harriet.patch(&path, &json!({"location": "Emergency exit 3"})).await.expect(200);
    node.link().heal();
    wait_until("the conflict", PATIENCE, async || {
        harriet.get("/api/v1/reviews").await.expect(200)["items"]
            .as_array()
            .is_some_and(|items| !items.is_empty())
    })
    .await;
}

/// An edit that no site takes.
async fn aside(node: &mut Node, incident: &str) {
    node.stop().await;
    let at = SystemClock.now_ms();
    let set = json!({"severity": 9});
    let edit = json!({"at": at, "base": {}, "by": "ngoc", "id": incident, "kind": "incident", "set": set}).to_string();
    let _ = plant::change(node, &edit);
    node.start().await;
}

/// Sites on which nothing has happened yet.
async fn beginnings(scratch: &Scratch, hub: &Hub) -> (Hub, Hub, Node) {
    let mut empty = Hub::over("empty", scratch);
    empty.user_add("ada", "admin", None, PASSWORD).await;
    empty.start().await;
    let mut fresh = Hub::over("fresh", scratch);
    fresh.start().await;
    let mut unenrolled = Node::new(scratch, hub, "042", "unenrolled").await;
    unenrolled.start().await;
    (empty, fresh, unenrolled)
}
