//! What makes the capture page an app on a phone, that works without a network: a manifest, a service worker, and the page that
//! stands in when the store's PC cannot be reached. None of them says anything about anybody.

use super::NodePages;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use pages::assets;
use pages::http::{Guest, Oops, html};
use pages::own::Own;
use pages::page::Page;
use pages::sheet::NewSheet;
use serde_json::json;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "offline.html")]
struct OfflinePage {
    p: Page,
    n: NewSheet,
}

/// 200, the page that the service worker keeps.
pub async fn offline(State(state): State<NodePages>, guest: Guest) -> Result<Response, Oops> {
    let desk = &state.pages.desk;
    let own = match desk.own_store().await {
        Ok(Some(store)) => Own::at(desk, &store).await?,
        // Before the node belongs to a store nobody adds anything.
        _ => Arc::default(),
    };
    html(&OfflinePage { p: guest.page, n: NewSheet::for_nobody(&own) })
}

/// 200, what the app is called and how it looks.
pub async fn manifest(State(state): State<NodePages>) -> Response {
    let company = &state.pages.desk.house().company;
    let icon = |name: &str, sizes: &str, kind: &str, purpose: &str| json!({"src": format!("{}/{name}", assets::base()), "sizes": sizes, "type": kind, "purpose": purpose});
    let body = json!({
        "name": company, "short_name": company, "start_url": "/", "scope": "/", "display": "standalone",
        "background_color": "#f4f6f8", "theme_color": "#1f4fa3",
        "icons": [
            icon("icon.svg", "any", "image/svg+xml", "any"),
            icon("icon-192.png", "192x192", "image/png", "any"),
            icon("icon-512.png", "512x512", "image/png", "any"),
            icon("icon-maskable-512.png", "512x512", "image/png", "maskable"),
        ],
    });
    let headers = [(CONTENT_TYPE, "application/manifest+json"), (CACHE_CONTROL, "no-cache")];
    (headers, body.to_string()).into_response()
}

/// 200, the service worker: another one whenever any of the files has changed.
pub async fn worker() -> Response {
    let names: Vec<String> = assets::ASSETS.iter().map(|asset| format!("{}/{}", assets::base(), asset.name)).collect();
    let names = serde_json::to_string(&names).unwrap_or_default();
    let text =
        format!("const BASE = \"{}\";\nconst ASSETS = {names};\n{}", assets::base(), include_str!("phone/worker.js"));
    let headers = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}
