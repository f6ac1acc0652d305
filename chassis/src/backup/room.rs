//! Whether there is room for a backup, before it is begun.

use super::{BackupError, contents, folder_of, io_at};
use crate::disk::Space;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What stays free on a disk that a site is on, at least, in bytes.
const STAYS_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// That is never more than one part in so many of a disk.
const PART_OF_DISK: u64 = 20;

/// Looks whether the disk of `data_dir` has room for a copy of the ledger of `ledger_bytes`, and the folder of `to` for
/// `new_bytes`; on a disk that the site itself is on some room stays free, so that people can go on to report. Blocks.
///
/// # Errors
/// When there is no room, or it cannot be found out.
pub fn check(data_dir: &Path, ledger_bytes: u64, to: &Path, new_bytes: u64) -> Result<(), BackupError> {
    let target = folder_of(to);
    let device = |path: &Path| path.metadata().map(|about| about.dev()).map_err(io_at(path));
    let is_same = device(data_dir)? == device(target)?;
    let (free_bytes, disk_bytes) = free(data_dir)?;
    let floor = ledger_bytes.max(STAYS_FREE_BYTES).min(disk_bytes / PART_OF_DISK);
    let new_here = if is_same { new_bytes } else { 0 };
    enough(data_dir, ledger_bytes.saturating_add(new_here).saturating_add(floor), free_bytes)?;
    if is_same { Ok(()) } else { enough(target, new_bytes, free(target)?.0) }
}

/// How long all contents below `blobs` are together. Blocks.
///
/// # Errors
/// When a folder cannot be read.
pub fn contents_bytes(blobs: &Path) -> Result<u64, BackupError> {
    let found = contents(blobs).map_err(io_at(blobs))?;
    Ok(found.iter().map(|(path, _)| path.metadata().map_or(0, |about| about.len())).sum())
}

fn enough(place: &Path, needed_bytes: u64, free_bytes: u64) -> Result<(), BackupError> {
    if needed_bytes <= free_bytes {
        return Ok(());
    }
    Err(BackupError::NoRoom { place: place.display().to_string(), needed_bytes, free_bytes })
}

/// What is free for this account, and what there is in all. Shares that do not tell have room.
fn free(path: &Path) -> Result<(u64, u64), BackupError> {
    match Space::of(path).map_err(io_at(path))? {
        Space { total_bytes: 0, .. } => Ok((u64::MAX, u64::MAX)),
        Space { free_bytes, total_bytes } => Ok((free_bytes, total_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_begun_in_one_line() {
        let here = scratch("room");
        check(&here, 0, &here.join("to"), 1).unwrap();
        for (ledger_bytes, new_bytes) in [(u64::MAX, 0), (0, u64::MAX)] {
            let error = check(&here, ledger_bytes, &here.join("to"), new_bytes).unwrap_err().to_string();
            assert!(error.starts_with("there is no room for a backup in ") && !error.contains('\n'), "{error}");
        }
        assert!(matches!(check(&here, 0, &here.join("gone/to"), 1), Err(BackupError::Missing(_))));
    }

    #[test]
    fn a_disk_that_the_site_is_on_is_not_filled_to_the_last_byte() {
        let here = scratch("room-floor");
        let (free_bytes, _) = free(&here).unwrap();
        assert!(matches!(check(&here, 0, &here.join("to"), free_bytes), Err(BackupError::NoRoom { .. })));
    }
}
