//! Reading a backup, and whether it is whole.

use super::{
    BESIDE, BackupError, INSIDE, Keys, LEDGER, MANIFEST, MAX_MANIFEST_BYTES, Manifest, Member, SEALED, SHARING, SINGLE,
    damaged, digest_of, folder_of,
};
use crate::blobs::Sha256;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tar::{Archive, Entry, EntryType};

/// How much of a backup is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its file.
    Itself,
    /// What lies beside it, too.
    Beside,
}

/// Reads a backup whole, with what lies beside it, and compares it with what it says of itself. Blocks.
///
/// # Errors
/// [`BackupError`].
pub fn verify(from: &Path, keys: &Keys) -> Result<Manifest, BackupError> {
    verify_to(from, keys, Depth::Beside)
}

pub(super) fn verify_to(from: &Path, keys: &Keys, depth: Depth) -> Result<Manifest, BackupError> {
    walk(from, keys, depth, &mut |_, bytes| digest_of(bytes))
}

/// Takes what is called `ledger.sqlite` or `blobs/SHA256`, and answers its length and digest.
pub(super) type Take<'a> = &'a mut dyn FnMut(&str, &mut dyn Read) -> io::Result<(u64, Sha256)>;

/// Hands every member to `take`, and compares what it answers with the manifest.
pub(super) fn walk(from: &Path, keys: &Keys, depth: Depth, take: Take<'_>) -> Result<Manifest, BackupError> {
    let mut archive = Archive::new(keys.open(from)?);
    let wrong = |error: io::Error| damaged(from, error.to_string());
    let mut found = Vec::new();
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        let is_over = manifest.as_ref().is_some_and(|manifest| manifest.format == SINGLE);
        let name = name_of(&entry, from)?;
        if is_over {
            return Err(damaged(from, "it holds something that does not belong there"));
        }
        if name == MANIFEST && manifest.is_none() {
            let read = read_manifest(&mut entry, from)?;
            if (read.format == SHARING) != found.is_empty() {
                return Err(damaged(from, "what it holds is not in its order"));
            }
            manifest = Some(read);
            continue;
        }
        let is_content = name.strip_prefix(INSIDE).is_some_and(|digest| digest.parse::<Sha256>().is_ok());
        if !is_content && name != LEDGER {
            return Err(damaged(from, format!("it holds {name:?}, which does not belong there")));
        }
        let (size_bytes, sha256) = take(&name, &mut entry).map_err(wrong)?;
        found.push(Member { name, size_bytes, sha256 });
    }
    // What is encrypted is whole only once its end was read.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(wrong)?;
    let manifest = manifest.ok_or_else(|| damaged(from, "it breaks off"))?;
    let inside = manifest.members.iter().take_while(|member| !member.is_beside());
    if !inside.eq(&found) || manifest.members.first().is_none_or(|first| first.name != LEDGER) {
        return Err(damaged(from, "what it holds is not what it says"));
    }
    let beside = &manifest.members[found.len()..];
    if manifest.format == SINGLE && !beside.is_empty() {
        return Err(damaged(from, "what it holds is not what it says"));
    }
    for member in beside {
        if !is_in_place(member) {
            return Err(damaged(from, format!("it names {:?}, which does not belong there", member.name)));
        }
        if depth == Depth::Beside {
            look_beside(from, keys, member, take)?;
        }
    }
    Ok(manifest)
}

/// What a backup of a folder says lies beside it: without reading more of it than that.
pub(super) fn named_beside(from: &Path, keys: &Keys) -> Result<Vec<String>, BackupError> {
    let mut archive = Archive::new(keys.open(from)?);
    let wrong = |error: io::Error| damaged(from, error.to_string());
    let first = archive.entries().map_err(wrong)?.next();
    let mut entry = first.ok_or_else(|| damaged(from, "it breaks off"))?.map_err(wrong)?;
    match name_of(&entry, from)?.as_str() {
        MANIFEST => {
            let members = read_manifest(&mut entry, from)?.members;
            Ok(members.into_iter().filter(Member::is_beside).map(|member| member.name).collect())
        }
        // One with everything in it.
        LEDGER => Ok(Vec::new()),
        name => Err(damaged(from, format!("it holds {name:?}, which does not belong there"))),
    }
}

fn name_of(entry: &Entry<'_, Box<dyn Read>>, from: &Path) -> Result<String, BackupError> {
    if entry.header().entry_type() != EntryType::Regular {
        return Err(damaged(from, "it holds something that does not belong there"));
    }
    let name = String::from_utf8(entry.path_bytes().into_owned());
    name.map_err(|_| damaged(from, "it holds a name that is no text"))
}

fn read_manifest(entry: &mut dyn Read, from: &Path) -> Result<Manifest, BackupError> {
    let mut text = Vec::new();
    let read = entry.take(MAX_MANIFEST_BYTES).read_to_end(&mut text);
    read.map_err(|error| damaged(from, error.to_string()))?;
    let format = serde_json::from_slice::<Format>(&text).map_err(|error| damaged(from, error.to_string()))?.format;
    if format > SHARING {
        return Err(BackupError::Newer(from.display().to_string(), format));
    }
    serde_json::from_slice(&text).map_err(|error| damaged(from, error.to_string()))
}

/// Whether it lies where its digest says.
fn is_in_place(member: &Member) -> bool {
    let digest = member.sha256.to_string();
    let plain = format!("{BESIDE}{}/{digest}", &digest[..2]);
    member.name.strip_suffix(SEALED).unwrap_or(&member.name) == plain
}

/// Reads one that lies beside.
fn look_beside(from: &Path, keys: &Keys, member: &Member, take: Take<'_>) -> Result<(), BackupError> {
    let path = folder_of(from).join(&member.name);
    let bytes: Result<Box<dyn Read>, BackupError> = if member.name.ends_with(SEALED) {
        keys.unseal(&path)
    } else {
        File::open(&path).map_err(super::io_at(&path)).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let mut bytes = match bytes {
        Ok(bytes) => bytes,
        Err(BackupError::Missing(_)) => return Err(damaged(from, format!("{} is not beside it", member.name))),
        Err(error) => return Err(error),
    };
    let taken = take(&format!("{INSIDE}{}", member.sha256), &mut bytes);
    let (_, sha256) = taken.map_err(|error| damaged(from, format!("{}: {error}", member.name)))?;
    if sha256 != member.sha256 {
        return Err(damaged(from, format!("{} beside it is damaged", member.name)));
    }
    Ok(())
}

/// The one member that every later version has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}
