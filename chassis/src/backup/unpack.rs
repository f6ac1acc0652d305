//! Unpacking a backup.

use super::open::{Depth, walk};
use super::{BackupError, INSIDE, Keys, Manifest, PIECE_BYTES, Through, damaged, digest_of, io_at};
use crate::blobs::Sha256;
use crate::folder::sync_folder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Unpacks a backup that [`verify`](super::verify) found whole, and to hold `manifest`: its contents below `blobs`, its database to
/// `ledger`, a name that the folder's own database does not have. A content that is there and is what its name says stays; a
/// damaged one of the backup takes the place of none. Everything is flushed on return. Blocks.
///
/// # Errors
/// [`BackupError`]; the database is not there then.
pub fn unpack(from: &Path, keys: &Keys, manifest: &Manifest, blobs: &Path, ledger: &Path) -> Result<(), BackupError> {
    let part = blobs.join("incoming").join("restoring");
    let unpacked = walk(from, keys, Depth::Beside, &mut |name, bytes| {
        let _ = fs::remove_file(&part);
        match name.strip_prefix(INSIDE).and_then(|digest| digest.parse().ok()) {
            Some(digest) => take_content(bytes, digest, blobs, &part),
            None => {
                let _ = fs::remove_file(ledger);
                write_to(ledger, bytes)
            }
        }
    });
    let flush = || {
        for first in 0..=u8::MAX {
            sync_folder(&blobs.join(format!("{first:02x}")))?;
        }
        Ok(())
    };
    let unpacked = unpacked.and_then(|again| {
        flush().map_err(io_at(blobs))?;
        // The file may have been exchanged between the two readings.
        if again == *manifest {
            Ok(())
        } else {
            Err(damaged(from, "it changed while it was read"))
        }
    });
    let _ = fs::remove_file(&part);
    if unpacked.is_err() {
        let _ = fs::remove_file(ledger);
    }
    unpacked
}

/// Writes a content aside, and gives it its name where that is better than what is there.
fn take_content(bytes: &mut dyn Read, name: Sha256, blobs: &Path, part: &Path) -> io::Result<(u64, Sha256)> {
    let text = name.to_string();
    let to = blobs.join(&text[..2]).join(&text);
    let there = match File::open(&to) {
        Ok(file) => Some(digest_of(BufReader::with_capacity(PIECE_BYTES, file))?.1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if there == Some(name) {
        return digest_of(bytes);
    }
    let (size_bytes, sha256) = write_to(part, bytes)?;
    if sha256 == name || there.is_none() {
        fs::rename(part, &to)?;
    }
    Ok((size_bytes, sha256))
}

fn write_to(to: &Path, bytes: &mut dyn Read) -> io::Result<(u64, Sha256)> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut through = Through::new(bytes);
    io::copy(&mut through, &mut file)?;
    file.sync_all()?;
    Ok(through.end())
}
