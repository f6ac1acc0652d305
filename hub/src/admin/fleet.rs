//! `node …`: the fleet, for whoever sits at headquarters' machine.

use super::{Admin, Failed, explain, to_json};
use crate::fleet::{self, SettingsState};
use desk::{Error, Refusal};
use uuid::Uuid;

impl Admin {
    pub(super) async fn make_code(&self, store: &str) -> Result<String, Failed> {
        let code = fleet::make_code(&self.desk, &self.actor, store).await.map_err(explain)?;
        if self.json { to_json(&code) } else { Ok(code.code) }
    }

    pub(super) async fn replace(&self, node: Uuid) -> Result<String, Failed> {
        match fleet::replace(&self.desk, &self.actor, node).await {
            Ok(code) if self.json => to_json(&code),
            Ok(code) => Ok(code.code),
            Err(Error::Refused(Refusal::NotFound)) => {
                Err(Failed(format!("there is no node {node}; `node list` shows the ones there are")))
            }
            Err(error) => Err(explain(error)),
        }
    }

    pub(super) async fn list_nodes(&self) -> Result<String, Failed> {
        let nodes = fleet::nodes(&self.desk, &self.actor, None).await.map_err(explain)?;
        let hub = fleet::program(&self.desk, &self.actor).await.map_err(explain)?;
        if self.json {
            return to_json(&serde_json::json!({ "items": nodes, "hub": hub }));
        }
        let mut table = format!(
            "{:36}  {:16}  {:20}  {:10}  {:>7}  {:>11}  {:24}  NAME",
            "NODE", "STORE", "STATE", "VERSION", "PENDING", "QUARANTINED", "LAST CONTACT"
        );
        for node in nodes {
            let state = match (&node.revoked_at, node.online) {
                (Some(_), _) => "revoked",
                (None, _) if node.retired_at.is_some() => "replaced",
                (None, true) => "online",
                (None, false) => "offline",
            };
            let contact = node.last_contact_at.as_deref().unwrap_or("never");
            table.push_str(&format!(
                "\n{:36}  {:16}  {state:20}  {:10}  {:>7}  {:>11}  {contact:24}  {}",
                node.node_id, node.store_code, node.version, node.lag, node.quarantined, node.name
            ));
            if node.settings.state == SettingsState::InPart {
                let refused = node.settings.refused.iter().map(|(name, why)| format!("{name} {why}"));
                table.push_str(&format!("\n{:36}  settings: {}", "", refused.collect::<Vec<_>>().join("; ")));
            }
            if let Some(versions) = &node.versions {
                table.push_str(&format!("\n{:36}  {versions}", ""));
            }
        }
        if let (Some(since), Some(reason)) = (hub.epoch.since, hub.epoch.reason) {
            table.push_str(&format!("\nthis hub is in epoch {}, since {since}: {reason}", hub.epoch.number));
        }
        Ok(table)
    }

    pub(super) async fn revoke(&self, node: Uuid, reason: Option<String>) -> Result<String, Failed> {
        match fleet::revoke(&self.desk, &self.actor, node, reason).await {
            Ok(()) => Ok(format!("revoked {node}")),
            Err(Error::Refused(Refusal::NotFound)) => {
                Err(Failed(format!("there is no node {node}; `node list` shows the ones there are")))
            }
            Err(error) => Err(explain(error)),
        }
    }

    pub(super) async fn list_refused(&self) -> Result<String, Failed> {
        let refused = fleet::refused(&self.desk, &self.actor).await.map_err(explain)?;
        if self.json {
            return to_json(&serde_json::json!({ "items": refused }));
        }
        let mut table =
            format!("{:36}  {:16}  {:21}  {:>7}  {:24}  WHAT IT MEANS", "NODE", "STORE", "REFUSED AS", "TIMES", "LAST");
        for node in refused {
            let store = node.store_code.as_deref().unwrap_or("-");
            table.push_str(&format!(
                "\n{:36}  {store:16}  {:21}  {:>7}  {:24}  {}",
                node.node_id, node.code, node.count, node.last_at, node.reason
            ));
        }
        Ok(table)
    }
}
