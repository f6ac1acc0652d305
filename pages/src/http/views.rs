//! Filters of the list that somebody has given a name.

use super::answer::{Oops, go};
use super::form::Form;
use super::guest::Person;
use super::incidents::address;
use crate::page::{Page, Pages};
use axum::extract::State;
use axum::response::Response;
use chassis::http::Path;
use desk::ledger::{Pair, View};
use desk::{Error, Refusal, views};
use uuid::Uuid;

/// What stands in the list's address beside its filters: what became of a view.
pub const SAID: &str = "view";

/// What there is to say about it.
pub(super) fn said(what: &str, page: &Page) -> Option<&'static str> {
    Some(match what {
        "kept" => page.t("views.kept"),
        "deleted" => page.t("views.deleted"),
        "taken" => page.t("views.taken"),
        "full" => page.t("views.full"),
        "empty" => page.t("views.empty"),
        _ => return None,
    })
}

/// A view as the list's address has it.
pub(super) fn pairs(view: &View) -> Vec<(String, String)> {
    view.filters.iter().map(|one| (one.name.clone(), one.value.clone())).collect()
}

/// What is filtered, as the form says it: filters that the list knows, and no place in it.
fn filtered(form: &Form) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(form.one("filters")).unwrap_or_default();
    let is_filter = |name: &str, value: &str| views::is_filter(name) && !value.trim().is_empty();
    pairs.into_iter().filter(|(name, value)| is_filter(name, value)).collect()
}

fn back(mut pairs: Vec<(String, String)>, what: &str) -> Response {
    pairs.push((SAID.to_owned(), what.to_owned()));
    go(&address(&pairs))
}

/// 303 to the list, which says what became of it.
pub async fn add(State(pages): State<Pages>, person: Person, form: Form) -> Result<Response, Oops> {
    let pairs = filtered(&form);
    if pairs.is_empty() {
        return Ok(back(pairs, "empty"));
    }
    let filters = pairs.iter().map(|(name, value)| Pair { name: name.clone(), value: value.clone() }).collect();
    match views::add(&pages.desk, &person.actor, form.one("name"), filters).await {
        Ok(_) => Ok(back(pairs, "kept")),
        Err(Error::Refused(Refusal::Conflict(_))) => {
            let there = views::list(&pages.desk, &person.actor).await?;
            let is_full = there.len() >= views::MOST as usize;
            Ok(back(pairs, if is_full { "full" } else { "taken" }))
        }
        Err(error) => Err(error.into()),
    }
}

/// 303 to the list, without it.
pub async fn remove(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    views::remove(&pages.desk, &person.actor, id).await?;
    Ok(back(filtered(&form), "deleted"))
}
