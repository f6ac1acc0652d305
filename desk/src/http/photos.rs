//! Photos and other files of incidents.

use super::content::{may_leave, whole_or_part};
use super::door::Door;
use super::multipart;
use crate::desk::Desk;
use crate::ledger::Photo;
use crate::photos::travels::{self, Whereabouts};
use crate::photos::{self, Delivery, Variant, Wait};
use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Response};
use chassis::disk::Content;
use chassis::http::{ETag, Json, Path, Problem};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use uuid::Uuid;

/// Photos.
#[derive(Serialize, ToSchema)]
pub struct PhotoList {
    /// In the order of the request.
    pub items: Vec<Photo>,
}

/// Files of an incident.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a multipart form")]
pub struct PhotoForm {
    /// A photo or another file; repeatable. At most 50 MiB each, or less where headquarters takes less.
    #[schema(content_media_type = "application/octet-stream", value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What its taker says about the files that follow it.
    #[schema(max_length = 1000)]
    caption: Option<String>,
}

/// Add photos to an incident
///
/// Streamed to the disk; answered once everything is durable. What cannot be shown is kept as evidence (`undecodable`); what
/// would explode when it is opened is refused (422). The same file is added once. Where one of several files is refused the others are added,
/// and the problem names them.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/photos", tag = "photos", operation_id = "add_photos",
    params(("id" = Uuid, Path, description = "The incident")),
    request_body(content = PhotoForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The photos", body = PhotoList))
)]
pub async fn add(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(incident_id): Path<Uuid>,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Response, Problem> {
    photos::admit(&desk, &actor, incident_id).await?;
    desk.blobs().guard().admit(Content::Photo)?;
    let _room = arriving(&desk)?;
    let form = form
        .map_err(|_| Problem::unsupported_media("send the files as multipart/form-data, each in a field named file"))?;
    let (mut items, mut refused) = (Vec::new(), None);
    for new in multipart::receive(&desk, form).await? {
        let filename = new.filename.clone();
        match photos::add(&desk, &actor, incident_id, new).await {
            Ok(photo) => items.push(photo),
            Err(error) => {
                refused.get_or_insert((filename, Problem::from(error)));
            }
        }
    }
    match refused {
        None => Ok((StatusCode::CREATED, Json(PhotoList { items })).into_response()),
        Some((_, problem)) if items.is_empty() => Err(problem),
        // One file that cannot be taken is no reason to lose the others, and whoever sent them has to know.
        Some((filename, problem)) => {
            let added: Vec<&str> = items.iter().map(|photo| photo.filename.as_str()).collect();
            let detail = format!("{filename}: {}; added were {}", problem.detail, added.join(", "));
            Err(Problem { detail, ..problem })
        }
    }
}

/// Room for what arrives, until it has.
///
/// # Errors
/// 503 where too much arrives already.
pub fn arriving(desk: &Desk) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(desk.arriving())
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("busy", "too many files arrive at once; send it again in a moment", 2))
}

/// A photo, and where it is.
#[derive(Serialize, ToSchema)]
pub struct PhotoStatus {
    #[serde(flatten)]
    photo: Photo,
    #[serde(flatten)]
    whereabouts: Whereabouts,
}

/// What is known of a photo
///
/// Whether its pictures are made, what of it is here, and how far it has got to headquarters.
#[utoipa::path(
    get, path = "/api/v1/photos/{id}", tag = "photos", operation_id = "get_photo",
    params(("id" = Uuid, Path, description = "The photo")),
    responses((status = 200, description = "The photo", body = PhotoStatus))
)]
pub async fn get(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    let file = photos::get(&desk, &actor, id).await?;
    let whereabouts = travels::whereabouts(&desk, &file).await?;
    let status = PhotoStatus { photo: file.photo, whereabouts };
    Ok(([(CACHE_CONTROL, "no-store")], Json(status)).into_response())
}

macro_rules! picture {
    ($name:ident, $variant:ident, $path:literal, $operation:literal, $summary:literal, $what:literal) => {
        #[doc = $summary]
        ///
        /// 202 while it is being made or on its way. Ranges are answered.
        #[utoipa::path(
            get, path = $path, tag = "photos", operation_id = $operation,
            params(("id" = Uuid, Path, description = "The photo")),
            responses(
                (status = 200, description = $what, content_type = "application/octet-stream"),
                (status = 202, description = "Being made, or on its way: come back after `Retry-After`", body = Waiting),
                (status = 206, description = "A part of it"),
                (status = 304, description = "The client has it already"),
                (status = 416, description = "There is no such part"),
            )
        )]
        pub async fn $name(
            State(desk): State<Desk>,
            Door(actor): Door,
            Path(id): Path<Uuid>,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            if headers.contains_key(IF_NONE_MATCH)
                && let Some(digest) = photos::known_content(&desk, &actor, id, Variant::$variant).await?
                && let Some(known) = not_modified(&digest, &headers)
            {
                return Ok(known);
            }
            answer(&desk, photos::deliver(&desk, &actor, id, Variant::$variant).await?, &headers).await
        }
    };
}

picture!(
    display,
    Display,
    "/api/v1/photos/{id}/display",
    "get_display",
    "The picture to look at",
    "A JPEG that fits into 1600×1200, upright, without metadata"
);
picture!(
    thumbnail,
    Thumbnail,
    "/api/v1/photos/{id}/thumbnail",
    "get_thumbnail",
    "The thumbnail",
    "A JPEG that fits into 320×240, upright, without metadata"
);
picture!(
    original,
    Original,
    "/api/v1/photos/{id}/original",
    "get_original",
    "The original, byte for byte",
    "What was uploaded"
);

/// What a picture that is not there yet says.
#[derive(Serialize, ToSchema)]
pub struct Waiting {
    /// `processing`: it is being made. `on_its_way`: the other side sends it.
    #[schema(pattern = "^(processing|on_its_way)$")]
    state: &'static str,
    /// How much of it is here, of a hundred, where that is known.
    #[schema(required = true, maximum = 100)]
    percent: Option<u8>,
    /// In words.
    detail: String,
}

fn later(wait: Wait) -> Response {
    let waiting = match wait {
        Wait::Making => Waiting {
            state: "processing",
            percent: None,
            detail: "the picture is being made: it will be here in a moment".to_owned(),
        },
        Wait::OnItsWay(percent) => Waiting {
            state: "on_its_way",
            percent,
            detail: match percent {
                Some(percent) => format!("it is on its way from the other side: {percent} % of it are here"),
                None => "it is not here yet; the other side was asked for it and sends it as soon as there is a line"
                    .to_owned(),
            },
        },
    };
    (StatusCode::ACCEPTED, [(RETRY_AFTER, "1"), (CACHE_CONTROL, "no-store")], Json(waiting)).into_response()
}

/// What is said of a content whatever becomes of the request.
fn kept(digest: &str) -> (ETag, HeaderMap) {
    let tag = ETag::new(digest);
    let mut kept = HeaderMap::new();
    kept.insert(ETAG, tag.header_value());
    kept.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    (tag, kept)
}

/// That the client has it already, where it has.
fn not_modified(digest: &str, headers: &HeaderMap) -> Option<Response> {
    let (tag, kept) = kept(digest);
    tag.not_modified(headers).then(|| (StatusCode::NOT_MODIFIED, kept).into_response())
}

async fn answer(desk: &Desk, delivery: Delivery, headers: &HeaderMap) -> Result<Response, Problem> {
    let (sha256, media_type, filename) = match delivery {
        Delivery::Here { sha256, media_type, filename } => (sha256, media_type, filename),
        Delivery::Later(wait) => return Ok(later(wait)),
    };
    let digest = sha256.to_string();
    if let Some(known) = not_modified(&digest, headers) {
        return Ok(known);
    }
    let (_, mut kept) = kept(&digest);
    let reading = desk.blobs().open_read(sha256).await.map_err(photos::disk).map_err(Problem::from)?;
    let Some(reading) = reading else {
        // Somebody removed the file: whoever else has it is asked for it.
        tracing::error!(%sha256, "a content is not in its place; it is fetched from the other side where that has it");
        desk.ledger().lose_blob(sha256).await?;
        desk.want(sha256);
        return Ok(later(Wait::OnItsWay(None)));
    };
    if !may_leave(desk, &reading, sha256).await? {
        return Ok(later(Wait::OnItsWay(None)));
    }
    if let Ok(media_type) = HeaderValue::from_str(&media_type) {
        kept.insert(CONTENT_TYPE, media_type);
    }
    if let Some(filename) = filename.as_deref().map(attachment) {
        kept.insert(CONTENT_DISPOSITION, filename);
    }
    let mut response = whole_or_part(desk, reading, sha256, headers, ());
    response.headers_mut().extend(kept);
    Ok(response)
}

/// Saved rather than opened: the content is whatever somebody uploaded (RFC 6266).
fn attachment(filename: &str) -> HeaderValue {
    let plain: String = filename
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let encoded: String = filename
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}
