//! The drop folder: what a camera export or a scanner puts there becomes a file of an incident.
//!
//! Layout: `inbox/042-2026-000017-K7/…` (folders in it, too) and `inbox/042-2026-000017-K7 door.jpg` belong to that incident (its id will do too);
//! anything else waits on the list "to be filed" (`GET /api/v1/inbox`). `inbox/done` has what was taken, `inbox/failed` what
//! was not, with the reason beside it.
//!
//! What makes it safe: a file is taken when no program is known to have it open for writing and it has not changed for a
//! while; it is copied into the site's own files, durable,
//! and recorded, and only then moved to `done`. A crash in between takes it again, which adds nothing twice: a photo goes by
//! its incident and its content. Links are never followed.
//!
//! At start the folder is looked through, and then whenever the system tells of a change in it, and every now and then; more
//! often where it is on another machine, which tells of nothing.

pub mod filing;
mod folder;
mod heard;

use chassis::blobs::Kept;
use chassis::disk::Content;
use desk::actor::Actor;
use desk::photos::{self, MAX_PHOTO_BYTES, NewPhoto};
use desk::{Desk, Error, Refusal};
use folder::{Found, Seen};
use heard::Heard;
use notify::{RecursiveMode, Watcher};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use uuid::Uuid;

/// A file that has not changed for so long is whole.
const SETTLED: Duration = Duration::from_secs(2);
/// The same where nothing tells whether a program has it open.
const SETTLED_UNHEARD: Duration = Duration::from_secs(15);
/// Most files that could not be moved away and are remembered as taken.
const MOST_STUCK: usize = 10_000;
/// How often a folder of this machine is looked through when nothing is heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often a folder on another machine is.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// The pause after something that is wrong with this site and not with a file.
const AGAIN: Duration = Duration::from_secs(10);
/// How much is read at a time.
const PORTION: usize = 256 * 1024;

/// What became of a file.
enum Taken {
    /// It is durable, and where it belongs.
    Done,
    /// It changed while it was read.
    Changing,
    /// It cannot be taken, for this reason.
    Failed(String),
}

/// Takes what is put into `root` for as long as it is polled.
pub async fn run(desk: Desk, root: PathBuf) {
    loop {
        match watch(&desk, &root).await {
            Ok(never) => match never {},
            Err(why) => {
                tracing::warn!(folder = %root.display(), why, "the drop folder cannot be used; it is tried again")
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn watch(desk: &Desk, root: &Path) -> Result<std::convert::Infallible, String> {
    let at = root.to_owned();
    let is_remote = off(move || folder::prepare(&at)).await?;
    let heard = Arc::new(Heard::default());
    let tell = Arc::clone(&heard);
    let watcher = notify::recommended_watcher(move |event| tell.event(event));
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(root, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    let pause = match &watching {
        Ok(_) if !is_remote => LOOK_EVERY,
        Ok(_) => POLL_EVERY,
        Err(error) => {
            tracing::info!(%error, "the system does not tell of changes in the drop folder; it is looked through instead");
            POLL_EVERY
        }
    };
    let settled = if watching.is_ok() && !is_remote { SETTLED } else { SETTLED_UNHEARD };
    let mut watched = Watched { seen: HashMap::new(), stuck: HashMap::new(), settled };
    loop {
        let (at, before) = (root.to_owned(), Instant::now());
        let found = off(move || folder::look(&at)).await?;
        let unsettled = pass(desk, root, found, before, &mut watched, &heard).await;
        let wait = unsettled.unwrap_or(pause);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = heard.something(), if unsettled.is_none() => {}
        }
    }
}

/// What is remembered from one look to the next.
struct Watched {
    /// Since when a file looks as it does.
    seen: HashMap<PathBuf, (Seen, Instant)>,
    /// Files that were taken and could not be moved away: they are not taken again.
    stuck: HashMap<PathBuf, (Seen, Option<String>)>,
    settled: Duration,
}

/// Takes what has settled; answers when to look again for what has not. `before`: when `found` began to be looked for.
async fn pass(
    desk: &Desk,
    root: &Path,
    found: Vec<Found>,
    before: Instant,
    watched: &mut Watched,
    heard: &Heard,
) -> Option<Duration> {
    let there: HashSet<&Path> = found.iter().map(|file| file.path.as_path()).collect();
    let Watched { seen, stuck, settled } = watched;
    seen.retain(|path, _| there.contains(path.as_path()));
    stuck.retain(|path, _| there.contains(path.as_path()));
    heard.retain(before, |path| there.contains(path));
    let mut again = None;
    for file in found {
        let now = Instant::now();
        let (was, since) = *seen.entry(file.path.clone()).or_insert((file.seen, now));
        if was != file.seen {
            seen.insert(file.path.clone(), (file.seen, now));
        }
        // A file without content is one that has not begun.
        let begun = file.seen.size_bytes > 0 && !heard.is_being_written(&file.path);
        if was != file.seen || since.elapsed() < *settled || !begun {
            again = Some(*settled);
            continue;
        }
        let taken = match stuck.get(&file.path) {
            Some((was, why)) if *was == file.seen => Ok(why.clone().map_or(Taken::Done, Taken::Failed)),
            _ => take(desk, &file).await,
        };
        let reason = match taken {
            Ok(Taken::Done) => None,
            Ok(Taken::Failed(why)) => Some(why),
            Ok(Taken::Changing) => {
                again = Some(*settled);
                seen.remove(&file.path);
                continue;
            }
            Err(error) => {
                // The guard of the disk has said so already.
                if !matches!(error, Error::Refused(Refusal::NotEnrolled) | Error::NoRoom) {
                    tracing::warn!(%error, "files of the drop folder have to wait");
                }
                return Some(AGAIN);
            }
        };
        put_away(root, &file, reason, stuck).await;
        seen.remove(&file.path);
    }
    again
}

/// Moves a file away that was taken, or will never be. Where that fails it is remembered: taken twice it would appear twice.
async fn put_away(
    root: &Path,
    file: &Found,
    reason: Option<String>,
    stuck: &mut HashMap<PathBuf, (Seen, Option<String>)>,
) {
    let is_news = !stuck.contains_key(&file.path);
    let (folder, moved, why) = (root.to_owned(), file.clone(), reason.clone());
    match off(move || folder::put_away(&folder, &moved, why.as_deref())).await {
        Ok(_) => {
            stuck.remove(&file.path);
        }
        Err(error) => {
            if is_news {
                tracing::warn!(file = %file.path.display(), error, "a file of the drop folder was dealt with and cannot be moved away; make the folder writable");
            }
            if stuck.len() < MOST_STUCK {
                stuck.insert(file.path.clone(), (file.seen, reason.clone()));
            }
        }
    }
    if is_news {
        metrics::counter!("inbox_files_total", "outcome" => if reason.is_none() { "done" } else { "failed" })
            .increment(1);
        if let Some(why) = &reason {
            tracing::warn!(file = %file.path.display(), why, "a file of the drop folder was not taken");
        }
    }
}

/// Takes one file in. Errors are this site's; what is wrong with the file is an outcome.
async fn take(desk: &Desk, file: &Found) -> Result<Taken, Error> {
    desk.own_store().await?;
    desk.blobs().guard().admit(Content::Dropped)?;
    if file.seen.size_bytes > MAX_PHOTO_BYTES {
        let most = MAX_PHOTO_BYTES / (1024 * 1024);
        return Ok(Taken::Failed(format!("the file is larger than {most} MiB")));
    }
    let kept = match copy(desk, file).await? {
        Ok(kept) => kept,
        Err(taken) => return Ok(taken),
    };
    let filed = match incident_of(desk, file).await? {
        Some(incident) => {
            let new = NewPhoto { kept, filename: file.name.clone(), caption: None };
            photos::add(desk, &Actor::system("inbox"), incident, new).await.map(|_| ())
        }
        None => to_be_filed(desk, file, kept).await,
    };
    match filed {
        Ok(()) => Ok(Taken::Done),
        Err(Error::Refused(refusal)) => Ok(Taken::Failed(in_words(refusal))),
        Err(error) => Err(error),
    }
}

async fn to_be_filed(desk: &Desk, file: &Found, kept: Kept) -> Result<(), Error> {
    photos::examine(desk, kept.sha256).await?;
    let now_ms = desk.now_ms();
    let (id, name) = (desk.ids().new_v7(now_ms), photos::tidy_name(&file.name));
    desk.ledger().add_inbox_item(id, kept.sha256, kept.size_bytes, name, now_ms).await
}

/// Copies a file into the site's own, as it was when it was found.
async fn copy(desk: &Desk, file: &Found) -> Result<Result<Kept, Taken>, Error> {
    let path = file.path.clone();
    let opened = tokio::task::spawn_blocking(move || folder::open(&path)).await;
    let (from, seen) = match opened.map_err(|gone| Error::Fault(gone.to_string()))? {
        Ok(opened) => opened,
        // Gone, or another's for now: that is no fault of the file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Err(Taken::Changing)),
        Err(error) if error.kind() == std::io::ErrorKind::Other => return Ok(Err(Taken::Failed(error.to_string()))),
        Err(error) => return Err(Error::Unavailable(format!("{}: {error}", file.name))),
    };
    let again = from.try_clone().map_err(photos::disk)?;
    let mut from = tokio::fs::File::from_std(from);
    let mut incoming = desk.blobs().begin(desk.ids().new_v7(desk.now_ms())).await.map_err(photos::disk)?;
    let mut portion = vec![0; PORTION];
    let complete = loop {
        match from.read(&mut portion).await {
            Ok(0) => break seen == file.seen && incoming.length() == seen.size_bytes,
            Ok(read) if incoming.length() + read as u64 <= seen.size_bytes => {
                let bytes = bytes::Bytes::copy_from_slice(&portion[..read]);
                incoming.write(bytes).await.map_err(photos::disk)?;
            }
            Ok(_) => break false,
            // A disk or a share that fails says nothing of the file.
            Err(error) => {
                incoming.discard().await.map_err(photos::disk)?;
                return Err(Error::Unavailable(format!("{}: {error}", file.name)));
            }
        }
    };
    // Written to while it was read, at the same length.
    let unchanged = off(move || folder::still(&again, seen)).await.unwrap_or(false);
    if !complete || !unchanged {
        incoming.discard().await.map_err(photos::disk)?;
        return Ok(Err(Taken::Changing));
    }
    Ok(Ok(incoming.keep(None).await.map_err(photos::disk)?))
}

/// The incident that the file's folder or name says.
async fn incident_of(desk: &Desk, file: &Found) -> Result<Option<Uuid>, Error> {
    // The nearest folder first.
    let folders = file.folder.iter().flat_map(|folders| folders.rsplit('/'));
    for text in folders.chain([file.name.as_str()]) {
        for word in folder::names_in(text) {
            if let Some(id) = filing::named(desk, word).await? {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

fn in_words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Invalid(errors) => errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "),
        Refusal::Gone => "the incident was deleted".to_owned(),
        Refusal::NotFound => "there is no such incident".to_owned(),
        Refusal::Forbidden(why) | Refusal::Conflict(why) => why,
        Refusal::Stale | Refusal::TooOften { .. } | Refusal::NotEnrolled => "it cannot be taken now".to_owned(),
    }
}

/// Runs `job` where it may wait for a disk.
async fn off<T: Send + 'static>(job: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::task::spawn_blocking(job).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(gone) => Err(gone.to_string()),
    }
}
