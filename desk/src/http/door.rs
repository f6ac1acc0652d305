//! The door: who makes a request. A bearer token, or the session cookie that a browser brings by itself and that
//! therefore counts only where the request comes from a page of this site.

use crate::accounts::{authenticate, sessions::token_hash};
use crate::actor::Actor;
use crate::desk::Desk;
use axum::extract::{FromRef, FromRequestParts};
use chassis::http::{Asker, Problem};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use std::borrow::Cow;

/// The session cookie.
pub const COOKIE_NAME: &str = "aincident_session";
/// The cookie by which a device is known again to which people come back with a PIN.
pub const DEVICE_COOKIE: &str = "aincident_device";
/// Longer tokens are none of ours.
const MAX_TOKEN: usize = 128;

/// Whoever is logged in. A request without a session ends here: 401; one of an account that asks too often:
/// 429; at a node that is not enrolled: 503.
#[derive(Clone, Debug)]
pub struct Door(pub Actor);

/// Like [`Door`], with what the session goes by in the ledger.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who.
    pub actor: Actor,
    /// See [`token_hash`].
    pub token_hash: [u8; 32],
}

impl<S> FromRequestParts<S> for Visitor
where
    Desk: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let desk = Desk::from_ref(state);
        desk.own_store().await?;
        let token = match bearer(&parts.headers) {
            Some(token) => token,
            None => {
                let token =
                    session(&parts.headers).ok_or_else(|| Problem::unauthorized("send a bearer token, or log in"))?;
                if changes(&parts.method) && !is_from_here(&parts.headers, &parts.uri) {
                    return Err(Problem::forbidden(
                        "a request with a cookie has to come from a page of this site; programs send a bearer token",
                    ));
                }
                token
            }
        };
        let token_hash = token_hash(token);
        let actor = authenticate(&desk, token_hash)
            .await?
            .ok_or_else(|| Problem::unauthorized("the session has ended: log in again"))?;
        if let Some(asker) = parts.extensions.get::<Asker>() {
            asker.account(actor.id)?;
        }
        Ok(Self { actor, token_hash })
    }
}

impl<S> FromRequestParts<S> for Door
where
    Desk: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Visitor::from_request_parts(parts, state).await.map(|visitor| Self(visitor.actor))
    }
}

/// The bearer token; an empty one where the header says something else. It wins over the cookie even then: whoever sends
/// it means it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim();
    let right = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN;
    Some(if right { token } else { "" })
}

/// The token of the session that a browser brings along.
#[must_use]
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let own = own_cookie(headers).and_then(|name| cookie(headers, &name));
    own.or_else(|| cookie(headers, COOKIE_NAME)).filter(|token| token.len() <= MAX_TOKEN)
}

/// What the session's cookie is called where several sites may be on this machine: browsers tell ports apart nowhere but in names. None
/// where the client is on another machine.
fn own_cookie(headers: &HeaderMap) -> Option<String> {
    let host: http::uri::Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    let port = host.port_u16().filter(|_| is_local(&host))?;
    Some(format!("{COOKIE_NAME}_{port}"))
}

/// What the session's cookie is to be called in the answer to a request with `headers`.
#[must_use]
pub fn cookie_name(headers: &HeaderMap) -> Cow<'static, str> {
    own_cookie(headers).map_or(Cow::Borrowed(COOKIE_NAME), Cow::Owned)
}

/// What the browser says its device goes by.
#[must_use]
pub fn device(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, DEVICE_COOKIE).filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN)
}

/// The value of the cookie of that name.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a browser says that the request comes from a page of this site. A request that does not say is not.
#[must_use]
pub fn is_from_here(headers: &HeaderMap, uri: &Uri) -> bool {
    said_origin(headers, uri).unwrap_or(false)
}

/// What a browser says of where the request comes from; `None` where nothing says anything.
pub(super) fn said_origin(headers: &HeaderMap, uri: &Uri) -> Option<bool> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = headers.get(ORIGIN)?.to_str().unwrap_or_default();
    let host = origin.split_once("://").map(|(_, host)| host);
    Some(host.is_some() && host == authority(headers, uri))
}

/// The host and port that the client believes to talk to.
pub(super) fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST)?.to_str().ok(),
    }
}

/// Whether the client talks to this machine itself, where there is plain HTTP and cookies need no TLS.
#[must_use]
pub fn is_loopback(headers: &HeaderMap, uri: &Uri) -> bool {
    authority(headers, uri)
        .and_then(|text| text.parse::<http::uri::Authority>().ok())
        .is_some_and(|authority| is_local(&authority))
}

fn is_local(authority: &http::uri::Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_bearer_token_is_read_and_wins_even_where_it_is_wrong() {
        assert_eq!(bearer(&headers(&[("authorization", "Bearer abc")])), Some("abc"));
        assert_eq!(bearer(&headers(&[("authorization", "bearer  abc ")])), Some("abc"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), Some(""));
        assert_eq!(bearer(&headers(&[("cookie", "x=y")])), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(session(&headers(&[("cookie", "a=b; aincident_session=tok; c=d")])), Some("tok"));
        assert_eq!(session(&headers(&[("cookie", "xaincident_session=tok")])), None);
        // Two sites on one machine.
        let both = "aincident_session_7700=hub; aincident_session_7710=node";
        let at = |host: &'static str| headers(&[("host", host), ("cookie", both)]);
        assert_eq!(session(&at("127.0.0.1:7710")), Some("node"));
        assert_eq!(session(&at("[::1]:7700")), Some("hub"));
        assert_eq!(session(&at("incidents.example.com:7700")), None);
        assert_eq!(cookie_name(&at("localhost:7700")), "aincident_session_7700");
        assert_eq!(cookie_name(&at("incidents.example.com")), COOKIE_NAME);
    }

    #[test]
    fn a_page_elsewhere_cannot_use_the_cookie() {
        let uri = Uri::from_static("/api/v1/incidents");
        let here = |pairs: &[(&'static str, &'static str)]| is_from_here(&headers(pairs), &uri);
        assert!(here(&[("sec-fetch-site", "same-origin"), ("host", "a")]));
        assert!(!here(&[("sec-fetch-site", "cross-site"), ("origin", "http://a"), ("host", "a")]));
        assert!(!here(&[("sec-fetch-site", "same-site"), ("host", "a")]));
        assert!(here(&[("origin", "http://a:7710"), ("host", "a:7710")]));
        assert!(!here(&[("origin", "http://a:7711"), ("host", "a:7710")]));
        assert!(!here(&[("origin", "null"), ("host", "a")]));
        assert!(!here(&[("host", "a")]));
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        let uri = Uri::from_static("/");
        for (host, is) in [
            ("127.0.0.1:7710", true),
            ("localhost", true),
            ("[::1]:7710", true),
            ("192.168.1.4", false),
            ("localhost.evil.org", false),
        ] {
            let mut map = HeaderMap::new();
            map.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(is_loopback(&map, &uri), is, "{host}");
        }
        assert!(!is_loopback(&HeaderMap::new(), &uri));
    }
}
