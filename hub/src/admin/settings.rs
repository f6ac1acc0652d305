//! `settings …`: what headquarters sets for its nodes.

use super::{Admin, Failed, explain, to_json};
use desk::incidents::IfMatch;
use desk::settings::{self, Settings};
use desk::{Error, Refusal};
use pages::own::plain;
use serde_json::{Map, Value};

impl Admin {
    /// Sets what `patch` says, where it says anything, and shows what holds.
    pub(super) async fn settings(&self, store: Option<String>, patch: Map<String, Value>) -> Result<String, Failed> {
        let named = store.clone();
        let shown = if patch.is_empty() {
            settings::show(&self.desk, &self.actor, store).await
        } else {
            settings::edit(&self.desk, &self.actor, store, IfMatch::Absent, patch).await
        };
        let shown = shown.map_err(|error| match (error, named) {
            (Error::Refused(Refusal::NotFound), Some(code)) => {
                Failed(format!("there is no store {code}; add it first"))
            }
            (error, _) => explain(error),
        })?;
        if self.json { to_json(&shown) } else { Ok(table(&shown)) }
    }
}

fn table(shown: &Settings) -> String {
    let changed = shown.changed_at.as_deref().unwrap_or("never");
    let whose = shown.store_code.as_ref().map_or_else(|| "the company".to_owned(), |code| format!("store {code}"));
    let mut table = format!("settings of {whose}, version {}, changed {changed}", shown.version);
    for (name, value, source) in shown.values() {
        table.push_str(&format!("\n{name} = {}  ({})", plain(value), source.as_str()));
    }
    if shown.sources.is_empty() {
        table.push_str("\nnothing is set: every node keeps to its own configuration");
    }
    table
}
