//! Both programs with something to show, and the pages there are.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Browser, Hub, Node, Scratch, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

/// Incidents that are shown.
const INCIDENTS: u32 = 60;

/// A page, and who looks at it.
pub struct Visit {
    /// What it is called in the report.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// 0: nobody; 1: headquarters' administrator; 2: the store's manager.
    who: usize,
}

/// Both programs and three browsers.
pub struct Sites {
    /// Headquarters.
    pub hub: Hub,
    /// A store's.
    pub node: Node,
    browsers: Vec<Browser>,
    incident: String,
    at_store: String,
    node_id: String,
    _scratch: Scratch,
}

impl Sites {
    /// Starts everything and fills it.
    ///
    /// # Panics
    /// When a program does not do what it is asked for.
    pub async fn start() -> Self {
        let scratch = Scratch::new("axe");
        let hub = Hub::with_stores(&scratch, &["042", "117"]).await;
        let node = Node::enrolled(&scratch, &hub, "042").await;
        let manager = node.login("manager-042", PASSWORD).await;
        let mut last = Value::Null;
        for n in 0..INCIDENTS {
            let category = ["theft", "hazard", "fraud", "customer_injury"][n as usize % 4];
            let currency = if n % 3 == 0 { "EUR" } else { "USD" };
            let fields = json!({
                "description": format!("A customer slipped on a wet floor by the freezers, number {n}"),
                "category": category,
                "severity": 1 + n % 5,
                "loss": {"amount_minor": 1000 + n * 10, "recovered_minor": n, "currency": currency},
                "people": [{"name": format!("Ana Ruiz {n}"), "roles": ["customer"]}],
                "items": [{"description": "boots", "quantity": 1, "value_minor": 8900, "outcome": "stolen"}],
                "tags": ["freezer"],
            });
            last = manager.post("/api/v1/incidents", &fields).await.expect(201);
        }
        let at_store = last["id"].as_str().expect("an id").to_owned();
        let comment = json!({"body": "The floor is dry again."});
        let _ = manager.post(&format!("/api/v1/incidents/{at_store}/comments"), &comment).await.expect(201);
        let harriet = hub.harriet().await;
        wait_until("headquarters to have it all", Duration::from_secs(60), async || {
            harriet.total().await == u64::from(INCIDENTS)
        })
        .await;
        let order = json!({"incident_id": at_store, "fields": ["location"], "reason": "asked for by letter"});
        let _ = harriet.post("/api/v1/erasures", &order).await;
        let nodes = harriet.get("/api/v1/nodes").await.expect(200);
        let node_id = nodes["items"][0]["node_id"].as_str().expect("a node").to_owned();
        let mut browsers = Vec::new();
        for (at, who) in ["nobody", "ada", "manager-042"].into_iter().enumerate() {
            let browser = Browser::with_profile(&scratch.join(who)).await;
            match at {
                1 => browser.log_in(hub.url(), who, PASSWORD).await,
                2 => browser.log_in(node.url(), who, PASSWORD).await,
                _ => {}
            }
            browsers.push(browser);
        }
        Self {
            hub,
            node,
            browsers,
            incident: at_store.clone(),
            at_store,
            node_id,
            _scratch: scratch,
        }
    }

    /// Whoever makes that visit.
    pub async fn browser(&self, visit: &Visit) -> &Browser {
        &self.browsers[visit.who]
    }

    /// Headquarters' administrator.
    pub fn administrator(&self) -> &Browser {
        &self.browsers[1]
    }

    /// Every page.
    pub fn visits(&self) -> Vec<Visit> {
        let (incident, at_store, node_id) = (&self.incident, &self.at_store, &self.node_id);
        let common = |id: &str| {
            vec![
                "/incidents".to_owned(),
                "/incidents?q=nothing+like+that".to_owned(),
                "/incidents?from=soon".to_owned(),
                "/incidents/new".to_owned(),
                format!("/incidents/{id}"),
                format!("/incidents/{id}/edit"),
                format!("/incidents/{id}/delete"),
                "/reviews".to_owned(),
                "/quarantine".to_owned(),
                "/nothing-here".to_owned(),
            ]
        };
        let mut of_hub = common(incident);
        of_hub.extend(
            ["/", "/fleet", "/stores", "/users", "/erasures", "/erasures/new?q=Ana", "/acts", "/?from=soon"]
                .map(str::to_owned),
        );
        of_hub.extend([format!("/fleet/{node_id}"), format!("/erasures/new?incident={incident}")]);
        let mut of_node = common(at_store);
        of_node.extend(["/", "/sync", "/inbox", "/offline"].map(str::to_owned));
        let visit = |site: &str, base: &str, who: usize, path: String| Visit {
            // Ids are of no use in a report.
            name: format!("{site} {}", path.replace(incident, "ID").replace(node_id, "ID")),
            url: format!("{base}{path}"),
            who,
        };
        let (hub, node) = (self.hub.url(), self.node.url());
        let mut all = vec![visit("hub", hub, 0, "/login".to_owned()), visit("node", node, 0, "/login".to_owned())];
        all.extend(of_hub.into_iter().map(|path| visit("hub", hub, 1, path)));
        all.extend(of_node.into_iter().map(|path| visit("node", node, 2, path)));
        all
    }

    /// Ends the programs.
    pub async fn end(mut self) {
        self.node.stop().await;
        self.hub.stop().await;
    }
}
