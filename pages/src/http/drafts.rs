//! What somebody is typing, on whichever device.

use super::answer::{Oops, go, html};
use super::edit::own_of;
use super::form::Form;
use super::guest::Person;
use crate::moment::{self, Moment};
use crate::page::{Page, Pages};
use crate::sheet::{self, NewSheet};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::clock::format_rfc3339;
use chassis::http::Path;
use desk::actor::Actor;
use desk::drafts;
use desk::ledger::Pair;
use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

/// Most characters that a list shows of what is written.
const SHOWN: usize = 120;

#[derive(Template)]
#[template(path = "drafts.html")]
struct DraftsPage {
    p: Page,
    drafts: Vec<Line>,
}

/// A draft in the list.
struct Line {
    id: Uuid,
    title: String,
    category: String,
    changed: Moment,
}

fn value<'a>(fields: &'a [Pair], name: &str) -> &'a str {
    fields.iter().find(|field| field.name == name).map_or("", |field| &field.value)
}

/// 200, one's drafts.
pub async fn page(State(pages): State<Pages>, person: Person) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let zone = zone(&pages, &actor).await?;
    let line = |draft: desk::ledger::FormDraft| Line {
        id: draft.id,
        title: value(&draft.fields, "description")
            .trim()
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(SHOWN)
            .collect(),
        category: value(&draft.fields, "category").to_owned(),
        changed: moment::of(&format_rfc3339(draft.changed_ms), &zone, page.words),
    };
    let drafts = drafts::list(&pages.desk, &actor).await?.into_iter().map(line).collect();
    html(&DraftsPage { p: page, drafts })
}

/// 303 to the list, without it.
pub async fn remove(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    drafts::end(&pages.desk, &person.actor, id).await?;
    Ok(go("/drafts"))
}

/// The time zone in which somebody writes times: the store's.
async fn zone(pages: &Pages, actor: &Actor) -> Result<TimeZone, Oops> {
    let own = pages.desk.own_store().await?.or_else(|| actor.store_code.clone()).unwrap_or_default();
    Ok(pages.stores().await?.zone(&own))
}

/// Fills the form `n` in as far as the draft goes.
pub(super) async fn fill(pages: &Pages, person: &Person, id: Uuid, n: &mut NewSheet) -> Result<(), Oops> {
    let draft = drafts::get(&pages.desk, &person.actor, id).await?;
    let form = Form::sent(draft.fields.into_iter().map(|field| (field.name, field.value)).collect());
    let zone = zone(pages, &person.actor).await?;
    let own = own_of(pages, &person.actor, form.one("store_code").trim()).await?;
    n.s = sheet::returned(&Value::Null, &form, &zone, person.page.words, &own).sheet.unjudged();
    n.store = form.one("store_code").to_owned();
    n.draft = id.hyphenated().to_string();
    Ok(())
}

/// The draft that a form goes on with.
pub(super) fn id_of(form: &Form) -> Option<Uuid> {
    Uuid::try_parse(form.one("draft")).ok()
}

/// The report is recorded: its draft has ended. One that could not be ended is forgotten later.
pub(super) async fn end_of(pages: &Pages, actor: &Actor, form: &Form) {
    if let Some(id) = id_of(form)
        && let Err(error) = drafts::end(&pages.desk, actor, id).await
    {
        tracing::warn!(%error, "the draft of what was recorded stays for a while");
    }
}
