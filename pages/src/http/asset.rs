//! Style and scripts.

use crate::assets;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// 200, to be kept for ever. A page of an older program, still open, gets what there is now, not to be kept.
pub async fn get(Path((digest, name)): Path<(String, String)>) -> Response {
    let Some(asset) = assets::find(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_ours = assets::base().rsplit('/').next() == Some(digest.as_str());
    let keep = if is_ours { "public, max-age=31536000, immutable" } else { "no-store" };
    ([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, keep)], asset.bytes).into_response()
}
