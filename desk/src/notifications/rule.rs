//! A rule: of what somebody is told, and how. Pure.

use super::clocks::Facts;
use crate::error::Refusal;
use serde::{Deserialize, Serialize};
use sync_protocol::record::FieldError;
use sync_protocol::record::vocabulary::CATEGORIES;
use sync_protocol::scope::is_store_code;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest name, in characters.
pub const MOST_NAME: usize = 100;
/// Most stores of one rule.
pub const MOST_STORES: usize = 500;
/// Most addresses of one rule.
pub const MOST_ADDRESSES: usize = 20;
/// Longest name of a time zone, in bytes.
const MOST_ZONE: usize = 64;
/// Longest address, in bytes: what SMTP takes.
const MOST_ADDRESS: usize = 254;
/// A store is not called silent sooner, in minutes: a router that begins anew takes a while.
const LEAST_SILENT: u32 = 15;
/// Nor later: a week.
const MOST_SILENT: u32 = 7 * 24 * 60;

/// What a rule tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An incident that somebody has submitted.
    #[default]
    Incident,
    /// A follow-up whose time is over.
    Overdue,
    /// An OSHA deadline that is near, and one that is over: to report it, and to fill in form 301.
    Osha,
    /// A store that headquarters no longer hears of.
    Silent,
}

impl About {
    /// All of them, in the order of a form.
    pub const ALL: [&'static str; 4] = ["incident", "overdue", "osha", "silent"];
}

/// How it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By mail.
    #[default]
    Mail,
    /// By a signed POST.
    Webhook,
}

/// When it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// At once.
    #[default]
    AtOnce,
    /// Once a day, all in one message.
    Daily,
}

/// In which language mail is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
}

/// Of what somebody is told, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What people call it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Whether it tells of anything.
    pub enabled: bool,
    /// What it tells of.
    pub about: About,
    /// The least severity of incidents that it tells of, 1 to 5.
    #[schema(minimum = 1, maximum = 5)]
    pub severity_min: u8,
    /// Their categories; none: any.
    pub categories: Vec<String>,
    /// Their stores, by code; none: any.
    #[schema(max_items = 500)]
    pub stores: Vec<String>,
    /// For `silent`: after how many minutes.
    #[schema(minimum = 15, maximum = 10080)]
    pub silent_minutes: u32,
    /// When.
    pub delivery: Delivery,
    /// The hour of a daily message, by the clocks of `timezone`.
    #[schema(minimum = 0, maximum = 23)]
    pub digest_hour: u8,
    /// An IANA time zone; left out: that of the only store of the rule, else that of the site's store, at headquarters UTC.
    #[schema(max_length = 64, example = "America/Chicago")]
    pub timezone: Option<String>,
    /// How.
    pub channel: Channel,
    /// Where a webhook goes; left out for mail.
    #[schema(max_length = 2000)]
    pub url: Option<String>,
    /// Who gets mail; none for a webhook.
    #[schema(max_items = 20)]
    pub addresses: Vec<String>,
    /// The language of mail.
    pub language: Language,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            about: About::default(),
            severity_min: 1,
            categories: Vec::new(),
            stores: Vec::new(),
            silent_minutes: 60,
            delivery: Delivery::default(),
            digest_hour: 6,
            timezone: None,
            channel: Channel::default(),
            url: None,
            addresses: Vec::new(),
            language: Language::default(),
        }
    }
}

impl Rule {
    /// Everything that is wrong with it. `target` says what is wrong with an address of a webhook; `at_hub`: whether the site hears
    /// of stores.
    ///
    /// # Errors
    /// [`Refusal::Invalid`].
    pub fn check(&self, at_hub: bool, target: impl Fn(&str) -> Result<(), String>) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { field: field.to_owned(), message });
        };
        let length = self.name.trim().chars().count();
        if length == 0 || length > MOST_NAME || self.name.chars().any(char::is_control) {
            wrong("name", format!("must be 1 to {MOST_NAME} characters in one line"));
        }
        if !(1..=5).contains(&self.severity_min) {
            wrong("severity_min", "must be a whole number from 1 to 5".to_owned());
        }
        if self.categories.iter().any(|category| !CATEGORIES.contains(&category.as_str())) {
            wrong("categories", format!("must be some of {}", CATEGORIES.join(", ")));
        }
        if self.stores.len() > MOST_STORES || self.stores.iter().any(|code| !is_store_code(code)) {
            wrong("stores", format!("must be at most {MOST_STORES} codes of stores"));
        }
        if !(LEAST_SILENT..=MOST_SILENT).contains(&self.silent_minutes) {
            wrong("silent_minutes", format!("must be a whole number from {LEAST_SILENT} to {MOST_SILENT}"));
        }
        if self.digest_hour > 23 {
            wrong("digest_hour", "must be a whole number from 0 to 23".to_owned());
        }
        let is_zone = |name: &String| name.len() <= MOST_ZONE && jiff::tz::TimeZone::get(name).is_ok();
        if !self.timezone.as_ref().is_none_or(is_zone) {
            wrong("timezone", "must be an IANA time zone, such as America/Chicago".to_owned());
        }
        if self.about == About::Silent && !at_hub {
            wrong("about", "silent is for headquarters: a store does not hear of the others".to_owned());
        }
        match (self.channel, &self.url) {
            (Channel::Mail, Some(_)) => wrong("url", "is for webhooks; leave it out for mail".to_owned()),
            (Channel::Webhook, None) => wrong("url", "is required for a webhook".to_owned()),
            (Channel::Webhook, Some(url)) => {
                if let Err(why) = target(url) {
                    wrong("url", why);
                }
            }
            (Channel::Mail, None) => {}
        }
        let is_address = |text: &String| text.len() <= MOST_ADDRESS && chassis::mail::is_address(text);
        match self.channel {
            Channel::Webhook if !self.addresses.is_empty() => {
                wrong("addresses", "are for mail; leave them out for a webhook".to_owned());
            }
            Channel::Mail if self.addresses.is_empty() => wrong("addresses", "are required for mail".to_owned()),
            Channel::Mail if self.addresses.len() > MOST_ADDRESSES || !self.addresses.iter().all(is_address) => {
                wrong("addresses", format!("must be at most {MOST_ADDRESSES} mail addresses"));
            }
            _ => {}
        }
        if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid(errors)) }
    }

    /// Whether it is about incidents such as this one: submitted, and neither void nor deleted.
    #[must_use]
    pub fn covers(&self, incident: &Facts) -> bool {
        !incident.deleted
            && !matches!(incident.status.as_str(), "draft" | "void")
            && incident.severity >= self.severity_min
            && (self.categories.is_empty() || self.categories.contains(&incident.category))
            && self.covers_store(&incident.store_code)
    }

    /// Whether it is about that store.
    #[must_use]
    pub fn covers_store(&self, code: &str) -> bool {
        self.stores.is_empty() || self.stores.iter().any(|one| one == code)
    }
}

/// What is told: ids and times, nothing about anybody. What a message says is read when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// An incident.
    Incident {
        /// It.
        incident_id: Uuid,
    },
    /// A follow-up whose time is over.
    Overdue {
        /// Of which incident.
        incident_id: Uuid,
        /// When it was due.
        at_ms: i64,
    },
    /// An OSHA deadline.
    Osha {
        /// Of which incident.
        incident_id: Uuid,
        /// When it ends.
        at_ms: i64,
        /// Whether that is over.
        passed: bool,
    },
    /// The day by which form 301 has to be filled in.
    Form301 {
        /// Of which incident.
        incident_id: Uuid,
        /// When it ends.
        at_ms: i64,
        /// Whether that is over.
        passed: bool,
    },
    /// A store that is not heard of.
    Silent {
        /// The store.
        store_code: String,
        /// When a node of it last called.
        at_ms: i64,
    },
    /// Everything that was gathered from one message on, up to another one.
    Digest {
        /// The last message that is not in it.
        after: i64,
        /// The last that is.
        to: i64,
        /// How many they are.
        count: u64,
    },
    /// Nothing: to see whether it arrives.
    Test {
        /// When it was asked for.
        at_ms: i64,
    },
}

impl What {
    /// The message's id: it follows from the rule and from what is told.
    #[must_use]
    pub fn id(&self, rule: Uuid) -> String {
        let told = serde_json::to_string(self).unwrap_or_default();
        let digest = blake3::derive_key("aincident 2026-11 id of a notification", format!("{rule}/{told}").as_bytes());
        format!("msg_{}", chassis::secret::to_base64url(&digest[..18]))
    }

    /// What is told, in a word.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        match self {
            Self::Incident { .. } => "incident",
            Self::Overdue { .. } => "overdue",
            Self::Osha { .. } => "osha",
            Self::Form301 { .. } => "form301",
            Self::Silent { .. } => "silent",
            Self::Digest { .. } => "digest",
            Self::Test { .. } => "test",
        }
    }

    /// The incident that it is about.
    #[must_use]
    pub const fn incident(&self) -> Option<Uuid> {
        match self {
            Self::Incident { incident_id }
            | Self::Overdue { incident_id, .. }
            | Self::Osha { incident_id, .. }
            | Self::Form301 { incident_id, .. } => Some(*incident_id),
            Self::Silent { .. } | Self::Digest { .. } | Self::Test { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            id: Uuid::from_u128(7),
            no: 1,
            store_code: "042".to_owned(),
            reference: "042-2026-000001-AB".to_owned(),
            deleted: false,
            status: "submitted".to_owned(),
            category: "theft".to_owned(),
            severity: 4,
            doc: "{}".to_owned(),
            has_clocks: false,
        }
    }

    fn rule() -> Rule {
        Rule {
            name: "grave".to_owned(),
            severity_min: 4,
            addresses: vec!["kim@example.com".to_owned()],
            ..Rule::default()
        }
    }

    #[test]
    fn a_rule_is_about_what_all_of_its_conditions_are_about() {
        assert!(rule().covers(&facts()));
        assert!(!rule().covers(&Facts { severity: 3, ..facts() }));
        assert!(!rule().covers(&Facts { deleted: true, ..facts() }));
        for status in ["draft", "void"] {
            assert!(!rule().covers(&Facts { status: status.to_owned(), ..facts() }), "{status}");
        }
        let of = |categories: &[&str], stores: &[&str]| Rule {
            categories: categories.iter().map(ToString::to_string).collect(),
            stores: stores.iter().map(ToString::to_string).collect(),
            ..rule()
        };
        assert!(of(&["robbery", "theft"], &["007", "042"]).covers(&facts()));
        assert!(!of(&["robbery"], &[]).covers(&facts()) && !of(&[], &["42"]).covers(&facts()));
    }

    #[test]
    fn everything_that_is_wrong_with_a_rule_is_told_at_once() {
        let fine = |_: &str| Ok(());
        assert_eq!(rule().check(false, fine), Ok(()));
        let wrong = Rule {
            name: "a\nb".to_owned(),
            severity_min: 0,
            categories: vec!["thief".to_owned()],
            stores: vec!["a b".to_owned()],
            silent_minutes: 1,
            digest_hour: 24,
            timezone: Some("Mars/Olympus".to_owned()),
            about: About::Silent,
            url: Some("https://example.com".to_owned()),
            addresses: vec!["kim".to_owned()],
            ..rule()
        };
        let Err(Refusal::Invalid(errors)) = wrong.check(false, fine) else {
            panic!("taken")
        };
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let all = [
            "name",
            "severity_min",
            "categories",
            "stores",
            "silent_minutes",
            "digest_hour",
            "timezone",
            "about",
            "url",
            "addresses",
        ];
        assert_eq!(fields, all);
        let hook = Rule { channel: Channel::Webhook, addresses: Vec::new(), ..rule() };
        assert!(hook.check(true, fine).is_err());
        let hook = Rule { url: Some("http://a".to_owned()), ..hook };
        assert!(hook.check(true, fine).is_ok() && hook.check(true, |_| Err("must be https".to_owned())).is_err());
    }

    #[test]
    fn a_message_has_one_id_however_often_it_is_made() {
        let what = What::Incident { incident_id: Uuid::from_u128(1) };
        let (one, other) = (Uuid::from_u128(2), Uuid::from_u128(3));
        assert_eq!(what.id(one), what.clone().id(one));
        assert_ne!(what.id(one), what.id(other));
        let due = |at_ms| What::Overdue { incident_id: Uuid::from_u128(1), at_ms };
        assert_ne!(due(1).id(one), due(2).id(one));
        assert!(what.id(one).starts_with("msg_") && what.id(one).len() == 28);
    }
}
