//! What headquarters sets for this node: beneath everything that the machine's own configuration says.

use desk::settings::Holding;
use serde_json::Value;

/// Settings of headquarters that a configuration has as well, as far as this program can apply them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headquarters {
    /// `log_level`.
    pub(super) log: Option<String>,
    /// `photos/originals`.
    pub(super) originals: Option<String>,
    /// `photos/max_kbit_s`.
    pub(super) max_kbit_s: Option<u64>,
    /// `photos/originals_max_kbit_s`.
    pub(super) originals_max_kbit_s: Option<u64>,
    /// `link/max_backoff_ms`.
    pub(super) max_backoff_ms: Option<u64>,
    /// `backup/keep_daily`.
    pub keep_daily: Option<u32>,
    /// `backup/keep_weekly`.
    pub keep_weekly: Option<u32>,
}

/// Settings that a configuration has as well.
pub const ALSO_HERE: [&str; 7] = [
    "log_level",
    "photos/originals",
    "photos/max_kbit_s",
    "photos/originals_max_kbit_s",
    "link/max_backoff_ms",
    "backup/keep_daily",
    "backup/keep_weekly",
];

impl Headquarters {
    /// What of `holding` can be applied.
    #[must_use]
    pub fn of(holding: &Holding) -> Self {
        let refused = holding.refused();
        let value = |field: &str| holding.get(field).filter(|_| !refused.contains_key(field));
        let text = |field: &str| value(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| value(field).and_then(Value::as_u64);
        let small = |field: &str| number(field).and_then(|number| u32::try_from(number).ok());
        Self {
            log: text("log_level"),
            originals: text("photos/originals"),
            max_kbit_s: number("photos/max_kbit_s"),
            originals_max_kbit_s: number("photos/originals_max_kbit_s"),
            max_backoff_ms: number("link/max_backoff_ms"),
            keep_daily: small("backup/keep_daily"),
            keep_weekly: small("backup/keep_weekly"),
        }
    }
}

/// Settings for which the machine's own configuration says something else.
#[derive(Debug, Default)]
pub(super) struct Overridden(pub(super) Vec<&'static str>);

impl Overridden {
    /// What holds: what is said here, else what headquarters sets as `field`.
    pub(super) fn first<T: PartialEq + Clone>(
        &mut self,
        field: &'static str,
        here: Option<T>,
        theirs: &Option<T>,
    ) -> Option<T> {
        if let (Some(here), Some(theirs)) = (&here, theirs)
            && here != theirs
        {
            self.0.push(field);
        }
        here.or_else(|| theirs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicator::blobs::Originals;
    use desk::ledger::SettingsRow;
    use serde_json::json;
    use sync_protocol::scope::Scope;

    #[test]
    fn what_cannot_be_applied_is_left_out_and_the_rest_is_not() {
        let fields = json!({"log_level": "loud", "photos/max_kbit_s": 500, "backup/keep_daily": 9, "photos/originals": "on-demand"});
        let row = SettingsRow {
            scope: Scope::Company,
            fields: serde_json::from_value(fields).unwrap(),
            changed_ms: 1,
        };
        let found = Headquarters::of(&Holding::of(&[row], Some("042")));
        let wanted = Headquarters {
            max_kbit_s: Some(500),
            keep_daily: Some(9),
            originals: Some("on-demand".to_owned()),
            ..Headquarters::default()
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn every_time_for_originals_that_headquarters_may_set_is_understood_here() {
        for when in ["always", "on-demand", "22:00-06:00", "00:00-23:59"] {
            assert_eq!(desk::settings::catalogue::check("photos/originals", &json!(when)), []);
            assert!(when.parse::<Originals>().is_ok(), "{when}");
        }
    }

    #[test]
    fn what_is_said_here_goes_first_and_only_what_differs_is_told() {
        let mut overridden = Overridden::default();
        assert_eq!(overridden.first("a", Some(1), &Some(2)), Some(1));
        assert_eq!(overridden.first("b", Some(1), &Some(1)), Some(1));
        assert_eq!(overridden.first("c", None, &Some(2)), Some(2));
        assert_eq!(overridden.first::<u8>("d", None, &None), None);
        assert_eq!(overridden.0, ["a"]);
    }
}
