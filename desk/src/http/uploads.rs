//! Uploads that go on where they were cut: tus 1.0.0 (<https://tus.io/protocols/resumable-upload>).

use super::door::Door;
use super::photos::arriving;
use crate::desk::Desk;
use crate::photos::uploads::owner;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use chassis::http::tus::Tus;
use chassis::http::{Path, Problem};
use http::HeaderMap;
use uuid::Uuid;

/// Bytes of a file, as they are.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "what is told of a body that no handler takes apart")]
pub struct Bytes(Vec<u8>);

async fn tus(desk: &Desk) -> Result<Tus, Problem> {
    let max_bytes = desk.photo_limits().await?.max_bytes;
    Ok(Tus { uploads: desk.uploads().clone(), base: "/api/v1/uploads", max_bytes })
}

/// What is spoken here
#[utoipa::path(
    options, path = "/api/v1/uploads", tag = "photos", operation_id = "describe_uploads", security(()),
    responses((status = 204, description = "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`, `Tus-Checksum-Algorithm`"))
)]
pub async fn options(State(desk): State<Desk>) -> Result<Response, Problem> {
    Ok(tus(&desk).await?.options())
}

/// Begin an upload
///
/// tus 1.0.0, for a photo that may be cut on its way. `Upload-Metadata`: `incident_id`, `filename`, `filetype`, `caption`;
/// `username`, where it shall be refused from anybody else.
#[utoipa::path(
    post, path = "/api/v1/uploads", tag = "photos", operation_id = "begin_upload",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = u64, Header, description = "Bytes in all"),
        ("Upload-Metadata" = String, Header, description = "Pairs of a name and base64"),
    ),
    request_body(content = inline(Bytes), content_type = "application/offset+octet-stream", description = "Its first bytes, or none"),
    responses(
        (status = 201, description = "Begun: go on at `Location`"),
        (status = 429, description = "`too-many-uploads`: go on with, or end, those that are under way"),
        (status = 409, description = "`other-user`: somebody else than `username` is logged in"),
        (status = 412, description = "Another version of tus"),
        (status = 460, description = "The bytes do not fit their checksum"),
    )
)]
pub async fn begin(
    State(desk): State<Desk>,
    Door(actor): Door,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    desk.own_store().await?;
    let _room = arriving(&desk)?;
    Ok(tus(&desk).await?.create(&owner(&actor), &headers, body).await)
}

/// How much of an upload there is
#[utoipa::path(
    head, path = "/api/v1/uploads/{id}", tag = "photos", operation_id = "look_at_upload",
    params(
        ("id" = Uuid, Path, description = "The upload"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 200, description = "`Upload-Offset` and `Upload-Length`; once it is taken, `Content-Location`: the photo"),
        (status = 410, description = "It expired"),
        (status = 412, description = "Another version of tus"),
    )
)]
pub async fn look(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(tus(&desk).await?.head(&owner(&actor), id, &headers).await)
}

/// Send more of an upload
///
/// Clients that can only POST send this, and what looks at and ends an upload, with `X-HTTP-Method-Override`.
#[utoipa::path(
    patch, path = "/api/v1/uploads/{id}", tag = "photos", operation_id = "send_upload",
    params(
        ("id" = Uuid, Path, description = "The upload"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where these bytes begin"),
    ),
    request_body(content = inline(Bytes), content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "Durable; with the last bytes, also taken: `Content-Location`"),
        (status = 410, description = "It expired"),
        (status = 412, description = "Another version of tus"),
        (status = 460, description = "The bytes do not fit their checksum"),
    )
)]
pub async fn send(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let _room = arriving(&desk)?;
    Ok(tus(&desk).await?.patch(&owner(&actor), id, &headers, body).await)
}

/// Give an upload up
#[utoipa::path(
    delete, path = "/api/v1/uploads/{id}", tag = "photos", operation_id = "end_upload",
    params(
        ("id" = Uuid, Path, description = "The upload"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 410, description = "It expired"),
        (status = 412, description = "Another version of tus"),
    )
)]
pub async fn end(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(tus(&desk).await?.delete(&owner(&actor), id, &headers).await)
}

/// For clients that can only POST: `X-HTTP-Method-Override` says what is meant.
pub async fn overridden(
    state: State<Desk>,
    door: Door,
    id: Path<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    match headers.get("x-http-method-override").map(http::HeaderValue::as_bytes) {
        Some(b"PATCH") => send(state, door, id, headers, body).await,
        Some(b"DELETE") => end(state, door, id, headers).await,
        Some(b"HEAD") => look(state, door, id, headers).await,
        _ => Err(Problem::method_not_allowed()),
    }
}
