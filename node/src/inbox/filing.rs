//! The list "to be filed": what came through the drop folder and names no incident, until a manager says where it belongs.

use chassis::blobs::Kept;
use desk::actor::Actor;
use desk::ledger::{InboxItem, Photo};
use desk::photos::{self, NewPhoto};
use desk::rules::{self, Act};
use desk::{Desk, Error, Refusal};
use uuid::Uuid;

/// Most files that are shown.
const MOST: u32 = 500;

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
