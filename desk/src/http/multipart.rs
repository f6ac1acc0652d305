//! Forms with files: the texts and files of one, as they come, within bounds.

use crate::desk::Desk;
use crate::photos::{MAX_PHOTO_BYTES, NewPhoto, disk, size_in_words};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use bytes::Bytes;
use chassis::blobs::Incoming;
use chassis::disk::Content;
use chassis::http::Problem;
use chassis::pace::Pace;
use http::StatusCode;
use std::time::Duration;
use tokio::time::Instant;

/// Most files of one form.
const MAX_FILES: usize = 20;
/// Longest name of a field, in bytes.
const MAX_NAME: usize = 200;
/// Longest pause between two pieces of a form.
const IDLE: Duration = Duration::from_secs(60);
/// What the head of a field counts for, in bytes, where it is judged how fast a form comes.
const HEAD: usize = 1024;
/// What a form that adds photos says beside them: captions.
const CAPTIONS: Texts = Texts { number: MAX_FILES + 1, bytes: 8 * 1024, all_bytes: 64 * 1024 };

/// How much text a form may have.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// Most texts.
    pub number: usize,
    /// Longest one, in bytes.
    pub bytes: usize,
    /// Most bytes of all of them, with their names.
    pub all_bytes: usize,
}

/// A part of a form.
#[derive(Debug)]
pub enum Part {
    /// What stands in a field of that name.
    Text(String, String),
    /// A file, from a field that is called `file`; it is on the disk.
    File(NewPhoto),
    /// A file of that name that was not taken: there is no room for files. What else the form says is taken.
    LeftOut(String),
}

/// The parts of a form, in their order.
pub struct Parts<'a> {
    desk: &'a Desk,
    form: Multipart,
    texts: Texts,
    most_bytes: u64,
    files_seen: usize,
    texts_seen: usize,
    length: usize,
    pace: Pace,
}

impl<'a> Parts<'a> {
    /// A form that begins to be read.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn new(desk: &'a Desk, form: Multipart, texts: Texts) -> Result<Self, Problem> {
        let most_bytes = desk.photo_limits().await?.max_bytes;
        let pace = Pace::default();
        Ok(Self { desk, form, texts, most_bytes, files_seen: 0, texts_seen: 0, length: 0, pace })
    }

    /// The next part; `None` behind the last one. A place for a file that nobody chose, which browsers send as a file without
    /// name and content, is passed over.
    ///
    /// # Errors
    /// Where the form is damaged, breaks off, rests for a minute, comes too slowly or has more than it may; a file is empty or too large; the disk
    /// is full.
    pub async fn next(&mut self) -> Result<Option<Part>, Problem> {
        while let Some(field) = in_time(&mut self.pace, self.form.next_field(), |_| HEAD).await? {
            let name = field.name().unwrap_or_default().to_owned();
            if name != "file" {
                self.texts_seen += 1;
                self.length += name.len();
                if self.texts_seen > self.texts.number || name.len() > MAX_NAME {
                    return Err(Problem::too_large(format!("a form has at most {} fields", self.texts.number)));
                }
                let room = self.texts.all_bytes.saturating_sub(self.length);
                let Some(text) = text(field, &mut self.pace, self.texts.bytes.min(room)).await? else {
                    return Err(if room < self.texts.bytes {
                        Problem::too_large(format!(
                            "the texts of a form may have at most {} bytes",
                            self.texts.all_bytes
                        ))
                    } else {
                        Problem::invalid(name, format!("must be at most {} bytes long", self.texts.bytes))
                    });
                };
                let text =
                    String::from_utf8(text).map_err(|_| Problem::invalid(name.clone(), "must be text in UTF-8"))?;
                self.length += text.len();
                return Ok(Some(Part::Text(name, text)));
            }
            if self.files_seen == MAX_FILES {
                return Err(Problem::invalid("file", format!("at most {MAX_FILES} files at once")));
            }
            let filename = field.file_name().unwrap_or("file").to_owned();
            match file(self.desk, field, &mut self.pace, self.most_bytes).await {
                Ok(None) => {}
                Ok(Some(file)) => {
                    self.files_seen += 1;
                    return Ok(Some(Part::File(file)));
                }
                Err(problem) if problem.code == Problem::NO_ROOM => {
                    self.files_seen += 1;
                    return Ok(Some(Part::LeftOut(filename)));
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(None)
    }
}

/// Takes the files of a form to the disk. `caption` is about the files behind it, or, as the last field, about all.
///
/// # Errors
/// As [`Parts::next`]; where there is no file, or anything else; where there is no room for files.
pub async fn receive(desk: &Desk, form: Multipart) -> Result<Vec<NewPhoto>, Problem> {
    let (mut files, mut caption) = (Vec::new(), None);
    let mut parts = Parts::new(desk, form, CAPTIONS).await?;
    while let Some(part) = parts.next().await? {
        match part {
            Part::File(file) => files.push(NewPhoto { caption: caption.clone(), ..file }),
            Part::LeftOut(_) => return Err(Problem::no_room()),
            Part::Text(name, text) if name == "caption" => caption = Some(text),
            Part::Text(name, _) => {
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

/// Takes one file to the disk; `None` where it has neither a name nor any content.
async fn file(desk: &Desk, field: Field<'_>, pace: &mut Pace, most_bytes: u64) -> Result<Option<NewPhoto>, Problem> {
    let filename = field.file_name().unwrap_or("file").to_owned();
    let mut incoming = desk.blobs().begin(desk.ids().new_v7(desk.now_ms())).await.map_err(disk)?;
    let filled = fill(desk, &mut incoming, field, pace, most_bytes).await;
    if filled.is_err() || incoming.length() == 0 {
        incoming.discard().await.map_err(disk)?;
        return match filled {
            Ok(()) if filename.is_empty() => Ok(None),
            Ok(()) => Err(Problem::invalid("file", "the file is empty")),
            Err(problem) => Err(problem),
        };
    }
    let kept = incoming.keep(None).await.map_err(disk)?;
    Ok(Some(NewPhoto { kept, filename, caption: None }))
}

async fn fill(
    desk: &Desk,
    incoming: &mut Incoming,
    mut field: Field<'_>,
    pace: &mut Pace,
    most_bytes: u64,
) -> Result<(), Problem> {
    while let Some(bytes) = in_time(pace, field.chunk(), length).await? {
        // Not before: a place for a file that nobody chose is no file.
        if incoming.length() == 0 {
            desk.blobs().guard().admit(Content::Photo)?;
        }
        if incoming.length() + bytes.len() as u64 > most_bytes {
            return Err(too_large(most_bytes));
        }
        incoming.write(bytes).await.map_err(disk)?;
    }
    Ok(())
}

/// What stands in a field; `None` where that is longer than `most` bytes.
async fn text(mut field: Field<'_>, pace: &mut Pace, most: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut text = Vec::new();
    while let Some(bytes) = in_time(pace, field.chunk(), length).await? {
        if text.len() + bytes.len() > most {
            return Ok(None);
        }
        text.extend_from_slice(&bytes);
    }
    Ok(Some(text))
}

fn too_large(most_bytes: u64) -> Problem {
    Problem::too_large(format!("a file may have at most {}", size_in_words(most_bytes)))
}

/// The length of a piece, in bytes.
fn length(piece: &Option<Bytes>) -> usize {
    piece.as_ref().map_or(0, Bytes::len)
}

/// A piece, where it comes soon enough and those before it came fast enough; `bytes` tells how many it has.
async fn in_time<T>(
    pace: &mut Pace,
    piece: impl Future<Output = Result<T, MultipartError>>,
    bytes: impl FnOnce(&T) -> usize,
) -> Result<T, Problem> {
    let asked = Instant::now();
    let slow = |detail: &str| Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Too slow", detail);
    match tokio::time::timeout(IDLE, piece).await {
        Ok(Ok(piece)) if pace.keeps_up(bytes(&piece), asked.elapsed()) => Ok(piece),
        Ok(Ok(_)) => Err(slow("it comes too slowly; send it again over a better line")),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(MAX_PHOTO_BYTES)),
        Ok(Err(_)) => Err(Problem::bad_request("the form is damaged or broke off; send it again")),
        Err(_) => Err(slow("nothing arrived for a minute; send it again")),
    }
}
