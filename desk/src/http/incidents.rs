//! Incidents.

use super::door::Door;
use super::kept;
use super::reports::base_url;
use super::schema::{FilterParams, Incident, IncidentPage, IncidentPatch, NewIncident, PageParams};
use crate::cache::Kind;
use crate::desk::Desk;
use crate::incidents::body::Body;
use crate::incidents::{self, IfMatch, Shown, answer, draft, patch as patching, query};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use chassis::http::{ETag, Json, Path, Problem, QueryPairs};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use uuid::Uuid;

/// List incidents
///
/// Newest first by `occurred_at`, then `id`. A repeated parameter means either of its values.
#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incidents", operation_id = "list_incidents",
    params(FilterParams, PageParams),
    responses(
        (status = 200, description = "A page", body = IncidentPage, headers(("ETag" = String, description = "Strong"))),
        (status = 304, description = "The client has it already"),
    )
)]
pub async fn list(
    State(desk): State<Desk>,
    Door(actor): Door,
    QueryPairs(pairs): QueryPairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query::list(&pairs)?;
    let page = || async { Ok(incidents::list(&desk, &actor, query).await?) };
    kept::json(&desk, &actor, Kind::List, &pairs, &headers, page).await
}

/// Record an incident
///
/// Answered once it is durable. The same `id` or `Idempotency-Key` with the same content records nothing new and
/// answers 201 with the same `Location`; with other content 409.
#[utoipa::path(
    post, path = "/api/v1/incidents", tag = "incidents", operation_id = "create_incident",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 printable characters", min_length = 1, max_length = 200, pattern = "^[!-~]+$")),
    request_body = NewIncident,
    responses((status = 201, description = "Recorded", body = Incident, headers(
        ("Location" = String, description = "The incident's address"), ("ETag" = String, description = "Strong"),
    )))
)]
pub async fn create(
    State(desk): State<Desk>,
    Door(actor): Door,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<Response, Problem> {
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => Some(
            key.to_str()
                .map_err(|_| Problem::invalid("Idempotency-Key", "must be printable characters"))?
                .to_owned(),
        ),
    };
    let shown = draft::create(&desk, &actor, body, key).await?;
    let location = format!("/api/v1/incidents/{}", shown.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], whole(shown)).into_response())
}

/// Read an incident
///
/// Whole, with people, photos and comments. 410 where it is deleted.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "get_incident",
    params(("id" = Uuid, Path, description = "The incident"), ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the client has already")),
    responses(
        (status = 200, description = "The incident", body = Incident, headers(("ETag" = String, description = "Strong"))),
        (status = 304, description = "The client has it already"),
    )
)]
pub async fn get(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if headers.contains_key(IF_NONE_MATCH)
        && let Some(tag) = incidents::known_tag(&desk, &actor, id).await?
        && let Some(known) = not_modified(&tag, &headers)
    {
        return Ok(known);
    }
    let shown = incidents::get(&desk, &actor, id).await?;
    Ok(not_modified(shown.etag.trim_matches('"'), &headers).unwrap_or_else(|| whole(shown).into_response()))
}

/// Change an incident
///
/// A JSON merge patch (RFC 7396): what is not named stays, `null` takes away, a list replaces the list that was there
/// (elements keep their `id`). `status` moves it on in its workflow; `reason` goes with it and is required for `void`.
#[utoipa::path(
    patch, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "patch_incident",
    params(("id" = Uuid, Path, description = "The incident"), ("If-Match" = Option<String>, Header, description = "The `ETag` that the change is meant for")),
    request_body(content((IncidentPatch = "application/merge-patch+json"), (IncidentPatch = "application/json"))),
    responses((status = 200, description = "The whole incident as it is now", body = Incident, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn patch(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    uri: Uri,
    MergePatch(body): MergePatch,
) -> Result<Response, Problem> {
    // A report that is rendered before anybody asks leads there.
    desk.was_reached_at(&base_url(&desk, &headers, &uri));
    Ok(whole(patching::patch(&desk, &actor, id, if_match(&headers), body).await?).into_response())
}

/// Delete an incident
///
/// For managers. It keeps its history and can be brought back.
#[utoipa::path(
    delete, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "delete_incident",
    params(("id" = Uuid, Path, description = "The incident"), ("If-Match" = Option<String>, Header, description = "The `ETag` that the deletion is meant for")),
    responses((status = 204, description = "Deleted"))
)]
pub async fn delete(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    incidents::delete(&desk, &actor, id, if_match(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring a deleted incident back
///
/// For managers.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/restore", tag = "incidents", operation_id = "restore_incident",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, description = "The whole incident", body = Incident, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn restore(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    Ok(whole(incidents::restore(&desk, &actor, id).await?).into_response())
}

/// That the client has the answer of that `ETag` already, where it has.
fn not_modified(tag: &str, headers: &HeaderMap) -> Option<Response> {
    let tag = ETag::new(tag);
    let answered = [(ETAG, tag.header_value()), (CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))];
    tag.not_modified(headers).then(|| (StatusCode::NOT_MODIFIED, answered).into_response())
}

/// A whole incident with its `ETag`. A client may keep it, but has to ask whether it is still right.
pub(super) fn whole(shown: Shown) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (ETAG, shown.etag),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    (headers, shown.json)
}

/// What `If-Match` demands. A weak tag never matches (RFC 9110, 13.1.1); `*` demands no more than that it exists.
pub(super) fn if_match(headers: &HeaderMap) -> IfMatch {
    let mut values = headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default()).peekable();
    if values.peek().is_none() {
        return IfMatch::Absent;
    }
    // Tags of ours hold no comma, so a comma always parts two of them.
    let tags: Vec<String> =
        values.flat_map(|value| value.split(',')).map(|tag| answer::without_place(tag.trim())).collect();
    if tags.iter().any(|tag| tag == "*") {
        IfMatch::Absent
    } else {
        IfMatch::Tags(tags)
    }
}

/// A merge patch; `application/json` is taken as one.
pub struct MergePatch(pub(super) Body);

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !matches!(kind.as_str(), "application/merge-patch+json" | "application/json") {
            return Err(Problem::unsupported_media("send the patch as application/merge-patch+json"));
        }
        let Json(body) = <Json<Body> as FromRequest<S>>::from_request(request, state).await?;
        Ok(Self(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_lists_and_the_star_and_no_weak_tags() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            if_match(&headers)
        };
        let fits = |values: &[&'static str]| read(values).check(Some("\"a\"")).is_ok();
        assert_eq!(read(&[]), IfMatch::Absent);
        assert!(fits(&["*"]) && fits(&["\"a\""]) && fits(&["\"b\", \"a\""]) && fits(&["\"b\"", "\"a\""]));
        assert!(!fits(&["W/\"a\""]) && !fits(&["\"b\""]) && !fits(&[""]) && !fits(&["a"]));
    }
}
