//! `enroll`: a folder becomes a store's node, and the store's accounts come with it.
//!
//! The code is used up by one request; its answer holds the credential and is kept, under a new origin, before
//! anything else is asked. From then on the folder is enrolled: what cannot be brought now is brought by `serve`,
//! which notices an enrolment made while it runs. Nothing that was recorded in the folder before is touched.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use chassis::folder::{DataFolder, FolderError};
use chassis::outbound::{Backoff, Method, OutboundError, Pin, Url};
use desk::Desk;
use desk::ledger::{Enrolment, HubProgram, Identity, LinkState};
use sync_protocol::message::{EnrolAnswer, EnrolRequest, Limits, path, refusal};
use sync_protocol::scope::{Scope, is_store_code};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::EnrollConfig;
use crate::replicator::hub::{self, Failure, Hub, Reply, Trust};
use crate::replicator::pull::{self, Ask, NotPulled, Pulled};
use crate::replicator::session::{cursors, node_status, told_at};
use crate::site::{self, SiteError};

/// How long the hub may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// An answer to an enrolment is small.
const MOST_ANSWER_BYTES: u64 = 64 * 1024;
/// How often fetching the accounts is tried before `serve` is left to do it.
const TRIES: u32 = 5;
/// The pauses between those tries: a person waits.
const PAUSES: Backoff = Backoff { floor: Duration::from_millis(250), cap: Duration::from_secs(4) };
/// The most of a name that the hub takes, in characters.
const MOST_NAME_CHARS: usize = 100;

/// Why the folder is not enrolled, or not completely; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// What was given cannot be used.
    #[error("{0}")]
    Given(String),
    /// The folder cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It is enrolled already.
    #[error(
        "this folder is enrolled already, as node {node_id} of store {store_code} at {hub_url}; to enrol it anew with this code add --replace"
    )]
    Already {
        /// The node.
        node_id: Uuid,
        /// Its store.
        store_code: String,
        /// Its hub.
        hub_url: String,
    },
    /// The hub did not take the node in.
    #[error("{0}")]
    NotTaken(String),
    /// The hub took the node in, and the folder could not keep it.
    #[error(
        "the hub took this node in, but the folder could not keep it ({0}); the code is used up: ask headquarters for a new one"
    )]
    NotKept(String),
    /// Enrolled, but not everything was brought.
    #[error(
        "enrolled as node {node_id} of store {store_code}, but the store's accounts could not be brought yet ({why}); start `aincident-node serve`, which completes it by itself"
    )]
    Incomplete {
        /// The node.
        node_id: Uuid,
        /// Its store.
        store_code: String,
        /// What went wrong.
        why: String,
    },
}

impl From<FolderError> for EnrolError {
    fn from(error: FolderError) -> Self {
        Self::Site(error.into())
    }
}

/// Enrols the folder and brings the store's accounts; answers what to tell. Progress goes to `progress`.
///
/// # Errors
/// [`EnrolError`].
pub async fn run(config: EnrollConfig, progress: &mut impl Write) -> Result<String, EnrolError> {
    let hub_url = hub_address(&config.hub, config.plain_http)?;
    let ca_pem = config.ca.as_deref().map(read_ca).transpose()?;
    let pins = config.pins;
    if !pins.is_empty() && !hub_url.starts_with("https://") {
        return Err(EnrolError::Given(format!(
            "{hub_url} shows no certificate that could be pinned; give an https address"
        )));
    }
    let folder = DataFolder::open(&config.data_dir)?;
    let (desk, identity) = site::open(&folder, CancellationToken::new()).await?;
    let held = store_held(&desk, &identity).await;
    if let (Identity::Node(enrolment), false) = (identity, config.replace) {
        let Enrolment { node_id, store_code, hub_url, .. } = enrolment;
        return Err(EnrolError::Already { node_id, store_code, hub_url });
    }
    if !desk.ledger().is_writable().await {
        return Err(EnrolError::Given("the data folder takes no writes; nothing was asked of the hub".to_owned()));
    }
    let request = EnrolRequest {
        code: config.code.expose().clone(),
        node_name: node_name(config.name)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocols: (sync_protocol::OLDEST_VERSION..=sync_protocol::VERSION).collect(),
        now_ms: desk.now_ms(),
        store_code: held,
    };
    say(progress, &format!("asking {hub_url}"));
    let trust = Trust { ca_pem: ca_pem.as_deref(), pins: &pins };
    let sent_boot_ms = desk.boot_ms();
    let answer = ask(&desk, &hub_url, trust, &request).await?;
    let left = desk.ledger().backlog().await.map_or(0, |backlog| backlog.pending_changes);
    let enrolment = keep(&desk, hub_url, (ca_pem, pins), &answer, sent_boot_ms).await?;
    if left > 0 {
        say(
            progress,
            &format!("{left} changes that headquarters had not acknowledged go along under the new enrolment"),
        );
    }
    say(
        progress,
        &format!(
            "enrolled at store {} ({}); fetching what the store needs",
            enrolment.store_code, enrolment.store_name
        ),
    );
    let fetched = fetch(&desk, &enrolment, &answer, progress).await.map_err(|why| EnrolError::Incomplete {
        node_id: enrolment.node_id,
        store_code: enrolment.store_code.clone(),
        why,
    })?;
    let Enrolment { node_id, store_code, store_name, .. } = enrolment;
    Ok(format!(
        "enrolled as node {node_id} of store {store_code} ({store_name}); fetched {fetched} changes"
    ))
}

/// The hub's address in its plain form.
fn hub_address(given: &str, plain_http: bool) -> Result<String, EnrolError> {
    let wrong = |why: &str| {
        EnrolError::Given(format!("the hub's address {given:?} {why}; give one such as https://hub.example.com"))
    };
    let url = Url::parse(given.trim()).map_err(|_| wrong("is no address"))?;
    let host = url.host_str().ok_or_else(|| wrong("names no host"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("holds more than a host and a path"));
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|ip| ip.to_canonical().is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_here || plain_http => {}
        "http" => {
            return Err(wrong("would send the code and all reports unencrypted (if that is wanted, add --plain-http)"));
        }
        _ => return Err(wrong("is neither https nor http")),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn read_ca(file: &Path) -> Result<String, EnrolError> {
    let wrong = |why: String| EnrolError::Given(format!("the CA file {} {why}; give a PEM file", file.display()));
    let pem = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    hub::outbound(Trust { ca_pem: Some(&pem), pins: &[] })
        .map_err(|error| wrong(format!("cannot be used: {error}")))?;
    Ok(pem)
}

fn node_name(given: Option<String>) -> Result<String, EnrolError> {
    if let Some(name) = given {
        let name = name.trim();
        let good = (1..=MOST_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        return if good {
            Ok(name.to_owned())
        } else {
            Err(EnrolError::Given(format!("--name takes 1 to {MOST_NAME_CHARS} characters")))
        };
    }
    let host = chassis::machine::host_name().unwrap_or_default();
    let host: String = host.chars().filter(|c| !c.is_control()).take(MOST_NAME_CHARS).collect();
    Ok(if host.is_empty() { "node".to_owned() } else { host })
}

/// Uses the code up.
async fn ask(desk: &Desk, hub_url: &str, trust: Trust<'_>, request: &EnrolRequest) -> Result<EnrolAnswer, EnrolError> {
    let setup = |error: OutboundError| EnrolError::NotTaken(format!("{hub_url}: {error}; the code is still good"));
    let outbound = hub::outbound(trust).map_err(setup)?;
    let address = hub::address(hub_url, path::ENROL).map_err(setup)?;
    let body = serde_json::to_vec(request).map_err(|error| EnrolError::Given(error.to_string()))?;
    let sent = outbound.build(Method::POST, address).header("content-type", "application/json").body(body).build();
    let exchange = async { Reply::read(outbound.request(sent?).await?, MOST_ANSWER_BYTES, desk.now_ms()).await };
    let reply = tokio::time::timeout(DEADLINE, exchange).await.unwrap_or(Err(OutboundError::Timeout));
    let reply = reply.map_err(|error| match error {
        OutboundError::Connect(_) | OutboundError::Setup(_) | OutboundError::Open { .. } => {
            EnrolError::NotTaken(format!(
                "{hub_url}: {error}; check the address and the network and run the same again: the code is still good"
            ))
        }
        // It may have been said, and not heard.
        OutboundError::Timeout | OutboundError::Broken(_) => EnrolError::NotTaken(format!(
            "{hub_url}: {error}; run the same again, and if the code is refused then, ask headquarters for a new one"
        )),
    })?;
    taken(hub_url, &reply, request.store_code.as_deref())
}

/// What the hub's answer says. `held`: the store whose records the folder holds.
fn taken(hub_url: &str, reply: &Reply, held: Option<&str>) -> Result<EnrolAnswer, EnrolError> {
    if (200..300).contains(&reply.status) {
        let answer: Option<EnrolAnswer> = serde_json::from_slice(&reply.body).ok();
        return answer.filter(is_sound).ok_or_else(|| {
            EnrolError::NotTaken(format!(
                "what answers at {hub_url} is no hub: a network's login page or a wrong address; check --hub"
            ))
        });
    }
    let (kind, detail) = hub::problem(&reply.body);
    Err(EnrolError::NotTaken(match kind.as_str() {
        refusal::BAD_CODE => match held {
            Some(store) => format!(
                "the hub refuses the code: it is unknown, used, too old, or not of store {store}, whose records this folder holds; ask headquarters for a new one, or enrol another store in a folder of its own"
            ),
            None => {
                "the hub refuses the code: it is unknown, used or too old; ask headquarters for a new one".to_owned()
            }
        },
        refusal::VERSION => {
            "the hub and this program have no protocol version in common; install the version the hub uses".to_owned()
        }
        "" => format!("what answers at {hub_url} (status {}) is no hub; check --hub", reply.status),
        _ => match reply.retry_after {
            Some(wait) => {
                format!("the hub answers: {detail}; try again in {} s, the code is still good", wait.as_secs().max(1))
            }
            None => format!("the hub refuses: {detail}"),
        },
    }))
}

/// The store whose records the folder holds.
async fn store_held(desk: &Desk, identity: &Identity) -> Option<String> {
    let Identity::Node(enrolment) = identity else {
        return None;
    };
    let has_recorded = desk.ledger().backlog().await.is_ok_and(|backlog| backlog.seq > 0);
    has_recorded.then(|| enrolment.store_code.clone())
}

/// Whether an answer can be lived with: it names one store, and no scope that is not a store's node's.
fn is_sound(answer: &EnrolAnswer) -> bool {
    let own = Scope::Store(answer.store_code.clone());
    is_store_code(&answer.store_code)
        && (sync_protocol::OLDEST_VERSION..=sync_protocol::VERSION).contains(&answer.protocol)
        && answer.credential.len() >= 32
        && answer.scopes.contains(&own)
        && answer.scopes.iter().all(|scope| *scope == own || *scope == Scope::Company)
}

/// Keeps the enrolment that `answer` grants, durably, under a new origin. `sent_boot_ms`: when it was asked for, by
/// [`Desk::boot_ms`].
///
/// # Errors
/// [`EnrolError::NotKept`].
pub async fn keep(
    desk: &Desk,
    hub_url: String,
    (ca_pem, pins): (Option<String>, Vec<Pin>),
    answer: &EnrolAnswer,
    sent_boot_ms: i64,
) -> Result<Enrolment, EnrolError> {
    let enrolment = Enrolment {
        hub_url,
        hub_id: answer.hub_id,
        epoch: answer.epoch,
        node_id: answer.node_id,
        store_code: answer.store_code.clone(),
        store_name: answer.store_name.clone(),
        scopes: answer.scopes.clone(),
        ca_pem,
        pins,
    };
    let now_ms = desk.now_ms();
    let origin = desk.ids().new_v7(now_ms);
    desk.ledger()
        .become_node(enrolment.clone(), answer.credential.clone(), origin)
        .await
        .map_err(not_kept)?;
    let boot_ms = desk.boot_ms();
    let hub_ms = told_at(answer.now_ms, sent_boot_ms, boot_ms);
    desk.reckoning().begin(hub_ms, boot_ms);
    let link = LinkState {
        hub_reachable: true,
        last_contact_ms: Some(now_ms),
        clock_offset_ms: now_ms.saturating_sub(hub_ms),
        booted: desk.booted(),
        ..LinkState::default()
    };
    if let Some(photos) = answer.photos.clone() {
        desk.take_photo_limits(photos).await.map_err(not_kept)?;
    }
    // `serve` notes both anew.
    let _ = desk.ledger().set_link_state(link).await;
    let newest = answer.protocol;
    let seen = HubProgram { protocol: answer.protocol, newest, version: String::new() };
    let _ = desk.ledger().see_hub_program(seen).await;
    Ok(enrolment)
}

fn not_kept(error: desk::Error) -> EnrolError {
    EnrolError::NotKept(match error {
        desk::Error::Refused(desk::Refusal::Conflict(why)) => why,
        error => error.to_string(),
    })
}

/// Fetches until there is nothing more; answers how many changes came.
async fn fetch(
    desk: &Desk,
    enrolment: &Enrolment,
    answer: &EnrolAnswer,
    progress: &mut impl Write,
) -> Result<u64, String> {
    let outbound = hub::clients(enrolment.into()).map_err(|error| error.to_string())?;
    let (ids, clock) = (desk.ids().clone(), desk.clock().clone());
    let hub = Hub::new(outbound, &enrolment.hub_url, enrolment.node_id, answer.credential.clone(), ids, clock);
    hub.speak(answer.protocol);
    let (mut fetched, mut failures, mut anew) = (0_u64, 0_u32, false);
    loop {
        let why = match page(desk, &hub, enrolment, &answer.limits, anew).await {
            Ok(pulled) => {
                (failures, anew) = (0, false);
                fetched += pulled.applied.new + pulled.applied.known;
                if pulled.more {
                    say(progress, &format!("{fetched} changes fetched"));
                    continue;
                }
                return Ok(fetched);
            }
            Err(NotPulled::BadCursor) => {
                anew = true;
                "the hub does not know where this node stands".to_owned()
            }
            Err(NotPulled::Epoch(_)) => return Err("the hub began anew just now".to_owned()),
            Err(NotPulled::WrongHub) => return Err("another hub answers".to_owned()),
            Err(NotPulled::Ledger(error)) => error.to_string(),
            Err(NotPulled::Failure(failure)) => {
                if is_final(&failure) {
                    return Err(failure.to_string());
                }
                renew(desk, &hub, &failure).await;
                failure.to_string()
            }
        };
        failures += 1;
        if failures >= TRIES {
            return Err(why);
        }
        say(progress, &format!("{why}; trying again"));
        tokio::time::sleep(PAUSES.delay(failures, desk.ids().random_u64())).await;
    }
}

async fn page(desk: &Desk, hub: &Hub, enrolment: &Enrolment, limits: &Limits, anew: bool) -> Result<Pulled, NotPulled> {
    let ledger = desk.ledger();
    let held = ledger.cursors().await.map_err(NotPulled::Ledger)?;
    let backlog = ledger.backlog().await.map_err(NotPulled::Ledger)?;
    let ask = Ask {
        cursors: cursors(&enrolment.scopes, &held, anew),
        skip: vec![backlog.origin],
        limit: limits.pull_changes.max(1),
        wait_ms: 0,
        limits,
        status: node_status(backlog.pending_changes, backlog.quarantined, 0),
    };
    pull::one(hub, ledger, (enrolment.hub_id, enrolment.epoch), ask, desk.clock()).await
}

/// Whether asking again would be in vain.
fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(refused) if matches!(refused.kind.as_str(), refusal::REVOKED | refusal::WRONG_HUB | refusal::VERSION))
}

/// A `serve` on the same folder says hello as soon as it notices the enrolment, and gets a newer secret.
async fn renew(desk: &Desk, hub: &Hub, failure: &Failure) {
    if matches!(failure, Failure::Refused(refused) if refused.kind == refusal::SUPERSEDED)
        && let Ok(Some(secret)) = desk.ledger().credential().await
    {
        hub.use_secret(secret);
    }
}

fn say(progress: &mut impl Write, what: &str) {
    // Nobody is there to read it: no reason not to enrol.
    let _ = writeln!(progress, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_needs_a_loopback_address_or_a_word() {
        let plain = |given| hub_address(given, false);
        assert_eq!(plain("https://hub.example.com/").unwrap(), "https://hub.example.com");
        assert_eq!(plain("http://127.0.0.1:7700").unwrap(), "http://127.0.0.1:7700");
        assert_eq!(plain("http://[::1]:7700/x/").unwrap(), "http://[::1]:7700/x");
        assert!(plain("http://localhost:1").is_ok());
        for wrong in
            ["http://10.0.0.1", "http://localhost.evil.com", "ftp://h", "hub", "https://u:p@h", "https://h/?q=1"]
        {
            assert!(plain(wrong).is_err(), "{wrong}");
        }
        assert!(plain("http://10.0.0.1").unwrap_err().to_string().contains("--plain-http"));
        assert!(hub_address("http://10.0.0.1", true).is_ok());
    }

    #[test]
    fn a_name_is_checked_and_defaults_to_something() {
        assert_eq!(node_name(Some("  till 3 ".into())).unwrap(), "till 3");
        assert!(node_name(Some(" ".into())).is_err() && node_name(Some("x".repeat(101))).is_err());
        assert!(!node_name(None).unwrap().is_empty());
    }
}
