//! `backup`, `restore`, `doctor` and `support-bundle`.

use super::{Failed, explain, failed, say, to_json};
use crate::fleet::{self, SILENT_MS};
use chassis::backup::series::Schedule;
use chassis::backup::{Manifest, PassphraseFrom};
use chassis::clock::{SystemClock, format_rfc3339};
use chassis::folder::DataFolder;
use chassis::ids::Ids;
use desk::Desk;
use desk::actor::Actor;
use desk::backup::{self, Program, Restore};
use desk::doctor::{self, Finding, Health, Surroundings};
use desk::support::{self, Ask};
use std::io::Write;
use std::path::PathBuf;

const ABOUT: (Program, &str) = (Program::Hub, env!("CARGO_PKG_VERSION"));
/// How many files lie between two lines of progress.
const TOLD_EVERY: u64 = 1000;

pub(super) async fn backup(
    desk: &Desk,
    folder: &DataFolder,
    (to, passphrase): (PathBuf, PassphraseFrom),
    json: bool,
) -> Result<String, Failed> {
    let file = to.display().to_string();
    let progress = |files: u64| {
        if files.is_multiple_of(TOLD_EVERY) {
            let _ = writeln!(std::io::stderr(), "{files} files written");
        }
    };
    let manifest = backup::make(desk, folder, ABOUT, to, passphrase, progress).await.map_err(failed)?;
    told(&manifest, json, &format!("backed up into {file} and read back"))
}

pub(super) async fn by_schedule(
    desk: &Desk,
    folder: &DataFolder,
    schedule: Schedule,
    json: bool,
) -> Result<String, Failed> {
    let round = backup::by_schedule(desk, folder, ABOUT, schedule, |_| ()).await.map_err(failed)?;
    told(&round.manifest, json, &round.told())
}

/// Reads a backup whole; it need not be of this machine.
pub(super) async fn verify_backup(from: PathBuf, passphrase: PassphraseFrom, json: bool) -> Result<String, Failed> {
    let file = from.display().to_string();
    let manifest = backup::verify(from, passphrase).await.map_err(failed)?;
    told(&manifest, json, &format!("{file} is a whole backup of {}", manifest.program))
}

pub(super) async fn restore(folder: &DataFolder, what: Restore, json: bool) -> Result<String, Failed> {
    let now_ms = SystemClock::shared().now_ms();
    let restored = backup::restore(folder, Program::Hub, what, &Ids::system(), now_ms).await.map_err(failed)?;
    let what = "restored; at its next start the hub begins a new epoch, and the stores send again what it lacks";
    told(&restored.manifest, json, &restored.told(what))
}

fn told(manifest: &Manifest, json: bool, what: &str) -> Result<String, Failed> {
    let (files, bytes) = (manifest.members.len(), manifest.size_bytes());
    if json {
        return to_json(&serde_json::json!({
            "files": files, "size_bytes": bytes, "made_at": format_rfc3339(manifest.made_ms), "version": manifest.version,
        }));
    }
    Ok(format!("{what}: {files} files, {bytes} bytes, as of {}", format_rfc3339(manifest.made_ms)))
}

/// Writes the archive for whoever is to help.
pub(super) async fn support(desk: &Desk, actor: &Actor, folder: &DataFolder, ask: &Ask) -> Result<String, Failed> {
    let found = findings(desk, folder, &ask.around, false).await;
    let mut bundle = support::begin(desk, folder, (ABOUT.0.name(), ABOUT.1), ask, &found).await.map_err(failed)?;
    let items = fleet::nodes(desk, actor, None).await.map_err(explain)?;
    let hub = fleet::program(desk, actor).await.map_err(explain)?;
    let mut fleet = serde_json::json!({ "items": items, "hub": hub });
    // What a PC is called may be what a person is called.
    for item in fleet["items"].as_array_mut().into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        item.remove("name");
    }
    bundle.add("fleet.json", &support::pretty(&fleet)).map_err(failed)?;
    let bytes = bundle.end().map_err(failed)?;
    Ok(format!("{} written, {bytes} bytes; look it over before it leaves the house", ask.to.display()))
}

/// Looks headquarters over.
pub(super) async fn findings(desk: &Desk, folder: &DataFolder, around: &Surroundings, full: bool) -> Vec<Finding> {
    let mut found = doctor::examine(desk, folder, around, full).await;
    found.push(nodes(desk).await);
    found.extend(super::authority::finding(desk, folder).await);
    found
}

/// Says what was found even when it is bad, and fails then.
pub(super) fn doctor(found: &[Finding], json: bool, out: &mut impl Write) -> Result<(), Failed> {
    let text = if json {
        to_json(&serde_json::json!({ "checks": found }))?
    } else {
        found.iter().map(Finding::line).collect::<Vec<_>>().join("\n")
    };
    say(out, &text)?;
    match found.iter().filter(|finding| finding.state == Health::Fail).count() {
        0 => Ok(()),
        n => Err(Failed(format!("{n} of {} checks failed; each line says what to do", found.len()))),
    }
}

async fn nodes(desk: &Desk) -> Finding {
    let rows = match desk.ledger().nodes(None).await {
        Ok(rows) => rows,
        Err(error) => return Finding::new("nodes", Health::Fail, error.to_string()),
    };
    let now_ms = desk.now_ms();
    let standing: Vec<_> = rows.iter().filter(|row| row.is_in_service()).collect();
    let silent: Vec<&str> = standing
        .iter()
        .filter(|row| row.last_contact_ms.is_none_or(|at_ms| now_ms.abs_diff(at_ms) > SILENT_MS))
        .map(|row| row.store_code.as_str())
        .collect();
    if silent.is_empty() {
        Finding::new("nodes", Health::Ok, format!("{} nodes, all heard of within an hour", standing.len()))
    } else {
        let detail = format!("silent for more than an hour: stores {}; look at their PCs and lines", silent.join(", "));
        Finding::new("nodes", Health::Warn, detail)
    }
}
