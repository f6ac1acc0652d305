//! `/openapi.json`, and `/docs`, which shows it to people without any network beside this site.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chassis::http::ETag;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use utoipa::openapi::OpenApi;

/// The page loads its own two files and the document, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Routes for the document and the page that shows it.
pub fn routes(api: &OpenApi) -> Router {
    let json = api.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the API document cannot be written");
        "{}".to_owned()
    });
    let document = |kind: &'static str, text: &str| {
        let (tag, body) = (ETag::of(&[text.as_bytes()]), Bytes::copy_from_slice(text.as_bytes()));
        get(move |headers: HeaderMap| async move { answer(&headers, &tag, kind, body) })
    };
    Router::new()
        .route("/openapi.json", document("application/json", &json))
        .route("/docs", document("text/html; charset=utf-8", include_str!("docs/page.html")))
        .route("/docs/page.css", document("text/css; charset=utf-8", include_str!("docs/page.css")))
        .route("/docs/page.js", document("text/javascript; charset=utf-8", include_str!("docs/page.js")))
}

fn answer(headers: &HeaderMap, tag: &ETag, kind: &'static str, body: Bytes) -> Response {
    let validators = [(ETAG, tag.to_string()), (CACHE_CONTROL, "no-cache".to_owned())];
    if tag.not_modified(headers) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)], body).into_response()
}
