//! Logging in and out, and who one is.

use super::door::{DEVICE_COOKIE, Door, Visitor, cookie_name, is_loopback, said_origin};
use super::object::Object;
use super::schema::{Me, User};
use crate::accounts::{self, Login, sessions};
use crate::desk::Desk;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{Asker, Json, Problem};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who wants to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Capital letters are taken as small ones.
    #[schema(min_length = 1, max_length = 200)]
    username: String,
    /// The password.
    #[schema(min_length = 1, max_length = 200, format = "password")]
    password: String,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub struct Opened {
    /// For the `Authorization: Bearer` header.
    token: String,
    /// When the session ends: seven days after it began.
    #[schema(format = "date-time")]
    expires_at: String,
    /// Who is logged in.
    user: User,
}

/// Log in
///
/// Works with the hub unreachable. Sets a session cookie for browsers; programs send the token as
/// `Authorization: Bearer TOKEN`. After five failures of a username each further try has to wait, longer each time;
/// after many of one address, too, a minute at most.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "session", operation_id = "login", security(()),
    request_body = Credentials,
    responses((status = 200, description = "Welcome", body = Opened, headers(("Set-Cookie" = String, description = "The session cookie"))))
)]
pub async fn login(
    State(desk): State<Desk>,
    asker: Asker,
    uri: Uri,
    headers: HeaderMap,
    Object(credentials): Object<Credentials>,
) -> Result<Response, Problem> {
    if said_origin(&headers, &uri) == Some(false) {
        return Err(Problem::forbidden("log in on a page of this site"));
    }
    check(&credentials)?;
    asker.may_guess().map_err(Problem::too_many)?;
    match accounts::login(&desk, &credentials.username, credentials.password).await? {
        Login::Wrong => {
            asker.guessed_wrong();
            Err(Problem::unauthorized("the username or the password is wrong").code("wrong-credentials"))
        }
        Login::Wait { retry_after_s } => Err(Problem::too_many(retry_after_s)),
        Login::Opened(session) => {
            let cookie = session_cookie(&session.token, &headers, &uri);
            let opened = Opened {
                token: session.token,
                expires_at: format_rfc3339(session.expires_ms),
                user: session.account.into(),
            };
            Ok(([(SET_COOKIE, cookie)], Json(opened)).into_response())
        }
    }
}

fn check(credentials: &Credentials) -> Result<(), Problem> {
    for (field, text) in [("username", &credentials.username), ("password", &credentials.password)] {
        if !(1..=200).contains(&text.chars().count()) {
            return Err(Problem::invalid(field, "must be 1 to 200 characters"));
        }
    }
    Ok(())
}

/// The cookie that brings a session along.
#[must_use]
pub fn session_cookie(token: &str, headers: &HeaderMap, uri: &Uri) -> String {
    cookie(&cookie_name(headers), token, sessions::LIFETIME_MS / 1000, !is_loopback(headers, uri))
}

/// The cookie by which a device is known again; browsers keep none for longer than 400 days.
#[must_use]
pub fn device_cookie(token: &str, headers: &HeaderMap, uri: &Uri) -> String {
    cookie(DEVICE_COOKIE, token, 400 * 86_400, !is_loopback(headers, uri))
}

/// The cookie that ends it in the browser.
#[must_use]
pub fn clear_cookie(headers: &HeaderMap, uri: &Uri) -> String {
    cookie(&cookie_name(headers), "", 0, !is_loopback(headers, uri))
}

/// No script reads it, no other site sends it, and off this machine it travels encrypted only.
fn cookie(name: &str, token: &str, max_age_s: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}")
}

/// Log out
///
/// Ends the session; its token is no good from then on.
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "session", operation_id = "logout",
    responses((status = 204, description = "The session has ended"))
)]
pub async fn logout(
    State(desk): State<Desk>,
    uri: Uri,
    headers: HeaderMap,
    visitor: Visitor,
) -> Result<Response, Problem> {
    accounts::logout(&desk, visitor.token_hash).await?;
    let gone = clear_cookie(&headers, &uri);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, gone)]).into_response())
}

/// Who am I
#[utoipa::path(
    get, path = "/api/v1/me", tag = "session", operation_id = "me",
    responses((status = 200, description = "Whoever is logged in", body = Me))
)]
pub async fn me(Door(actor): Door) -> Json<Me> {
    Json(Me { user: actor.into() })
}
