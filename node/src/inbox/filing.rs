//! The list "to be filed": what came through the drop folder and names no incident, until a manager says where it belongs.

use chassis::blobs::Kept;
use desk::actor::Actor;
use desk::ledger::{Filter, InboxItem, Photo};
use desk::photos::{self, NewPhoto};
use desk::rules::{self, Act};
use desk::{Desk, Error, Refusal};
use uuid::Uuid;

/// Most files that are shown.
const MOST: u32 = 500;
/// Longest word that may be an id or a reference, in bytes.
const MAX_NAME: usize = 60;

/// The files that wait, oldest first.
///
/// # Errors
/// [`Refusal::Forbidden`]; what the ledger says.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Vec<InboxItem>, Error> {
    rules::check(actor, Act::FileInbox)?;
    desk.ledger().inbox_items(MOST).await
}

/// Adds a file to an incident and takes it off the list.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Gone`], [`Refusal::Invalid`]; what the ledger says.
pub async fn file(
    desk: &Desk,
    actor: &Actor,
    id: Uuid,
    incident_id: Uuid,
    caption: Option<String>,
) -> Result<Photo, Error> {
    rules::check(actor, Act::FileInbox)?;
    let item = desk.ledger().inbox_item(id).await?.ok_or(Refusal::NotFound)?;
    photos::admit(desk, actor, incident_id).await?;
    let sha256 = item.sha256.parse().map_err(|_| Error::Fault(format!("the digest of {id} is none")))?;
    let kept = Kept { sha256, size_bytes: item.size_bytes, already: true };
    let new = NewPhoto { kept, filename: item.filename, caption };
    let photo = photos::add(desk, actor, incident_id, new).await?;
    desk.ledger().remove_inbox_item(id).await?;
    Ok(photo)
}

/// Takes a file off the list: it belongs to nothing.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`]; what the ledger says.
pub async fn discard(desk: &Desk, actor: &Actor, id: Uuid) -> Result<(), Error> {
    rules::check(actor, Act::FileInbox)?;
    if desk.ledger().remove_inbox_item(id).await? {
        Ok(())
    } else {
        Err(Refusal::NotFound.into())
    }
}

/// The incident that goes by that id or reference, also where it was deleted. Whether somebody may file something under it is
/// asked when they do.
///
/// # Errors
/// What the ledger says.
pub async fn named(desk: &Desk, word: &str) -> Result<Option<Uuid>, Error> {
    if word.is_empty() || word.len() > MAX_NAME {
        return Ok(None);
    }
    if let Ok(id) = Uuid::try_parse(word) {
        return Ok(desk.ledger().incident(id).await?.map(|row| row.id));
    }
    let filter = Filter { q: Some(word.to_owned()), deleted: true, ..Filter::default() };
    let found = desk.ledger().incidents(filter, None, 20).await?;
    let is_it = |doc: &str| {
        let doc: serde_json::Value = serde_json::from_str(doc).unwrap_or_default();
        doc["reference"].as_str().is_some_and(|reference| reference.eq_ignore_ascii_case(word))
    };
    Ok(found.into_iter().find(|row| is_it(&row.doc)).map(|row| row.id))
}
