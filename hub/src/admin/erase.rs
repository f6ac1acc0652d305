//! `erase`, `erasures`, `hold` and `release`.

use super::{Admin, Failed, explain, failed, to_json};
use desk::erasures::{self, ErasureItem, NewErasure};
use serde_json::{Value, json};
use uuid::Uuid;

impl Admin {
    pub(super) async fn erase(&self, new: NewErasure) -> Result<String, Failed> {
        let item = erasures::order(&self.desk, &self.actor, new).await.map_err(explain)?;
        if self.json {
            return to_json(&item);
        }
        let mut said = format!("ordered {}; `erasures` shows which site has done it", item.id);
        if !item.still_named_in.is_empty() {
            said.push_str(&format!("\nthe name still stands in {}", item.still_named_in.join(", ")));
        }
        Ok(said)
    }

    /// Holds an incident, or with no reason ends its hold.
    pub(super) async fn hold(&self, incident: Uuid, reason: Option<String>) -> Result<String, Failed> {
        let shown = erasures::hold(&self.desk, &self.actor, incident, reason).await.map_err(explain)?;
        let incident: Value = serde_json::from_str(&shown.json).map_err(failed)?;
        let hold = &incident["hold"];
        if self.json {
            return to_json(&json!({ "incident_id": shown.id, "hold": hold }));
        }
        let name = incident["reference"].as_str().unwrap_or("the incident");
        Ok(match hold["reason"].as_str() {
            Some(reason) => format!("{name} is held: {reason}; nothing of it can be erased until `release`"),
            None => format!("nobody holds {name}"),
        })
    }

    pub(super) async fn list_erasures(&self) -> Result<String, Failed> {
        let items = erasures::list(&self.desk, &self.actor, None, None, erasures::DEFAULT_LIMIT);
        let items = items.await.map_err(explain)?;
        if self.json {
            return to_json(&json!({ "items": items }));
        }
        let mut table = format!("{:36}  {:20}  {:16}  SITES", "ERASURE", "ORDERED", "STORE");
        for item in items {
            table.push_str(&format!(
                "\n{:36}  {:20}  {:16}  {}",
                item.id,
                item.ordered_at,
                item.store_code,
                sites(&item)
            ));
        }
        Ok(table)
    }
}

fn sites(item: &ErasureItem) -> String {
    let told = item.sites.iter().map(|site| {
        let why = match (site.revoked, site.retired) {
            (true, _) => " (revoked)",
            (false, true) => " (replaced)",
            (false, false) => "",
        };
        format!("{} {}{why}", site.name, site.state)
    });
    told.collect::<Vec<_>>().join(", ")
}
