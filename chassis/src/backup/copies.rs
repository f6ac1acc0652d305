//! Copies of the ledger that backups are made from: in the data folder, for as long as one is made.

use super::{BackupError, io_at};
use crate::folder::lock_file;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// How the names of copies begin.
const BEGINNING: &str = "backup-";
/// What follows the id in them, before the endings of what a database has beside it.
const END: &str = ".tmp";

/// Held while a copy is in use.
#[derive(Debug)]
pub struct InUse(#[allow(dead_code, reason = "its lock is held")] File);

/// Says that a copy is going to be used. Copies of commands that were killed are removed, unless another command is at work. Blocks
/// for a moment.
///
/// # Errors
/// When the folder cannot be written to or read.
pub fn hold(data_dir: &Path) -> Result<InUse, BackupError> {
    let path = data_dir.join("backup-copies.lock");
    let file = lock_file(&path).map_err(io_at(&path))?;
    // Whoever uses a copy shares the lock: alone, one knows that nobody does.
    if file.try_lock().is_ok() {
        sweep(data_dir)?;
        file.unlock().map_err(io_at(&path))?;
    }
    file.lock_shared().map_err(io_at(&path))?;
    Ok(InUse(file))
}

/// The name of a new copy.
#[must_use]
pub fn path(data_dir: &Path, id: Uuid) -> PathBuf {
    data_dir.join(format!("{BEGINNING}{}{END}", id.hyphenated()))
}

fn sweep(data_dir: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(data_dir).map_err(io_at(data_dir))? {
        let entry = entry.map_err(io_at(data_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(BEGINNING).and_then(|rest| rest.split_once(END));
        if rest.is_some_and(|(id, _)| Uuid::try_parse(id).is_ok()) {
            fs::remove_file(entry.path()).map_err(io_at(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn copies_of_killed_commands_go_and_one_in_use_stays() {
        let data = scratch("copies");
        let (left, used) = (path(&data, Uuid::from_u128(1)), path(&data, Uuid::from_u128(2)));
        let beside = data.join(format!("{}-wal", left.file_name().unwrap().to_str().unwrap()));
        for file in [&left, &beside, &data.join("backup-notes.tmp")] {
            fs::write(file, "x").unwrap();
        }
        let first = hold(&data).unwrap();
        assert!(!left.exists() && !beside.exists() && data.join("backup-notes.tmp").exists());
        fs::write(&used, "x").unwrap();
        let second = hold(&data).unwrap();
        assert!(used.exists(), "another command uses it");
        drop((first, second));
        let _third = hold(&data).unwrap();
        assert!(!used.exists());
    }
}
