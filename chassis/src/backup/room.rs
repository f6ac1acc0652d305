//! Whether there is room for a backup, or for what is in one, before it is begun.

use super::{BackupError, Manifest, contents, folder_of, io_at};
use crate::disk::Space;
use std::collections::HashSet;
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

/// Looks whether the disk of `data_dir` has room for what is in a backup and not below `blobs` yet. Blocks.
///
/// # Errors
/// When there is no room, or it cannot be found out.
pub fn check_restore(manifest: &Manifest, data_dir: &Path, blobs: &Path) -> Result<(), BackupError> {
    let there = contents(blobs).map_err(io_at(blobs))?;
    let there = there.into_iter().map(|(_, digest)| digest).collect::<HashSet<_>>();
    let lacking = manifest.members.iter().filter(|member| !there.contains(&member.sha256));
    let needed_bytes = lacking.fold(0, |bytes: u64, member| bytes.saturating_add(member.size_bytes));
    enough(data_dir, needed_bytes, free(data_dir)?.0)
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
    use super::super::{INSIDE, LEDGER, Member, SINGLE};
    use super::*;
    use crate::blobs::Sha256;
    use crate::folder::tests::scratch;

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_begun_in_one_line() {
        let here = scratch("room");
        check(&here, 0, &here.join("to"), 1).unwrap();
        for (ledger_bytes, new_bytes) in [(u64::MAX, 0), (0, u64::MAX)] {
            let error = check(&here, ledger_bytes, &here.join("to"), new_bytes).unwrap_err().to_string();
            assert!(error.starts_with("there is no room for that in ") && !error.contains('\n'), "{error}");
        }
        assert!(matches!(check(&here, 0, &here.join("gone/to"), 1), Err(BackupError::Missing(_))));
    }

    #[test]
    fn what_is_restored_takes_the_room_of_what_is_not_there_yet() {
        let (here, content) = (scratch("room-restore"), Sha256::of(b"a content"));
        let there = here.join(&content.to_string()[..2]);
        let member = |name: String, size_bytes, sha256| Member { name, size_bytes, sha256 };
        let manifest = |ledger_bytes| Manifest {
            format: SINGLE,
            program: "node".to_owned(),
            version: "0.1.0".to_owned(),
            made_ms: 0,
            members: vec![
                member(LEDGER.to_owned(), ledger_bytes, Sha256::of(b"a ledger")),
                member(format!("{INSIDE}{content}"), u64::MAX / 4, content),
            ],
        };
        assert!(matches!(check_restore(&manifest(1), &here, &here), Err(BackupError::NoRoom { .. })));
        std::fs::create_dir(&there).unwrap();
        std::fs::write(there.join(content.to_string()), b"a content").unwrap();
        check_restore(&manifest(1), &here, &here).unwrap();
        assert!(matches!(check_restore(&manifest(u64::MAX / 4), &here, &here), Err(BackupError::NoRoom { .. })));
    }

    #[test]
    fn a_disk_that_the_site_is_on_is_not_filled_to_the_last_byte() {
        let here = scratch("room-floor");
        let (free_bytes, _) = free(&here).unwrap();
        assert!(matches!(check(&here, 0, &here.join("to"), free_bytes), Err(BackupError::NoRoom { .. })));
    }
}
