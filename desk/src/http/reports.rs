//! Reports on paper.

use super::door::{Door, authority, is_loopback};
use crate::desk::Desk;
use crate::reports::Paper;
use crate::reports::order::{self, Look};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{ETag, Path, Problem, QueryPairs};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use uuid::Uuid;

/// An incident's report
///
/// A PDF for a file, an insurer or the police: never older than the incident. `paper` is `a4` or `letter`; without it, what
/// is usual where the store is.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/report.pdf", tag = "incidents", operation_id = "incident_report",
    params(
        ("id" = Uuid, Path, description = "The incident"),
        ("paper" = Option<String>, Query, description = "What it is printed on", pattern = "^(a4|letter)$"),
    ),
    responses(
        (status = 200, description = "The report", content_type = "application/pdf", headers(("ETag" = String, description = "Strong"))),
        (status = 304, description = "The client has it already"),
    )
)]
pub async fn report(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    QueryPairs(pairs): QueryPairs,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let look = look(&desk, &pairs, &headers, &uri)?;
    let printed = order::of_incident(&desk, &actor, id, &look).await?;
    let tag = ETag::of(&[printed.digest.as_bytes()]);
    let mut answered = HeaderMap::new();
    answered.insert(ETAG, tag.header_value());
    answered.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if tag.not_modified(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, answered).into_response());
    }
    answered.insert(CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    if let Ok(name) = HeaderValue::from_str(&format!("inline; filename=\"incident-{}.pdf\"", printed.name)) {
        answered.insert(CONTENT_DISPOSITION, name);
    }
    Ok((answered, printed.pdf).into_response())
}

fn look(desk: &Desk, pairs: &[(String, String)], headers: &HeaderMap, uri: &Uri) -> Result<Look, Problem> {
    let mut paper = None;
    for (name, value) in pairs {
        paper = match (name.as_str(), value.as_str()) {
            ("paper", "a4") => Some(Paper::A4),
            ("paper", "letter") => Some(Paper::Letter),
            ("paper", _) => return Err(Problem::invalid("paper", "must be a4 or letter")),
            _ => return Err(Problem::invalid(name.clone(), "there is no such parameter: only paper")),
        };
    }
    let base_url = base_url(desk, headers, uri);
    desk.was_reached_at(&base_url);
    Ok(Look { paper, base_url })
}

/// Where the site is reached: as it was configured, else as this client reaches it.
#[must_use]
pub fn base_url(desk: &Desk, headers: &HeaderMap, uri: &Uri) -> String {
    if let Some(url) = &desk.house().public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let scheme = if is_loopback(headers, uri) { "http" } else { "https" };
    let host = authority(headers, uri).and_then(|text| text.parse::<http::uri::Authority>().ok());
    host.map_or_else(String::new, |host| format!("{scheme}://{host}"))
}
