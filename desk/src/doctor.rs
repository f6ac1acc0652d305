//! Looking a site's folder over: what is well, what is not, and what to do about it.

use crate::desk::Desk;
use chassis::blobs::Sha256;
use chassis::folder::DataFolder;
use serde::Serialize;
use std::path::Path;

/// Clocks outside these years were never set: 2024-01-01 to 2100-01-01, milliseconds since 1970.
const SANE_MS: std::ops::Range<i64> = 1_704_067_200_000..4_102_444_800_000;
/// Room that a store needs for a day of photos, in bytes.
const ROOM_BYTES: usize = 64 * 1024 * 1024;

/// How it stands with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Well.
    Ok,
    /// To be looked at.
    Warn,
    /// Broken.
    Fail,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it stands with it.
    pub state: Health,
    /// In words, with what to do.
    pub detail: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(check: &'static str, state: Health, detail: impl Into<String>) -> Self {
        Self { check, state, detail: detail.into() }
    }

    /// One line for a person.
    #[must_use]
    pub fn line(&self) -> String {
        let state = match self.state {
            Health::Ok => "ok",
            Health::Warn => "WARN",
            Health::Fail => "FAIL",
        };
        format!("{state:<5} {:<10} {}", self.check, self.detail)
    }
}

/// Looks over what every site has. `full`: every content is read and compared with its digest.
pub async fn examine(desk: &Desk, folder: &DataFolder, full: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let served = if folder.is_served() { "served now" } else { "not served now" };
    found.push(Finding::new("folder", Health::Ok, format!("{} can be used; {served}", folder.path().display())));
    found.push(room(folder.path()));
    let now_ms = desk.now_ms();
    found.push(if SANE_MS.contains(&now_ms) {
        Finding::new("clock", Health::Ok, chassis::clock::format_rfc3339(now_ms))
    } else {
        Finding::new("clock", Health::Fail, "this machine's clock is not set: set it, and have it kept by NTP")
    });
    let database = folder.database();
    found.push(match tokio::task::spawn_blocking(move || chassis::sqlite::verify(&database)).await {
        Ok(Ok(faults)) if faults.is_empty() => Finding::new("database", Health::Ok, "every page and index is sound"),
        Ok(Ok(faults)) => Finding::new(
            "database",
            Health::Fail,
            format!("{}; stop the program and restore the last backup", faults.join("; ")),
        ),
        Ok(Err(error)) => Finding::new("database", Health::Fail, error.to_string()),
        Err(gone) => Finding::new("database", Health::Fail, gone.to_string()),
    });
    found.push(match desk.ledger().audit().await {
        Ok(audit) if audit.faults.is_empty() => Finding::new(
            "records",
            Health::Ok,
            format!(
                "{} records are what the {} changes of {} streams say",
                audit.records, audit.changes, audit.origins
            ),
        ),
        Ok(audit) => Finding::new("records", Health::Fail, audit.faults.join("; ")),
        Err(error) => Finding::new("records", Health::Fail, error.to_string()),
    });
    let blobs = folder.blobs();
    found.push(match tokio::task::spawn_blocking(move || contents(&blobs, full)).await {
        Ok(Ok((count, bad))) if bad.is_empty() => {
            let how = if full {
                "each is what its name says"
            } else {
                "not read: add --full to compare each with its digest"
            };
            Finding::new("files", Health::Ok, format!("{count} contents; {how}"))
        }
        Ok(Ok((_, bad))) => Finding::new(
            "files",
            Health::Fail,
            format!("{} contents are damaged, such as {}; restore them from a backup", bad.len(), bad[0]),
        ),
        Ok(Err(error)) => Finding::new("files", Health::Fail, format!("the files cannot be read: {error}")),
        Err(gone) => Finding::new("files", Health::Fail, gone.to_string()),
    });
    found
}

/// Whether there is room for some photos: the one honest question is to write.
fn room(folder: &Path) -> Finding {
    let path = folder.join(format!("room-{}.tmp", std::process::id()));
    let written = std::fs::write(&path, vec![0x5a; ROOM_BYTES]);
    let _ = std::fs::remove_file(&path);
    match written {
        Ok(()) => Finding::new("disk", Health::Ok, format!("takes {} MiB more at least", ROOM_BYTES >> 20)),
        Err(error) => {
            Finding::new("disk", Health::Fail, format!("takes no {} MiB more ({error}); make room", ROOM_BYTES >> 20))
        }
    }
}

/// How many contents there are, and those that are not what their name says.
fn contents(blobs: &Path, full: bool) -> std::io::Result<(u64, Vec<String>)> {
    let (mut count, mut bad) = (0, Vec::new());
    for folder in std::fs::read_dir(blobs)? {
        let folder = folder?;
        if folder.file_name() == "incoming" || !folder.file_type()?.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(folder.path())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(digest) = name.parse::<Sha256>() else { continue };
            count += 1;
            if full && Sha256::of(&std::fs::read(entry.path())?) != digest {
                bad.push(name);
            }
        }
    }
    Ok((count, bad))
}
