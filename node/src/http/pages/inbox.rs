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
use pages::http::answer::{html_or_wrong, mendable_in};
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
    let files = items.into_iter().map(file).collect();
    html_or_wrong(wrong.is_some(), &InboxPage { files, recent: listed.items, wrong, p: page.at("/inbox") })
}

/// 303 to the incident with the file; 422 with the page again.
pub async fn file(
    State(state): State<NodePages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let desk = &state.pages.desk;
    let Some(incident_id) = filing::named(desk, form.one("incident").trim()).await? else {
        let wrong = person.page.t("inbox.no_incident").to_owned();
        return show(&state, person, Some(wrong)).await;
    };
    let caption = Some(form.one("caption").trim().to_owned()).filter(|caption| !caption.is_empty());
    match filing::file(desk, &person.actor, id, incident_id, caption).await {
        Ok(_) => Ok(go(&format!("/incidents/{}?said=photos", incident_id.hyphenated()))),
        // It was deleted: nothing is filed under it.
        Err(Error::Refused(Refusal::Gone)) => {
            let wrong = person.page.t("inbox.no_incident").to_owned();
            show(&state, person, Some(wrong)).await
        }
        Err(error) => {
            let wrong = Some(mendable_in(error, person.page.words)?);
            show(&state, person, wrong).await
        }
    }
}

/// 303 to the list, without the file.
pub async fn discard(State(state): State<NodePages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    filing::discard(&state.pages.desk, &person.actor, id).await?;
    Ok(go("/inbox"))
}
