//! Choosing a language.

use super::answer::{Oops, go};
use super::form::Form;
use super::guest::LANGUAGE_COOKIE;
use super::login::{here, refuse_others};
use crate::words::Lang;
use axum::response::{IntoResponse, Response};
use desk::http::door::is_loopback;
use http::header::SET_COOKIE;
use http::{HeaderMap, Uri};

/// 303 back to the page, which speaks the language from then on.
pub async fn choose(uri: Uri, headers: HeaderMap, form: Form) -> Result<Response, Oops> {
    refuse_others(&headers, &uri)?;
    let lang = Lang::of_tag(form.one("lang")).unwrap_or(Lang::En).tag();
    let secure = if is_loopback(&headers, &uri) { "" } else { "; Secure" };
    let cookie = format!("{LANGUAGE_COOKIE}={lang}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
    Ok(([(SET_COOKIE, cookie)], go(here(form.one("next")))).into_response())
}
