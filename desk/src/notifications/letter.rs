//! What a message says, to people and to programs. As little as serves: which incident, where, what kind, how grave, and where to read on.
//! What people wrote, and who they are, is read behind a login.

use super::clocks::HOUR_MS;
use super::rule::{Language, What};
use super::zone;
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Identity, MessageRow, RuleRow, Store};
use chassis::clock::format_rfc3339;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// Things that a digest names one by one.
const MOST_LINES: u32 = 100;

/// A message that was made so long ago says so: two hours, in milliseconds.
const LATE_MS: i64 = 2 * HOUR_MS;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// For programs.
    pub body: Value,
}

/// An incident, as messages tell of it.
#[derive(Clone, Debug)]
struct Incident {
    id: Uuid,
    reference: String,
    store: String,
    store_name: String,
    zone: TimeZone,
    category: String,
    severity: u64,
    status: String,
    occurred_at: String,
}

/// How messages are worded: each text once, under its key, in each language.
pub trait Wording: std::fmt::Debug + Send + Sync {
    /// The text under `key`, with `{0}`, `{1}` … put in.
    fn with(&self, language: Language, key: &str, values: &[&str]) -> String;
    /// What the word `name` of the vocabulary `group` is called.
    fn of(&self, language: Language, group: &str, name: &str) -> String;
}

/// A wording in the language of a rule.
#[derive(Clone, Copy)]
struct Say<'a> {
    wording: &'a dyn Wording,
    language: Language,
}

impl Say<'_> {
    fn t(self, key: &str) -> String {
        self.with(key, &[])
    }

    fn with(self, key: &str, values: &[&str]) -> String {
        self.wording.with(self.language, key, values)
    }

    fn of(self, group: &str, name: &str) -> String {
        self.wording.of(self.language, group, name)
    }
}

/// Writes what `message` of `row` tells; none where its incident is gone.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn write(
    desk: &Desk,
    wording: &dyn Wording,
    row: &RuleRow,
    message: &MessageRow,
) -> Result<Option<Told>, Error> {
    let say = Say { wording, language: row.rule.language };
    let mut stores = Stores::default();
    let base = desk.reached_at();
    let link = |path: &str| base.as_ref().map(|base| format!("{base}{path}"));
    let (kind, subject, mut lines, mut data, path) = match &message.what {
        What::Incident { .. } | What::Overdue { .. } | What::Osha { .. } | What::Form301 { .. } => {
            let Some(id) = message.what.incident() else {
                return Ok(None);
            };
            let Some(incident) = incident(desk, &mut stores, id).await? else {
                return Ok(None);
            };
            of_incident(say, &message.what, &incident)
        }
        What::Silent { store_code, at_ms } => {
            let store = stores.get(desk, store_code).await?;
            let since = local(*at_ms, &store.zone());
            let subject = format!("[{store_code}] {}: {}", store.name(), say.t("letter.silent"));
            let lines = vec![
                say.with("letter.store", &[store_code, store.name()]),
                say.with("letter.silent_since", &[&since]),
                say.t("letter.silent_advice"),
            ];
            let data = json!({ "store": { "code": store_code, "name": store.name() }, "last_contact_at": format_rfc3339(*at_ms) });
            ("store.silent", subject, lines, data, "/fleet".to_owned())
        }
        What::Digest { after, to, count } => {
            let items = desk.ledger().digested(row.id, *after, *to, MOST_LINES).await?;
            let (mut lines, mut told) = (Vec::new(), Vec::new());
            for item in items {
                if let Some((line, value)) = line(desk, say, &mut stores, &item.what).await? {
                    lines.push(line);
                    told.push(value);
                }
            }
            let named = lines.len() as u64;
            if named < *count {
                lines.push(say.with("letter.more", &[&(count - named).to_string()]));
            }
            let subject = say.with("letter.digest", &[&row.rule.name, &count.to_string()]);
            ("digest", subject, lines, json!({ "count": count, "items": told }), "/incidents".to_owned())
        }
        What::Test { .. } => {
            let subject = say.with("letter.test", &[&row.rule.name]);
            ("test", subject, vec![say.t("letter.test_what")], json!({}), "/notifications".to_owned())
        }
    };
    if desk.now_ms().saturating_sub(message.made_ms) >= LATE_MS {
        lines.push(say.with("letter.late", &[&local(message.made_ms, &zone::of(desk, &row.rule).await?)]));
    }
    let link = link(&path);
    let text = text(say, &lines, link.as_deref(), &row.rule.name, &place(desk, say).await?);
    data["rule"] = json!({ "id": row.id, "name": row.rule.name });
    data["url"] = json!(link);
    let body = json!({ "type": kind, "timestamp": format_rfc3339(message.made_ms), "data": data });
    Ok(Some(Told { subject, text, body }))
}

/// What a message about one incident is: kind, subject, lines, for programs, where to read on.
type Parts = (&'static str, String, Vec<String>, Value, String);

fn of_incident(say: Say<'_>, what: &What, incident: &Incident) -> Parts {
    let (kind, headline, ends) = match what {
        What::Overdue { at_ms, .. } => ("incident.overdue", say.t("letter.overdue"), Some(("letter.due", *at_ms))),
        What::Osha { at_ms, passed: false, .. } => {
            ("incident.osha_due", say.t("letter.osha"), Some(("letter.to_report_by", *at_ms)))
        }
        What::Osha { at_ms, .. } => {
            ("incident.osha_passed", say.t("letter.osha_passed"), Some(("letter.to_report_by", *at_ms)))
        }
        What::Form301 { at_ms, passed: false, .. } => {
            ("incident.form301_due", say.t("letter.form301"), Some(("letter.form301_by", *at_ms)))
        }
        What::Form301 { at_ms, .. } => {
            ("incident.form301_passed", say.t("letter.form301_passed"), Some(("letter.form301_by", *at_ms)))
        }
        _ => ("incident.reported", String::new(), None),
    };
    let category = say.of("category", &incident.category);
    let severity = incident.severity.to_string();
    let kind_of = say.with("letter.kind", &[&category, &severity]);
    let headline = if headline.is_empty() { kind_of } else { format!("{headline} ({kind_of})") };
    let subject = format!("[{}] {}: {headline}", incident.store, incident.reference);
    let mut lines = vec![
        say.with("letter.incident", &[&incident.reference]),
        say.with("letter.store", &[&incident.store, &incident.store_name]),
        say.with("letter.category", &[&category]),
        say.with("letter.severity", &[&severity]),
        say.with("letter.status", &[&say.of("status", &incident.status)]),
    ];
    if let Some(at_ms) = chassis::clock::parse_rfc3339(&incident.occurred_at) {
        lines.push(say.with("letter.occurred", &[&local(at_ms, &incident.zone)]));
    }
    let mut data = json!({ "incident": for_programs(incident) });
    if let Some((key, at_ms)) = ends {
        lines.push(say.with(key, &[&local(at_ms, &incident.zone)]));
        data["at"] = json!(format_rfc3339(at_ms));
    }
    (kind, subject, lines, data, format!("/incidents/{}", incident.id.hyphenated()))
}

fn for_programs(incident: &Incident) -> Value {
    json!({
        "id": incident.id,
        "reference": incident.reference,
        "store_code": incident.store,
        "category": incident.category,
        "severity": incident.severity,
        "status": incident.status,
        "occurred_at": incident.occurred_at,
    })
}

/// A line of a digest, and the same for programs.
async fn line(desk: &Desk, say: Say<'_>, stores: &mut Stores, what: &What) -> Result<Option<(String, Value)>, Error> {
    if let What::Silent { store_code, at_ms } = what {
        let store = stores.get(desk, store_code).await?;
        let line = say.with("letter.silent_line", &[store_code, store.name(), &local(*at_ms, &store.zone())]);
        let value =
            json!({ "type": "store.silent", "store_code": store_code, "last_contact_at": format_rfc3339(*at_ms) });
        return Ok(Some((line, value)));
    }
    let Some(id) = what.incident() else { return Ok(None) };
    let Some(incident) = incident(desk, stores, id).await? else {
        return Ok(None);
    };
    let (kind, subject, _, mut data, _) = of_incident(say, what, &incident);
    data["type"] = json!(kind);
    Ok(Some((format!("{subject}, {}", say.of("status", &incident.status)), data)))
}

fn text(say: Say<'_>, lines: &[String], link: Option<&str>, rule: &str, place: &str) -> String {
    let mut text = lines.join("\n");
    if let Some(link) = link {
        text.push_str("\n\n");
        text.push_str(link);
    }
    text.push_str("\n\n-- \n");
    text.push_str(&say.with("letter.sent_by", &[rule, place]));
    text.push('\n');
    text
}

/// Where the site is, in words.
async fn place(desk: &Desk, say: Say<'_>) -> Result<String, Error> {
    Ok(match desk.identity().await? {
        Identity::Node(enrolment) => say.with("letter.at_store", &[&enrolment.store_code, &enrolment.store_name]),
        Identity::Hub { .. } | Identity::Unenrolled => say.t("letter.headquarters"),
    })
}

/// One that is there and not deleted.
async fn incident(desk: &Desk, stores: &mut Stores, id: Uuid) -> Result<Option<Incident>, Error> {
    let Some(row) = desk.ledger().incident(id).await?.filter(|row| !row.deleted) else {
        return Ok(None);
    };
    let doc: Value =
        serde_json::from_str(&row.doc).map_err(|error| Error::Fault(format!("document of {id}: {error}")))?;
    let word = |name: &str| doc.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let store = stores.get(desk, &row.store_code).await?;
    Ok(Some(Incident {
        id,
        reference: word("reference"),
        store_name: store.name().to_owned(),
        zone: store.zone(),
        store: row.store_code,
        category: word("category"),
        severity: doc.get("severity").and_then(Value::as_u64).unwrap_or(0),
        status: row.status,
        occurred_at: word("occurred_at"),
    }))
}

/// Stores that one message names.
#[derive(Default)]
struct Stores(HashMap<String, Place>);

#[derive(Clone)]
struct Place(Option<Store>);

impl Stores {
    async fn get(&mut self, desk: &Desk, code: &str) -> Result<Place, Error> {
        if let Some(known) = self.0.get(code) {
            return Ok(known.clone());
        }
        let place = Place(desk.ledger().store(code).await?);
        self.0.insert(code.to_owned(), place.clone());
        Ok(place)
    }
}

impl Place {
    fn name(&self) -> &str {
        self.0.as_ref().map_or("", |store| &store.name)
    }

    fn zone(&self) -> TimeZone {
        self.0.as_ref().and_then(|store| TimeZone::get(&store.timezone).ok()).unwrap_or(TimeZone::UTC)
    }
}

/// A moment as people at the store tell it.
fn local(ms: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| format_rfc3339(ms), |at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and what is put in, without any language.
    #[derive(Debug)]
    struct Keys;

    impl Wording for Keys {
        fn with(&self, _: Language, key: &str, values: &[&str]) -> String {
            format!("{key} {}", values.join(" ")).trim_end().to_owned()
        }

        fn of(&self, _: Language, group: &str, name: &str) -> String {
            format!("{group}.{name}")
        }
    }

    const SAY: Say<'_> = Say { wording: &Keys, language: Language::En };

    fn incident() -> Incident {
        Incident {
            id: Uuid::nil(),
            reference: "042-2026-000017-K7".to_owned(),
            store: "042".to_owned(),
            store_name: "Downtown".to_owned(),
            zone: TimeZone::get("America/Chicago").unwrap(),
            category: "employee_injury".to_owned(),
            severity: 5,
            status: "in_review".to_owned(),
            occurred_at: "2026-11-20T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn a_message_names_the_incident_and_tells_times_as_the_store_does() {
        let (id, at_ms) = (Uuid::nil(), 1_795_132_800_000);
        let (kind, subject, lines, data, path) = of_incident(SAY, &What::Incident { incident_id: id }, &incident());
        assert_eq!((kind, path.as_str()), ("incident.reported", "/incidents/00000000-0000-0000-0000-000000000000"));
        assert_eq!(subject, "[042] 042-2026-000017-K7: letter.kind category.employee_injury 5");
        assert!(lines.contains(&"letter.occurred 2026-11-19 18:00 CST".to_owned()), "{lines:?}");
        assert_eq!(data["incident"]["reference"], "042-2026-000017-K7");
        let due = What::Osha { incident_id: id, at_ms, passed: false };
        let (kind, subject, lines, data, _) = of_incident(SAY, &due, &incident());
        assert_eq!((kind, data["at"].as_str()), ("incident.osha_due", Some("2026-11-20T00:00:00Z")));
        assert!(
            subject.contains("letter.osha (") && lines.last().unwrap().starts_with("letter.to_report_by 2026-11-19")
        );
        let passed = of_incident(SAY, &What::Osha { incident_id: id, at_ms, passed: true }, &incident());
        assert_eq!(passed.0, "incident.osha_passed");
        for (passed, kind, key) in [
            (false, "incident.form301_due", "letter.form301 ("),
            (true, "incident.form301_passed", "letter.form301_passed ("),
        ] {
            let form = of_incident(SAY, &What::Form301 { incident_id: id, at_ms, passed }, &incident());
            assert_eq!(form.0, kind);
            assert!(
                form.1.contains(key) && form.2.last().unwrap().starts_with("letter.form301_by 2026-11-19"),
                "{form:?}"
            );
        }
        assert_eq!(of_incident(SAY, &What::Overdue { incident_id: id, at_ms }, &incident()).0, "incident.overdue");
    }

    #[test]
    fn a_text_ends_with_where_to_read_on_and_whom_to_ask() {
        let lines = ["a".to_owned(), "b".to_owned()];
        let told = text(SAY, &lines, Some("https://x.example/incidents/1"), "Grave", "headquarters");
        assert_eq!(told, "a\nb\n\nhttps://x.example/incidents/1\n\n-- \nletter.sent_by Grave headquarters\n");
        assert!(!text(SAY, &[], None, "Grave", "headquarters").contains("http"));
    }
}
