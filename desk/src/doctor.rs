//! Looking a site's folder over: what is well, what is not, and what to do about it.

mod clock;
mod surroundings;

use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Identity, NodeRow};
use chassis::backup::series;
use chassis::blobs::digest_of;
use chassis::disk::{Bounds, Room};
use chassis::folder::DataFolder;
use serde::Serialize;
use std::fs::File;
use std::path::Path;
use sync_protocol::checksum::Compared;
use uuid::Uuid;

/// A backup made by itself that is older than this was to be followed by another, milliseconds.
const OLD_BACKUP_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// What to do about a database that is damaged.
const DAMAGED: &str = "copy the folder before anything else; then see what of it is whole (aincident-hub audit verify, at a store \
                       aincident-node verify), restore the last backup into another folder and let doctor --full look at that one, \
                       and only then put it in this one's place";
/// Damaged things that are named.
const MAX_DAMAGE: u32 = 20;

pub use surroundings::Surroundings;

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

/// Looks over what every site has, and what is `around` it. `full`: every content is read and compared with its digest.
pub async fn examine(desk: &Desk, folder: &DataFolder, around: &Surroundings, full: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let served = if folder.is_served() { "served now" } else { "not served now" };
    found.push(Finding::new("folder", Health::Ok, format!("{} can be used; {served}", folder.path().display())));
    found.push(room(folder.path(), around.disk));
    let now_ms = desk.now_ms();
    found.push(clock::examine(desk).await);
    let database = folder.database();
    found.push(match tokio::task::spawn_blocking(move || chassis::sqlite::verify(&database)).await {
        Ok(Ok(faults)) if faults.is_empty() => Finding::new("database", Health::Ok, "every page and index is sound"),
        Ok(Ok(faults)) => Finding::new("database", Health::Fail, format!("{}; {DAMAGED}", faults.join("; "))),
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
    found.push(damage(desk).await);
    found.push(replicas(desk).await);
    found.push(backups(desk, folder, around.backups.as_deref()).await);
    found.extend(replaced(folder));
    found.extend(authority(folder, now_ms));
    found.extend(around.examine(folder, now_ms).await);
    found
}

/// What the scrub, or somebody who needed it, found damaged.
async fn damage(desk: &Desk) -> Finding {
    let (count, list) = match (desk.ledger().damage_count().await, desk.ledger().damage(MAX_DAMAGE).await) {
        (Ok(count), Ok(list)) => (count, list),
        (Err(error), _) | (_, Err(error)) => return Finding::new("damage", Health::Fail, error.to_string()),
    };
    let names: Vec<String> = list
        .iter()
        .filter(|one| one.mended_ms.is_none())
        .map(|one| format!("{} {}: {}", one.kind.as_str(), one.name, one.what))
        .collect();
    if count.open > 0 {
        let what = "the other side is asked for them while both serve; what nobody has is in a backup, or lost";
        let detail = format!("{} damaged and not mended: {}; {what}", count.open, names.join("; "));
        return Finding::new("damage", Health::Fail, detail);
    }
    let last = list.first().and_then(|one| Some((one, one.mended_ms?)));
    Finding::new(
        "damage",
        Health::Ok,
        match last {
            None => "nothing was ever found damaged".to_owned(),
            Some((one, at_ms)) => format!(
                "{} things were found damaged and are whole again, the last one {} {} at {}; look after this disk",
                count.mended,
                one.kind.as_str(),
                one.name,
                chassis::clock::format_rfc3339(at_ms)
            ),
        },
    )
}

/// The nodes that are some store's; at a node itself.
async fn standing(desk: &Desk) -> Result<Vec<Uuid>, Error> {
    if let Identity::Node(enrolment) = desk.ledger().identity().await? {
        return Ok(vec![enrolment.node_id]);
    }
    let nodes = desk.ledger().nodes(None).await?;
    Ok(nodes.into_iter().filter(NodeRow::is_in_service).map(|node| node.node_id).collect())
}

/// Whether both sides hold the same, as last asked.
async fn replicas(desk: &Desk) -> Finding {
    let all = match desk.ledger().checkpoints().await {
        Ok(all) => all,
        Err(error) => return Finding::new("replicas", Health::Fail, error.to_string()),
    };
    let standing = match standing(desk).await {
        Ok(standing) => standing,
        Err(error) => return Finding::new("replicas", Health::Fail, error.to_string()),
    };
    // What was said by nodes that are no more says nothing of now.
    let all: Vec<_> = all.into_iter().filter(|one| standing.contains(&one.node_id)).collect();
    let different: Vec<String> = all
        .iter()
        .filter(|one| one.state == Compared::Different)
        .map(|one| format!("{} of node {}", one.scope, one.node_id))
        .collect();
    if !different.is_empty() {
        let detail = format!("not the same on both sides: {}; run verify for which records", different.join(", "));
        return Finding::new("replicas", Health::Fail, detail);
    }
    let oldest = all.iter().filter_map(|one| one.equal_ms).min();
    Finding::new(
        "replicas",
        Health::Ok,
        match oldest {
            None => "not compared with the other side yet".to_owned(),
            Some(at_ms) => {
                format!(
                    "{} scopes equal when last compared, none longer ago than {}",
                    all.len(),
                    chassis::clock::format_rfc3339(at_ms)
                )
            }
        },
    )
}

/// The site's own certificate authority, where it has made one: what it is known by, and until when it is good.
fn authority(folder: &DataFolder, now_ms: i64) -> Option<Finding> {
    let (pin, until_ms) = chassis::http::own_authority(&folder.join("tls"))?;
    let until = chassis::clock::format_rfc3339(until_ms);
    let detail = format!(
        "the site's own authority, good until {until}; it renews itself and what it vouches for: SHA-256 {pin}"
    );
    let state = if now_ms < until_ms { Health::Ok } else { Health::Warn };
    Some(Finding::new("certificate", state, detail))
}

/// Whether backups are made by themselves. A store's records are at headquarters, too; headquarters' own are nowhere else.
async fn backups(desk: &Desk, folder: &DataFolder, into: Option<&Path>) -> Finding {
    let is_hub = match desk.ledger().identity().await {
        Ok(identity) => matches!(identity, Identity::Hub { .. }),
        Err(error) => return Finding::new("backups", Health::Fail, error.to_string()),
    };
    let Some(last) = series::last(folder.path()) else {
        let Some(into) = into else {
            let state = if is_hub { Health::Warn } else { Health::Ok };
            return Finding::new(
                "backups",
                state,
                "none is made by itself: set backup.folder in the configuration file",
            );
        };
        let what = "look at the timer (systemctl status '*-backup.timer'), or run backup --scheduled";
        let detail = format!("there has never been one in {}, which is configured; {what}", into.display());
        return Finding::new("backups", Health::Warn, detail);
    };
    let (file, at) = (last.path.display(), chassis::clock::format_rfc3339(last.made_ms));
    if desk.now_ms() - last.made_ms > OLD_BACKUP_MS {
        let detail = format!("the last one is of {at}; look at the timer (systemctl status '*-backup.timer')");
        return Finding::new("backups", Health::Warn, detail);
    }
    Finding::new("backups", Health::Ok, format!("the last one is {file}, of {at}"))
}

/// Ledgers that a restore has set aside: what is erased stays in them.
fn replaced(folder: &DataFolder) -> Option<Finding> {
    let detail = match crate::backup::replaced(folder) {
        Ok(found) if found.is_empty() => return None,
        Ok(found) => format!(
            "an old ledger, which no erasure reaches, is kept in {}; delete it when it is not needed",
            found.join(", ")
        ),
        Err(error) => error.to_string(),
    };
    Some(Finding::new("replaced", Health::Warn, detail))
}

/// Whether there is room, asked without taking any: a disk that is full must not become fuller by being looked at.
fn room(folder: &Path, bounds: Bounds) -> Finding {
    let report = match chassis::disk::survey(folder, bounds) {
        Ok(report) => report,
        Err(error) => {
            let detail = format!("the file system does not say how much room it has ({error}); look at it");
            return Finding::new("disk", Health::Warn, detail);
        }
    };
    let (free_mib, floor_mib) = (report.free_bytes >> 20, report.floor_bytes >> 20);
    let what = "remove what is not needed, move backups elsewhere, or give it a larger disk";
    match report.state {
        Room::Plenty => Finding::new("disk", Health::Ok, format!("{free_mib} MiB free")),
        Room::Low | Room::Reserve if report.floor_bytes == 0 => {
            Finding::new("disk", Health::Fail, format!("{free_mib} MiB free: reports will be refused soon; {what}"))
        }
        Room::Low | Room::Reserve => {
            let detail = format!(
                "{free_mib} MiB free: below {floor_mib} MiB (disk.floor_mib) photos and files are not taken, reports still are; {what}"
            );
            Finding::new("disk", Health::Fail, detail)
        }
    }
}

/// How many contents there are, and those that are not what their name says.
fn contents(blobs: &Path, full: bool) -> std::io::Result<(u64, Vec<String>)> {
    let found = chassis::blobs::contents(blobs)?;
    let mut bad = Vec::new();
    for (path, name) in found.iter().filter(|_| full) {
        if digest_of(File::open(path)?)?.1 != *name {
            bad.push(name.to_string());
        }
    }
    Ok((found.len() as u64, bad))
}
