//! The first account of an empty hub.

use super::HubPages;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Asker, Problem};
use desk::accounts::{self, Login};
use desk::http::login::session_cookie;
use desk::{Error, Refusal};
use http::header::SET_COOKIE;
use http::{HeaderMap, Uri};
use pages::http::answer::{html_or_wrong, mendable};
use pages::http::form::Form;
use pages::http::login::refuse_others;
use pages::http::{Guest, Oops, go, html};
use pages::page::Page;
use sync_protocol::record::FieldError;

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    p: Page,
    username: String,
    wrong: Vec<FieldError>,
}

impl SetupPage {
    fn complaint(&self, field: &str) -> Option<String> {
        self.wrong.iter().find(|wrong| wrong.field == field).map(|wrong| self.p.rule(&wrong.message))
    }
}

/// 200 while there is no account; 303 to the login page afterwards.
pub async fn page(State(state): State<HubPages>, guest: Guest) -> Result<Response, Oops> {
    if !state.setup.is_due().await? {
        return Ok(go("/login"));
    }
    html(&SetupPage { p: guest.page, username: String::new(), wrong: Vec::new() })
}

/// 303 to the start page, logged in; 422 with the page again; 429 after too many wrong codes.
pub async fn first(
    State(state): State<HubPages>,
    asker: Asker,
    uri: Uri,
    headers: HeaderMap,
    guest: Guest,
    form: Form,
) -> Result<Response, Oops> {
    refuse_others(&headers, &uri)?;
    asker.may_guess().map_err(Problem::too_many)?;
    let (username, password) = (form.one("username").trim().to_owned(), form.one("password").to_owned());
    match state.setup.first(form.one("code"), username.clone(), password.clone()).await {
        Ok(account) => {
            let opened = accounts::login(&state.pages.desk, &account.username, password).await?;
            let Login::Opened(session) = opened else {
                return Ok(go("/login"));
            };
            Ok(([(SET_COOKIE, session_cookie(&session.token, &headers, &uri))], go("/")).into_response())
        }
        Err(Error::Refused(Refusal::NotFound)) => Ok(go("/login")),
        Err(error) => {
            let wrong = mendable(error)?;
            if wrong.iter().any(|wrong| wrong.field == "code") {
                asker.guessed_wrong();
            }
            html_or_wrong(true, &SetupPage { p: guest.page, username, wrong })
        }
    }
}
