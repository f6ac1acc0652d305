//! What a client gets that speaks plain HTTP to a site that has TLS: the same address with `https`. Besides, whether the site is
//! alive (for its own watchdog and those who look after machines) and what a device has to have before it can trust the site
//! ([`trust`]).

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, HOST, LOCATION};
use http::{HeaderMap, StatusCode, Uri};

use super::health::alive;
use super::tls::Tls;
use super::trust;

/// What is measured, and whether the site is ready, is told over TLS only: here it would be another router's word.
pub(super) fn routes(tls: &Arc<Tls>) -> Router {
    let router = Router::new().route("/healthz", alive()).fallback(elsewhere);
    router.merge(trust::routes(tls))
}

/// 308: also for whoever sends something, though that has come unencrypted. 400 for a client that does not say whom it asks.
async fn elsewhere(uri: Uri, headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match host {
        Some(host) if path.starts_with('/') => {
            let location = format!("https://{host}{path}");
            (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)], [(CONNECTION, "close")]).into_response()
        }
        _ => (StatusCode::BAD_REQUEST, [(CONNECTION, "close")], "this site speaks HTTPS\n").into_response(),
    }
}

/// A host with or without a port, and nothing that would lead elsewhere.
pub(super) fn is_host(host: &str) -> bool {
    (1..=300).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'))
}
