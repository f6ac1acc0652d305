//! `/api/v1/erasures` and `/api/v1/incidents/{id}/hold`, at headquarters.

use super::door::Door;
use super::incidents::whole;
use super::object::Object;
use super::schema::Incident;
use crate::desk::Desk;
use crate::erasures::{self, ErasureItem, NewErasure};
use crate::incidents::query;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use chassis::http::{Json, Path, Problem, QueryPairs};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What to erase: at least one of `person_id`, `fields`, `comments` and `photos`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// The incident.
    pub incident_id: Uuid,
    /// Somebody in it: everything but their roles.
    pub person_id: Option<Uuid>,
    /// Whole fields of it: `title`, `description`, `location`, `subcategory`, `tags`, and members of `people`, `items`, `custom`,
    /// `police` and `cctv`, such as `custom.register`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Comments on it, and steps with a reason.
    #[serde(default)]
    pub comments: Vec<Uuid>,
    /// Photos of it, with their contents.
    #[serde(default)]
    pub photos: Vec<Uuid>,
    /// All photos of it.
    #[serde(default)]
    pub all_photos: bool,
    /// Why. Seen by the store too: no personal data here.
    #[schema(schema_with = super::schema::filled::<2000>)]
    pub reason: String,
}

/// Orders.
#[derive(Serialize, ToSchema)]
pub struct Erasures {
    /// Newest first.
    items: Vec<ErasureItem>,
}

/// Why an incident is held.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// Why.
    #[schema(schema_with = super::schema::filled::<2000>)]
    pub reason: String,
}

/// Erase data
///
/// Takes the named values out of every site's log, tables, files and indexes, for good: they cannot be brought back. What is counted
/// stays. Each site confirms by itself; backups are not reached. For headquarters.
#[utoipa::path(
    post, path = "/api/v1/erasures", operation_id = "order_erasure", tag = "fleet",
    request_body = ErasureRequest,
    responses(
        (status = 201, description = "Ordered, and done in headquarters' tables; each site's receipt follows", body = ErasureItem),
        (status = 409, description = "Somebody holds the incident")
    )
)]
pub async fn order(
    State(desk): State<Desk>,
    Door(actor): Door,
    Object(request): Object<ErasureRequest>,
) -> Result<(StatusCode, Json<ErasureItem>), Problem> {
    let new = NewErasure {
        incident_id: request.incident_id,
        person_id: request.person_id,
        fields: request.fields,
        comments: request.comments,
        photos: request.photos,
        all_photos: request.all_photos,
        reason: request.reason,
    };
    Ok((StatusCode::CREATED, Json(erasures::order(&desk, &actor, new).await?)))
}

/// List erasures
///
/// And which site has carried each one out. For headquarters.
#[utoipa::path(
    get, path = "/api/v1/erasures", operation_id = "list_erasures", tag = "fleet",
    params(
        ("store" = Option<String>, Query, description = "Only this store's"),
        ("incident" = Option<Uuid>, Query, description = "Only this incident's"),
        ("limit" = Option<u32>, Query, description = "At most how many; 100 where it is left out", minimum = 1, maximum = 200)
    ),
    responses((status = 200, description = "Newest first", body = Erasures))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, pairs: QueryPairs) -> Result<Json<Erasures>, Problem> {
    pairs.only(&["store", "incident", "limit"])?;
    let limit = pairs.one("limit")?.map(|limit| query::whole(limit, 1, query::MAX_LIMIT)).transpose();
    let limit = limit.map_err(|message| Problem::invalid("limit", message))?.unwrap_or(erasures::DEFAULT_LIMIT);
    let store = pairs.one("store")?.map(ToOwned::to_owned);
    let incident = pairs.one("incident")?.map(Uuid::try_parse).transpose();
    let incident = incident.map_err(|_| Problem::invalid("incident", "must be a UUID"))?;
    Ok(Json(Erasures { items: erasures::list(&desk, &actor, store, incident, limit).await? }))
}

/// Hold an incident
///
/// Nothing of it can be erased until the hold is released. For headquarters.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/hold", operation_id = "hold_incident", tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident")),
    request_body = HoldRequest,
    responses((status = 200, description = "Held", body = Incident), (status = 409, description = "Somebody holds it already"))
)]
pub async fn hold(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    Object(request): Object<HoldRequest>,
) -> Result<Response, Problem> {
    Ok(whole(erasures::hold(&desk, &actor, id, Some(request.reason)).await?).into_response())
}

/// Release an incident
///
/// Ends a hold; who held it and why stays in the history. For headquarters.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/release", operation_id = "release_incident", tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, description = "Not held", body = Incident))
)]
pub async fn release(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    Ok(whole(erasures::hold(&desk, &actor, id, None).await?).into_response())
}
