//! Writing a backup.

use super::open::{Depth, verify_to};
use super::seal::Sealing;
use super::{
    BackupError, INSIDE, Keys, LEDGER, MANIFEST, Manifest, Member, PIECE_BYTES, SINGLE, Subject, Through, Written,
    contents, damaged, folder_of, io_at, part_of, take_name,
};
use crate::folder::sync_folder;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Writes everything into the file `to`, encrypted where `keys` say so, and reads it back. Blocks. `progress` hears of each
/// content.
///
/// # Errors
/// [`BackupError`]; what was half-written is removed.
pub fn write(
    subject: &Subject<'_>,
    to: &Path,
    keys: &Keys,
    progress: &mut dyn FnMut(u64),
) -> Result<Written, BackupError> {
    settle(to, keys, |part| pack(subject, part, keys, progress))
}

/// Has `to` written under another name, reads that back, and gives it its own.
pub(super) fn settle(
    to: &Path,
    keys: &Keys,
    write: impl FnOnce(&Path) -> Result<Written, BackupError>,
) -> Result<Written, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.display().to_string()));
    }
    let part = part_of(to);
    let written = write(&part).and_then(|written| {
        // What lies beside it was read back when it was written.
        if verify_to(&part, keys, Depth::Itself)? != written.manifest {
            return Err(damaged(&part, "it reads back differently"));
        }
        // Not over a file that came meanwhile.
        take_name(&part, to).map_err(io_at(to))?;
        sync_folder(folder_of(to)).map_err(io_at(to))?;
        Ok(written)
    });
    let _ = fs::remove_file(&part);
    written
}

fn pack(
    subject: &Subject<'_>,
    part: &Path,
    keys: &Keys,
    progress: &mut dyn FnMut(u64),
) -> Result<Written, BackupError> {
    let mut tar = Builder::new(keys.create(part)?);
    let mut members = vec![append(&mut tar, LEDGER.to_owned(), subject.ledger, part)?];
    let mut bad = Vec::new();
    for (path, digest) in contents(subject.blobs).map_err(io_at(subject.blobs))? {
        match append(&mut tar, format!("{INSIDE}{digest}"), &path, part) {
            Ok(member) => {
                if member.sha256 != digest {
                    // Kept as it is: it may be all that is left of it.
                    tracing::error!(content = %digest, "a content is damaged; the backup holds it as it is");
                    bad.push(digest);
                }
                members.push(member);
            }
            // Removed since the folder was read: nothing named it.
            Err(BackupError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
        progress(members.len() as u64);
    }
    let manifest = manifest(subject, SINGLE, members);
    append_manifest(&mut tar, &manifest, part)?;
    finish(tar, part)?;
    Ok(Written { manifest, damaged: bad })
}

pub(super) fn manifest(subject: &Subject<'_>, format: u32, members: Vec<Member>) -> Manifest {
    let Subject { program, version, made_ms, .. } = subject;
    Manifest {
        format,
        program: (*program).to_owned(),
        version: (*version).to_owned(),
        made_ms: *made_ms,
        members,
    }
}

pub(super) fn append_manifest(tar: &mut Builder<Sealing>, manifest: &Manifest, part: &Path) -> Result<(), BackupError> {
    let text = serde_json::to_vec(manifest).map_err(|error| damaged(part, error.to_string()))?;
    let mut header = head(text.len() as u64);
    tar.append_data(&mut header, MANIFEST, text.as_slice()).map_err(io_at(part))
}

pub(super) fn append(
    tar: &mut Builder<Sealing>,
    name: String,
    from: &Path,
    part: &Path,
) -> Result<Member, BackupError> {
    let file = File::open(from).map_err(io_at(from))?;
    let size_bytes = file.metadata().map_err(io_at(from))?.len();
    let mut through = Through::new(BufReader::with_capacity(PIECE_BYTES, file.take(size_bytes)));
    let mut header = head(size_bytes);
    tar.append_data(&mut header, &name, &mut through).map_err(io_at(part))?;
    let (read, sha256) = through.end();
    if read != size_bytes {
        return Err(damaged(from, "it became shorter while it was read"));
    }
    Ok(Member { name, size_bytes, sha256 })
}

pub(super) fn finish(tar: Builder<Sealing>, part: &Path) -> Result<(), BackupError> {
    tar.into_inner().and_then(Sealing::end).map_err(io_at(part))
}

pub(super) fn head(size_bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size_bytes);
    header
}
