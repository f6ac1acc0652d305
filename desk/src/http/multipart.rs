//! Files out of a form, and parts of files.

use crate::desk::Desk;
use crate::photos::{MAX_PHOTO_BYTES, NewPhoto, disk};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use chassis::blobs::Incoming;
use chassis::http::{ETag, Problem};
use http::header::{IF_RANGE, RANGE};
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// Most files of one form.
const MAX_FILES: usize = 20;
/// Longest text of a form, in bytes.
const MAX_TEXT: usize = 8 * 1024;
/// Longest pause between two pieces of a form.
const IDLE: Duration = Duration::from_secs(60);

/// Takes the files of a form to the disk. `caption` is about the files behind it, or, as the last field, about all.
pub async fn receive(desk: &Desk, mut form: Multipart) -> Result<Vec<NewPhoto>, Problem> {
    let (mut files, mut caption) = (Vec::new(), None);
    while let Some(field) = in_time(form.next_field()).await? {
        match field.name() {
            Some("file") if files.len() == MAX_FILES => {
                return Err(Problem::invalid("file", format!("at most {MAX_FILES} files at once")));
            }
            Some("file") => files.push(file(desk, field, caption.clone()).await?),
            Some("caption") => caption = Some(text(field).await?),
            other => {
                let name = other.unwrap_or_default().to_owned();
                return Err(Problem::invalid(name, "there is no such field: send file and caption"));
            }
        }
    }
    if files.is_empty() {
        return Err(Problem::invalid("file", "is required: a file in a field named file"));
    }
    for file in &mut files {
        file.caption = file.caption.take().or_else(|| caption.clone());
    }
    Ok(files)
}

async fn file(desk: &Desk, field: Field<'_>, caption: Option<String>) -> Result<NewPhoto, Problem> {
    let filename = field.file_name().unwrap_or("file").to_owned();
    let mut incoming = desk.blobs().begin(desk.ids().new_v7(desk.now_ms())).await.map_err(disk)?;
    match fill(&mut incoming, field).await {
        Ok(()) => {}
        Err(problem) => {
            incoming.discard().await.map_err(disk)?;
            return Err(problem);
        }
    }
    let kept = incoming.keep(None).await.map_err(disk)?;
    Ok(NewPhoto { kept, filename, caption })
}

async fn fill(incoming: &mut Incoming, mut field: Field<'_>) -> Result<(), Problem> {
    while let Some(bytes) = in_time(field.chunk()).await? {
        if incoming.length() + bytes.len() as u64 > MAX_PHOTO_BYTES {
            return Err(too_large());
        }
        incoming.write(bytes).await.map_err(disk)?;
    }
    if incoming.length() == 0 {
        return Err(Problem::invalid("file", "the file is empty"));
    }
    Ok(())
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(bytes) = in_time(field.chunk()).await? {
        if text.len() + bytes.len() > MAX_TEXT {
            return Err(Problem::invalid("caption", "must be at most 1000 characters"));
        }
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).map_err(|_| Problem::invalid("caption", "must be text in UTF-8"))
}

fn too_large() -> Problem {
    Problem::too_large(format!("a file may have at most {} MiB", MAX_PHOTO_BYTES / (1024 * 1024)))
}

async fn in_time<T>(piece: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(IDLE, piece).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("the form is damaged or broke off; send it again")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "Too slow",
            "nothing arrived for a minute; send it again",
        )),
    }
}

/// The part of `size` bytes that `Range` asks for: first byte and length. `None`: all of it, also where several parts are
/// asked for or `If-Range` names another content. `Err`: there is no such part.
pub fn range(headers: &HeaderMap, tag: &ETag, size: u64) -> Result<Option<(u64, u64)>, ()> {
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
