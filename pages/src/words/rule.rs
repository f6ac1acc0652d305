//! What rules say of a value, in another language. The API says it in English, and English is what a message is known by: each of them
//! stands among the English messages, with holes for what is told about the value.

use super::{Lang, Words};

impl Words {
    /// What a rule says, in this language; as it is where no rule is known to say so.
    #[must_use]
    pub fn rule(&self, message: &str) -> String {
        self.known_rule(message).unwrap_or_else(|| message.to_owned())
    }

    /// What a rule says, in this language; none where no rule is known to say so.
    #[must_use]
    pub fn known_rule(&self, message: &str) -> Option<String> {
        if self.lang() == Lang::En {
            return Some(message.to_owned());
        }
        let english = Lang::En.words();
        // What says the most about the message: `must be a UUID in lower case` is no `must be {0}`.
        let said = english.texts.iter().filter_map(|(key, template)| {
            let name = key.strip_prefix("rule.")?;
            let told = told(template, message)?;
            Some((template.len(), name, told))
        });
        let (_, name, told) = said.max_by_key(|(length, ..)| *length)?;
        // A list's message is about each of its elements.
        let told: Vec<String> = if name == "each" {
            told.iter().map(|inner| self.rule(inner)).collect()
        } else {
            told.into_iter().map(str::to_owned).collect()
        };
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        Some(self.with(&["rule", name].join("."), &told))
    }
}

/// What `message` puts into the holes of `template`, where it is made of it. Holes are numbered in order, and never side by side.
fn told<'a>(template: &str, message: &'a str) -> Option<Vec<&'a str>> {
    let (first, mut rest_of_template) = template.split_once('{').unwrap_or((template, ""));
    let mut rest = message.strip_prefix(first)?;
    let mut told = Vec::new();
    while let Some((_, after)) = rest_of_template.split_once('}') {
        let (literal, next) = after.split_once('{').map_or((after, ""), |(literal, next)| (literal, next));
        let at = if literal.is_empty() { rest.len() } else { rest.find(literal)? };
        told.push(&rest[..at]);
        rest = &rest[at + literal.len()..];
        rest_of_template = next;
    }
    rest.is_empty().then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use desk::Refusal;
    use desk::actor::{Actor, Role};
    use desk::rules::{self, Act};
    use desk::settings::catalogue;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use sync_protocol::record::{ACCOUNT, INCIDENT, STORE, check};

    #[test]
    fn what_is_put_into_a_message_is_found_again() {
        assert_eq!(told("is required", "is required"), Some(vec![]));
        assert_eq!(told("is required", "is required for x"), None);
        assert_eq!(told("at most {0} and are {1}", "at most 20 and are 31"), Some(vec!["20", "31"]));
        assert_eq!(told("one of {0}", "one of a, b"), Some(vec!["a, b"]));
        assert_eq!(told("from {0} to {1}.", "from 1 to 5"), None);
        assert_eq!(told("{0} is gone", "x is gone"), Some(vec!["x"]));
    }

    #[test]
    fn what_a_rule_says_is_said_in_spanish_with_what_it_is_about() {
        let es = Lang::Es.words();
        for (english, spanish) in [
            ("must be at most 200 characters and has 201", "puede tener 200 caracteres como máximo y tiene 201"),
            ("each must not be blank", "cada uno: no puede estar vacío"),
            ("must be a UUID in lower case with hyphens", "tiene que ser un UUID en minúsculas con guiones"),
            ("must be 8 to 200 characters", "tiene que tener entre 8 y 200 caracteres"),
            ("nobody's rule", "nobody's rule"),
        ] {
            assert_eq!(es.rule(english), spanish);
            assert_eq!(Lang::En.words().rule(english), english);
        }
    }

    #[test]
    fn why_somebody_may_not_is_told_in_spanish() {
        let kim = Actor { role: Role::Employee, ..Actor::system("kim") };
        for act in [
            Act::Assign,
            Act::Delete,
            Act::Export,
            Act::FileInbox,
            Act::SeeReviews,
            Act::Settle,
            Act::SeeCompany,
            Act::Erase,
            Act::Hold,
            Act::Administer,
            Act::SeeActs,
            Act::SeeAccounts,
            Act::SeeTrends,
            Act::KeepJobs { at_hub: false },
            Act::KeepJobs { at_hub: true },
            Act::KeepNotifications { at_hub: false },
            Act::KeepNotifications { at_hub: true },
            Act::Edit { own: true, status: "closed" },
            Act::Edit { own: false, status: "submitted" },
            Act::SeeOriginal { own: false, shown: true },
        ] {
            let Err(Refusal::Forbidden(why)) = rules::check(&kim, act) else {
                panic!("{act:?}")
            };
            assert!(Lang::Es.words().known_rule(&why).is_some(), "{why}");
        }
    }

    /// Every value of `fields` made wrong in every way.
    fn wrong_in_every_way(kind: &str, fields: &[&str]) -> Vec<String> {
        let values = [
            json!(null),
            json!(""),
            json!(" "),
            json!("x".repeat(30_000)),
            json!("\u{1}"),
            json!(-1),
            json!(true),
            json!({}),
            json!({"body": 7, "treatment": "x", "days_away": "x", "amount_minor": -1, "currency": "usd", "died_at": 1}),
            json!(["", ""]),
            json!(vec!["a"; 300]),
            json!([{"id": "x", "roles": [], "name": 7, "quantity": -1, "outcome": "x", "injury": {"treatment": "x"}}]),
        ];
        let one = |field: &&str, value: &Value| check(kind, &BTreeMap::from([((*field).to_owned(), value.clone())]));
        let all = fields.iter().flat_map(|field| values.iter().flat_map(move |value| one(field, value)));
        all.map(|error| error.message).collect()
    }

    #[test]
    fn every_rule_that_a_form_can_break_is_told_in_spanish() {
        let incident = [
            "occurred_at",
            "occurred_to",
            "occurred_precision",
            "category",
            "subcategory",
            "tags",
            "severity",
            "title",
            "description",
            "location",
            "zone",
            "status",
            "assigned_to",
            "due_at",
            "duplicate_of",
            "people",
            "items",
            "loss",
            "police",
            "store_code",
            "nothing",
            "custom",
            "ambulance",
        ];
        let mut said = wrong_in_every_way(INCIDENT, &incident);
        said.extend(wrong_in_every_way(ACCOUNT, &["username", "display_name", "role", "store_code", "active"]));
        said.extend(wrong_in_every_way(STORE, &["code", "name", "timezone"]));
        let settings = [
            ("log_level", json!(1)),
            ("photos/originals", json!(1)),
            ("photos/max_kbit_s", json!("x")),
            ("categories/x", json!(1)),
            ("categories/x", json!({"label": " ", "category": "x", "retired": 1, "more": 1})),
            ("categories/x", json!({"label": "x".repeat(101), "category": 1})),
            ("categories/x", json!({"label": "a\nb"})),
            ("categories/x", json!({"label": 1})),
            ("custom_fields/x", json!({})),
            ("custom_fields/x", json!({"label": "x", "type": "text", "choices": ["a"]})),
            ("custom_fields/x", json!({"label": "x", "type": "choice", "choices": ["a", "a"]})),
            ("custom_fields/x", json!({"label": "x", "type": "choice", "choices": [" "]})),
            ("custom_fields/x", json!({"label": "x", "type": "choice", "choices": []})),
            ("custom_fields/x", json!({"label": "x", "type": "choice", "choices": vec!["a"; 101]})),
            ("nothing", json!(1)),
        ];
        said.extend(settings.iter().flat_map(|(field, value)| catalogue::check(field, value)).map(|(_, why)| why));
        said.sort();
        said.dedup();
        assert!(said.len() > 12, "{said:?}");
        let untold: Vec<_> = said.iter().filter(|message| Lang::Es.words().known_rule(message).is_none()).collect();
        assert!(untold.is_empty(), "{untold:?}");
    }
}
