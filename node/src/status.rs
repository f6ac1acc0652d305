//! How far the node is in step with headquarters: one answer for the API, for `status --json` and for people.

use crate::replicator::link::Stop;
use chassis::clock::format_rfc3339;
use chassis::disk::DiskReport;
use desk::ledger::{Backlog, Enrolment, HubProgram, Identity, LinkState, Notice, Retirement, ScrubPart, SharedLedger};
use desk::settings::{Holding, public};
use serde::Serialize;
use std::collections::BTreeMap;
use sync_protocol::change::Change;
use sync_protocol::checksum::Compared;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far the node is in step with headquarters. Times are RFC 3339 by the node's own clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// In one plain sentence.
    #[schema(example = "in step with headquarters")]
    pub state: String,
    /// The node; null before it is enrolled.
    pub node_id: Option<Uuid>,
    /// Its store.
    #[schema(example = "042")]
    pub store_code: Option<String>,
    /// Where the hub is.
    pub hub_url: Option<String>,
    /// Whether the last try got an answer that proves to be the hub's.
    pub hub_reachable: bool,
    /// When such an answer last came.
    pub last_contact_at: Option<String>,
    /// Everything recorded here up to this moment is at headquarters.
    pub synced_up_to: Option<String>,
    /// Changes recorded here that headquarters has not acknowledged.
    pub pending_changes: u64,
    /// Changes of the present stream that are in a verified backup of headquarters too.
    pub durable_changes: u64,
    /// Photos that headquarters has not verified.
    pub pending_blobs: u64,
    /// Their size in bytes.
    pub pending_blob_bytes: u64,
    /// Changes taken from headquarters since enrolment.
    pub pulled_changes: u64,
    /// Changes that are kept but in no record until a person or an upgrade has settled them.
    pub quarantined: u64,
    /// This node's clock minus the hub's, in milliseconds.
    pub clock_offset_ms: i64,
    /// That another PC took this one's place, since when, and what became of what was still here.
    pub replaced: Option<String>,
    /// That this node's history disagreed with headquarters' and what was done about it; until the node is enrolled anew.
    pub notice: Option<String>,
    /// The protocol version that this node and headquarters speak with each other; 0 before they have.
    pub protocol: u32,
    /// The program at headquarters, where it says so.
    #[schema(example = "0.1.0")]
    pub hub_version: Option<String>,
    /// That this program and the one at headquarters are not of one age, and what to do; null when they are.
    pub versions: Option<String>,
    /// The stream that this node records under.
    pub origin: Option<Uuid>,
    /// What went wrong last, until it goes right again.
    pub last_error: Option<String>,
    /// When that is tried again.
    pub next_try_at: Option<String>,
    /// Whether this node holds what headquarters holds, and what was found damaged here.
    pub proof: Proof,
    /// The version of what headquarters sets for this node, as it is here; null before it belongs to a store. Each of it, and what this
    /// machine's own configuration says otherwise, is in `GET /api/v1/settings`.
    pub settings_version: Option<String>,
    /// What of that this program cannot apply, and why.
    pub settings_refused: BTreeMap<String, String>,
    /// The certificates (SHA-256) by which headquarters is believed, where those are its own: those that were given, and those that it
    /// announced since. Empty where any certificate authority will do.
    pub believes: Vec<String>,
    /// The room on the disk; null where the system does not say.
    #[schema(required = true)]
    pub disk: Option<Disk>,
}

/// The room on the disk of the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Disk {
    /// What may still be written, in bytes.
    pub free_bytes: u64,
    /// Below this photos and files are not taken, in bytes; 0: they always are.
    pub floor_bytes: u64,
    /// Room that is kept for reports, in bytes.
    pub reserve_bytes: u64,
    /// `plenty`, `low` (photos and files are not taken, reports are) or `reserve` (nor is the reserve whole).
    #[schema(example = "plenty")]
    pub state: String,
}

impl From<DiskReport> for Disk {
    fn from(report: DiskReport) -> Self {
        let DiskReport { free_bytes, floor_bytes, reserve_bytes, state } = report;
        Self { free_bytes, floor_bytes, reserve_bytes, state: state.as_str().to_owned() }
    }
}

/// How it stands with the disk, for people.
fn disk_in_words(disk: Option<&Disk>) -> String {
    let Some(disk) = disk else {
        return "not known".to_owned();
    };
    let what = match disk.state.as_str() {
        "plenty" => "everything is taken",
        _ if disk.floor_bytes == 0 => "the reserve is not whole: make room",
        _ => "photos and files are not taken, reports are: make room",
    };
    format!("{} MiB free, the floor is at {} MiB; {what}", disk.free_bytes >> 20, disk.floor_bytes >> 20)
}

/// Whether this node holds what headquarters holds, as last asked, and what was found damaged here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Proof {
    /// `equal`, `different`, `behind` (changes were on their way) or `never`.
    #[schema(example = "equal")]
    pub state: String,
    /// When it was last asked.
    pub checked_at: Option<String>,
    /// When all was last equal.
    pub equal_at: Option<String>,
    /// Things that were found damaged and are not whole again; `doctor` names them.
    pub damaged: u64,
    /// Things that were found damaged and are whole again.
    pub mended: u64,
    /// When everything that is kept was last read through.
    pub scrubbed_at: Option<String>,
}

/// A clock further off than this is worth a word, in milliseconds.
const CLOCK_OFF_MS: u64 = 5 * 60_000;

/// The same where no program serves the folder: that comes before everything else.
#[must_use]
pub fn unserved(status: Status) -> Status {
    // Nobody has to start what has no store, or has no place in it any more.
    let advice = if status.node_id.is_some() && status.replaced.is_none() {
        ": start it (systemctl start aincident-node)"
    } else {
        ""
    };
    let state = format!("no program serves this folder{advice}; {}", status.state);
    Status { state, ..status }
}

/// Reads the status from the ledger; `link`: where the link stands; `disk`: what room there is.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(ledger: &SharedLedger, link: LinkState, disk: Option<DiskReport>) -> Result<Status, desk::Error> {
    let disk = disk.map(Disk::from);
    let Identity::Node(enrolment) = ledger.identity().await? else {
        return Ok(Status { disk, ..unenrolled() });
    };
    let (backlog, contents) = (ledger.backlog().await?, ledger.pieces_pending().await?);
    let kept = ledger.link_state().await?;
    let link = LinkState { pulled_changes: kept.pulled_changes, notice: kept.notice, ..link };
    let first = if backlog.pending_changes > 0 {
        ledger.unpushed(None, 1, 1).await?
    } else {
        None
    };
    let first_ms = first
        .and_then(|run| run.bodies.first().and_then(|body| Change::from_body(body).ok()))
        .map(|change| change.at);
    let durable_changes = ledger.durable_seq(backlog.origin).await?;
    let hub = ledger.hub_program().await?;
    let proof = proof(ledger, enrolment.node_id).await?;
    let store_code = enrolment.store_code.clone();
    let rows = ledger.settings(Some(store_code.clone())).await?;
    let holding = Holding::of(&rows, Some(&store_code));
    let replaced = ledger.retirement().await?.map(|retirement| in_place_of(&retirement, &backlog, contents.0));
    let status = Status { durable_changes, proof, ..status(enrolment, &backlog, contents, first_ms, link) };
    let mut status = with_program(status, hub);
    status.disk = disk;
    status.settings_version = Some(holding.version());
    status.settings_refused = holding.refused().into_iter().map(|(field, why)| (public(&field), why)).collect();
    if let Some(replaced) = replaced {
        status.state.clone_from(&replaced);
        status.replaced = Some(replaced);
    }
    Ok(status)
}

async fn proof(ledger: &SharedLedger, node_id: Uuid) -> Result<Proof, desk::Error> {
    let mut compared = ledger.checkpoints().await?;
    compared.retain(|one| one.node_id == node_id);
    let has = |state| compared.iter().any(|one| one.state == state);
    let state = if has(Compared::Different) {
        "different"
    } else if has(Compared::Behind) {
        "behind"
    } else if compared.is_empty() {
        "never"
    } else {
        "equal"
    };
    let damage = ledger.damage_count().await?;
    let mut scrubbed_ms = i64::MAX;
    for part in ScrubPart::ALL {
        let ended = ledger.scrub_state(part).await?.and_then(|state| state.ended_ms);
        scrubbed_ms = scrubbed_ms.min(ended.unwrap_or(i64::MIN));
    }
    Ok(Proof {
        state: state.to_owned(),
        checked_at: compared.iter().map(|one| one.at_ms).min().map(format_rfc3339),
        // Of the scope for which that is longest ago.
        equal_at: compared.iter().map(|one| one.equal_ms).min().flatten().map(format_rfc3339),
        damaged: damage.open,
        mended: damage.mended,
        scrubbed_at: (scrubbed_ms > i64::MIN).then(|| format_rfc3339(scrubbed_ms)),
    })
}

/// The status of a folder before `enroll`.
#[must_use]
pub fn unenrolled() -> Status {
    Status {
        state: "not enrolled: get a one-time code from headquarters and run aincident-node enroll".to_owned(),
        node_id: None,
        store_code: None,
        hub_url: None,
        hub_reachable: false,
        last_contact_at: None,
        synced_up_to: None,
        pending_changes: 0,
        durable_changes: 0,
        pending_blobs: 0,
        pending_blob_bytes: 0,
        pulled_changes: 0,
        quarantined: 0,
        clock_offset_ms: 0,
        replaced: None,
        notice: None,
        protocol: 0,
        hub_version: None,
        versions: None,
        origin: None,
        last_error: None,
        next_try_at: None,
        proof: Proof { state: "never".to_owned(), ..Proof::default() },
        settings_version: None,
        settings_refused: BTreeMap::new(),
        believes: Vec::new(),
        disk: None,
    }
}

/// Puts the parts together. `first_ms`: when the oldest change that waits was made.
fn status(
    enrolment: Enrolment,
    backlog: &Backlog,
    contents: (u64, u64),
    first_ms: Option<i64>,
    link: LinkState,
) -> Status {
    let synced_ms = link
        .last_contact_ms
        .map(|contact| first_ms.filter(|_| backlog.pending_changes > 0).map_or(contact, |first| first.min(contact)));
    let believes = enrolment.believed().iter().map(ToString::to_string).collect();
    Status {
        state: in_words(&link, backlog.pending_changes, contents.0),
        node_id: Some(enrolment.node_id),
        store_code: Some(enrolment.store_code),
        hub_url: Some(enrolment.hub_url),
        hub_reachable: link.hub_reachable,
        last_contact_at: link.last_contact_ms.map(format_rfc3339),
        synced_up_to: synced_ms.map(format_rfc3339),
        pending_changes: backlog.pending_changes,
        durable_changes: 0,
        pending_blobs: contents.0,
        pending_blob_bytes: contents.1,
        pulled_changes: link.pulled_changes,
        quarantined: backlog.quarantined,
        clock_offset_ms: link.clock_offset_ms,
        replaced: None,
        notice: link.notice.as_ref().map(told),
        protocol: 0,
        hub_version: None,
        versions: None,
        origin: Some(backlog.origin),
        last_error: link.last_error,
        next_try_at: link.next_try_ms.map(format_rfc3339),
        proof: Proof::default(),
        settings_version: None,
        settings_refused: BTreeMap::new(),
        believes,
        disk: None,
    }
}

/// What is known of the program at headquarters. Newest 0: nothing yet.
fn with_program(status: Status, hub: HubProgram) -> Status {
    let versions = ages(&hub, status.last_error.as_deref() == Some(Stop::Version.in_words()));
    Status {
        protocol: if hub.newest == 0 { 0 } else { hub.protocol },
        hub_version: Some(hub.version).filter(|version| !version.is_empty()),
        versions,
        ..status
    }
}

/// Which of the two programs is the older one, for people. `is_apart`: they have no version in common.
fn ages(hub: &HubProgram, is_apart: bool) -> Option<String> {
    let ours = sync_protocol::VERSION;
    if is_apart {
        return Some(format!(
            "headquarters does not speak protocol {ours} nor the one before: nothing is sent until the older of both programs is upgraded; what is recorded here stays here"
        ));
    }
    let theirs = hub.newest;
    if theirs == 0 || theirs == ours {
        None
    } else if theirs < ours {
        Some(format!(
            "headquarters' program is older than this one (protocol {theirs}, here {ours}): everything is sent and kept, what it does not know yet shows there once it is upgraded"
        ))
    } else {
        Some(format!(
            "this program is older than headquarters' (protocol {ours}, there {theirs}): everything is sent and kept, what it does not know yet shows here once it is upgraded"
        ))
    }
}

/// That another PC took this one's place, for people.
fn in_place_of(retirement: &Retirement, backlog: &Backlog, photos: u64) -> String {
    let successor = if retirement.successor.is_empty() {
        "another one"
    } else {
        &retirement.successor
    };
    let since = format_rfc3339(retirement.since_ms);
    let left = match (backlog.pending_changes, photos) {
        (0, 0) => format!("{} records still here were sent", retirement.waited),
        (changes, photos) => format!("{changes} records and {photos} photos still here are being sent"),
    };
    format!("this PC was replaced by {successor} on {since}; {left}")
}

/// A new beginning, for people.
fn told(notice: &Notice) -> String {
    format!(
        "{}: {}; {} changes were recorded again, {} came back from headquarters",
        format_rfc3339(notice.at_ms),
        notice.what,
        notice.recorded_again,
        notice.came_back
    )
}

fn in_words(link: &LinkState, pending: u64, contents: u64) -> String {
    let waiting = match pending {
        0 => "nothing waits".to_owned(),
        1 => "1 change waits here".to_owned(),
        n => format!("{n} changes wait here"),
    };
    let mut words = match (&link.last_error, link.hub_reachable) {
        (Some(error), true) => format!("held up: {error}; {waiting}"),
        (_, false) if link.last_contact_ms.is_none() => {
            format!("headquarters was not reached yet; {waiting} and nothing is lost")
        }
        (_, false) => format!("headquarters cannot be reached; {waiting} and nothing is lost"),
        (None, true) if pending == 0 && contents == 0 => "in step with headquarters".to_owned(),
        (None, true) if pending == 0 => {
            "in step with headquarters; contents of photos are still on their way".to_owned()
        }
        (None, true) => format!("sending to headquarters; {waiting}"),
    };
    if link.clock_offset_ms.unsigned_abs() > CLOCK_OFF_MS {
        let minutes = link.clock_offset_ms.unsigned_abs() / 60_000;
        let way = if link.clock_offset_ms > 0 { "ahead" } else { "behind" };
        words.push_str(&format!("; this machine's clock is {minutes} min {way}: correct it"));
    }
    words
}

/// The lines that people read: what, and its value.
#[must_use]
pub fn lines(status: &Status) -> Vec<(&'static str, String)> {
    let or = |value: &Option<String>, otherwise: &str| value.clone().unwrap_or_else(|| otherwise.to_owned());
    let mut lines = vec![("state", status.state.clone())];
    let Some(node_id) = status.node_id else { return lines };
    lines.extend([
        ("store", or(&status.store_code, "-")),
        ("node", node_id.to_string()),
        ("headquarters", or(&status.hub_url, "-")),
        ("reachable", if status.hub_reachable { "yes" } else { "no" }.to_owned()),
        ("last contact", or(&status.last_contact_at, "never")),
        ("synced up to", or(&status.synced_up_to, "never")),
        (
            "waiting",
            format!(
                "{} changes, {} photos ({} bytes)",
                status.pending_changes, status.pending_blobs, status.pending_blob_bytes
            ),
        ),
        ("in backup", format!("{} changes", status.durable_changes)),
        ("received", format!("{} changes", status.pulled_changes)),
        ("quarantined", status.quarantined.to_string()),
        ("clock", format!("{} ms off", status.clock_offset_ms)),
        ("last error", or(&status.last_error, "none")),
        ("next try", or(&status.next_try_at, "-")),
        ("replaced", or(&status.replaced, "no")),
        ("notice", or(&status.notice, "none")),
        (
            "protocol",
            match &status.hub_version {
                Some(version) => format!("{}, with headquarters' {version}", status.protocol),
                None => status.protocol.to_string(),
            },
        ),
        ("versions", or(&status.versions, "of one age")),
        (
            "proof",
            format!(
                "{}, as of {}; last equal {}",
                status.proof.state,
                or(&status.proof.checked_at, "never"),
                or(&status.proof.equal_at, "never")
            ),
        ),
        ("disk", disk_in_words(status.disk.as_ref())),
        ("damage", format!("{} found and not mended, {} mended", status.proof.damaged, status.proof.mended)),
        (
            "settings",
            match status.settings_refused.len() {
                0 => or(&status.settings_version, "-"),
                refused => format!("{}, {refused} of them cannot be applied", or(&status.settings_version, "-")),
            },
        ),
        (
            "believed by",
            if status.believes.is_empty() {
                "-".to_owned()
            } else {
                status.believes.join(", ")
            },
        ),
        ("origin", status.origin.map_or_else(|| "-".to_owned(), |origin| origin.to_string())),
    ]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::scope::Scope;

    fn enrolment() -> Enrolment {
        Enrolment {
            hub_url: "https://h".into(),
            hub_id: Uuid::nil(),
            epoch: Uuid::nil(),
            node_id: Uuid::nil(),
            store_code: "042".into(),
            store_name: "Downtown".into(),
            scopes: vec![Scope::Company],
            ca_pem: None,
            pins: Vec::new(),
        }
    }

    #[test]
    fn it_is_synced_up_to_the_last_contact_or_the_oldest_change_that_waits() {
        let link = LinkState { hub_reachable: true, last_contact_ms: Some(90_000), ..LinkState::default() };
        let up_to = |pending_changes, first_ms| {
            status(enrolment(), &Backlog { pending_changes, ..Backlog::default() }, (0, 0), first_ms, link.clone())
                .synced_up_to
                .unwrap()
        };
        assert_eq!(up_to(0, None), "1970-01-01T00:01:30Z");
        assert_eq!(up_to(2, Some(30_000)), "1970-01-01T00:00:30Z");
        assert_eq!(up_to(2, Some(120_000)), "1970-01-01T00:01:30Z");
        let never = status(enrolment(), &Backlog::default(), (0, 0), None, LinkState::default());
        assert_eq!((never.synced_up_to, never.hub_reachable), (None, false));
    }

    #[test]
    fn a_disk_without_room_says_what_is_not_taken_and_what_to_do() {
        let disk = |state: &str, floor_bytes| Disk {
            free_bytes: 40 << 20,
            floor_bytes,
            reserve_bytes: 0,
            state: state.to_owned(),
        };
        assert!(disk_in_words(Some(&disk("plenty", 30 << 20))).ends_with("everything is taken"));
        for state in ["low", "reserve"] {
            let words = disk_in_words(Some(&disk(state, 50 << 20)));
            assert_eq!(
                words,
                "40 MiB free, the floor is at 50 MiB; photos and files are not taken, reports are: make room"
            );
        }
        assert!(disk_in_words(Some(&disk("reserve", 0))).contains("the reserve is not whole"));
        assert_eq!(disk_in_words(None), "not known");
    }

    #[test]
    fn programs_of_different_age_are_told_apart_in_plain_words() {
        let hub = |newest| HubProgram { protocol: newest, newest, version: String::new() };
        let ours = sync_protocol::VERSION;
        assert_eq!((ages(&hub(ours), false), ages(&hub(0), false)), (None, None));
        assert!(ages(&hub(ours - 1), false).unwrap().starts_with("headquarters' program is older"));
        assert!(ages(&hub(ours + 1), false).unwrap().starts_with("this program is older"));
        assert!(ages(&hub(ours), true).unwrap().contains("nothing is sent"));
    }

    #[test]
    fn the_state_says_in_words_what_the_numbers_mean() {
        let link = LinkState { hub_reachable: true, last_contact_ms: Some(1), ..LinkState::default() };
        assert_eq!(in_words(&link, 0, 0), "in step with headquarters");
        assert!(in_words(&link, 0, 2).contains("photos are still on their way"));
        assert_eq!(in_words(&link, 1, 2), "sending to headquarters; 1 change waits here");
        assert_eq!(in_words(&link, 3, 0), "sending to headquarters; 3 changes wait here");
        let gone = LinkState { hub_reachable: false, last_error: Some("x".into()), ..link.clone() };
        assert_eq!(in_words(&gone, 1, 0), "headquarters cannot be reached; 1 change waits here and nothing is lost");
        let off = LinkState { clock_offset_ms: -600_001, ..link };
        assert!(in_words(&off, 0, 0).ends_with("clock is 10 min behind: correct it"));
    }
}
