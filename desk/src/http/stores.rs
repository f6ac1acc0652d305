//! Stores.

use super::door::Door;
use super::object::Object;
use super::schema::filled;
use crate::desk::Desk;
use crate::ledger::Store;
use crate::stores::{self, NewStore, StoreEdit};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem, QueryPairs};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Stores.
#[derive(Serialize, ToSchema)]
pub struct Stores {
    /// By code.
    items: Vec<Store>,
}

/// A store to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreRequest {
    /// Its code; zeros in front count.
    #[schema(min_length = 1, max_length = 16, pattern = "^[A-Za-z0-9_-]{1,16}$")]
    code: String,
    /// Its name.
    #[schema(schema_with = filled::<200>)]
    name: String,
    /// IANA time zone; UTC where it is left out.
    #[schema(min_length = 1, max_length = 100, example = "America/Chicago")]
    timezone: Option<String>,
}

/// What a store becomes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorePatch {
    /// Its name.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
    )]
    name: Option<String>,
    /// IANA time zone.
    #[schema(min_length = 1, max_length = 100, example = "America/Chicago")]
    timezone: Option<String>,
}

/// List stores
///
/// A store's people see their own, headquarters sees all.
#[utoipa::path(
    get, path = "/api/v1/stores", tag = "stores", operation_id = "list_stores",
    responses((status = 200, description = "By code", body = Stores))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, query: QueryPairs) -> Result<Json<Stores>, Problem> {
    query.only(&[])?;
    Ok(Json(Stores { items: stores::list(&desk, &actor).await? }))
}

/// Make a store
///
/// For administrators, at headquarters.
#[utoipa::path(
    post, path = "/api/v1/stores", tag = "stores", operation_id = "add_store", request_body = StoreRequest,
    responses((status = 201, description = "The store", body = Store))
)]
pub async fn add(
    State(desk): State<Desk>,
    Door(actor): Door,
    Object(request): Object<StoreRequest>,
) -> Result<Response, Problem> {
    let new = NewStore { code: request.code, name: request.name, timezone: request.timezone };
    Ok((StatusCode::CREATED, Json(stores::add(&desk, &actor, new).await?)).into_response())
}

/// Change a store
///
/// For administrators, at headquarters. Its code is for ever.
#[utoipa::path(
    patch, path = "/api/v1/stores/{code}", tag = "stores", operation_id = "edit_store",
    params(("code" = String, Path, description = "The store's code")),
    request_body = StorePatch,
    responses((status = 200, description = "The store", body = Store))
)]
pub async fn edit(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(code): Path<String>,
    Object(patch): Object<StorePatch>,
) -> Result<Json<Store>, Problem> {
    let edit = StoreEdit { name: patch.name, timezone: patch.timezone };
    Ok(Json(stores::edit(&desk, &actor, &code, edit).await?))
}
