//! Exports.

use super::door::Door;
use super::reports::base_url;
use super::schema::{ExportFormat, FilterParams, Incident};
use crate::desk::Desk;
use crate::exports;
use crate::reports::order::Look;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{Problem, QueryPairs};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, Uri};

/// Export incidents
///
/// For managers. Streamed: a file of any length; one that ends before its end was not sent whole. JSON is an array of
/// whole incidents; CSV and XLSX have a header row, and lists as JSON in their cell; PDF is one document of at most 500
/// reports, ZIP an archive of them.
#[utoipa::path(
    get, path = "/api/v1/incidents/export", tag = "incidents", operation_id = "export_incidents",
    params(("format" = inline(ExportFormat), Query, description = "The file's format"), FilterParams),
    responses((status = 200, description = "The file", content(
        (Vec<Incident> = "application/json"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (Vec<u8> = "application/pdf"), (Vec<u8> = "application/zip"),
    ), headers(("Content-Disposition" = String, description = "The file's name"))))
)]
pub async fn export(
    State(desk): State<Desk>,
    Door(actor): Door,
    QueryPairs(pairs): QueryPairs,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let (format, filter) = exports::read(&pairs)?;
    let look = Look { paper: None, base_url: base_url(&desk, &headers, &uri) };
    let file = exports::write(&desk, &actor, format, filter, look).await?;
    let now: String = format_rfc3339(desk.now_ms()).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let name = format!(
        "attachment; filename=\"incidents-{}Z.{}\"",
        now.split(['.', 'Z']).next().unwrap_or_default(),
        format.extension()
    );
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(file)).into_response())
}
