//! Photos and other files of an incident.
//!
//! The original is evidence: it is hashed while it arrives, kept byte for byte, and never touched again. What people look at
//! is derived from it by a job: [`sniff`] tells what a file is, [`header`] what it would cost to open it, [`derive`] makes an
//! upright display image and a thumbnail. A file that cannot be shown is kept all the same; one that would take the machine
//! down when it is opened is refused.
//!
//! A photo's id follows from its incident and content, so that a repeat of an upload, at any site, is the same photo.

pub mod derive;
pub mod header;
pub mod heic;
pub mod job;
pub mod pixels;
pub mod sniff;
pub mod tidy;
pub mod travels;
pub mod uploads;

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents;
use crate::incidents::body::Fields;
use crate::ledger::{Draft, Lane, Photo, PhotoFile, Recording, Staged};
use crate::recall::{Question, What};
use crate::rules::{self, Act};
use chassis::blobs::{Kept, Sha256};
use chassis::clock::format_rfc3339;
use chassis::disk::NoRoom;
use chassis::jobs::NewJob;
use header::{Inspection, Verdict};
use jiff::tz::TimeZone;
use serde_json::Value;
use sniff::Format;
use std::sync::Arc;
use sync_protocol::record::{FieldError, PHOTO, check};
use uuid::Uuid;

pub use sync_protocol::message::{MAX_PHOTOS, PhotoLimits};
pub use sync_protocol::record::MAX_PHOTO_BYTES;

/// Most files that arrive at once.
pub const MOST_ARRIVING: usize = 128;
/// Longest file name that is kept, in characters.
const MAX_FILENAME: usize = 200;

/// What is asked of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// To look at.
    Display,
    /// For lists.
    Thumbnail,
    /// The evidence.
    Original,
}

/// What a photo answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is here.
    Here {
        /// The content.
        sha256: Sha256,
        /// What it is.
        media_type: String,
        /// What to call it, where it is to be saved.
        filename: Option<String>,
    },
    /// Not yet.
    Later(Wait),
}

/// Why a content is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is being made, by the site that recorded the photo.
    Making,
    /// It comes from the other side; so much of it is here, of a hundred, where that is known.
    OnItsWay(Option<u8>),
}

/// A file on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPhoto {
    /// Its content, durable in the site's folder.
    pub kept: Kept,
    /// As the client calls it.
    pub filename: String,
    /// What its taker says about it.
    pub caption: Option<String>,
}

/// Whether `actor` may add a photo to the incident, and there is room: asked before its bytes are taken.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Gone`], [`Refusal::Forbidden`], [`Refusal::Invalid`].
pub async fn admit(desk: &Desk, actor: &Actor, incident_id: Uuid) -> Result<(), Error> {
    rules::check(actor, Act::AddPhoto)?;
    desk.own_store().await?;
    let row = desk.ledger().incident(incident_id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &row.store_code)?;
    if row.deleted {
        return Err(Refusal::Gone.into());
    }
    room(row.photo_count, desk.photo_limits().await?.per_incident)?;
    Ok(())
}

fn room(count: u64, most: u64) -> Result<(), Refusal> {
    if count >= most {
        return Err(Refusal::field("file", format!("an incident has at most {most} photos and this one has {count}")));
    }
    Ok(())
}

/// Refuses what headquarters would not take: told here, where somebody can still do something about it.
fn fits(limits: &PhotoLimits, size_bytes: u64, media_type: &str) -> Result<(), Refusal> {
    if size_bytes > limits.max_bytes {
        return Err(Refusal::field("file", format!("a file may have at most {}", size_in_words(limits.max_bytes))));
    }
    if !limits.takes(media_type) {
        let types = limits.media_types.join(", ");
        return Err(Refusal::field("file", format!("this is {media_type}; headquarters takes only {types}")));
    }
    Ok(())
}

/// A length as people say it.
#[must_use]
pub fn size_in_words(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else if bytes >= 1024 {
        format!("{} KiB", bytes / 1024)
    } else {
        format!("{bytes} bytes")
    }
}

/// Records a photo whose bytes are durable. The same content is recorded once.
///
/// # Errors
/// As [`admit`]; [`Refusal::Invalid`] for what would explode when it is opened: its bytes are removed.
pub async fn add(desk: &Desk, actor: &Actor, incident_id: Uuid, new: NewPhoto) -> Result<Photo, Error> {
    let at_ms = desk.now_ms();
    let id = photo_id(incident_id, new.kept.sha256);
    let found = inspect(desk, new.kept.sha256).await?;
    if matches!(found.verdict, Verdict::Bomb(_)) {
        examine(desk, new.kept.sha256).await?;
    }
    let limits = desk.photo_limits().await?;
    if let Err(refusal) = fits(&limits, new.kept.size_bytes, found.format.media_type()) {
        unwanted(desk, new.kept.sha256).await?;
        return Err(refusal.into());
    }
    let set = fields(incident_id, &new, &found, &zone_of(desk, incident_id).await?);
    let errors: Vec<FieldError> = check(PHOTO, &set);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    desk.ledger().keep_blob(new.kept.sha256, new.kept.size_bytes, at_ms).await?;
    let jobs = match found.verdict {
        Verdict::Decodable => vec![job::derive(id)],
        Verdict::Undecodable(_) | Verdict::Bomb(_) => Vec::new(),
    };
    let who = actor.clone();
    let plan = move |staged: &Staged| plan(staged, &who, id, set, limits.per_incident);
    record(desk, &actor.username, vec![incident_id, id], jobs, plan).await?;
    let file = desk.ledger().photo(id).await?.ok_or(Refusal::NotFound)?;
    Ok(file.photo)
}

/// The clocks of the store to which an incident belongs.
async fn zone_of(desk: &Desk, incident_id: Uuid) -> Result<TimeZone, Error> {
    let row = desk.ledger().incident(incident_id).await?.ok_or(Refusal::NotFound)?;
    let store = desk.ledger().store(&row.store_code).await?;
    Ok(store.and_then(|store| TimeZone::get(&store.timezone).ok()).unwrap_or(TimeZone::UTC))
}

/// Whether a file that is kept may be opened: for what is not added to an incident yet.
///
/// # Errors
/// [`Refusal::Invalid`] for what would explode: its bytes are removed.
pub async fn examine(desk: &Desk, sha256: Sha256) -> Result<(), Error> {
    match inspect(desk, sha256).await?.verdict {
        Verdict::Bomb(why) => {
            unwanted(desk, sha256).await?;
            Err(Refusal::field("file", why).into())
        }
        Verdict::Decodable | Verdict::Undecodable(_) => Ok(()),
    }
}

/// Removes a content that is not taken, unless something names it already.
async fn unwanted(desk: &Desk, sha256: Sha256) -> Result<(), Error> {
    if !desk.ledger().is_piece(sha256).await? {
        desk.blobs().remove(sha256).await.map_err(disk)?;
    }
    Ok(())
}

fn plan(staged: &Staged, actor: &Actor, id: Uuid, set: Fields, most: u64) -> Result<Vec<Draft>, Refusal> {
    let incident = incidents::standing(staged, actor)?;
    if staged.records.get(1).is_some_and(Option::is_some) {
        return Ok(Vec::new());
    }
    room(incident.photo_count, most)?;
    Ok(vec![Draft {
        kind: PHOTO,
        id,
        scope: incident.scope.clone(),
        new: true,
        set,
        number_year: None,
    }])
}

/// What is recorded of a photo; `zone`: the store's.
fn fields(incident_id: Uuid, new: &NewPhoto, found: &Inspection, zone: &TimeZone) -> Fields {
    let mut set = Fields::from([
        ("incident_id".to_owned(), Value::from(incident_id.hyphenated().to_string())),
        ("sha256".to_owned(), Value::from(new.kept.sha256.to_string())),
        ("size_bytes".to_owned(), Value::from(new.kept.size_bytes)),
        ("media_type".to_owned(), Value::from(found.format.media_type())),
        ("filename".to_owned(), Value::from(tidy_name(&new.filename))),
    ]);
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            set.insert(name.to_owned(), value);
        }
    };
    put(
        "caption",
        new.caption
            .as_ref()
            .filter(|caption| !caption.trim().is_empty())
            .map(|caption| Value::from(caption.as_str())),
    );
    put("taken_at", found.taken.map(|taken| Value::from(format_rfc3339(taken.at_ms(zone)))));
    if let Verdict::Undecodable(why) = &found.verdict {
        put("state", Some(Value::from("undecodable")));
        put("reason", Some(Value::from(why.as_str())));
    } else {
        put("width", found.width.map(Value::from));
        put("height", found.height.map(Value::from));
    }
    set
}

/// A file name without folders and without characters that a disk, a header or a page could take amiss.
#[must_use]
pub fn tidy_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base
        .chars()
        .filter(|c| {
            !c.is_control() && !matches!(c, '"' | '<' | '>' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .take(MAX_FILENAME)
        .collect();
    let clean = clean.trim().trim_start_matches('.');
    if clean.is_empty() { "file".to_owned() } else { clean.to_owned() }
}

/// The photo that this content is in this incident.
#[must_use]
pub fn photo_id(incident_id: Uuid, sha256: Sha256) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key("A.I.ncident 2026-11-23 photo of an incident");
    hasher.update(incident_id.as_bytes());
    hasher.update(sha256.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

async fn inspect(desk: &Desk, sha256: Sha256) -> Result<Inspection, Error> {
    let path = desk.blobs().path(sha256);
    let found = chassis::heavy::run({
        let path = path.clone();
        move || header::inspect(&path)
    });
    let found = found.await.map_err(|gone| Error::Fault(gone.to_string()))?.map_err(disk)?;
    match desk.heic() {
        Some(opener) if found.format == Format::Heif => opener.inspect(&path, found).await.map_err(disk),
        _ => Ok(found),
    }
}

/// A disk that fails, as a feature says it.
pub fn disk(error: std::io::Error) -> Error {
    if NoRoom::is_behind(&error) {
        Error::NoRoom
    } else if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
        Error::Full
    } else {
        Error::Unavailable(format!("a file: {error}"))
    }
}

/// One photo that `actor` may see.
///
/// # Errors
/// [`Refusal::NotFound`], also where it is another store's; [`Refusal::Gone`] where the incident is deleted.
pub async fn get(desk: &Desk, actor: &Actor, id: Uuid) -> Result<PhotoFile, Error> {
    desk.own_store().await?;
    let file = desk.ledger().photo(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &file.store_code)?;
    if file.deleted {
        return Err(Refusal::Gone.into());
    }
    Ok(file)
}

/// The digest of the content that `actor` was given of a photo before, where that is known without a look into the ledger.
///
/// # Errors
/// [`Refusal::NotEnrolled`].
pub async fn known_content(desk: &Desk, actor: &Actor, id: Uuid, variant: Variant) -> Result<Option<Arc<str>>, Error> {
    desk.own_store().await?;
    let stamp = desk.ledger().generation().await?;
    Ok(desk.recall().tag(&Question::of(stamp, actor, What::Content(id, variant))))
}

/// What there is of a photo.
///
/// # Errors
/// As [`get`]; [`Refusal::Forbidden`]; [`Refusal::NotFound`] for a picture of what cannot be shown.
pub async fn deliver(desk: &Desk, actor: &Actor, id: Uuid, variant: Variant) -> Result<Delivery, Error> {
    // Read before the photo: what changes in between leads to another stamp.
    let stamp = desk.ledger().generation().await?;
    let file = get(desk, actor, id).await?;
    let shown = file.photo.state != "undecodable";
    let lane = match variant {
        Variant::Original => {
            rules::check(actor, Act::SeeOriginal { own: file.photo.uploaded_by == actor.username, shown })?;
            Lane::Original
        }
        Variant::Display | Variant::Thumbnail if !shown => return Err(Refusal::NotFound.into()),
        Variant::Display => Lane::Display,
        Variant::Thumbnail => Lane::Thumbnail,
    };
    let Some(piece) = file.piece(lane) else {
        return Ok(Delivery::Later(Wait::Making));
    };
    if !piece.here {
        desk.want(piece.sha256);
        return Ok(Delivery::Later(Wait::OnItsWay(travels::percent(desk, piece).await?)));
    }
    let question = Question::of(stamp, actor, What::Content(id, variant));
    desk.recall().keep_tag(question, &piece.sha256.to_string());
    Ok(match variant {
        Variant::Original => Delivery::Here {
            sha256: piece.sha256,
            media_type: file.photo.media_type.clone(),
            filename: Some(file.photo.filename.clone()),
        },
        Variant::Display | Variant::Thumbnail => {
            Delivery::Here { sha256: piece.sha256, media_type: "image/jpeg".to_owned(), filename: None }
        }
    })
}

async fn record(
    desk: &Desk,
    by: &str,
    records: Vec<Uuid>,
    jobs: Vec<NewJob>,
    plan: impl FnOnce(&Staged) -> Result<Vec<Draft>, Refusal> + Clone + Send + 'static,
) -> Result<(), Error> {
    let (by, when, plan) = (by.to_owned(), desk.when(), Box::new(plan));
    desk.ledger().record(Recording { records, by, when, claim: None, jobs, plan }).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
