//! `tls`: the hub's own certificate authority, and the one that is to come.

use super::{Failed, explain, failed, to_json};
use crate::authority::missing;
use crate::config::AuthorityTask;
use chassis::clock::format_rfc3339;
use chassis::folder::DataFolder;
use chassis::http::{export_authority, import_authority, next_authority, prepare_authority, switch_authority};
use chassis::outbound::Pin;
use desk::Desk;
use desk::doctor::{Finding, Health};
use std::path::Path;
use std::sync::Arc;

/// Most stores that a line names.
const MOST_NAMED: usize = 20;

pub(super) async fn run(desk: &Desk, folder: &DataFolder, task: AuthorityTask, json: bool) -> Result<String, Failed> {
    let tls = folder.join("tls");
    match task {
        AuthorityTask::Prepare { names } => {
            let next = prepare_authority(&tls, names, Arc::clone(desk.clock())).map_err(failed)?;
            let unheard = unheard(desk, next).await?;
            if json {
                return told(next, &unheard);
            }
            Ok(format!(
                "prepared: SHA-256 {next}; {}; the hub uses it when it needs it and all have heard, or at once with `aincident-hub tls switch`",
                in_words(&unheard)
            ))
        }
        AuthorityTask::Switch => {
            let (old, new) = switch_authority(&tls).map_err(failed)?;
            let unheard = unheard(desk, new).await?;
            if json {
                return told(new, &unheard);
            }
            let advice = if unheard.is_empty() {
                String::new()
            } else {
                format!("; there run `aincident-node trust --fingerprint {new}`")
            };
            Ok(format!(
                "from now on SHA-256 {new} vouches for the hub, and no longer {old}; a hub that serves takes it within a minute; {}{advice}",
                in_words(&unheard)
            ))
        }
        AuthorityTask::Export { to } => {
            let pin = export_authority(&tls, &to).map_err(failed)?;
            one(json, pin, || {
                format!("written into {}, with its key: SHA-256 {pin}; keep it as you keep a password", to.display())
            })
        }
        AuthorityTask::Import { from, replace } => {
            let pin = import_authority(&tls, &from, replace).map_err(failed)?;
            one(json, pin, || format!("this hub has the authority SHA-256 {pin} now; remove {}", from.display()))
        }
    }
}

fn one(json: bool, pin: Pin, words: impl FnOnce() -> String) -> Result<String, Failed> {
    if json {
        to_json(&serde_json::json!({ "fingerprint": pin }))
    } else {
        Ok(words())
    }
}

fn told(pin: Pin, unheard: &[String]) -> Result<String, Failed> {
    to_json(&serde_json::json!({ "fingerprint": pin, "unheard": unheard }))
}

/// The stores of the nodes that have not heard of `next`.
async fn unheard(desk: &Desk, next: Pin) -> Result<Vec<String>, Failed> {
    let nodes = desk.ledger().nodes(None).await.map_err(explain)?;
    Ok(missing(&nodes, next).map(|node| node.store_code.clone()).collect())
}

fn in_words(unheard: &[String]) -> String {
    let named = unheard.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match unheard.len() {
        0 => "every node has heard of it".to_owned(),
        n @ 1..=MOST_NAMED => format!("{n} nodes have not heard of it: of stores {named}"),
        n => format!("{n} nodes have not heard of it: of stores {named} and others"),
    }
}

/// The authority that is to come, where one is prepared, and who has not heard of it.
pub(super) async fn finding(desk: &Desk, folder: &DataFolder) -> Option<Finding> {
    next_finding(desk, &folder.join("tls")).await
}

async fn next_finding(desk: &Desk, tls: &Path) -> Option<Finding> {
    let (next, until_ms) = next_authority(tls)?;
    let (health, who) = match unheard(desk, next).await {
        Ok(unheard) if unheard.is_empty() => (Health::Ok, in_words(&unheard)),
        Ok(unheard) => (Health::Warn, format!("{}; look at their PCs and lines", in_words(&unheard))),
        Err(error) => (Health::Fail, error.to_string()),
    };
    let until = format_rfc3339(until_ms);
    Some(Finding::new(
        "next authority",
        health,
        format!("prepared, good until {until}: SHA-256 {next}; {who}"),
    ))
}
