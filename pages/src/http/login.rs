//! Logging in and out, as pages.

use super::answer::{Oops, go, html, html_as};
use super::form::Form;
use super::guest::{Guest, Person};
use crate::page::{Page, Pages};
use askama::Template;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use chassis::http::{Asker, Problem, QueryPairs};
use desk::accounts::sessions::{Session, token_hash};
use desk::accounts::{self, Login, pins};
use desk::actor::Actor;
use desk::http::door;
use desk::http::login::{clear_cookie, device_cookie, session_cookie};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};

/// The login page.
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    p: Page,
    next: String,
    username: String,
    /// What to say about the last try.
    wrong: Option<String>,
    /// Whether this device knows people who come back with a PIN.
    people: bool,
}

/// 200, the login page.
pub async fn page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    guest: Guest,
    query: QueryPairs,
) -> Result<Response, Oops> {
    pages.desk.own_store().await?;
    if let Some(first) = pages.shell.begin().await {
        return Ok(go(first));
    }
    let next = query.one("next")?.map_or("/", here).to_owned();
    let username = query.one("username")?.map_or_else(String::new, short);
    let wrong = query.one("pin")?.map(|_| guest.page.t("switch.over").to_owned());
    html(&LoginPage {
        people: has_people(&pages, &headers).await?,
        p: guest.page,
        next,
        username,
        wrong,
    })
}

/// Whether this device knows people who come back with a PIN.
async fn has_people(pages: &Pages, headers: &HeaderMap) -> Result<bool, Oops> {
    if pages.desk.pins().is_none() {
        return Ok(false);
    }
    Ok(pins::people(&pages.desk, door::device(headers)).await?.iter().any(|one| one.by_pin))
}

/// As much of a name as any account has.
fn short(username: &str) -> String {
    username.chars().take(64).collect()
}

/// 303 to where one wanted to go; 401 or 429 with the page again.
pub async fn login(
    State(pages): State<Pages>,
    asker: Asker,
    uri: Uri,
    headers: HeaderMap,
    guest: Guest,
    form: Form,
) -> Result<Response, Oops> {
    refuse_others(&headers, &uri)?;
    let (username, password) = (form.one("username").to_owned(), form.one("password").to_owned());
    // A form that was sent empty is no guess.
    let is_guess = !username.is_empty() && !password.is_empty();
    let next = here(form.one("next")).to_owned();
    let people = has_people(&pages, &headers).await?;
    let again = |status, wrong: String, p: Page| {
        html_as(status, &LoginPage { p, next: next.clone(), username: short(&username), wrong: Some(wrong), people })
    };
    let tried = if !is_guess || password.chars().count() > 200 {
        Login::Wrong
    } else if let Err(retry_after_s) = asker.may_guess() {
        Login::Wait { retry_after_s }
    } else {
        accounts::login(&pages.desk, &username, password).await?
    };
    match tried {
        Login::Wrong => {
            if is_guess {
                asker.guessed_wrong();
            }
            let wrong = guest.page.t("login.wrong").to_owned();
            again(StatusCode::UNAUTHORIZED, wrong, guest.page)
        }
        Login::Wait { retry_after_s } => {
            let wrong = guest.page.n("login.wait", &retry_after_s);
            let mut answer = again(StatusCode::TOO_MANY_REQUESTS, wrong, guest.page)?;
            answer.headers_mut().insert(RETRY_AFTER, retry_after_s.into());
            Ok(answer)
        }
        Login::Opened(session) => {
            // Whoever was logged in here before is not any more.
            if let Some(before) = door::session(&headers) {
                accounts::logout(&pages.desk, token_hash(before)).await?;
            }
            let device = pins::remember(&pages.desk, &session.account, door::device(&headers)).await?;
            let device = device.map(|token| (SET_COOKIE, device_cookie(&token, &headers, &uri)));
            let cookie = (SET_COOKIE, session_cookie(&session.token, &headers, &uri));
            let answer = welcome(&pages, session, &next);
            Ok(match device {
                Some(device) => (AppendHeaders([cookie, device]), answer).into_response(),
                None => (AppendHeaders([cookie]), answer).into_response(),
            })
        }
    }
}

/// On to where one wanted to go, or begins.
pub(super) fn welcome(pages: &Pages, session: Session, next: &str) -> Response {
    if next == "/" {
        go(pages.shell.home(&Actor::from(session.account)))
    } else {
        go(next)
    }
}

/// 303 to the login page; the session has ended.
pub async fn logout(
    State(pages): State<Pages>,
    uri: Uri,
    headers: HeaderMap,
    person: Person,
) -> Result<Response, Oops> {
    accounts::logout(&pages.desk, person.token_hash).await?;
    Ok(([(SET_COOKIE, clear_cookie(&headers, &uri))], go("/login")).into_response())
}

/// A form without a session has to come from a page of this site, too: nobody is logged in as somebody else from outside.
///
/// # Errors
/// 403 where it does not, or does not say.
pub fn refuse_others(headers: &HeaderMap, uri: &Uri) -> Result<(), Oops> {
    if door::is_from_here(headers, uri) {
        return Ok(());
    }
    Err(Problem::forbidden("forms are sent from pages of this site").into())
}

/// An address of this site; `/` where it is none: what stands in an address leads nobody elsewhere.
#[must_use]
pub fn here(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let inside = next.starts_with('/') && !next.starts_with("//");
    if plain && inside && next.len() <= 2000 { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for fine in ["/", "/incidents?q=a%20b&status=closed", "/incidents/x"] {
            assert_eq!(here(fine), fine);
        }
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a b",
            "/\r\nx",
            "javascript:x",
            "/ä",
        ] {
            assert_eq!(here(bad), "/", "{bad}");
        }
    }
}
