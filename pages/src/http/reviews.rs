//! Edits that met: both sides beside each other, and a decision.

use super::answer::{Oops, go, html_or_wrong, mendable_in};
use super::form::Form;
use super::guest::Person;
use super::incident::currency;
use crate::moment::{self, Moment};
use crate::own::Owns;
use crate::page::{Page, Pages, Stores};
use crate::sheet::{Kind, SCALARS};
use crate::timeline::{self, Telling};
use crate::words::Words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use desk::ledger::{Review, Said};
use desk::reviews::{self, Keep};
use serde_json::Value;
use uuid::Uuid;

/// Most that are shown.
const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "reviews.html")]
struct ReviewsPage {
    p: Page,
    items: Vec<Card>,
    settled: bool,
    of_one: Option<Uuid>,
    wrong: Option<String>,
}

/// A field that two people wrote.
struct Card {
    incident: Uuid,
    reference: String,
    store: String,
    field: String,
    label: String,
    since: Moment,
    standing: Option<Side>,
    lost: Vec<Side>,
    /// Whether a person may write another text.
    free: bool,
    decided: Option<(String, Moment, String)>,
}

/// A value, and who wrote it.
struct Side {
    change: String,
    by: String,
    at: Moment,
    site: String,
    value: Option<String>,
}

fn side(said: Said, field: &str, telling: Telling<'_>) -> Side {
    let words = telling.words;
    let value = match (&said.value, field) {
        (Value::Bool(deleted), "deleted") => {
            Some(words.t(if *deleted { "reviews.deleted" } else { "reviews.kept" }).to_owned())
        }
        (value, field) => timeline::shown_whole(field, value, telling),
    };
    Side {
        change: said.change.to_string(),
        by: said.by,
        at: moment::of(&said.at, telling.zone, words),
        site: said.site,
        value,
    }
}

fn card(review: Review, stores: &Stores, currency: &str, owns: &Owns, words: &Words) -> Card {
    let (zone, own) = (stores.zone(&review.store_code), owns.at(&review.store_code));
    let telling = Telling { zone: &zone, currency, own: &own, words };
    let field = reviews::public(&review.field);
    let spec = SCALARS.iter().find(|spec| spec.path.join(".") == field);
    Card {
        incident: review.incident_id,
        store: stores.name(&review.store_code).to_owned(),
        label: timeline::label(&review.field, telling),
        since: moment::at(review.since_ms, &zone, words),
        standing: review.standing.map(|said| side(said, &field, telling)),
        lost: review.lost.into_iter().map(|said| side(said, &field, telling)).collect(),
        free: spec.is_some_and(|spec| matches!(spec.kind, Kind::Text | Kind::Long)),
        decided: review.decided.filter(|_| review.is_settled).map(|decided| {
            let kept = words.of("kept", &decided.keep).into_owned();
            (decided.by, moment::of(&decided.at, &zone, words), kept)
        }),
        reference: review.reference,
        field,
    }
}

/// 200, what is to be decided, or with `settled` what was; 403 for whoever may not decide.
pub async fn page(State(pages): State<Pages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let settled = query.one("settled")? == Some("true");
    let of_one = query.one("incident")?.and_then(|id| Uuid::try_parse(id).ok());
    show(&pages, person, settled, of_one, None).await
}

async fn show(
    pages: &Pages,
    person: Person,
    settled: bool,
    of_one: Option<Uuid>,
    wrong: Option<String>,
) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let here = match of_one {
        Some(id) => format!("/reviews?incident={}", id.hyphenated()),
        None if settled => "/reviews?settled=true".to_owned(),
        None => "/reviews".to_owned(),
    };
    let page = page.at(here);
    let found = match of_one {
        Some(id) => {
            let mut found = reviews::of(&pages.desk, &actor, id).await?;
            found.retain(|review| review.is_settled == settled);
            found
        }
        None => reviews::list(&pages.desk, &actor, settled, MOST).await?,
    };
    let (stores, owns) = (pages.stores().await?, Owns::read(&pages.desk).await?);
    let mut items = Vec::with_capacity(found.len());
    for review in found {
        let currency = match timeline::is_money(&review.field) {
            true => currency(&pages.desk, &actor, review.incident_id).await?,
            false => String::new(),
        };
        items.push(card(review, &stores, &currency, &owns, page.words));
    }
    html_or_wrong(wrong.is_some(), &ReviewsPage { p: page, items, settled, of_one, wrong })
}

/// 303 to the incident, where it is decided; 422 with the page again.
pub async fn settle(
    State(pages): State<Pages>,
    person: Person,
    Path((incident, field)): Path<(Uuid, String)>,
    form: Form,
) -> Result<Response, Oops> {
    let text = form.one("value").trim_end().to_owned();
    let keep = match form.one("keep") {
        "standing" => Keep::Standing,
        "value" if text.is_empty() => Keep::Value(Value::Null),
        "value" => Keep::Value(Value::from(text)),
        change => match change.parse() {
            Ok(change) => Keep::Lost(Some(change)),
            Err(_) => {
                let wrong = Some(person.page.t("reviews.choose").to_owned());
                return show(&pages, person, false, Some(incident), wrong).await;
            }
        },
    };
    match reviews::settle(&pages.desk, &person.actor, incident, &field, keep).await {
        Ok(_) => Ok(go(&format!("/incidents/{}?said=settled", incident.hyphenated()))),
        Err(error) => {
            let wrong = Some(mendable_in(error, person.page.words)?);
            show(&pages, person, false, Some(incident), wrong).await
        }
    }
}
