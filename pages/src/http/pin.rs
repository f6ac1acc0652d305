//! One's own PIN: setting it, removing it, and having this device forget one.

use super::answer::{Oops, go, html, html_as};
use super::form::Form;
use super::guest::Person;
use crate::moment::{self, Moment};
use crate::page::{Page, Pages};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::clock::format_rfc3339;
use chassis::http::{Asker, QueryPairs};
use desk::accounts::pins::{self, Setting};
use desk::http::door;
use desk::{Error, Refusal};
use http::{HeaderMap, StatusCode};

#[derive(Template)]
#[template(path = "pin.html")]
struct PinPage {
    p: Page,
    /// When it was set.
    set: Option<Moment>,
    /// Whether this device knows the person.
    known: bool,
    said: Option<&'static str>,
    wrong: Option<String>,
}

/// 200, whether there is a PIN, and a form for another one; 404 where PINs are switched off.
pub async fn page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    person: Person,
    query: QueryPairs,
) -> Result<Response, Oops> {
    let said = match query.one("said")? {
        Some("set") => Some(person.page.t("pin.was_set")),
        Some("removed") => Some(person.page.t("pin.was_removed")),
        Some("forgotten") => Some(person.page.t("pin.was_forgotten")),
        _ => None,
    };
    html(&shown(&pages, &headers, person, said, None).await?)
}

async fn shown(
    pages: &Pages,
    headers: &HeaderMap,
    person: Person,
    said: Option<&'static str>,
    wrong: Option<String>,
) -> Result<PinPage, Oops> {
    let Person { actor, page, .. } = person;
    let people = pins::people(&pages.desk, door::device(headers)).await?;
    let zone = pages.stores().await?.zone(actor.store_code.as_deref().unwrap_or_default());
    let set_ms = pages.desk.ledger().pin_set_ms(&actor.username).await?;
    Ok(PinPage {
        set: set_ms.map(|ms| moment::of(&format_rfc3339(ms), &zone, page.words)),
        known: people.iter().any(|one| one.username == actor.username),
        said,
        wrong,
        p: page.at("/pin"),
    })
}

/// 303 to the page; 422 or 429 with the form again.
pub async fn set(
    State(pages): State<Pages>,
    asker: Asker,
    headers: HeaderMap,
    person: Person,
    form: Form,
) -> Result<Response, Oops> {
    let (pin, page) = (form.one("pin"), &person.page);
    let (status, wrong) = if pin != form.one("again") {
        (StatusCode::UNPROCESSABLE_ENTITY, page.t("pin.differ").to_owned())
    } else if let Err(retry_after_s) = asker.may_guess() {
        (StatusCode::TOO_MANY_REQUESTS, page.n("login.wait", &retry_after_s))
    } else {
        match pins::set(&pages.desk, &person.actor, form.one("password").to_owned(), pin.to_owned()).await {
            Ok(Setting::Set) => return Ok(go("/pin?said=set")),
            Ok(Setting::Wrong) => {
                asker.guessed_wrong();
                (StatusCode::UNPROCESSABLE_ENTITY, page.t("pin.wrong_password").to_owned())
            }
            Ok(Setting::Wait { retry_after_s }) => {
                (StatusCode::TOO_MANY_REQUESTS, page.n("login.wait", &retry_after_s))
            }
            Err(Error::Refused(Refusal::Invalid(_))) => {
                (StatusCode::UNPROCESSABLE_ENTITY, page.t("pin.rule").to_owned())
            }
            Err(error) => return Err(error.into()),
        }
    };
    html_as(status, &shown(&pages, &headers, person, None, Some(wrong)).await?)
}

/// 303 to the page; from then on every device asks for the password.
pub async fn remove(State(pages): State<Pages>, person: Person) -> Result<Response, Oops> {
    pins::remove(&pages.desk, &person.actor).await?;
    Ok(go("/pin?said=removed"))
}

/// 303 to the page; this device asks for the password.
pub async fn forget(State(pages): State<Pages>, headers: HeaderMap, person: Person) -> Result<Response, Oops> {
    pins::forget(&pages.desk, door::device(&headers), &person.actor.username).await?;
    Ok(go("/pin?said=forgotten"))
}
