//! Errors as RFC 9457 problem details. What the client reads and what the log gets are two different things.

use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::disk::NoRoom;
use crate::sqlite::{ReadError, WriteError};

/// What every problem's `type` starts with.
pub const TYPE_PREFIX: &str = "urn:aincident:problem:";
/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One thing wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `people[0].name`; empty for the whole.
    pub field: String,
    /// What, as a person can read it.
    pub message: String,
}

impl FieldError {
    /// One thing wrong with `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// An error answer. Everything in it is for the client: no SQL, no paths, no stack traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status, also in the body.
    pub status: StatusCode,
    /// The last part of `type`, such as `not-enrolled`: what a program looks at.
    pub code: &'static str,
    /// What kind of problem, in a few words; the same for every problem with this code.
    pub title: &'static str,
    /// What is wrong this time, and what to do about it.
    pub detail: String,
    /// For 422: what is wrong with which field.
    pub errors: Vec<FieldError>,
    /// When to try again, in seconds; sent as `Retry-After`.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// The code of [`Problem::no_room`].
    pub const NO_ROOM: &str = "disk-low";
    /// The code of one who asks too often.
    pub const TOO_MANY: &str = "too-many-requests";

    /// A problem with a code and title of its own.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// Tells the client when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Gives the problem another code, for clients that must tell cases of one status apart.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// 400: the request is not well-formed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood", detail)
    }

    /// 401: nobody is logged in, or no longer. Sends `WWW-Authenticate: Bearer`.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Log in first", detail)
    }

    /// 403: who is logged in may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: there is no such thing, or not for this user.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 405: the resource does not do that.
    pub fn method_not_allowed() -> Self {
        let detail = "this address does not support that method; see the Allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    }

    /// 410: there was such a thing, and it was deleted.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", "Deleted", detail)
    }

    /// 409: it contradicts what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    /// 412: `If-Match` names an older state.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "Changed meanwhile", detail)
    }

    /// 413: the body is larger than the limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    /// 415: the body is of a kind that is not read here.
    pub fn unsupported_media(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail)
    }

    /// 422: the request is well-formed, and these fields in it are not acceptable.
    #[must_use]
    pub fn unprocessable(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.field.is_empty() => only.message.clone(),
            [only] => format!("{}: {}", only.field, only.message),
            many => format!("{} fields are not acceptable", many.len()),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Not acceptable", detail);
        problem.errors = errors;
        problem
    }

    /// 422 for one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::unprocessable(vec![FieldError::new(field, message)])
    }

    /// 429: too often; `retry_after_s` seconds until it makes sense again.
    #[must_use]
    pub fn too_many(retry_after_s: u64) -> Self {
        let detail = format!("try again in {retry_after_s} seconds");
        Self::new(StatusCode::TOO_MANY_REQUESTS, Self::TOO_MANY, "Too many attempts", detail).retry_after(retry_after_s)
    }

    /// 503: not at the moment, for the reason `code`; `retry_after_s` seconds until it may be worth a try.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Not available at the moment", detail)
            .retry_after(retry_after_s)
    }

    /// 507: the disk is full.
    #[must_use]
    pub fn insufficient_storage() -> Self {
        let detail = "the disk of this machine is full, so nothing was saved; free some space and try again";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The disk is full", detail).retry_after(30)
    }

    /// 507: the disk has no room for photos and files; reports are taken.
    #[must_use]
    pub fn no_room() -> Self {
        let detail = "the disk of this machine is nearly full, so no photos and files are taken; reports still are, \
                      and photos can follow when there is room";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, Self::NO_ROOM, "No room for photos", detail).retry_after(60)
    }

    /// 500: our fault. The log gets `cause`, the client a plain sentence and the request's id.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        let detail = "something went wrong here and was logged; nothing is known to be wrong with the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// The problem a bare status stands for, where a layer below answered without a body of ours.
    pub(super) fn from_status(status: StatusCode, detail: String) -> Self {
        let or = |fallback: &str| if detail.is_empty() { fallback.to_owned() } else { detail.clone() };
        match status {
            StatusCode::UNAUTHORIZED => Self::unauthorized(or("log in first")),
            StatusCode::FORBIDDEN => Self::forbidden(or("this is not allowed")),
            StatusCode::NOT_FOUND => Self::not_found(or("there is nothing at this address")),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::CONFLICT => Self::conflict(or("this contradicts what is there")),
            StatusCode::GONE => Self::gone(or("this was deleted")),
            StatusCode::PRECONDITION_FAILED => Self::precondition_failed(or("this was changed meanwhile")),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large("the body is larger than what is accepted here"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media(or("this kind of content is not read here")),
            StatusCode::UNPROCESSABLE_ENTITY => {
                Self::unprocessable(vec![FieldError::new("", or("the request is not acceptable"))])
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Self::new(status, Self::TOO_MANY, "Too many attempts", or("try again later"))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::new(status, "unavailable", "Not available at the moment", or("try again later"))
            }
            // A body from below may say too much.
            _ if status.is_server_error() => Self::new(
                status,
                "internal",
                status.canonical_reason().unwrap_or("Internal error"),
                "something went wrong here and was logged",
            ),
            _ => Self::new(
                status,
                "bad-request",
                status.canonical_reason().unwrap_or("The request cannot be understood"),
                or("the request cannot be understood"),
            ),
        }
    }

    /// The body; `request_id` lets a person find the log line.
    pub(super) fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wire<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
            errors: &'a [FieldError],
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a str>,
        }
        let wire = Wire {
            r#type: format!("{TYPE_PREFIX}{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            request_id,
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body(None)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The middleware puts the request's id into the ones that are our fault.
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full => Self::insufficient_storage(),
            WriteError::Busy => Self::unavailable("busy", "too much is being saved at the moment; try again", 1),
            WriteError::Io(_) | WriteError::Unavailable => {
                tracing::error!(cause = %error, "a write was refused");
                Self::unavailable(
                    "storage-failing",
                    "the disk of this machine is failing, so nothing was saved; try again later",
                    5,
                )
            }
            WriteError::Stopped => Self::unavailable("stopping", "the service is stopping; try again", 2),
            WriteError::Panicked => Self::internal(error),
        }
    }
}

impl From<NoRoom> for Problem {
    fn from(_: NoRoom) -> Self {
        Self::no_room()
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong => Self::unavailable("too-long", "the answer took too long; ask for less", 5),
            ReadError::Stopped => Self::unavailable("stopping", "the service is stopping; try again", 2),
            ReadError::Io(_) | ReadError::Panicked => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_type_status_and_fields() {
        let problem = Problem::unprocessable(vec![FieldError::new("people[0].name", "must not be empty")]);
        let body: serde_json::Value = serde_json::from_slice(&problem.body(None)).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:aincident:problem:invalid",
                "title": "Not acceptable",
                "status": 422,
                "detail": "people[0].name: must not be empty",
                "errors": [{"field": "people[0].name", "message": "must not be empty"}],
            })
        );
    }

    #[test]
    fn what_can_be_tried_again_says_when() {
        let response = Problem::from(WriteError::Full).into_response();
        assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(response.headers()[RETRY_AFTER], "30");
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    }

    #[test]
    fn a_disk_without_room_for_photos_says_that_reports_are_taken() {
        let problem = Problem::from(NoRoom);
        assert_eq!((problem.status, problem.code), (StatusCode::INSUFFICIENT_STORAGE, "disk-low"));
        assert!(problem.detail.contains("reports still are") && problem.retry_after_s.is_some());
    }

    #[test]
    fn a_cause_never_reaches_the_client() {
        let problem = Problem::from(ReadError::Io("unable to open /secret/path".into()));
        assert!(!String::from_utf8(problem.body(Some("id"))).unwrap().contains("secret"));
    }
}
