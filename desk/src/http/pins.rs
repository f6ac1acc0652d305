//! The PIN by which somebody comes back to a shared device.

use super::door::Door;
use super::object::Object;
use crate::accounts::pins::{self, Setting};
use crate::desk::Desk;
use axum::extract::State;
use chassis::http::{Asker, Problem};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// A PIN to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// 4 to 8 digits, not all the same and no row such as 1234.
    #[schema(pattern = "^[0-9]{4,8}$", format = "password")]
    pin: String,
    /// The password of whoever is logged in: it is shown again.
    #[schema(min_length = 1, max_length = 200, format = "password")]
    password: String,
}

/// Set my PIN
///
/// It counts in browsers on which I have logged in with the password lately, on the page for switching users; nowhere else, and never at
/// another site. Where PINs are switched off: 404.
#[utoipa::path(
    put, path = "/api/v1/me/pin", tag = "session", operation_id = "set_pin", request_body = PinRequest,
    responses(
        (status = 204, description = "It is set"),
        (status = 404, description = "PINs are switched off at this site"),
        (status = 429, description = "Too many wrong passwords: wait")
    )
)]
pub async fn set(
    State(desk): State<Desk>,
    Door(actor): Door,
    asker: Asker,
    Object(PinRequest { pin, password }): Object<PinRequest>,
) -> Result<StatusCode, Problem> {
    asker.may_guess().map_err(Problem::too_many)?;
    match pins::set(&desk, &actor, password, pin).await? {
        Setting::Set => Ok(StatusCode::NO_CONTENT),
        Setting::Wrong => {
            asker.guessed_wrong();
            Err(Problem::invalid("password", "is wrong"))
        }
        Setting::Wait { retry_after_s } => Err(Problem::too_many(retry_after_s)),
    }
}

/// Remove my PIN
///
/// From then on every device asks me for the password.
#[utoipa::path(
    delete, path = "/api/v1/me/pin", tag = "session", operation_id = "remove_pin",
    responses(
        (status = 204, description = "There is none any more"),
        (status = 404, description = "PINs are switched off at this site")
    )
)]
pub async fn remove(State(desk): State<Desk>, Door(actor): Door) -> Result<StatusCode, Problem> {
    pins::remove(&desk, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
