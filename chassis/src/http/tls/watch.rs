//! Whether something happened beside the files of a certificate. What renews them replaces files, links to them, or a link to their folder,
//! so the folders are watched: those that the names lie in and those that the files themselves lie in. Where the system tells of nothing
//! (a share, too many watches) the look once a minute has to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// What happens together is looked at together: a certificate and its key are two files.
const GATHER: Duration = Duration::from_millis(400);
/// Most links that are followed from a name to its file.
const MOST_LINKS: usize = 8;

pub(super) struct Watch {
    bell: Arc<Notify>,
    /// None where the system tells of nothing.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let bell = Arc::new(Notify::new());
        let rung = Arc::clone(&bell);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| changes(event.kind)) {
                rung.notify_one();
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::info!(%error, "the system does not tell of changes; whether there is another certificate is looked at once a minute");
        });
        Self { bell, watcher: watcher.ok(), folders: BTreeSet::new() }
    }

    /// Watches beside `files` from now on, wherever their names lead now. Blocks.
    pub(super) fn over(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders(file)).collect();
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        let is_watched = |folder: &PathBuf| {
            self.folders.contains(folder) || watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
        };
        // A folder that cannot be watched is tried again at the next look.
        self.folders = wanted.into_iter().filter(is_watched).collect();
    }

    /// Returns some moments after something happened.
    pub(super) async fn something(&self) {
        self.bell.notified().await;
        tokio::time::sleep(GATHER).await;
    }
}

/// Whether a file may be another one after it. That it was read says nothing: the site reads it, too.
fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The folder of `file`, and of each file that a link leads to from there.
fn folders(file: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut name = file.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = match name.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // The folder by its name, for a link to it that is replaced, and where that leads.
        found.extend(folder.parent().filter(|_| folder.is_symlink()).map(Path::to_owned));
        found.extend(folder.canonicalize().ok());
        match std::fs::read_link(&name) {
            Ok(target) => name = folder.join(target),
            Err(_) => break,
        }
    }
    // Through whatever links are left in the middle of it.
    found.extend(file.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_name_is_watched_where_it_lies_and_where_it_leads() {
        let at = scratch("watch");
        let real = at.canonicalize().unwrap();
        for folder in ["live", "archive", "..2026"] {
            std::fs::create_dir(at.join(folder)).unwrap();
        }
        std::fs::write(at.join("archive/cert1.pem"), "").unwrap();
        std::fs::write(at.join("..2026/tls.crt"), "").unwrap();
        symlink("../archive/cert1.pem", at.join("live/cert.pem")).unwrap();
        symlink("..2026", at.join("..data")).unwrap();
        symlink("..data/tls.crt", at.join("tls.crt")).unwrap();
        let watched = |name: &str| folders(&at.join(name)).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(watched("live/cert.pem"), BTreeSet::from([real.join("live"), real.join("archive")]));
        let of_a_mount = watched("tls.crt");
        assert!(of_a_mount.contains(&real) && of_a_mount.contains(&real.join("..2026")), "{of_a_mount:?}");
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_rings_and_one_that_is_read_does_not() {
        let at = scratch("watch");
        let file = at.join("cert.pem");
        std::fs::write(&file, "old").unwrap();
        let mut watch = Watch::new();
        watch.over(std::slice::from_ref(&file));
        assert!(!changes(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!changes(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        std::fs::write(at.join("new"), "new").unwrap();
        std::fs::rename(at.join("new"), &file).unwrap();
        tokio::time::timeout(Duration::from_secs(20), watch.something()).await.unwrap();
    }
}
