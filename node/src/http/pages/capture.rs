//! Where a person at a store begins: what happened?

use super::NodePages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use desk::incidents::{self, query};
use pages::http::edit::own_of;
use pages::http::{Oops, Person, html};
use pages::incident::{self, Incident, Listed};
use pages::page::Page;
use pages::sheet::NewSheet;

/// How many of one's own reports are shown.
const OWN: &str = "5";

#[derive(Template)]
#[template(path = "capture.html")]
struct CapturePage {
    p: Page,
    n: NewSheet,
    own: Vec<Incident>,
}

/// 200, the form and one's own last reports, with where each of them is.
pub async fn page(State(state): State<NodePages>, person: Person) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let desk = &state.pages.desk;
    let mine = [("reported_by".to_owned(), actor.username.clone()), ("limit".to_owned(), OWN.to_owned())];
    let listed: Listed = incident::read(&incidents::list(desk, &actor, query::list(&mine)?).await?)?;
    let added = own_of(&state.pages, &actor, "").await?;
    html(&CapturePage { n: NewSheet::blank(desk, &actor, &added), own: listed.items, p: page })
}
