//! Answers: a page, another address, or what went wrong, in the reader's language.

use super::guest::{lang, path};
use crate::page::{Page, Pages, query};
use crate::words::Words;
use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chassis::http::Problem;
use desk::accounts::authenticate;
use desk::accounts::sessions::token_hash;
use desk::actor::Actor;
use desk::http::door;
use desk::{Error, Refusal};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sync_protocol::record::FieldError;

/// Nothing but what this site serves, and no script or style inside a page.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// A page. Nothing between here and the reader keeps it: devices are shared.
///
/// # Errors
/// When the template cannot be rendered.
pub fn html(template: &impl Template) -> Result<Response, Oops> {
    let text = template.render().map_err(Problem::internal)?;
    Ok(dressed(StatusCode::OK, text))
}

fn dressed(status: StatusCode, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (status, headers, text).into_response()
}

/// Like [`html`], with another status: a form that has to be looked at again.
///
/// # Errors
/// As [`html`].
pub fn html_as(status: StatusCode, template: &impl Template) -> Result<Response, Oops> {
    let mut answer = html(template)?;
    *answer.status_mut() = status;
    Ok(answer)
}

/// Like [`html`]: 422 where something about it is `wrong`, else 200.
///
/// # Errors
/// As [`html`].
pub fn html_or_wrong(wrong: bool, template: &impl Template) -> Result<Response, Oops> {
    html_as(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, template)
}

/// What a person can mend about a refusal, by field; everything else is a page of its own.
///
/// # Errors
/// Everything else.
pub fn mendable(error: Error) -> Result<Vec<FieldError>, Oops> {
    match error {
        Error::Refused(Refusal::Invalid(errors)) => Ok(errors),
        Error::Refused(Refusal::Conflict(message)) => Ok(vec![FieldError { field: String::new(), message }]),
        error => Err(error.into()),
    }
}

/// Like [`mendable`], in a line, for a page whose fields need no names.
///
/// # Errors
/// As [`mendable`].
pub fn mendable_line(error: Error) -> Result<String, Oops> {
    Ok(mendable(error)?.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))
}

/// Like [`mendable_line`], in the reader's language as far as it is known there.
///
/// # Errors
/// As [`mendable`].
pub fn mendable_in(error: Error, words: &Words) -> Result<String, Oops> {
    Ok(mendable(error)?.into_iter().map(|error| words.rule(&error.message)).collect::<Vec<_>>().join("; "))
}

/// On to another page: 303, so that reloading it sends nothing again.
#[must_use]
pub fn go(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, to), (CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response()
}

/// What went wrong; [`explain`] makes a page of it.
#[derive(Clone, Debug)]
pub struct Oops(pub Problem);

impl From<Problem> for Oops {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Oops {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl From<Refusal> for Oops {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A page that says what went wrong.
#[derive(Template)]
#[template(path = "oops.html")]
struct OopsPage {
    p: Page,
    status: u16,
    title: &'static str,
    advice: &'static str,
    detail: Option<String>,
    /// Whether the detail is said in English, whatever the page speaks.
    is_english: bool,
}

/// What a page of an unenrolled site says.
#[derive(Template)]
#[template(path = "unenrolled.html")]
struct Unenrolled {
    p: Page,
}

/// Whether the answer is wanted as a page.
fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Addresses where programs talk to each other, whatever they accept.
fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/sync/")
}

/// What is at no address at all: a page for people; programs get a problem from the stack around.
pub async fn nothing_here(request: Request) -> Response {
    if wants_page(request.headers()) && !is_for_programs(request.uri().path()) {
        return Oops(Problem::not_found("")).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Makes pages of what went wrong, and leads whoever is not logged in to the login page.
pub async fn explain(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let mut response = next.run(request).await;
    if let Some(images) = pages.desk.house().images_url.as_deref() {
        widen(response.headers_mut(), images);
    }
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().contains_key(CONTENT_SECURITY_POLICY)
    {
        return response;
    }
    let oops = response.extensions_mut().remove::<Oops>();
    let problem = oops.map(|oops| oops.0);
    // Scripts read problems, as programs do.
    if headers.get(ACCEPT).is_some_and(|accept| accept == "application/json") {
        return problem.map_or(response, IntoResponse::into_response);
    }
    if problem.is_none() && (!wants_page(&headers) || is_for_programs(uri.path())) {
        return response;
    }
    let at = path(&uri);
    if status == StatusCode::UNAUTHORIZED && is_read(&method) {
        return to_login(&at, &headers);
    }
    // Nobody can go to where a form was sent.
    let here = if is_read(&method) { &at } else { "/" };
    let page = match pages.page(lang(&headers), here, whose(&pages, &headers).await.as_ref()).await {
        Ok(page) => page,
        Err(error) => return Problem::from(error).into_response(),
    };
    let code = problem.as_ref().map_or("", |problem| problem.code);
    let made = if code == "not-enrolled" {
        Unenrolled { p: page }.render()
    } else {
        let (title, advice) = words_for(status);
        let detail = problem.as_ref().map(|problem| problem.detail.clone());
        let detail = detail.filter(|detail| !detail.is_empty() && !status.is_server_error());
        let known = detail.as_deref().and_then(|detail| page.words.known_rule(detail));
        let is_english = known.is_none();
        let detail = known.or(detail);
        OopsPage {
            title: page.t(title),
            advice: page.t(advice),
            status: status.as_u16(),
            detail,
            is_english,
            p: page,
        }
        .render()
    };
    let Ok(text) = made else {
        return Problem::internal("an error page cannot be rendered").into_response();
    };
    let mut answer = dressed(status, text);
    if let Some(seconds) = problem.and_then(|problem| problem.retry_after_s) {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

/// Who is logged in, so that what went wrong does not look as if nobody were; nobody where that cannot be told.
async fn whose(pages: &Pages, headers: &HeaderMap) -> Option<Actor> {
    let token = door::session(headers)?;
    authenticate(&pages.desk, token_hash(token)).await.ok().flatten()
}

/// Lets a page show thumbnails from where the company keeps them.
fn widen(headers: &mut HeaderMap, images: &str) {
    let mut parts = images.splitn(4, '/');
    let (Some(scheme), Some(_), Some(host)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let policy = POLICY.replace("blob:;", &format!("blob: {scheme}//{host};"));
    if headers.get(CONTENT_SECURITY_POLICY).is_some_and(|is| is == POLICY)
        && let Ok(policy) = HeaderValue::from_str(&policy)
    {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// The login page, which leads back. Whoever comes from another site has a cookie that the browser did not bring along: a
/// page of this site asks again, and then it does.
fn to_login(at: &str, headers: &HeaderMap) -> Response {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) && is_navigation(headers) {
        let mut answer = dressed(StatusCode::OK, "<!doctype html><title>…</title>".to_owned());
        answer.headers_mut().insert("refresh", HeaderValue::from_static("0"));
        return answer;
    }
    go(&format!("/login?{}", query("next", at)))
}

/// Whether a person follows a link or types an address. Nothing tells whether there is a cookie: it is withheld just then. A
/// navigation that was refreshed says `same-origin` or `none` the second time.
fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

fn words_for(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED => ("oops.login.title", "oops.login.advice"),
        StatusCode::FORBIDDEN => ("oops.forbidden.title", "oops.forbidden.advice"),
        StatusCode::NOT_FOUND => ("oops.missing.title", "oops.missing.advice"),
        StatusCode::GONE => ("oops.gone.title", "oops.gone.advice"),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => ("oops.changed.title", "oops.changed.advice"),
        StatusCode::PAYLOAD_TOO_LARGE => ("oops.large.title", "oops.large.advice"),
        StatusCode::TOO_MANY_REQUESTS => ("oops.wait.title", "oops.wait.advice"),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => ("oops.busy.title", "oops.busy.advice"),
        status if status.is_server_error() => ("oops.ours.title", "oops.ours.advice"),
        _ => ("oops.wrong.title", "oops.wrong.advice"),
    }
}
