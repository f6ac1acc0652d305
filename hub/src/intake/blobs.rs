//! The contents of photos: which ones the hub has, what nodes send, and what they fetch.
//!
//! A content is taken only where a record of the node's own store names it, and told of only there: a digest alone opens
//! nothing. Uploads go on where they were cut ([`chassis::uploads`]); the node keeps nothing about them, for the answer to
//! "have?" says how far each one is.

use super::credentials::Caller;
use super::{Intake, Refused};
use async_trait::async_trait;
use chassis::blobs::{Kept, Reading, Sha256};
use chassis::disk::Content;
use chassis::http::Problem;
use chassis::pace::Pace;
use chassis::uploads::{Destination, Metadata, Upload, Uploads};
use desk::Desk;
use desk::ledger::AtHub;
use http::StatusCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::message::{Have, HaveAnswer, HaveItem, HaveRequest, MAX_HAVE};
use sync_protocol::scope::Scope;

/// How owners of uploads are called.
const OWNERS: &str = "node:";
/// An upload that is not touched for so long is begun anew: longer than a store is usually cut off.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How often expired uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// The photos' contents as a destination of uploads.
struct Contents {
    desk: Desk,
}

pub(super) fn uploads(desk: &Desk) -> Uploads {
    Uploads::new(
        Arc::clone(desk.upload_store()),
        desk.blobs().clone(),
        Arc::new(Contents { desk: desk.clone() }),
        Arc::clone(desk.clock()),
        desk.ids().clone(),
        OWNERS,
        LIFETIME,
    )
    .counted_as(Content::Pushed)
}

/// Finishes and forgets uploads at start, and then now and then.
pub(super) async fn keep(uploads: Uploads) {
    loop {
        if let Err(error) = uploads.recover().await {
            tracing::warn!(%error, "uploads of nodes cannot be looked through");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

impl Caller {
    /// What its uploads go by.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{OWNERS}{}:{}", self.node_id.hyphenated(), self.store_code)
    }
}

/// The scope of an upload's owner.
fn scope_of(owner: &str) -> Option<Scope> {
    let (_, store_code) = owner.strip_prefix(OWNERS)?.split_once(':')?;
    Some(Scope::Store(store_code.to_owned()))
}

#[async_trait]
impl Destination for Contents {
    async fn admit(&self, owner: &str, length_bytes: u64, metadata: &Metadata) -> Result<Option<Sha256>, Problem> {
        let scope = scope_of(owner).ok_or_else(|| Problem::internal("an upload without an owner"))?;
        let sha256 = metadata.get("sha256").and_then(|text| text.parse::<Sha256>().ok());
        let sha256 = sha256.ok_or_else(|| Problem::bad_request("Upload-Metadata must say sha256"))?;
        match self.desk.ledger().piece_in(scope, sha256).await? {
            None => Err(Problem::conflict("no record of this store names that content: push the records first")
                .code("records-first")),
            Some((size_bytes, _)) if size_bytes != length_bytes => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "length",
                "Another length",
                format!("the records say that it is {size_bytes} bytes long"),
            )),
            Some(_) => {
                self.desk.ledger().note_at_hub(vec![sha256], AtHub::Sending).await?;
                Ok(Some(sha256))
            }
        }
    }

    async fn take(&self, _: &Upload, kept: Kept) -> Result<String, Problem> {
        self.desk.ledger().keep_blob(kept.sha256, kept.size_bytes, self.desk.now_ms()).await?;
        self.desk.stop_wanting(kept.sha256);
        Ok(format!("{}/{}", sync_protocol::message::path::BLOBS, kept.sha256))
    }

    /// A node may be told to take little of its line, and sends in pieces of 16 KiB; how many of its requests there may be is bounded
    /// otherwise.
    fn pace(&self) -> Pace {
        Pace::new(64, Duration::from_secs(60))
    }
}

impl Intake {
    /// The uploads of nodes.
    #[must_use]
    pub fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    /// Which of some contents are here.
    ///
    /// # Errors
    /// [`Refused::TooLarge`], [`Refused::Malformed`]; [`Refused::Failed`].
    pub async fn have(&self, caller: &Caller, request: HaveRequest) -> Result<HaveAnswer, Refused> {
        if request.sha256.len() > MAX_HAVE {
            return Err(Refused::TooLarge(format!("at most {MAX_HAVE} digests at once")));
        }
        let owner = caller.owner();
        let open = self.inner.uploads.open_of(&owner).await.map_err(|error| {
            tracing::warn!(%error, "uploads cannot be read");
            self.inner.admission.busy()
        })?;
        let open: HashMap<&str, &Upload> =
            open.iter().filter_map(|upload| Some((upload.metadata.get("sha256")?.as_str(), upload))).collect();
        let mut items = Vec::with_capacity(request.sha256.len());
        for text in request.sha256 {
            let digest = text.parse::<Sha256>().map_err(|error| Refused::Malformed(error.to_string()))?;
            let found = self.ledger().piece_in(caller.own_scope(), digest).await.map_err(|e| self.failed(e))?;
            let (state, upload) = match found {
                None => (Have::Unknown, None),
                Some((_, true)) => (Have::Here, None),
                Some((_, false)) => (Have::Missing, open.get(text.as_str())),
            };
            let wanted = state == Have::Missing && self.inner.desk.wanted().borrow().contains(&digest);
            items.push(HaveItem {
                sha256: text,
                state,
                upload: upload.map(|upload| upload.id),
                offset_bytes: upload.map_or(0, |upload| upload.offset_bytes),
                wanted,
            });
        }
        Ok(HaveAnswer { items })
    }

    /// A content that a record of the node's store names; `None` where there is none, it is not here, or another node took the
    /// caller's place.
    ///
    /// # Errors
    /// [`Refused::Failed`].
    pub async fn blob(&self, caller: &Caller, sha256: Sha256) -> Result<Option<Reading>, Refused> {
        let found = self.ledger().piece_in(caller.own_scope(), sha256).await.map_err(|e| self.failed(e))?;
        if caller.retired || !found.is_some_and(|(_, here)| here) {
            return Ok(None);
        }
        let (desk, disk) = (&self.inner.desk, |error| self.failed(desk::photos::disk(error)));
        let Some(reading) = desk.blobs().open_read(sha256).await.map_err(disk)? else {
            return Ok(None);
        };
        let is_right = desk::http::content::may_leave(desk, &reading, sha256).await.map_err(|e| self.failed(e))?;
        Ok(is_right.then_some(reading))
    }
}
