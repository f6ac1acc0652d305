//! What each node made of the settings that are made for it.

use chassis::clock::format_rfc3339;
use desk::ledger::{NodeRow, SettingsRow};
use desk::settings::{Holding, public};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use sync_protocol::scope::Scope;

/// How far a node is with its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingsState {
    /// It has applied the present version, all of it.
    Applied,
    /// It has applied the present version but for what is `refused`.
    InPart,
    /// It has not said yet that it applied the present version.
    #[default]
    Waiting,
    /// It has never said what it applied: its program knows nothing of settings, or it has not called since it was upgraded.
    Unknown,
}

impl SettingsState {
    /// Its name, as the API and pages say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::InPart => "in_part",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        }
    }
}

/// What a node made of its settings.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct NodeSettings {
    /// How far it is.
    pub state: SettingsState,
    /// The version that holds for its store here.
    pub version: String,
    /// The version that it last said it applied.
    pub applied_version: Option<String>,
    /// When the last of what holds was set; RFC 3339, UTC.
    pub changed_at: Option<String>,
    /// What it could not apply of the version that it applied, and why.
    pub refused: BTreeMap<String, String>,
    /// For what its own configuration says something else, which goes first there.
    pub overridden: Vec<String>,
}

/// What holds at each store: its version, and when the last of it was set. Read once for a fleet of thousands.
#[derive(Debug, Default)]
pub struct Expected {
    company: (String, Option<i64>),
    stores: HashMap<String, (String, Option<i64>)>,
}

impl Expected {
    /// What `rows` amount to.
    #[must_use]
    pub fn of(rows: &[SettingsRow]) -> Self {
        let company = rows.iter().find(|row| row.scope == Scope::Company);
        let told = |own: Option<&SettingsRow>| {
            let holding = Holding::joined(company, own);
            (holding.version(), holding.changed_ms())
        };
        let of_store = |row: &SettingsRow| Some((row.scope.store_code()?.to_owned(), told(Some(row))));
        Self { company: told(None), stores: rows.iter().filter_map(of_store).collect() }
    }
}

impl NodeSettings {
    /// What is known of a node.
    #[must_use]
    pub fn of(node: &NodeRow, expected: &Expected) -> Self {
        let (version, changed_ms) = expected.stores.get(&node.store_code).unwrap_or(&expected.company).clone();
        let report = node.status.settings.as_ref();
        let state = match report {
            None => SettingsState::Unknown,
            Some(report) if report.version != version => SettingsState::Waiting,
            Some(report) if report.refused.is_empty() => SettingsState::Applied,
            Some(_) => SettingsState::InPart,
        };
        Self {
            state,
            version,
            applied_version: report.map(|report| report.version.clone()),
            changed_at: changed_ms.map(format_rfc3339),
            refused: report
                .iter()
                .flat_map(|report| &report.refused)
                .map(|(field, why)| (public(field), why.clone()))
                .collect(),
            overridden: report.iter().flat_map(|report| &report.overridden).map(|field| public(field)).collect(),
        }
    }
}
