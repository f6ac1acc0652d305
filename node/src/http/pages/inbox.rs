//! What came through the drop folder and names no incident.

use super::NodePages;
use crate::inbox::filing;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::Path;
use desk::incidents::{self, query};
use desk::ledger::InboxItem;
use desk::photos::size_in_words;
use desk::{Error, Refusal};
use http::StatusCode;
use pages::http::answer::html_as;
use pages::http::form::Form;
use pages::http::{Oops, Person, go};
use pages::incident::{self, Incident, Listed};
use pages::moment::{self, Moment};
use pages::page::Page;
use uuid::Uuid;

/// How many incidents are offered to file something under.
const OFFERED: &str = "50";

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    p: Page,
    files: Vec<File>,
    recent: Vec<Incident>,
    wrong: Option<String>,
}

struct File {
    item: InboxItem,
    size: String,
    found: Moment,
}

/// 200, the files; 403 for whoever may not file them.
pub async fn page(State(state): State<NodePages>, person: Person) -> Result<Response, Oops> {
    show(&state, person, None).await
}

async fn show(state: &NodePages, person: Person, wrong: Option<String>) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let desk = &state.pages.desk;
    let items = filing::list(desk, &actor).await?;
    let own = desk.own_store().await?.unwrap_or_default();
    let zone = state.pages.stores().await?.zone(&own);
    let offered = query::list(&[("limit".to_owned(), OFFERED.to_owned())])?;
    let listed: Listed = incident::read(&incidents::list(desk, &actor, offered).await?)?;
    let file = |item: InboxItem| File {
        size: size_in_words(item.size_bytes),
        found: moment::of(&item.found_at, &zone, page.words),
        item,
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let files = items.into_iter().map(file).collect();
    html_as(status, &InboxPage { files, recent: listed.items, wrong, p: page })
}

/// 303 to the incident with the file; 422 with the page again.
pub async fn file(
    State(state): State<NodePages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let desk = &state.pages.desk;
    let Some(incident_id) = incident_of(&state, &person, form.one("incident")).await? else {
        let wrong = person.page.t("inbox.no_incident").to_owned();
        return show(&state, person, Some(wrong)).await;
    };
    let caption = Some(form.one("caption").trim().to_owned()).filter(|caption| !caption.is_empty());
    match filing::file(desk, &person.actor, id, incident_id, caption).await {
        Ok(_) => Ok(go(&format!("/incidents/{}?said=photos", incident_id.hyphenated()))),
        Err(Error::Refused(Refusal::Invalid(errors))) => {
            let wrong = errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ");
            show(&state, person, Some(wrong)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The incident that goes by that id or reference.
async fn incident_of(state: &NodePages, person: &Person, named: &str) -> Result<Option<Uuid>, Oops> {
    let named = named.trim();
    if let Ok(id) = Uuid::try_parse(named) {
        return Ok(Some(id));
    }
    if named.is_empty() {
        return Ok(None);
    }
    let asked = query::list(&[("q".to_owned(), named.chars().take(query::MAX_VALUE).collect())])?;
    let found: Listed = incident::read(&incidents::list(&state.pages.desk, &person.actor, asked).await?)?;
    let same = found.items.iter().find(|incident| incident.reference.eq_ignore_ascii_case(named));
    Ok(same.and_then(|incident| Uuid::try_parse(&incident.id).ok()))
}

/// 303 to the list, without the file.
pub async fn discard(State(state): State<NodePages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    filing::discard(&state.pages.desk, &person.actor, id).await?;
    Ok(go("/inbox"))
}
