//! Reports to order: everything that one shows, read from the ledger, rendered off the request path, and kept.
//!
//! A report is kept under a digest of all that it shows, so that a change makes another one. In front of that, under the
//! ledger's generation, is kept which report an incident's is: while nothing has changed, nothing is read to find it.

use super::{MAX_PHOTO_BYTES, MAX_REPORTS, Paper, Photo, PhotoState, RenderError, Report, Store, render, render_many};
use crate::actor::Actor;
use crate::cache::{Key, Kind};
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::answer;
use crate::ledger::{HistoryItem, Lane, Whole};
use crate::photos::disk;
use crate::{rules, settings};
use bytes::Bytes;
use chassis::blobs::Sha256;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Largest display image that goes into a report, in bytes.
const MAX_PICTURE_BYTES: u64 = 8 * 1024 * 1024;

/// What a report is asked to look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What it is printed on; as is usual where the store is, where nothing is said.
    pub paper: Option<Paper>,
    /// Where the site is reached, such as `https://incidents.example.com`: what the QR code leads to.
    pub base_url: String,
}

/// A report, rendered.
#[derive(Clone, Debug)]
pub struct Printed {
    /// A digest of everything that it shows.
    pub digest: Key,
    /// The PDF.
    pub pdf: Bytes,
    /// What to call the file, without its end.
    pub name: String,
}

/// The report of one incident, as it is now.
///
/// # Errors
/// As [`crate::incidents::get`]; [`Refusal::Invalid`] where it is larger than a document may be.
pub async fn of_incident(desk: &Desk, actor: &Actor, id: Uuid, look: &Look) -> Result<Printed, Error> {
    desk.own_store().await?;
    let stamp = desk.ledger().generation().await?;
    let place = place_key(desk, stamp, id, look);
    if let Some(printed) = find(desk, actor, place).await? {
        return Ok(printed);
    }
    let whole = desk.ledger().incident_whole(id).await?.ok_or(Refusal::NotFound)?;
    rules::within(actor, &whole.row.store_code)?;
    if whole.row.deleted {
        return Err(Refusal::Gone.into());
    }
    let store_code = whole.row.store_code.clone();
    let (report, paper) = assemble(desk, whole, look).await?;
    let (digest, name) = (digest(&report, paper), name_of(&report));
    let pdf = match desk.cache().get(Kind::Report, digest).await {
        Some(kept) => kept,
        None => {
            let rendered = || async {
                let report = with_pictures(desk, report).await?;
                let pdf = print(desk, move || render(&report, paper)).await?;
                desk.cache().put(Kind::Report, digest, pdf.clone());
                Ok(pdf)
            };
            desk.flights().share(digest, rendered).await?
        }
    };
    let mut known = digest.as_bytes().to_vec();
    known.extend(format!("{store_code}\n{name}").as_bytes());
    desk.cache().put(Kind::Report, place, known.into());
    Ok(Printed { digest, pdf, name })
}

/// Under which an incident's report is found while nothing has changed.
fn place_key(desk: &Desk, stamp: i64, id: Uuid, look: &Look) -> Key {
    let paper = match look.paper {
        None => "usual",
        Some(Paper::A4) => "a4",
        Some(Paper::Letter) => "letter",
    };
    let parts = [
        b"place".as_slice(),
        &stamp.to_le_bytes(),
        id.as_bytes(),
        paper.as_bytes(),
        look.base_url.as_bytes(),
        desk.house().company.as_bytes(),
    ];
    Key::of(Kind::Report, &parts)
}

async fn find(desk: &Desk, actor: &Actor, place: Key) -> Result<Option<Printed>, Error> {
    let Some(known) = desk.cache().get(Kind::Report, place).await else {
        return Ok(None);
    };
    let Some((digest, rest)) = known.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let Some((store_code, name)) = std::str::from_utf8(rest).ok().and_then(|rest| rest.split_once('\n')) else {
        return Ok(None);
    };
    rules::within(actor, store_code)?;
    let digest = Key::from_bytes(*digest);
    let pdf = desk.cache().get(Kind::Report, digest).await;
    Ok(pdf.map(|pdf| Printed { digest, pdf, name: name.to_owned() }))
}

/// Many incidents as one document.
///
/// # Errors
/// [`Refusal::Invalid`] for none, or for more than a document may hold; what the ledger says.
pub async fn of_many(desk: &Desk, found: Vec<Whole>, look: &Look) -> Result<Bytes, Error> {
    if found.len() > MAX_REPORTS {
        let most = RenderError::TooLarge { what: "incidents", found: found.len(), most: MAX_REPORTS };
        return Err(Refusal::field("format", most.to_string()).into());
    }
    let mut reports = Vec::with_capacity(found.len());
    let mut paper = look.paper;
    // One at a time: with its pictures such a document takes a good part of a store PC's memory.
    let _turn = Arc::clone(desk.binding()).acquire_owned().await.map_err(|_| stopping())?;
    let mut drafts = Vec::with_capacity(found.len());
    let mut picture_bytes = 0_u64;
    for whole in found {
        let (draft, usual) = assemble(desk, whole, look).await?;
        paper = paper.or(Some(usual));
        picture_bytes += draft.picture_bytes;
        // Before a single one is read.
        if picture_bytes > MAX_PHOTO_BYTES as u64 {
            let (found, most) = (usize::try_from(picture_bytes).unwrap_or(usize::MAX), MAX_PHOTO_BYTES);
            let too_large = RenderError::TooLarge { what: "bytes of photos", found, most };
            return Err(Refusal::field("format", too_large.to_string()).into());
        }
        drafts.push(draft);
    }
    for draft in drafts {
        reports.push(with_pictures(desk, draft).await?);
    }
    print(desk, move || render_many(&reports, paper.unwrap_or_default())).await
}

/// What a person calls the report of an incident.
#[must_use]
fn name_of(report: &Report) -> String {
    let text = |name: &str| report.incident.get(name).and_then(Value::as_str);
    text("reference").or_else(|| text("id")).unwrap_or("incident").to_owned()
}

fn stopping() -> Error {
    Error::Unavailable("shutting down".to_owned())
}

/// Renders on a blocking thread, so many at once as there are processors.
async fn print(
    desk: &Desk,
    render: impl FnOnce() -> Result<Vec<u8>, RenderError> + Send + 'static,
) -> Result<Bytes, Error> {
    let turn = Arc::clone(desk.printing()).acquire_owned().await.map_err(|_| stopping())?;
    let begun = std::time::Instant::now();
    let rendered = tokio::task::spawn_blocking(move || {
        let rendered = render();
        drop(turn);
        rendered
    });
    let rendered = rendered.await.map_err(|gone| Error::Fault(format!("a report was not rendered: {gone}")))?;
    metrics::histogram!("report_render_seconds").record(begun.elapsed().as_secs_f64());
    match rendered {
        Ok(pdf) => Ok(pdf.into()),
        Err(error @ (RenderError::Empty | RenderError::TooLarge { .. })) => {
            Err(Refusal::field("format", error.to_string()).into())
        }
        Err(error) => Err(Error::Fault(error.to_string())),
    }
}

/// What a report shows, but for its pictures.
struct Draft {
    report: Report,
    /// Display images, in the order of the report's photos, where they are here.
    pictures: Vec<Option<Sha256>>,
    /// Their length, all together.
    picture_bytes: u64,
}

impl std::ops::Deref for Draft {
    type Target = Report;
    fn deref(&self) -> &Report {
        &self.report
    }
}

async fn assemble(desk: &Desk, whole: Whole, look: &Look) -> Result<(Draft, Paper), Error> {
    let id = whole.row.id;
    let store = desk.ledger().store(&whole.row.store_code).await?;
    let store = store.map_or_else(
        || Store {
            code: whole.row.store_code.clone(),
            name: String::new(),
            timezone: "UTC".to_owned(),
        },
        |store| Store { code: store.code, name: store.name, timezone: store.timezone },
    );
    let paper = look.paper.unwrap_or_else(|| usual_paper(&store.timezone));
    let mut picture_bytes = 0;
    let displays: HashMap<Uuid, Sha256> = if whole.photos.is_empty() {
        HashMap::new()
    } else {
        let pieces = desk.ledger().pieces_of(id, Lane::Display).await?;
        let here: Vec<_> = pieces.into_iter().filter(|piece| piece.here).collect();
        picture_bytes = here.iter().map(|piece| piece.size_bytes).sum();
        here.into_iter().map(|piece| (piece.photo_id, piece.sha256)).collect()
    };
    let incident = serde_json::from_str(&answer::whole(&whole, "")).map_err(|error| Error::Fault(error.to_string()))?;
    let history = desk.ledger().history(id).await?;
    let labels = labels(desk, &whole.row.store_code, &incident, &history).await?;
    let pictures = whole.photos.iter().map(|photo| displays.get(&photo.id).copied()).collect();
    let photos = whole.photos.into_iter().map(|photo| Photo {
        jpeg: Arc::from([]),
        width: photo.width.unwrap_or(1),
        height: photo.height.unwrap_or(1),
        caption: photo.caption,
        taken_at: photo.taken_at,
        uploaded_at: photo.uploaded_at,
        sha256: photo.sha256,
        filename: photo.filename,
        state: match (photo.state.as_str(), displays.contains_key(&photo.id)) {
            ("undecodable", _) => PhotoState::Undecodable,
            (_, true) => PhotoState::Ready,
            (_, false) => PhotoState::Processing,
        },
    });
    let report = Report {
        company: desk.house().company.clone(),
        photos: photos.collect(),
        store,
        incident,
        history,
        labels,
        chain: desk.ledger().chain_of(id).await?.map(|link| link.to_string()).unwrap_or_default(),
        printed_at_ms: desk.now_ms(),
        url: format!("{}/incidents/{}", look.base_url, id.hyphenated()),
    };
    Ok((Draft { report, pictures, picture_bytes }, paper))
}

/// What the company calls its own fields, of an incident that has to do with them.
async fn labels(
    desk: &Desk,
    store: &str,
    incident: &Value,
    history: &[HistoryItem],
) -> Result<BTreeMap<String, String>, Error> {
    let has = incident.get("custom").and_then(Value::as_object).is_some_and(|custom| !custom.is_empty());
    let had = || history.iter().filter_map(|item| item.field.as_deref()).any(|field| field.starts_with("custom/"));
    if !has && !had() {
        return Ok(BTreeMap::new());
    }
    let fields = settings::custom_fields(desk, store).await?;
    Ok(fields.into_iter().map(|field| (field.key, field.label)).collect())
}

/// The paper of the store's continent.
fn usual_paper(timezone: &str) -> Paper {
    if timezone.starts_with("America/") || timezone.starts_with("US/") || timezone.starts_with("Canada/") {
        Paper::Letter
    } else {
        Paper::A4
    }
}

/// A digest of what is shown. Not of when it is printed and how long the chain was then: both are true of a kept one too.
fn digest(draft: &Draft, paper: Paper) -> Key {
    let report = &draft.report;
    let mut incident = report.incident.clone();
    if let Some(photos) = incident.get_mut("photos").and_then(Value::as_array_mut) {
        for photo in photos.iter_mut().filter_map(Value::as_object_mut) {
            // How far a photo has got to headquarters is not in a report.
            photo.remove("at_hub");
        }
    }
    let history = serde_json::to_vec(&report.history).unwrap_or_default();
    let pictures: Vec<u8> = draft
        .pictures
        .iter()
        .flat_map(|digest| digest.map_or([0; 32], |digest| *digest.as_bytes()))
        .collect();
    let store = &report.store;
    let shown = [
        incident.to_string().into_bytes(),
        history,
        pictures,
        serde_json::to_vec(&report.labels).unwrap_or_default(),
        format!("{paper:?}\n{}\n{}\n{}\n{}\n{}", report.company, store.code, store.name, store.timezone, report.url)
            .into_bytes(),
    ];
    Key::of(Kind::Report, &shown.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

async fn with_pictures(desk: &Desk, mut draft: Draft) -> Result<Report, Error> {
    for (photo, digest) in draft.report.photos.iter_mut().zip(&draft.pictures) {
        let Some(digest) = digest else { continue };
        match desk.blobs().read(*digest, MAX_PICTURE_BYTES).await.map_err(disk)? {
            Some(jpeg) => photo.jpeg = jpeg.into(),
            // It went missing; the report says that it is not there.
            None => photo.state = PhotoState::Processing,
        }
    }
    Ok(draft.report)
}
