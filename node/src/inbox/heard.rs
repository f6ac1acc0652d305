//! What the system tells of the drop folder: that something changed, and which files a program has open for writing.
//!
//! A camera export may pause for longer than any guess; until its file is closed it is not whole. Where the system tells of
//! nothing (a folder on another machine, a file that was there at start), only time can tell.

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most files that are remembered as being written; of more, only time can tell.
const MOST: usize = 10_000;
/// A file that is open but was not written to for so long is taken: a program forgot to close it.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// Where the watcher notes, and the loop looks. The lock is held for a map's operation only.
#[derive(Default)]
pub(super) struct Heard {
    bell: Notify,
    writing: Mutex<HashMap<PathBuf, Instant>>,
}

impl Heard {
    /// Takes in what the system tells.
    pub(super) fn event(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.writing().clear(),
            // Looking through the folder is heard too: without this one look would call for the next, for ever.
            Ok(event) if is_mere_look(event.kind) => return,
            Ok(event) => self.note(&event),
            Err(error) => tracing::debug!(%error, "the system cannot tell of a change in the drop folder"),
        }
        self.bell.notify_one();
    }

    fn note(&self, event: &Event) {
        let mut writing = self.writing();
        for path in &event.paths {
            match event.kind {
                EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) if writing.len() < MOST => {
                    writing.insert(path.clone(), Instant::now());
                }
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::To | RenameMode::Both))
                | EventKind::Remove(_) => {
                    writing.remove(path);
                }
                _ => {}
            }
        }
    }

    /// Whether a program is still writing the file.
    pub(super) fn is_being_written(&self, path: &Path) -> bool {
        self.writing().get(path).is_some_and(|since| since.elapsed() < FORGOTTEN)
    }

    /// Forgets what was heard, before the moment `before`, of files that are not there.
    pub(super) fn retain(&self, before: Instant, is_there: impl Fn(&Path) -> bool) {
        self.writing().retain(|path, at| *at >= before || is_there(path));
    }

    /// Waits until something is heard.
    pub(super) async fn something(&self) {
        self.bell.notified().await;
    }

    fn writing(&self) -> MutexGuard<'_, HashMap<PathBuf, Instant>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing changed: something was opened or read.
const fn is_mere_look(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RemoveKind};

    #[test]
    fn a_file_is_being_written_until_it_is_closed_or_moved() {
        let (heard, path) = (Heard::default(), Path::new("scan.jpg"));
        let tell = |kind| heard.event(Ok(Event::new(kind).add_path(path.to_owned())));
        for end in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Remove(RemoveKind::File),
        ] {
            assert!(!heard.is_being_written(path));
            tell(EventKind::Create(CreateKind::File));
            tell(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
            tell(EventKind::Access(AccessKind::Close(AccessMode::Read)));
            assert!(heard.is_being_written(path));
            tell(end);
        }
        tell(EventKind::Create(CreateKind::File));
        heard.retain(Instant::now() - Duration::from_secs(1), |_| false);
        assert!(heard.is_being_written(path), "heard after the look began");
        heard.retain(Instant::now(), |_| false);
        assert!(!heard.is_being_written(path));
    }

    #[test]
    fn a_look_through_the_folder_does_not_call_for_another_one() {
        let folder = std::env::temp_dir().join(format!("heard-{:016x}", chassis::ids::Ids::system().random_u64()));
        std::fs::create_dir_all(folder.join("done")).unwrap();
        let (heard, (tell, told)) = (Heard::default(), std::sync::mpsc::channel());
        let mut watcher = notify::recommended_watcher(move |event| drop(tell.send(event))).unwrap();
        notify::Watcher::watch(&mut watcher, &folder, notify::RecursiveMode::Recursive).unwrap();
        let next = || -> Event { told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap() };
        let rings = || futures::FutureExt::now_or_never(heard.something()).is_some();

        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::write(folder.join("a.jpg"), b"a").unwrap();
        let mut looks = 0;
        loop {
            let event = next();
            let named = event.paths.iter().any(|path| path.ends_with("a.jpg"));
            heard.event(Ok(event));
            if named {
                break;
            }
            looks += 1;
            assert!(!rings(), "a mere look rang");
        }
        assert!(looks > 0 && rings());
        drop(watcher);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
