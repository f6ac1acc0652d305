//! The job that makes what people look at.

use super::derive::{Decoded, Derived, Undecodable, derive as make, finish};
use super::header::Verdict;
use super::sniff::Format;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::Fields;
use crate::ledger::{Draft, Lane, Staged};
use chassis::blobs::Kept;
use chassis::disk::Content;
use chassis::jobs::{Handler, Job, JobError, MOST_ATTEMPTS, NewJob};
use futures::FutureExt as _;
use serde_json::Value;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::record::PHOTO;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// The job's kind.
pub const KIND: &str = "derive";
/// Who records what it made.
const BY: &str = "system:photos";
/// Most of a reason that is recorded, in characters.
const MOST_REASON: usize = 400;
/// Before anything that nobody waits for.
const PRIORITY: i32 = 10;
/// How long pictures wait before it is looked again for room on the disk.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(30);

/// The job that makes display image and thumbnail of a photo.
#[must_use]
pub fn derive(photo_id: Uuid) -> NewJob {
    NewJob { priority: PRIORITY, ..NewJob::new(KIND, photo_id.hyphenated().to_string()) }
}

/// How many photos are worked on at once: as many as there are processors, at most four, so that memory is bounded.
#[must_use]
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// Memory that pictures may take while they are worked on, all together, in MiB. A single one never takes more.
const BUDGET_MIB: u32 = 256;
static BUDGET: Semaphore = Semaphore::const_new(BUDGET_MIB as usize);

/// Waits until there is memory for a picture.
async fn memory_for(cost_bytes: u64) -> Result<SemaphorePermit<'static>, JobError> {
    let mib = u32::try_from(cost_bytes.div_ceil(1024 * 1024)).unwrap_or(BUDGET_MIB);
    BUDGET
        .acquire_many(mib.clamp(1, BUDGET_MIB))
        .await
        .map_err(|closed| JobError::Retry(closed.to_string()))
}

/// What does the job.
#[must_use]
pub fn handler(desk: Desk) -> Handler {
    Arc::new(move |job: Job| {
        let desk = desk.clone();
        async move {
            let id = Uuid::try_parse(&job.key).map_err(|_| JobError::Dead("its key is no photo's id".to_owned()))?;
            match work(&desk, id).await {
                // The last try: it is set aside, and nobody should wait for it.
                Err(JobError::Retry(why)) if job.attempt >= MOST_ATTEMPTS => {
                    give_up(&desk, id, &why).await.map_err(|error| JobError::Dead(format!("{why}; {error}")))?;
                    Err(JobError::Dead(why))
                }
                done => done,
            }
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
    // It is made when there is room: that is no failure of the picture's.
    desk.blobs().guard().admit(Content::Picture).map_err(|no_room| no_room_yet(no_room.to_string()))?;
    // The file is in memory besides.
    let found = super::inspect(desk, original.sha256).await.map_err(retry)?;
    let _room = memory_for(found.cost_bytes + original.size_bytes).await?;
    let path = desk.blobs().path(original.sha256);
    let made = match (found.format, &found.verdict, desk.heic()) {
        (Format::Heif, Verdict::Decodable, Some(opener)) => {
            let decoded = opener.decode(&path).await.map_err(|error| JobError::Retry(error.to_string()))?;
            match decoded {
                Ok((pixels, profile)) => {
                    let size = (pixels.width, pixels.height);
                    let decoded = Decoded { pixels, profile };
                    guarded(move || Ok(finish(decoded, 1, size).map_err(Undecodable))).await?
                }
                Err(why) => Err(Undecodable(why)),
            }
        }
        _ => guarded(move || make(&path)).await?,
    };
    let set = match made {
        Ok(made) => match keep(desk, made).await {
            Err(error @ Error::NoRoom) => return Err(no_room_yet(error.to_string())),
            kept => kept.map_err(retry)?,
        },
        Err(Undecodable(why)) => {
            Fields::from([("state".to_owned(), Value::from("undecodable")), ("reason".to_owned(), Value::from(why))])
        }
    };
    note(desk, id, set).await.map_err(retry)
}

/// Pictures wait for room on the disk, for as long as it takes.
fn no_room_yet(why: String) -> JobError {
    JobError::Unasked { why, wait: NO_ROOM_PAUSE }
}

/// Makes something on a thread of its own; what makes the decoder fail cannot be shown.
async fn guarded(
    make: impl FnOnce() -> io::Result<Result<Derived, Undecodable>> + Send + 'static,
) -> Result<Result<Derived, Undecodable>, JobError> {
    let made = tokio::task::spawn_blocking(move || catch_unwind(AssertUnwindSafe(make))).await;
    match made.map_err(|gone| JobError::Retry(gone.to_string()))? {
        Ok(made) => made.map_err(|error| JobError::Retry(error.to_string())),
        Err(_) => Ok(Err(Undecodable("the picture made the decoder fail".to_owned()))),
    }
}

/// Says that a photo cannot be shown, where its picture is still waited for.
pub(super) async fn give_up(desk: &Desk, id: Uuid, why: &str) -> Result<(), Error> {
    let waiting = desk.ledger().photo(id).await?.is_some_and(|file| file.photo.state == "processing");
    if !waiting {
        return Ok(());
    }
    let why: String = format!("its picture could not be made: {why}").chars().take(MOST_REASON).collect();
    let set = Fields::from([("state".to_owned(), Value::from("undecodable")), ("reason".to_owned(), Value::from(why))]);
    note(desk, id, set).await
}

/// Has pictures made again of a photo whose job was given up: it is waited for again.
pub(crate) async fn again(desk: &Desk, id: Uuid) -> Result<(), Error> {
    let given_up = desk.ledger().photo(id).await?.is_some_and(|file| file.photo.state == "undecodable");
    if !given_up {
        return Ok(());
    }
    note(desk, id, Fields::from([("state".to_owned(), Value::Null), ("reason".to_owned(), Value::Null)])).await
}

async fn note(desk: &Desk, id: Uuid, set: Fields) -> Result<(), Error> {
    let plan = move |staged: &Staged| {
        let photo = staged.records.first().and_then(Option::as_ref).ok_or(Refusal::NotFound)?;
        Ok(vec![Draft { kind: PHOTO, id, scope: photo.scope.clone(), new: false, set, number_year: None }])
    };
    super::record(desk, BY, vec![id], Vec::new(), plan).await
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
