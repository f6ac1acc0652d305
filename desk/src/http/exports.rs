//! Exports.

use super::door::Door;
use super::schema::{ExportFormat, FilterParams, Incident};
use crate::desk::Desk;
use crate::exports;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{Problem, QueryPairs};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

/// Export incidents
///
/// For managers. Streamed: a file of any length; one that ends before its end was not sent whole. JSON is an array of
/// whole incidents; CSV has a header row, and lists as JSON in their cell.
#[utoipa::path(
    get, path = "/api/v1/incidents/export", tag = "incidents", operation_id = "export_incidents",
    params(("format" = inline(ExportFormat), Query, description = "The file's format"), FilterParams),
    responses((status = 200, description = "The file", content(
        (Vec<Incident> = "application/json"), (String = "text/csv"),
    ), headers(("Content-Disposition" = String, description = "The file's name"))))
)]
pub async fn export(
    State(desk): State<Desk>,
    Door(actor): Door,
    QueryPairs(pairs): QueryPairs,
) -> Result<Response, Problem> {
    let (format, filter) = exports::read(&pairs)?;
    let file = exports::write(&desk, &actor, format, filter).await?;
    let now: String = format_rfc3339(desk.now_ms()).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let name = format!(
        "attachment; filename=\"incidents-{}Z.{}\"",
        now.split(['.', 'Z']).next().unwrap_or_default(),
        format.extension()
    );
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(file)).into_response())
}
