//! Copies of contents outside the site's own files: what came through a drop folder and was put aside there.

use chassis::blobs::Sha256;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use sync_protocol::record::MAX_PHOTO_BYTES;

/// How deep folders are looked through.
const MOST_DEPTH: u32 = 16;

/// Removes files below `folders` whose content is one of `erased`; answers how many. Links are not followed. Blocks.
///
/// # Errors
/// When a folder or a file in it cannot be read or removed.
pub(super) fn remove(folders: &[PathBuf], erased: &BTreeSet<Sha256>) -> io::Result<u64> {
    let mut removed = 0;
    for folder in folders {
        removed += below(folder, erased, 0)?;
    }
    Ok(removed)
}

fn below(folder: &Path, erased: &BTreeSet<Sha256>, depth: u32) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() && depth < MOST_DEPTH {
            removed += below(&entry.path(), erased, depth + 1)?;
        } else if about.is_file()
            && about.len() <= MAX_PHOTO_BYTES
            && erased.contains(&Sha256::of(&fs::read(entry.path())?))
        {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_an_erased_content_go_and_others_stay() {
        let random = chassis::ids::Ids::system().random_u64();
        let folder = std::env::temp_dir().join(format!("aincident-copies-{random:016x}"));
        fs::create_dir_all(folder.join("done/042")).unwrap();
        fs::write(folder.join("done/042/a.jpg"), "erased").unwrap();
        fs::write(folder.join("done/b.jpg"), "kept").unwrap();
        std::os::unix::fs::symlink(folder.join("done/b.jpg"), folder.join("done/link")).unwrap();
        let erased = BTreeSet::from([Sha256::of(b"erased"), Sha256::of(b"elsewhere")]);
        let folders = [folder.join("done"), folder.join("failed")];
        assert_eq!(remove(&folders, &erased).unwrap(), 1);
        assert_eq!(remove(&folders, &erased).unwrap(), 0);
        assert!(!folder.join("done/042/a.jpg").exists() && folder.join("done/b.jpg").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
