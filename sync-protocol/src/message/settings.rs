//! What a node says of the settings that headquarters made for it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most fields that a hub keeps of a report, and most characters of a reason.
const MAX_FIELDS: usize = 300;
/// Longest name of a field, in characters.
const MAX_NAME: usize = 100;
/// Longest reason, in characters.
const MAX_REASON: usize = 300;

/// Which version of its settings a node has applied, and what of it does not hold there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsReport {
    /// The version ([`crate::record::settings_version`]).
    pub version: String,
    /// Fields that the node could not apply, and why, for a person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Fields for which the machine's own configuration says something else, which goes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
}

impl SettingsReport {
    /// The report as far as it is kept: whatever a node says, it is shown to people and takes a bounded place.
    #[must_use]
    pub fn sane(self) -> Self {
        let cut = |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        let refused = self.refused.into_iter().take(MAX_FIELDS);
        Self {
            version: cut(&self.version, MAX_NAME),
            refused: refused.map(|(field, why)| (cut(&field, MAX_NAME), cut(&why, MAX_REASON))).collect(),
            overridden: self.overridden.iter().take(MAX_FIELDS).map(|field| cut(field, MAX_NAME)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_report_has_an_end() {
        let wild = SettingsReport {
            version: "v".repeat(1000),
            refused: (0..1000).map(|at| (format!("{at:04}{}", "f".repeat(200)), "\u{7}w".repeat(1000))).collect(),
            overridden: vec!["o".repeat(1000); 1000],
        };
        let sane = wild.sane();
        assert_eq!((sane.version.len(), sane.refused.len(), sane.overridden.len()), (100, 300, 300));
        assert!(sane.refused.iter().all(|(field, why)| field.len() == 100 && *why == "w".repeat(300)));
        let plain = SettingsReport { version: "1f".into(), ..SettingsReport::default() };
        assert_eq!(plain.clone().sane(), plain);
    }

    #[test]
    fn a_report_is_left_out_by_who_has_none_and_let_pass_by_who_does_not_know_it() {
        use crate::message::NodeStatus;
        let old = serde_json::to_string(&NodeStatus::default()).unwrap();
        assert!(!old.contains("settings"), "{old}");
        assert_eq!(serde_json::from_str::<NodeStatus>(&old).unwrap(), NodeStatus::default());
        let settings = Some(SettingsReport { version: "1f".into(), ..SettingsReport::default() });
        let new = serde_json::to_value(NodeStatus { settings: settings.clone(), ..NodeStatus::default() }).unwrap();
        assert_eq!(new["settings"], serde_json::json!({"version": "1f"}));
        assert_eq!(serde_json::from_value::<NodeStatus>(new).unwrap().settings, settings);
    }
}
