//! Switching users on a device that people share: who was here, and their PIN.

use super::answer::{Oops, go, html, html_as};
use super::form::Form;
use super::guest::Guest;
use super::login::{here, refuse_others, welcome};
use crate::page::{Page, Pages, query};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Asker, QueryPairs};
use desk::accounts::pins::{self, Person, Switch};
use desk::http::door;
use desk::http::login::session_cookie;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};

/// The people of the device.
#[derive(Template)]
#[template(path = "switch.html")]
struct SwitchPage {
    p: Page,
    people: Vec<Person>,
    next: String,
}

/// One of them, and a pad for the PIN.
#[derive(Template)]
#[template(path = "switch_pin.html")]
struct PinPage {
    p: Page,
    who: Person,
    next: String,
    wrong: Option<String>,
}

/// 200, the people of the device; with `who`, the pad for their PIN; 404 where PINs are switched off.
pub async fn page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    guest: Guest,
    query: QueryPairs,
) -> Result<Response, Oops> {
    pages.desk.own_store().await?;
    let people = pins::people(&pages.desk, door::device(&headers)).await?;
    let next = query.one("next")?.map_or("/", here).to_owned();
    let p = guest.page;
    let wanted = query.one("who")?;
    match people.iter().find(|one| one.by_pin && Some(one.username.as_str()) == wanted) {
        Some(who) => html(&PinPage { p, who: who.clone(), next, wrong: None }),
        None => html(&SwitchPage { p, people, next }),
    }
}

/// 303 to where one wanted to go, as somebody else; 401 or 429 with the pad again; 303 to the login page where it takes the password.
pub async fn switch(
    State(pages): State<Pages>,
    asker: Asker,
    uri: Uri,
    headers: HeaderMap,
    guest: Guest,
    form: Form,
) -> Result<Response, Oops> {
    refuse_others(&headers, &uri)?;
    pages.desk.own_store().await?;
    let (desk, device) = (&pages.desk, door::device(&headers));
    let (username, next) = (form.one("username"), here(form.one("next")).to_owned());
    let p = guest.page;
    let tried = match asker.may_guess() {
        Ok(()) => pins::switch(desk, device, username, form.one("pin").to_owned(), door::session(&headers)).await?,
        Err(retry_after_s) => Switch::Wait { retry_after_s },
    };
    let (status, wrong) = match tried {
        Switch::Opened(session) => {
            let cookie = session_cookie(&session.token, &headers, &uri);
            return Ok(([(SET_COOKIE, cookie)], welcome(&pages, session, &next)).into_response());
        }
        Switch::Wrong { left } => {
            asker.guessed_wrong();
            (StatusCode::UNAUTHORIZED, p.n("switch.wrong", &left.into()))
        }
        Switch::Wait { retry_after_s } => (StatusCode::TOO_MANY_REQUESTS, p.n("login.wait", &retry_after_s)),
        Switch::Password => {
            let (who, next) = (query("username", username), query("next", &next));
            return Ok(go(&format!("/login?pin=over&{who}&{next}")));
        }
    };
    let who = pins::people(desk, device).await?.into_iter().find(|one| one.username == username);
    match who {
        Some(who) => html_as(status, &PinPage { p: p.at("/switch"), who, next, wrong: Some(wrong) }),
        None => Ok(go("/switch")),
    }
}
