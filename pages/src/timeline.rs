//! What was done to an incident, as people read it. Pure.

use crate::incident::Comment;
use crate::moment::{self, Moment};
use crate::own::Own;
use crate::sheet::{Kind, SCALARS, Spec};
use crate::words::Words;
use crate::{money, sheet};
use desk::ledger::HistoryItem;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Longest value that is shown in a line, in characters.
const MAX_SHOWN: usize = 400;

/// Something that somebody did at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// Who, by username.
    pub who: String,
    /// A store's code, or `hub`.
    pub site: String,
    /// `created`, `edited`, `step`, `comment`, `photo`, `deleted`, `restored`, `erased`, `settled`, or one of a later version.
    pub kind: String,
    /// In words.
    pub what: String,
    /// What was said.
    pub text: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What became of which field.
    pub fields: Vec<Line>,
    /// Whether the site's clock was wrong.
    pub clock_off: bool,
}

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is called.
    pub label: String,
    /// What it was; none: it was empty.
    pub from: Option<String>,
    /// What it became.
    pub to: Option<String>,
    /// Whether that lost against an edit of somebody who had not seen it.
    pub lost: bool,
    /// Whether values are not shown because they were erased.
    pub erased: bool,
}

/// How values are told: the incident's time zone and currency (empty: none), the company's own words, and the reader's.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The store's time zone.
    pub zone: &'a TimeZone,
    /// The ISO 4217 code in which amounts are.
    pub currency: &'a str,
    /// What the company adds to incidents: its fields are called what it calls them.
    pub own: &'a Own,
    /// The reader's language.
    pub words: &'a Words,
}

/// The history as entries, oldest first: fields that one person changed at one moment are one of them.
#[must_use]
pub fn entries(items: Vec<HistoryItem>, comments: &[Comment], telling: Telling<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut last = None;
    for item in items {
        let key = (item.at.clone(), item.actor.clone(), item.site.clone());
        if item.kind == "edited"
            && last.as_ref() == Some(&key)
            && let Some(entry) = entries.last_mut()
        {
            entry.fields.push(line(&item, telling));
            continue;
        }
        last = (item.kind == "edited").then_some(key);
        entries.push(entry(item, comments, telling));
    }
    entries
}

fn entry(item: HistoryItem, comments: &[Comment], telling: Telling<'_>) -> Entry {
    let words = telling.words;
    let (mut what, mut text, mut fields) = (words.of("did", &item.kind).into_owned(), None, Vec::new());
    match item.kind.as_str() {
        "comment" => {
            let body = item.to.as_str().unwrap_or_default();
            let id = item.id.map(|id| id.hyphenated().to_string()).unwrap_or_default();
            if comments.iter().any(|comment| comment.kind == "addendum" && comment.id == id) {
                what = words.t("timeline.addendum").to_owned();
            }
            text = Some(if item.erased.is_some() {
                words.t("timeline.erased").to_owned()
            } else {
                body.to_owned()
            });
        }
        "photo" => text = item.to.as_str().map(ToOwned::to_owned),
        "step" => {
            let name = |value: &Value| words.of("status", value.as_str().unwrap_or_default()).into_owned();
            what = words.with("timeline.step", &[&name(&item.from), &name(&item.to)]);
        }
        "settled" => {
            let kept = words.of("kept", item.to.as_str().unwrap_or_default()).into_owned();
            what = words.with("timeline.settled", &[&label(item.field.as_deref().unwrap_or_default(), telling), &kept]);
        }
        "erased" => {
            what = words.with("timeline.was_erased", &[&label(item.field.as_deref().unwrap_or_default(), telling)])
        }
        "edited" => fields.push(line(&item, telling)),
        _ => {}
    }
    Entry {
        at: moment::of(&item.at, telling.zone, words),
        who: item.actor,
        site: item.site,
        kind: item.kind,
        what,
        text,
        reason: item.reason,
        fields,
        clock_off: item.clock_off,
    }
}

fn line(item: &HistoryItem, telling: Telling<'_>) -> Line {
    let field = item.field.as_deref().unwrap_or_default();
    Line {
        label: label(field, telling),
        from: shown(field, &item.from, telling),
        to: shown(field, &item.to, telling),
        lost: item.lost,
        erased: item.erased.is_some(),
    }
}

fn spec_of(field: &str) -> Option<&'static Spec> {
    SCALARS.iter().find(|spec| spec.path.join("/") == field)
}

/// Whether a field of a change says an amount, which is told in the incident's currency.
#[must_use]
pub fn is_money(field: &str) -> bool {
    let field = field.replace('.', "/");
    field.starts_with("items/") || spec_of(&field).is_some_and(|spec| spec.kind == Kind::Money)
}

/// What people call a field of a change, such as `police/agency`, `people/ID` or `custom/KEY`.
#[must_use]
pub fn label(field: &str, telling: Telling<'_>) -> String {
    let Telling { own, words, .. } = telling;
    let field = field.replace('.', "/");
    match (spec_of(&field), field.split_once('/')) {
        (Some(spec), _) => words.of("field", spec.label).into_owned(),
        (None, Some(("people", _))) => words.t("field.person").to_owned(),
        (None, Some(("items", _))) => words.t("field.item").to_owned(),
        (None, Some(("custom", key))) => own.labelled(key).map_or_else(|| key.replace('_', " "), str::to_owned),
        (None, Some((_, name))) => name.replace('_', " "),
        (None, None) => words.of("field", &field).into_owned(),
    }
}

/// A value of a field of a change, to be read in a line; none where there is none.
#[must_use]
pub fn shown(field: &str, value: &Value, telling: Telling<'_>) -> Option<String> {
    let text = shown_whole(field, value, telling)?;
    let mut cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Some(cut)
}

/// Like [`shown`], whatever its length.
#[must_use]
pub fn shown_whole(field: &str, value: &Value, telling: Telling<'_>) -> Option<String> {
    let Telling { zone, currency, words, .. } = telling;
    let spec = spec_of(&field.replace('.', "/"));
    Some(match (value, spec.map(|spec| spec.kind)) {
        (Value::Null, _) => return None,
        (Value::Bool(true), _) => words.t("page.yes").to_owned(),
        (Value::Bool(false), _) => words.t("page.no").to_owned(),
        (Value::String(text), Some(Kind::Time)) => moment::of(text, zone, words).text,
        (Value::String(text), Some(Kind::Word(group))) => words.of(group, text).into_owned(),
        (Value::String(text), _) if field == "status" => words.of("status", text).into_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Number(number), Some(Kind::Money)) => {
            number.as_u64().map_or_else(|| number.to_string(), |minor| money::shown(minor, currency, words))
        }
        (Value::Number(number), _) => number.to_string(),
        (Value::Array(list), _) => {
            let texts: Vec<String> = list.iter().filter_map(|value| shown("", value, telling)).collect();
            texts.join(", ")
        }
        // When it began stands beside it.
        (Value::Object(members), _) if field == "hold" => {
            let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", text("by"), text("reason"))
        }
        (Value::Object(members), _) => {
            let specs = if field.starts_with("items") { sheet::ITEM } else { sheet::PERSON };
            let mut parts = Vec::new();
            for (name, value) in members {
                let group = specs.iter().find(|spec| spec.path == [name.as_str()]).map(|spec| spec.kind);
                let part = match (value, group) {
                    (Value::Array(list), Some(Kind::Words(group))) => {
                        let names: Vec<_> =
                            list.iter().filter_map(Value::as_str).map(|word| words.of(group, word)).collect();
                        Some(names.join(", "))
                    }
                    (Value::String(word), Some(Kind::Word(group))) => Some(words.of(group, word).into_owned()),
                    (value, Some(Kind::Money)) => value.as_u64().map(|minor| money::shown(minor, currency, words)),
                    (value, _) => shown("", value, telling),
                };
                parts.extend(part);
            }
            parts.join(" · ")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Lang;
    use desk::settings::CustomField;
    use serde_json::json;
    use std::sync::LazyLock;
    use uuid::Uuid;

    fn item(kind: &str, field: Option<&str>, from: Value, to: Value) -> HistoryItem {
        HistoryItem {
            at: "2026-11-20T20:05:00Z".to_owned(),
            actor: "kim".to_owned(),
            site: "042".to_owned(),
            kind: kind.to_owned(),
            field: field.map(ToOwned::to_owned),
            from,
            to,
            lost: false,
            clock_off: false,
            reason: None,
            erased: None,
            id: None,
        }
    }

    fn telling(currency: &str) -> Telling<'_> {
        static ZONE: TimeZone = TimeZone::UTC;
        static OWN: LazyLock<Own> = LazyLock::new(|| Own {
            fields: vec![CustomField {
                key: "till".to_owned(),
                label: "Till number".to_owned(),
                kind: desk::settings::Kind::Number,
                choices: Vec::new(),
                required: false,
                retired: false,
            }],
            ..Own::default()
        });
        Telling { zone: &ZONE, currency, own: &OWN, words: Lang::En.words() }
    }

    #[test]
    fn only_the_addendum_itself_is_called_one_and_no_equal_comment() {
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let items = ids.map(|id| HistoryItem { id: Some(id), ..item("comment", None, Value::Null, json!("same")) });
        let comments = ids.map(|id| Comment {
            id: id.to_string(),
            kind: if id == ids[1] { "addendum" } else { "comment" }.to_owned(),
            body: "same".to_owned(),
            author: "kim".to_owned(),
            ..Comment::default()
        });
        let told = entries(items.into(), &comments, telling(""));
        assert_ne!(told[0].what, told[1].what);
        assert_eq!(told[1].what, Lang::En.words().t("timeline.addendum"));
    }

    #[test]
    fn fields_that_were_changed_at_once_are_one_entry() {
        let items = vec![
            item("created", None, Value::Null, Value::Null),
            item("edited", Some("title"), json!("a"), json!("b")),
            item("edited", Some("police/agency"), Value::Null, json!("CPD")),
            item("step", Some("status"), json!("submitted"), json!("closed")),
        ];
        let entries = entries(items, &[], telling(""));
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[1].fields.len(), 2);
        assert_eq!(entries[1].fields[1].label, "Police agency");
        assert_eq!((entries[1].fields[1].from.as_deref(), entries[1].fields[1].to.as_deref()), (None, Some("CPD")));
        assert!(entries[2].what.contains("Closed"), "{}", entries[2].what);
    }

    #[test]
    fn values_are_told_in_words() {
        let label = |field| label(field, telling("USD"));
        let told = |field: &str, value: Value| shown(field, &value, telling("USD")).unwrap();
        assert_eq!(told("category", json!("near_miss")), "Near miss");
        assert_eq!(told("occurred_at", json!("2026-11-20T20:05:00Z")), "20 Nov 2026, 20:05");
        assert_eq!(told("ambulance", json!(true)), "Yes");
        assert_eq!(told("loss/amount_minor", json!(123_450)), "1,234.50 USD");
        let yen = |field: &str, value: Value| shown(field, &value, telling("JPY")).unwrap();
        assert_eq!(yen("loss.amount_minor", json!(1500)), "1,500 JPY");
        assert!(yen("items/x", json!({"description": "Watch", "value_minor": 1500})).contains("1,500 JPY"));
        assert!(is_money("loss/amount_minor") && is_money("items.x") && !is_money("title"));
        assert_eq!(told("people/x", json!({"name": "Ann", "roles": ["first_aider"]})), "Ann · First aider");
        let hold = json!({"at": "2026-11-20T20:05:00Z", "by": "harriet", "reason": "case 17"});
        assert_eq!((told("hold", hold).as_str(), label("hold").as_str()), ("harriet: case 17", "Hold"));
        assert_eq!(told("description", json!("x".repeat(500))).chars().count(), MAX_SHOWN + 1);
        assert_eq!(label("people.x"), "Person");
        // What the company calls it, and where nobody says that, its key.
        assert_eq!((label("custom/till").as_str(), label("custom.till_no").as_str()), ("Till number", "till no"));
    }
}
