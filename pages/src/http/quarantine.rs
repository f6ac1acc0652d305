//! Changes that could not be taken, until a manager decides about them.

use super::answer::{Oops, go, html_or_wrong, mendable_in};
use super::form::Form;
use super::guest::Person;
use super::incident::currency;
use crate::moment::{self, Moment};
use crate::own::Owns;
use crate::page::{Page, Pages};
use crate::timeline::{self, Telling};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use desk::actor::Actor;
use desk::ledger::Quarantined;
use desk::{Error, Refusal, quarantine};
use sync_protocol::change::ChangeId;

/// Rows of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    p: Page,
    items: Vec<Item>,
    settled: bool,
    next: Option<String>,
    wrong: Option<String>,
    said: bool,
}

struct Item {
    id: String,
    store: String,
    site: String,
    by: String,
    kind: String,
    reason: String,
    /// Whether the reason is said in English, whatever the page speaks.
    is_english: bool,
    received: Option<Moment>,
    waiting: u64,
    fields: Vec<(String, String)>,
}

/// 200, the changes; 403 for whoever may not decide.
pub async fn page(State(pages): State<Pages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let settled = query.one("settled")? == Some("true");
    let cursor = query.one("cursor")?.map(str::to_owned);
    let said = query.one("said")?.is_some();
    show(&pages, person, settled, cursor, None, said).await
}

async fn show(
    pages: &Pages,
    person: Person,
    settled: bool,
    cursor: Option<String>,
    wrong: Option<String>,
    said: bool,
) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let listed = quarantine::list(&pages.desk, &actor, settled, cursor.as_deref(), ROWS).await?;
    let (stores, owns) = (pages.stores().await?, Owns::read(&pages.desk).await?);
    let item = |item: Quarantined, currency: &str| {
        let (zone, own) = (stores.zone(&item.store_code), owns.at(&item.store_code));
        let telling = Telling { zone: &zone, currency, own: &own, words: page.words };
        let shown = |(field, value): (&String, &serde_json::Value)| {
            let text = timeline::shown(field, value, telling).unwrap_or_else(|| "—".to_owned());
            (timeline::label(field, telling), text)
        };
        let (reason, is_english) = match reason_in(&item.reason, telling) {
            Some(told) => (told, false),
            None => (item.reason, true),
        };
        Item {
            id: item.id.to_string(),
            store: format!("{} {}", item.store_code, stores.name(&item.store_code)),
            by: item.by.unwrap_or_default(),
            kind: item
                .kind
                .map_or_else(|| page.t("quarantine.unreadable").to_owned(), |kind| page.of("kind", &kind).into_owned()),
            received: item.received_ms.map(|ms| moment::at(ms, &zone, page.words)),
            waiting: item.waiting,
            fields: item.set.iter().map(shown).collect(),
            reason,
            is_english,
            site: item.site,
        }
    };
    let next = listed.next_cursor.map(|cursor| {
        let settled = if settled { "&settled=true" } else { "" };
        format!("/quarantine?{}{settled}", page.query("cursor", &cursor))
    });
    let mut items = Vec::with_capacity(listed.items.len());
    for found in listed.items {
        let currency = currency_of(pages, &actor, &found).await?;
        items.push(item(found, &currency));
    }
    let page = if wrong.is_some() { page.at("/quarantine") } else { page };
    html_or_wrong(wrong.is_some(), &QuarantinePage { items, settled, next, wrong, said, p: page })
}

/// A reason that names a field and what a rule says of it, in the reader's words.
fn reason_in(reason: &str, telling: Telling<'_>) -> Option<String> {
    let (field, rule) = reason.split_once(": ")?;
    let told = telling.words.known_rule(rule).filter(|_| !field.contains(' '))?;
    Some(format!("{}: {told}", timeline::label(field, telling)))
}

/// The currency of the amounts that a change says: its own, else that of the incident.
async fn currency_of(pages: &Pages, actor: &Actor, item: &Quarantined) -> Result<String, Error> {
    match (item.set.get("loss/currency").and_then(|code| code.as_str()), item.record_id) {
        (Some(code), _) => Ok(code.to_owned()),
        (None, Some(id)) if item.set.keys().any(|field| timeline::is_money(field)) => {
            currency(&pages.desk, actor, id).await
        }
        _ => Ok(String::new()),
    }
}

/// 303 to the list, where it is decided; 422 with the page again.
pub async fn settle(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Oops> {
    let id: ChangeId = id.parse().map_err(|_| Refusal::NotFound)?;
    let reason = form.one("reason").trim().to_owned();
    let done = match form.one("do") {
        "discard" => quarantine::discard(&pages.desk, &person.actor, id, reason).await,
        _ => quarantine::retry(&pages.desk, &person.actor, id, Some(reason)).await,
    };
    let wrong = match done {
        Ok(_) => return Ok(go("/quarantine?said=settled")),
        Err(error) => mendable_in(error, person.page.words)?,
    };
    show(&pages, person, false, None, Some(wrong), false).await
}
