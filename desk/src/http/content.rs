//! A content by its digest, whole or in part.

use crate::desk::Desk;
use crate::error::Error;
use crate::photos::disk;
use crate::scrub;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use chassis::blobs::{Reading, Sha256};
use chassis::http::{ETag, Problem};
use futures::StreamExt as _;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// 200, 206 or 416 as `Range` asks. `held` is dropped when the last byte is on its way. Ask [`may_leave`]
/// first. What is large and asked for as a whole is checked while it leaves: one that is damaged never arrives whole, and is set
/// aside.
pub fn whole_or_part<H: Send + 'static>(
    desk: &Desk,
    reading: Reading,
    sha256: Sha256,
    headers: &HeaderMap,
    held: H,
) -> Response {
    let (size, tag) = (reading.size_bytes, ETag::new(&sha256.to_string()));
    let mut answered = HeaderMap::new();
    answered.insert(ETAG, tag.header_value());
    answered.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answered.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (status, first, length) = match range(headers, &tag, size) {
        Ok(None) => (StatusCode::OK, 0, size),
        Ok(Some((first, length))) => {
            let range = format!("bytes {first}-{}/{size}", first + length - 1);
            let range = HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static("bytes */*"));
            answered.insert(CONTENT_RANGE, range);
            (StatusCode::PARTIAL_CONTENT, first, length)
        }
        Err(()) => {
            let range = [(CONTENT_RANGE, format!("bytes */{size}"))];
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let problem = Problem::new(status, "range", "No such part", "the file is shorter than that");
            return (range, problem).into_response();
        }
    };
    answered.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let hold = move |piece| {
        let _ = &held;
        piece
    };
    let body = if status == StatusCode::OK && size > CHECKED_FIRST_BYTES {
        let desk = desk.clone();
        let bad = move || {
            tokio::spawn(async move {
                if let Err(error) = scrub::damaged(&desk, sha256).await {
                    tracing::error!(%sha256, %error, "a content is damaged, and that cannot be noted");
                }
            });
        };
        Body::from_stream(reading.checked(sha256, bad).map(hold))
    } else {
        Body::from_stream(reading.stream(first, length).map(hold))
    };
    (status, answered, body).into_response()
}

/// Contents of at most so many bytes are read whole and checked before anything is answered.
const CHECKED_FIRST_BYTES: u64 = 256 * 1024;

/// Whether a content may be given away: a small one is checked first, and set aside where it is damaged. Larger ones are checked
/// while they leave.
///
/// # Errors
/// When disk or ledger cannot be used.
pub async fn may_leave(desk: &Desk, reading: &Reading, sha256: Sha256) -> Result<bool, Error> {
    if reading.size_bytes > CHECKED_FIRST_BYTES || desk.blobs().verify(sha256).await.map_err(disk)? {
        return Ok(true);
    }
    scrub::damaged(desk, sha256).await?;
    Ok(false)
}

/// The part of `size` bytes that `Range` asks for: first byte and length. `None`: all of it, also where several parts are
/// asked for or `If-Range` names another content. `Err`: there is no such part.
pub(super) fn range(headers: &HeaderMap, tag: &ETag, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    if headers.get(IF_RANGE).is_some_and(|value| value.as_bytes() != tag.to_string().as_bytes()) {
        return Ok(None);
    }
    let Some((first, last)) =
        text.strip_prefix("bytes=").filter(|spec| !spec.contains(',')).and_then(|spec| spec.split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>();
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Ok(0) => Err(()),
            Ok(tail) if size > 0 => Ok(Some((size - tail.min(size), tail.min(size)))),
            Ok(_) => Err(()),
            Err(_) => Ok(None),
        },
        (first, last) => {
            let (Ok(first), Ok(last)) = (number(first), if last.is_empty() { Ok(u64::MAX) } else { number(last) })
            else {
                return Ok(None);
            };
            if last < first {
                return Ok(None);
            }
            if first >= size {
                Err(())
            } else {
                Ok(Some((first, last.min(size - 1) - first + 1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn one_part_is_answered_and_nonsense_is_ignored() {
        let tag = ETag::new("a");
        let asked = |range_: &'static str, size| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range_));
            range(&headers, &tag, size)
        };
        assert_eq!(asked("bytes=0-99", 1000), Ok(Some((0, 100))));
        assert_eq!(asked("bytes=900-", 1000), Ok(Some((900, 100))));
        assert_eq!(asked("bytes=900-5000", 1000), Ok(Some((900, 100))));
        assert_eq!(asked("bytes=-10", 1000), Ok(Some((990, 10))));
        assert_eq!(asked("bytes=-5000", 1000), Ok(Some((0, 1000))));
        assert_eq!(asked("bytes=1000-", 1000), Err(()));
        assert_eq!(asked("bytes=-0", 1000), Err(()));
        for ignored in ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "bytes=x-", "bytes=5"] {
            assert_eq!(asked(ignored, 1000), Ok(None), "{ignored}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(range(&headers, &tag, 10), Ok(None));
    }
}
