//! `settings …`: what headquarters sets for its nodes.

use super::{Admin, Failed, explain, to_json};
use desk::incidents::IfMatch;
use desk::settings::{self, Settings};
use desk::{Error, Refusal};
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
    for (name, source) in &shown.sources {
        let value = shown.settings.pointer(&format!("/{}", name.replacen('.', "/", 1))).unwrap_or(&Value::Null);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.push_str(&format!(
            "\n{name} = {value}  ({})",
            serde_json::to_value(source).unwrap_or_default().as_str().unwrap_or_default()
        ));
    }
    if shown.sources.is_empty() {
        table.push_str("\nnothing is set: every node keeps to its own configuration");
    }
    table
}
