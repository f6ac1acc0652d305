//! Photos that arrive in pieces, and go on where they were cut.

use super::{NewPhoto, add, admit};
use crate::actor::Actor;
use crate::desk::{Desk, WeakDesk};
use async_trait::async_trait;
use chassis::blobs::{Kept, Sha256};
use chassis::http::Problem;
use chassis::uploads::{Destination, Metadata, Upload};
use std::time::Duration;
use uuid::Uuid;

/// An upload that is not touched for so long is forgotten.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How owners are called.
pub const OWNERS: &str = "user:";
/// How often expired uploads are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// What may be said of an upload.
const NAMES: [&str; 7] = ["incident_id", "filename", "filetype", "caption", "name", "type", "username"];

/// Whoever `actor` is to the uploads.
#[must_use]
pub fn owner(actor: &Actor) -> String {
    format!("{OWNERS}{}", actor.username)
}

/// What waited on a device was written by somebody else than whoever is logged in there by now.
#[must_use]
pub fn other_user() -> Problem {
    Problem::conflict("somebody else wrote this: it is kept until they log in here and send it").code("other-user")
}

/// The incidents as a destination of uploads.
pub struct Incidents {
    /// The desk, which owns the uploads.
    pub desk: WeakDesk,
}

impl Incidents {
    fn desk(&self) -> Result<Desk, Problem> {
        self.desk.upgrade().ok_or_else(|| Problem::unavailable("stopping", "this is shutting down", 5))
    }
}

async fn actor(desk: &Desk, owner: &str) -> Result<Actor, Problem> {
    let username = owner.strip_prefix(OWNERS).unwrap_or_default();
    let account = desk.ledger().account(username).await?.filter(|account| account.active);
    account
        .map(Actor::from)
        .ok_or_else(|| Problem::forbidden("the account that began this upload is closed"))
}

fn incident(metadata: &Metadata) -> Result<Uuid, Problem> {
    let text = metadata.get("incident_id").map(String::as_str).unwrap_or_default();
    Uuid::try_parse(text)
        .map_err(|_| Problem::invalid("incident_id", "is required in Upload-Metadata: the incident's id"))
}

#[async_trait]
impl Destination for Incidents {
    async fn admit(&self, owner: &str, _: u64, metadata: &Metadata) -> Result<Option<Sha256>, Problem> {
        if let Some(unknown) = metadata.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(Problem::invalid(unknown.clone(), "there is no such metadata"));
        }
        if metadata.get("username").is_some_and(|username| owner.strip_prefix(OWNERS) != Some(username)) {
            return Err(other_user());
        }
        let desk = self.desk()?;
        admit(&desk, &actor(&desk, owner).await?, incident(metadata)?).await?;
        Ok(None)
    }

    async fn take(&self, upload: &Upload, kept: Kept) -> Result<String, Problem> {
        let desk = self.desk()?;
        let actor = actor(&desk, &upload.owner).await?;
        let named = |names: &[&str]| names.iter().find_map(|name| upload.metadata.get(*name)).cloned();
        let new = NewPhoto {
            kept,
            filename: named(&["filename", "name"]).unwrap_or_else(|| "file".to_owned()),
            caption: named(&["caption"]),
        };
        let photo = add(&desk, &actor, incident(&upload.metadata)?, new).await?;
        Ok(format!("/api/v1/photos/{}/original", photo.id.hyphenated()))
    }
}

/// Finishes and forgets uploads at start, and then now and then.
pub async fn keep(desk: &Desk) {
    loop {
        if let Err(error) = desk.uploads().recover().await {
            tracing::warn!(%error, "uploads cannot be looked through");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
