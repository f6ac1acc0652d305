//! The list of incidents.

use super::answer::{Oops, html_or_wrong};
use super::guest::Person;
use super::views;
use crate::choice::{Choice, choices};
use crate::incident::{self, Incident, Listed};
use crate::moment::{self, Moment};
use crate::own::{self, Own};
use crate::page::{Page, Pages, Stores};
use crate::words::Words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::actor::Actor;
use desk::incidents::{self, query};
use desk::rules::{self, Act};
use desk::settings::{CustomField, Kind};
use desk::{Error, Refusal};
use jiff::tz::TimeZone;
use sync_protocol::record::vocabulary::{CATEGORIES, STATUSES};

/// Most fields of the company's that the form of filters has.
const MOST_OWN: usize = 10;
/// Rows of a page.
const LIMIT: &str = "50";
/// Statuses of what still has to be worked on.
const OPEN: [&str; 4] = ["draft", "submitted", "in_review", "needs_info"];

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage {
    p: Page,
    rows: Vec<Row>,
    filter: FilterForm,
    views: Vec<View>,
    /// The page behind this one, and the first one where this is not it.
    next: Option<String>,
    first: Option<String>,
    /// What is wrong with the filters.
    wrong: Vec<String>,
    show_store: bool,
    export: Option<String>,
    /// The person's own views, to be deleted, and what there is to say about the last one.
    own: Vec<desk::ledger::View>,
    said: Option<&'static str>,
    /// The address of what is shown, without the place in it.
    here: String,
    /// Whether rows can be chosen, and something be done to all of them.
    can_bulk: bool,
}

/// A line of the list.
struct Row {
    incident: Incident,
    at: Moment,
    /// A heading before the row, where its day is another one than the row's above.
    day: Option<String>,
    clock: String,
    store: String,
    by: String,
}

/// The filters as they are set.
#[derive(Default)]
struct FilterForm {
    q: String,
    status: Vec<Choice>,
    category: Vec<Choice>,
    severity: Vec<Choice>,
    severity_max: Vec<Choice>,
    /// The company's categories.
    subcategory: Vec<Choice>,
    /// The company's fields.
    own: Vec<OwnFilter>,
    store: String,
    tag: String,
    person: String,
    reported_by: String,
    from: String,
    to: String,
    deleted: bool,
    /// How many are set, the search apart.
    set: u64,
}

/// A field of the company's, to look for incidents by.
struct OwnFilter {
    name: String,
    label: String,
    /// What is chosen from; none: it is typed.
    choices: Vec<Choice>,
    value: String,
    input: &'static str,
}

/// A list that people look at often.
struct View {
    href: String,
    text: String,
    on: bool,
}

/// 200, a page of the list; 422 with what is wrong about a filter.
pub async fn list(State(pages): State<Pages>, person: Person, QueryPairs(pairs): QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let stores = pages.stores().await?;
    let mut pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let said = pairs.iter().find(|(name, _)| name == views::SAID).and_then(|(_, what)| views::said(what, &page));
    pairs.retain(|(name, _)| name != views::SAID);
    let own = desk::views::list(&pages.desk, &actor).await?;
    let added = match only_store(&actor, &pairs) {
        Some(code) => Own::at(&pages.desk, &code).await?,
        None => Own::anywhere(&pages.desk).await?,
    };
    let zone = zone_of(&actor, &pairs, &stores);
    let (asked, mut wrong) = asked(&pairs, &zone, page.words);
    let listed = match query::list(&asked) {
        Ok(query) if wrong.is_empty() => match incidents::list(&pages.desk, &actor, query).await {
            Ok(json) => Some(incident::read::<Listed>(&json)?),
            Err(Error::Refused(Refusal::Invalid(errors))) => {
                wrong.extend(
                    errors.into_iter().map(|error| format!("{}: {}", error.field, page.words.rule(&error.message))),
                );
                None
            }
            Err(error) => return Err(error.into()),
        },
        Ok(_) => None,
        Err(Refusal::Invalid(errors)) => {
            wrong.extend(
                errors.into_iter().map(|error| format!("{}: {}", error.field, page.words.rule(&error.message))),
            );
            None
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let is_wrong = listed.is_none();
    let listed = listed.unwrap_or(Listed { items: Vec::new(), next_cursor: None });
    let without_cursor: Vec<_> = pairs.iter().filter(|(name, _)| name != "cursor").cloned().collect();
    let first = (without_cursor.len() < pairs.len()).then(|| address(&without_cursor));
    let next = listed.next_cursor.map(|cursor| {
        let mut pairs = without_cursor.clone();
        pairs.push(("cursor".to_owned(), cursor));
        address(&pairs)
    });
    let export = rules::check(&actor, Act::Export).is_ok().then(|| {
        let asked: Vec<_> = asked.iter().filter(|(name, _)| !matches!(name.as_str(), "cursor" | "limit")).collect();
        serde_urlencoded::to_string(asked).unwrap_or_default()
    });
    let view = ListPage {
        rows: rows(listed.items, &stores, page.words),
        filter: filter_form(&pairs, page.words, &added),
        views: views(&actor, &without_cursor, &own, &page),
        here: serde_urlencoded::to_string(&without_cursor).unwrap_or_default(),
        own,
        said,
        show_store: rules::sight(&actor).is_none(),
        next,
        first,
        wrong,
        can_bulk: export.is_some(),
        export,
        p: page,
    };
    html_or_wrong(is_wrong, &view)
}

/// The time zone in which days are meant: that of the only store in question, else UTC.
fn zone_of(actor: &Actor, pairs: &[(String, String)], stores: &Stores) -> TimeZone {
    only_store(actor, pairs).map_or(TimeZone::UTC, |code| stores.zone(&code))
}

/// The only store in question, where there is one.
fn only_store(actor: &Actor, pairs: &[(String, String)]) -> Option<String> {
    let mut named = pairs.iter().filter(|(name, _)| name == "store").map(|(_, code)| code.as_str());
    rules::sight(actor).or_else(|| named.next().filter(|_| named.next().is_none()).map(str::to_owned))
}

/// The filters by what the company adds: its categories, and the first of its fields.
fn own_filters(pairs: &[(String, String)], added: &Own) -> (Vec<Choice>, Vec<OwnFilter>) {
    let one = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    let choice = |text: &str, now: &str| Choice { value: text.to_owned(), text: text.to_owned(), on: text == now };
    let among = |texts: Vec<&str>, now: &str| {
        let mut found: Vec<Choice> = Vec::new();
        // What is asked for stays chosen, whatever has become of it.
        for text in texts.into_iter().chain(Some(now).filter(|now| !now.is_empty())) {
            if !found.iter().any(|other| other.value == text) {
                found.push(choice(text, now));
            }
        }
        found
    };
    let labels = added.categories.iter().map(|category| category.label.as_str()).collect();
    let filter = |field: &CustomField| {
        let name = format!("custom.{}", field.key);
        let value = one(&name).to_owned();
        let choices = match field.kind {
            Kind::Choice => among(field.choices.iter().map(String::as_str).collect(), &value),
            Kind::Text | Kind::Number | Kind::Date => Vec::new(),
        };
        OwnFilter { label: field.label.clone(), choices, value, input: own::input(field.kind), name }
    };
    (among(labels, one("subcategory")), added.fields.iter().take(MOST_OWN).map(filter).collect())
}

/// What the list is asked for: days become moments of the store.
fn asked(pairs: &[(String, String)], zone: &TimeZone, words: &Words) -> (Vec<(String, String)>, Vec<String>) {
    let mut asked = vec![("limit".to_owned(), LIMIT.to_owned())];
    let mut wrong = Vec::new();
    for (name, value) in pairs {
        let value = value.trim();
        match name.as_str() {
            "from" | "to" => match moment::day_begins(value, i8::from(name == "to"), zone) {
                Some(at) => asked.push((name.clone(), at)),
                None => wrong.push(words.with("list.no_day", &[value])),
            },
            plain if plain == "cursor" || desk::views::is_plain(plain) => asked.push((name.clone(), value.to_owned())),
            // What else stands in an address (a mail program's marks, say) changes nothing.
            _ => {}
        }
    }
    (asked, wrong)
}

pub(super) fn address(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return "/incidents".to_owned();
    }
    format!("/incidents?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
}

fn rows(items: Vec<Incident>, stores: &Stores, words: &Words) -> Vec<Row> {
    let mut above = String::new();
    items
        .into_iter()
        .map(|incident| {
            let zone = stores.zone(&incident.store_code);
            let day = moment::day(&incident.occurred_at, &zone, words);
            let heading = (day != above).then(|| day.clone());
            above = day;
            Row {
                at: moment::of(&incident.occurred_at, &zone, words),
                clock: moment::clock(&incident.occurred_at, &zone),
                day: heading,
                store: stores.name(&incident.store_code).to_owned(),
                by: incident.reported_by_name.clone().unwrap_or_else(|| incident.reported_by.clone()),
                incident,
            }
        })
        .collect()
}

fn filter_form(pairs: &[(String, String)], words: &Words, added: &Own) -> FilterForm {
    let (subcategory, own) = own_filters(pairs, added);
    let all = |wanted: &str| -> Vec<&str> {
        pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    };
    let one = |wanted: &str| all(wanted).first().map_or(String::new(), |value| (*value).to_owned());
    let set = pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "q" | "cursor")).count() as u64;
    FilterForm {
        subcategory,
        own,
        q: one("q"),
        status: choices(words, "status", STATUSES, &all("status")),
        category: choices(words, "category", CATEGORIES, &all("category")),
        severity: choices(words, "severity", &["2", "3", "4", "5"], &all("severity_min")),
        severity_max: choices(words, "severity", &["1", "2", "3", "4"], &all("severity_max")),
        store: one("store"),
        tag: one("tag"),
        person: one("person"),
        reported_by: one("reported_by"),
        from: moment::day_field(&one("from")),
        to: moment::day_field(&one("to")),
        deleted: one("deleted") == "true",
        set,
    }
}

/// The lists that people look at often; one is on where the address says just that.
fn views(actor: &Actor, now: &[(String, String)], own: &[desk::ledger::View], page: &Page) -> Vec<View> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let open: Vec<_> = OPEN.iter().map(|status| pair("status", status)).collect();
    let mut serious = vec![pair("severity_min", "4")];
    serious.extend(open.clone());
    let everybodys = [
        ("view.all", Vec::new()),
        ("view.open", open),
        ("view.serious", serious),
        ("view.needs_info", vec![pair("status", "needs_info")]),
        ("view.mine", vec![pair("reported_by", &actor.username)]),
    ];
    let everybodys = everybodys.into_iter().map(|(key, pairs)| (page.t(key).to_owned(), pairs));
    let own = own.iter().map(|view| (view.name.clone(), views::pairs(view)));
    everybodys
        .chain(own)
        .map(|(text, pairs)| View { on: pairs == now, href: address(&pairs), text })
        .collect()
}
