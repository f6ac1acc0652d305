//! `/`: says what this is and where to go.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

const PAGE: &str = concat!(
    r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A.I.ncident hub</title>
<h1>A.I.ncident hub</h1>
<p>This is headquarters' side, version "#,
    env!("CARGO_PKG_VERSION"),
    r#".</p>
<ul>
<li><a href="/docs">What the API answers</a>
<li><a href="/readyz">Whether it is ready</a>
<li><a href="/metrics">What it has measured</a>
</ul>
</html>
"#
);

/// The routes.
pub fn routes() -> Router {
    Router::new().route("/", get(|| async { Html(PAGE) }))
}
