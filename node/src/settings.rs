//! What headquarters sets for this node, and what becomes of it here.

use desk::Desk;
use desk::settings::Holding;
use serde_json::Value;
use sync_protocol::message::SettingsReport;

use crate::config::ALSO_HERE;

/// What is set for the store; none before the node belongs to one, or where the ledger cannot be read.
pub async fn holding(desk: &Desk) -> Option<Holding> {
    let store = desk.own_store().await.ok().flatten()?;
    match desk::settings::holding(desk, Some(&store)).await {
        Ok(holding) => Some(holding),
        Err(error) => {
            tracing::warn!(%error, "what headquarters sets cannot be read now; what held goes on to hold");
            None
        }
    }
}

/// Applies what no configuration has, and tells what became of all of it. `overridden`: settings for which this machine's
/// configuration says something else; `broken`: why that configuration cannot be read now, where it cannot.
pub fn apply(desk: &Desk, holding: &Holding, overridden: &[&str], broken: Option<&str>) {
    let mut refused = holding.refused();
    let days = holding.get("drafts/keep_days").filter(|_| !refused.contains_key("drafts/keep_days"));
    desk.set_draft_days(days.and_then(Value::as_u64).unwrap_or(desk::drafts::KEEP_DAYS));
    if let Some(why) = broken {
        for field in ALSO_HERE.iter().filter(|field| holding.get(field).is_some()) {
            let why = format!("the node's own configuration cannot be used: {why}");
            refused.entry((*field).to_owned()).or_insert(why);
        }
    }
    for (field, why) in &refused {
        tracing::warn!(field, why, "a setting of headquarters' cannot be applied; the others are");
    }
    let overridden = overridden.iter().map(|field| (*field).to_owned()).collect();
    desk.report_settings(SettingsReport { version: holding.version(), refused, overridden }.sane());
}
