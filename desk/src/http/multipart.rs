//! Files out of a form, and parts of files.

use crate::desk::Desk;
use crate::photos::{MAX_PHOTO_BYTES, NewPhoto, disk, size_in_words};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use chassis::blobs::Incoming;
use chassis::http::Problem;
use http::StatusCode;
use std::time::Duration;

/// Most files of one form.
const MAX_FILES: usize = 20;
/// Longest text of a form, in bytes.
const MAX_TEXT: usize = 8 * 1024;
/// Longest pause between two pieces of a form.
const IDLE: Duration = Duration::from_secs(60);

/// Takes the files of a form to the disk. `caption` is about the files behind it, or, as the last field, about all.
///
/// # Errors
/// Where the form is damaged or holds anything else, a file is empty or too large, or the disk is full.
pub async fn receive(desk: &Desk, mut form: Multipart) -> Result<Vec<NewPhoto>, Problem> {
    let (mut files, mut caption) = (Vec::new(), None);
    let most_bytes = desk.photo_limits().await?.max_bytes;
    while let Some(field) = in_time(form.next_field()).await? {
        match field.name() {
            Some("file") if files.len() == MAX_FILES => {
                return Err(Problem::invalid("file", format!("at most {MAX_FILES} files at once")));
            }
            Some("file") => files.push(file(desk, field, caption.clone(), most_bytes).await?),
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

/// Takes one file of a form to the disk.
///
/// # Errors
/// Where it is empty or larger than `most_bytes`, breaks off, or the disk is full.
pub async fn file(
    desk: &Desk,
    field: Field<'_>,
    caption: Option<String>,
    most_bytes: u64,
) -> Result<NewPhoto, Problem> {
    let filename = field.file_name().unwrap_or("file").to_owned();
    let mut incoming = desk.blobs().begin(desk.ids().new_v7(desk.now_ms())).await.map_err(disk)?;
    match fill(&mut incoming, field, most_bytes).await {
        Ok(()) => {}
        Err(problem) => {
            incoming.discard().await.map_err(disk)?;
            return Err(problem);
        }
    }
    let kept = incoming.keep(None).await.map_err(disk)?;
    Ok(NewPhoto { kept, filename, caption })
}

async fn fill(incoming: &mut Incoming, mut field: Field<'_>, most_bytes: u64) -> Result<(), Problem> {
    while let Some(bytes) = in_time(field.chunk()).await? {
        if incoming.length() + bytes.len() as u64 > most_bytes {
            return Err(too_large(most_bytes));
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

fn too_large(most_bytes: u64) -> Problem {
    Problem::too_large(format!("a file may have at most {}", size_in_words(most_bytes)))
}

async fn in_time<T>(piece: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(IDLE, piece).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(MAX_PHOTO_BYTES)),
        Ok(Err(_)) => Err(Problem::bad_request("the form is damaged or broke off; send it again")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "Too slow",
            "nothing arrived for a minute; send it again",
        )),
    }
}
