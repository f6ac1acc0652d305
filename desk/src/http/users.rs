//! Accounts.

use super::door::Door;
use super::object::Object;
use super::schema::Account;
use crate::accounts::{self, AccountEdit, NewAccount};
use crate::actor::Role;
use crate::desk::Desk;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem, QueryPairs};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Accounts.
#[derive(Serialize, ToSchema)]
pub struct Accounts {
    /// By username.
    items: Vec<Account>,
}

/// An account to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// For ever. Capital letters are taken as small ones.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    username: String,
    /// What people see; the username where it is left out.
    #[schema(max_length = 200)]
    display_name: Option<String>,
    /// What it may do.
    role: Role,
    /// Its store: required for employees and managers, left out for everybody else.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,16}$")]
    store_code: Option<String>,
    /// The password.
    #[schema(min_length = 8, max_length = 200, format = "password")]
    password: String,
}

/// What an account becomes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// What people see.
    #[schema(max_length = 200)]
    display_name: Option<String>,
    /// What it may do. A store's account stays one, and so does headquarters'.
    role: Option<Role>,
    /// Its store, which is where it is already: an account does not move.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,16}$")]
    store_code: Option<Option<String>>,
    /// Whether it may log in. Ending that ends its sessions.
    active: Option<bool>,
    /// A new password. Ends its sessions.
    #[schema(min_length = 8, max_length = 200, format = "password")]
    password: Option<String>,
}

/// Tells `null` from what is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// List accounts
///
/// Managers see those of their store, headquarters sees all.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "list_users",
    responses((status = 200, description = "By username", body = Accounts))
)]
pub async fn list(State(desk): State<Desk>, Door(actor): Door, query: QueryPairs) -> Result<Json<Accounts>, Problem> {
    query.only(&[])?;
    let items = accounts::list(&desk, &actor).await?;
    Ok(Json(Accounts { items: items.into_iter().map(Account::from).collect() }))
}

/// Make an account
///
/// For administrators, at headquarters.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", operation_id = "add_user", request_body = AccountRequest,
    responses((status = 201, description = "The account", body = Account))
)]
pub async fn add(
    State(desk): State<Desk>,
    Door(actor): Door,
    Object(request): Object<AccountRequest>,
) -> Result<Response, Problem> {
    let AccountRequest { username, display_name, role, store_code, password } = request;
    let account =
        accounts::add(&desk, &actor, NewAccount { username, display_name, role, store_code, password }).await?;
    Ok((StatusCode::CREATED, Json(Account::from(account))).into_response())
}

/// Change an account
///
/// For administrators, at headquarters.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "users", operation_id = "edit_user",
    params(("id" = Uuid, Path, description = "The account")),
    request_body = AccountPatch,
    responses((status = 200, description = "The account", body = Account))
)]
pub async fn edit(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    Object(patch): Object<AccountPatch>,
) -> Result<Json<Account>, Problem> {
    let AccountPatch { display_name, role, store_code, active, password } = patch;
    let edit = AccountEdit { display_name, role, store_code, active, password };
    Ok(Json(accounts::edit(&desk, &actor, id, edit).await?.into()))
}
