//! tus 1.0.0 over [`Uploads`]: creation, creation-with-upload, checksum, termination, expiration
//! (<https://tus.io/protocols/resumable-upload>). A site's handlers say who asks and where uploads live.

use super::Problem;
use crate::disk::NoRoom;
use crate::uploads::{Appended, Checksum, Metadata, Upload, UploadError, Uploads};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The version spoken.
pub const VERSION: &str = "1.0.0";
/// What `PATCH` carries.
pub const MEDIA_TYPE: &str = "application/offset+octet-stream";
/// Longest `Upload-Metadata`, in bytes.
const MOST_METADATA: usize = 8 * 1024;
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");

/// Where uploads live and how large they may be.
#[derive(Clone)]
pub struct Tus {
    /// The uploads.
    pub uploads: Uploads,
    /// The path of the collection, without a slash at its end.
    pub base: &'static str,
    /// The largest upload, in bytes.
    pub max_bytes: u64,
}

impl Tus {
    /// `OPTIONS`: what is spoken here. 204.
    #[must_use]
    pub fn options(&self) -> Response {
        let headers = [
            (TUS_RESUMABLE, HeaderValue::from_static(VERSION)),
            (TUS_VERSION, HeaderValue::from_static(VERSION)),
            (TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS)),
            (TUS_MAX_SIZE, HeaderValue::from(self.max_bytes)),
            (TUS_CHECKSUM_ALGORITHM, HeaderValue::from_static("sha1,sha256")),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    }

    /// `POST`: begins an upload, with its first bytes where there are any. 201 with `Location`; 400, 412, 413, 415, 422, 460, 507.
    pub async fn create(&self, owner: &str, headers: &HeaderMap, body: Body) -> Response {
        self.answer(self.begin(owner, headers, body).await)
    }

    /// `HEAD`: how much there is. 200; 404, 410, 412.
    pub async fn head(&self, owner: &str, id: Uuid, headers: &HeaderMap) -> Response {
        let looked = match spoken(headers) {
            Ok(()) => self.look(owner, id).await,
            Err(problem) => Err(problem),
        };
        self.answer(looked)
    }

    /// `PATCH`: more of it. 204; 404, 409, 410, 412, 413, 415, 460, 507.
    pub async fn patch(&self, owner: &str, id: Uuid, headers: &HeaderMap, body: Body) -> Response {
        self.answer(self.more(owner, id, headers, body).await)
    }

    /// `DELETE`: gives it up. 204; 404, 410, 412.
    pub async fn delete(&self, owner: &str, id: Uuid, headers: &HeaderMap) -> Response {
        self.answer(self.terminate(owner, id, headers).await)
    }

    /// Seals every answer with the version, problems too.
    fn answer(&self, result: Result<Response, Problem>) -> Response {
        let mut response = result.unwrap_or_else(IntoResponse::into_response);
        response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
        if response.status() == StatusCode::PRECONDITION_FAILED {
            response.headers_mut().insert(TUS_VERSION, HeaderValue::from_static(VERSION));
        }
        response
    }

    async fn begin(&self, owner: &str, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        spoken(headers)?;
        if headers.contains_key(UPLOAD_DEFER_LENGTH) {
            return Err(Problem::bad_request("Upload-Defer-Length is not spoken here: send Upload-Length"));
        }
        let length = number(headers, &UPLOAD_LENGTH)?;
        if length > self.max_bytes {
            let most = self.max_bytes / (1024 * 1024);
            return Err(Problem::too_large(format!("a file may have at most {most} MiB")));
        }
        if length == 0 {
            return Err(Problem::invalid("Upload-Length", "the file is empty"));
        }
        let metadata = metadata(headers)?;
        let checksum = checksum(headers)?;
        let with_bytes = headers.get(CONTENT_TYPE).is_some_and(is_offset);
        let upload = self.uploads.create(owner, length, metadata).await.map_err(problem)?;
        let location = format!("{}/{}", self.base, upload.id.hyphenated());
        let upload = if with_bytes {
            self.append(owner, upload.id, 0, checksum, body).await?.upload
        } else {
            upload
        };
        let mut response = (StatusCode::CREATED, [(LOCATION, location)]).into_response();
        describe(&mut response, &upload, with_bytes);
        Ok(response)
    }

    async fn look(&self, owner: &str, id: Uuid) -> Result<Response, Problem> {
        let upload = self.uploads.get(owner, id).await.map_err(problem)?;
        let mut response = (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response();
        describe(&mut response, &upload, true);
        let headers = response.headers_mut();
        headers.insert(UPLOAD_LENGTH, HeaderValue::from(upload.length_bytes));
        let text: Vec<String> =
            upload.metadata.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value))).collect();
        if let Ok(text) = HeaderValue::from_str(&text.join(",")) {
            headers.insert(UPLOAD_METADATA, text);
        }
        Ok(response)
    }

    async fn more(&self, owner: &str, id: Uuid, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        spoken(headers)?;
        if !headers.get(CONTENT_TYPE).is_some_and(is_offset) {
            return Err(Problem::unsupported_media(format!("send the bytes as {MEDIA_TYPE}")));
        }
        let at = number(headers, &UPLOAD_OFFSET)?;
        let checksum = checksum(headers)?;
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|announced| at.saturating_add(announced) > self.max_bytes) {
            return Err(problem(UploadError::TooLong));
        }
        let done = self.append(owner, id, at, checksum, body).await?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        describe(&mut response, &done.upload, true);
        Ok(response)
    }

    async fn append(
        &self,
        owner: &str,
        id: Uuid,
        at: u64,
        checksum: Option<Checksum>,
        body: Body,
    ) -> Result<Appended, Problem> {
        let (uploads, owner) = (self.uploads.clone(), owner.to_owned());
        // On its own: when the client's line is cut, this handler is dropped, and what arrived shall still be noted.
        let work = tokio::spawn(async move { uploads.append(&owner, id, at, checksum, body.into_data_stream()).await });
        work.await.map_err(Problem::internal)?.map_err(problem)
    }

    async fn terminate(&self, owner: &str, id: Uuid, headers: &HeaderMap) -> Result<Response, Problem> {
        spoken(headers)?;
        self.uploads.terminate(owner, id).await.map_err(problem)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

impl std::fmt::Debug for Tus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tus")
            .field("base", &self.base)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

fn describe(response: &mut Response, upload: &Upload, offset: bool) {
    let headers = response.headers_mut();
    if offset {
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.offset_bytes));
    }
    if upload.result.is_none()
        && let Some(expires) = http_date(upload.expires_ms)
    {
        headers.insert(UPLOAD_EXPIRES, expires);
    }
    // What became of it, for clients that want to know.
    if let Some(Ok(place)) = upload.result.as_deref().map(HeaderValue::from_str) {
        headers.insert(CONTENT_LOCATION, place);
    }
}

/// RFC 9110, section 5.6.7.
fn http_date(ms: i64) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_millisecond(ms).ok()?;
    HeaderValue::from_str(&at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

fn spoken(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(TUS_RESUMABLE).is_some_and(|version| version == VERSION) {
        Ok(())
    } else {
        Err(Problem::precondition_failed(format!("send Tus-Resumable: {VERSION}")))
    }
}

fn is_offset(value: &HeaderValue) -> bool {
    value
        .to_str()
        .is_ok_and(|text| text.split(';').next().is_some_and(|text| text.trim().eq_ignore_ascii_case(MEDIA_TYPE)))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let digits = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::bad_request(format!("the header {name} must be a number of bytes")))
}

fn metadata(headers: &HeaderMap) -> Result<Metadata, Problem> {
    let wrong = || Problem::bad_request("the header Upload-Metadata must be pairs of a name and base64 text");
    let Some(text) = headers.get(UPLOAD_METADATA) else {
        return Ok(Metadata::new());
    };
    let text = text.to_str().map_err(|_| wrong())?;
    if text.len() > MOST_METADATA {
        return Err(wrong());
    }
    let mut metadata = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).map_err(|_| wrong())?;
        let value = String::from_utf8(value).map_err(|_| wrong())?;
        if metadata.insert(name.to_owned(), value).is_some() {
            return Err(wrong());
        }
    }
    Ok(metadata)
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(value) = headers.get(UPLOAD_CHECKSUM) else {
        return Ok(None);
    };
    let wrong = || Problem::bad_request("the header Upload-Checksum must be sha1 or sha256 and the digest in base64");
    let (name, digest) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(wrong)?;
    let digest = STANDARD.decode(digest.trim()).map_err(|_| wrong())?;
    match (name, digest.len()) {
        ("sha1", 20) => Ok(Some(Checksum::Sha1(digest))),
        ("sha256", 32) => Ok(Some(Checksum::Sha256(digest))),
        _ => Err(wrong()),
    }
}

fn problem(error: UploadError) -> Problem {
    let of = |status: u16, code, title, error: &UploadError| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Problem::new(status, code, title, error.to_string())
    };
    match error {
        UploadError::NotFound => Problem::not_found("there is no such upload"),
        UploadError::Expired => Problem::gone("the upload expired: begin it anew"),
        UploadError::Offset(_) => Problem::conflict(format!("{error}: ask with HEAD and go on from there")),
        UploadError::TooLong => Problem::too_large(error.to_string()),
        UploadError::Checksum => of(460, "checksum", "Checksum mismatch", &error),
        UploadError::Digest => of(422, "digest", "Not what it was said to be", &error),
        UploadError::TooMany => of(429, "too-many-uploads", "Too many uploads", &error).retry_after(60),
        UploadError::Refused(problem) => *problem,
        UploadError::Disk(cause) if NoRoom::is_behind(&cause) => Problem::no_room(),
        UploadError::Disk(cause)
            if matches!(cause.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =>
        {
            Problem::insufficient_storage()
        }
        UploadError::Disk(_) | UploadError::Store(_) => {
            tracing::warn!(%error, "an upload cannot be taken in");
            Problem::unavailable("busy", "this cannot be done at the moment; try again", 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn metadata_is_pairs_of_a_name_and_base64() {
        let read = |text: &'static str| metadata(&headers(&[("upload-metadata", text)]));
        let got = read("filename d29ybGQucGRm,is_confidential, incident_id YWJj").unwrap();
        assert_eq!(got["filename"], "world.pdf");
        assert_eq!((got["is_confidential"].as_str(), got["incident_id"].as_str()), ("", "abc"));
        for wrong in ["a !!!", "a YQ==,a YQ==", "a /w=="] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(metadata(&HeaderMap::new()).unwrap().is_empty());
    }

    #[test]
    fn numbers_are_digits_only() {
        let read = |text: &'static str| number(&headers(&[("upload-offset", text)]), &UPLOAD_OFFSET);
        assert_eq!(read("0").unwrap(), 0);
        for wrong in ["-1", "+1", "1.0", "", "99999999999999999999999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_date_is_as_http_has_it() {
        assert_eq!(http_date(1_700_000_000_000).unwrap(), "Tue, 14 Nov 2023 22:13:20 GMT");
    }
}
