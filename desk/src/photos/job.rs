//! The job that makes what people look at.

use super::derive::{Derived, Undecodable, derive as make};
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::Fields;
use crate::ledger::{Draft, Lane, Staged};
use chassis::blobs::Kept;
use chassis::jobs::{Handler, Job, JobError, NewJob};
use futures::FutureExt as _;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use sync_protocol::record::PHOTO;
use uuid::Uuid;

/// The job's kind.
pub const KIND: &str = "derive";
/// Who records what it made.
const BY: &str = "system:photos";
/// Before anything that nobody waits for.
const PRIORITY: i32 = 10;

/// The job that makes display image and thumbnail of a photo.
#[must_use]
pub fn derive(photo_id: Uuid) -> NewJob {
    let key = photo_id.hyphenated().to_string();
    NewJob { kind: KIND, key, payload: "{}".to_owned(), priority: PRIORITY, run_at_ms: 0 }
}

/// How many photos are worked on at once: as many as there are processors, at most four, so that memory is bounded.
#[must_use]
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// What does the job.
#[must_use]
pub fn handler(desk: Desk) -> Handler {
    Arc::new(move |job: Job| {
        let desk = desk.clone();
        async move {
            let id = Uuid::try_parse(&job.key).map_err(|_| JobError::Dead("its key is no photo's id".to_owned()))?;
            work(&desk, id).await
        }
        .boxed()
    })
}

async fn work(desk: &Desk, id: Uuid) -> Result<(), JobError> {
    let retry = |error: Error| JobError::Retry(error.to_string());
    let Some(file) = desk.ledger().photo(id).await.map_err(retry)? else {
        return Err(JobError::Dead("there is no such photo".to_owned()));
    };
    let Some(original) = file.piece(Lane::Original).filter(|_| file.photo.state == "processing") else {
        return Ok(());
    };
    let path = desk.blobs().path(original.sha256);
    let made = tokio::task::spawn_blocking(move || catch_unwind(AssertUnwindSafe(|| make(&path)))).await;
    let made = match made.map_err(|gone| JobError::Retry(gone.to_string()))? {
        Ok(made) => made.map_err(|error| JobError::Retry(error.to_string()))?,
        Err(_) => Err(Undecodable("the picture made the decoder fail".to_owned())),
    };
    let set = match made {
        Ok(made) => keep(desk, made).await.map_err(retry)?,
        Err(Undecodable(why)) => {
            Fields::from([("state".to_owned(), Value::from("undecodable")), ("reason".to_owned(), Value::from(why))])
        }
    };
    let plan = move |staged: &Staged| {
        let photo = staged.records.first().and_then(Option::as_ref).ok_or(Refusal::NotFound)?;
        Ok(vec![Draft { kind: PHOTO, id, scope: photo.scope.clone(), new: false, set, number_year: None }])
    };
    super::record(desk, BY, vec![id], Vec::new(), plan).await.map_err(retry)
}

async fn keep(desk: &Desk, made: Derived) -> Result<Fields, Error> {
    let (display, thumbnail) = (kept(desk, made.display).await?, kept(desk, made.thumbnail).await?);
    let mut set = Fields::from([
        ("state".to_owned(), Value::from("ready")),
        ("width".to_owned(), Value::from(made.width)),
        ("height".to_owned(), Value::from(made.height)),
    ]);
    for (name, kept) in [("display", display), ("thumbnail", thumbnail)] {
        set.insert(format!("{name}/sha256"), Value::from(kept.sha256.to_string()));
        set.insert(format!("{name}/size_bytes"), Value::from(kept.size_bytes));
    }
    Ok(set)
}

async fn kept(desk: &Desk, bytes: Vec<u8>) -> Result<Kept, Error> {
    let now_ms = desk.now_ms();
    let kept = desk.blobs().put(desk.ids().new_v7(now_ms), bytes).await.map_err(super::disk)?;
    desk.ledger().keep_blob(kept.sha256, kept.size_bytes, now_ms).await?;
    Ok(kept)
}
