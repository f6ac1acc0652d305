//! Saying hello: at start, after a break and once a day. It makes sure that the hub is the one of the enrolment,
//! learns its limits, measures the clock and takes a new secret. While the hub does not answer it is the only thing
//! that is tried.

use std::time::Duration;

use desk::ledger::HubProgram;
use sync_protocol::chain::Link as ChainLink;
use sync_protocol::message::{HelloAnswer, HelloRequest, path, refusal};
use uuid::Uuid;

use super::authorities;
use super::board::Part;
use super::hub::Failure;
use super::link::{Phase, Stop};
use super::retired;
use super::session::{Session, Welcome};
use super::standing::{self, Parted};

/// How old a secret gets while the node runs.
const RENEW_EVERY_MS: i64 = 24 * 3_600_000;
/// Longest text kept of the hub program's version, in characters.
const MAX_VERSION_CHARS: usize = 50;
/// A hub that is there answers long before.
const DEADLINE: Duration = Duration::from_secs(15);

/// Says hello whenever it is due, for as long as it is polled.
pub(super) async fn run(session: &Session) {
    let mut view = session.view.clone();
    let (mut no, mut breaks) = (0_u64, 0_u64);
    let mut renewed_ms = None;
    loop {
        session.until_hello(&mut view).await;
        let _round = session.round("hello", DEADLINE);
        let (sent_ms, sent_boot_ms) = (session.desk.now_ms(), session.desk.boot_ms());
        let renew = renews(session.link(|link, _| link.phase()), renewed_ms, sent_ms);
        let (request, acknowledged) = request(session, sent_ms, renew).await;
        match session.hub.ask::<HelloAnswer>(path::HELLO, &request, DEADLINE).await {
            Ok(answer) => {
                if let Some(stop) = objection(&answer, &request) {
                    session.stop(stop);
                    continue;
                }
                session.measure(sent_boot_ms, answer.now_ms);
                // Before the secret: until it is used headquarters says so again.
                if answer.returned
                    && let Err(error) = session.desk.ledger().erase_again().await
                {
                    unreadable(session, &error).await;
                    continue;
                }
                if let Some(secret) = answer.credential.clone() {
                    take_secret(session, secret).await;
                    renewed_ms = Some(sent_ms);
                }
                session.hub.speak(answer.protocol);
                saw_program(session, &answer).await;
                session.saw_epoch(answer.epoch).await;
                note_durable(session, request.origin, answer.durable_seq).await;
                retired::note(session, &answer).await;
                authorities::note(session, &answer).await;
                match parted(session, &request, &answer).await {
                    Ok(None) => {}
                    Ok(Some(parted)) => return session.part(parted).await,
                    Err(error) => {
                        unreadable(session, &error).await;
                        continue;
                    }
                }
                no += 1;
                let phase = session.link(|link, _| link.phase());
                breaks += u64::from(!matches!(phase, Phase::Online | Phase::Checking));
                settle(session, answer, (request.origin, acknowledged), no, breaks).await;
            }
            Err(Failure::Refused(refused)) if refused.kind == refusal::NOT_YOURS && request.seq > 0 => {
                session.contact();
                let backlog = session.view.borrow().backlog.clone();
                let most = backlog.seq.saturating_sub(backlog.pending_changes);
                return session
                    .part(Parted { origin: request.origin, most, is_exact: true, lost: 0, why: standing::NOT_YOURS })
                    .await;
            }
            Err(failure) => session.hello_failed(&failure).await,
        }
    }
}

/// Whether it is time for another secret. Also when the one in use is refused though it came just now: a `hello` from before it that
/// took long had a newer one made, which nobody has. On its own machine the node gets another one for it.
fn renews(phase: Phase, renewed_ms: Option<i64>, now_ms: i64) -> bool {
    phase == Phase::Stopped(Stop::Copy)
        || renewed_ms.is_none_or(|at_ms| now_ms.saturating_sub(at_ms).saturating_abs() >= RENEW_EVERY_MS)
}

/// The node's own ledger fails: hello is said again after a pause.
async fn unreadable(session: &Session, error: &desk::Error) {
    session.board.trouble(Part::Ledger, format!("the node's own ledger cannot be read: {error}"), None);
    let why = "the node's own ledger cannot be read".to_owned();
    session.hello_failed(&Failure::NoHub { why, retry_after: None }).await;
}

/// What is said, and up to where headquarters has acknowledged the stream that it names.
async fn request(session: &Session, now_ms: i64, renew: bool) -> (HelloRequest, u64) {
    // Not from the view, which may be a moment older. Where the ledger cannot be read the view will do.
    let seen = session.view.borrow().backlog.clone();
    let backlog = session.desk.ledger().backlog().await.unwrap_or(seen);
    // Without one the hub is only a little slower to find out that it was restored.
    let acked = session.desk.ledger().receipt(backlog.origin).await.unwrap_or_default();
    let acknowledged = backlog.seq.saturating_sub(backlog.pending_changes);
    let request = HelloRequest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocols: (sync_protocol::OLDEST_VERSION..=sync_protocol::VERSION).collect(),
        hub_id: session.enrolment.hub_id,
        epoch: session.enrolment.epoch,
        origin: backlog.origin,
        seq: backlog.seq,
        head: backlog.head.unwrap_or_else(|| ChainLink::start(backlog.origin)),
        now_ms,
        renew,
        acked,
        status: session.node_status(),
    };
    (request, acknowledged)
}

/// Where this node's history and the one headquarters holds part, if they do.
async fn parted(
    session: &Session,
    request: &HelloRequest,
    answer: &HelloAnswer,
) -> Result<Option<Parted>, desk::Error> {
    let ledger = session.desk.ledger();
    let ours = ledger.own_link(answer.applied_seq).await?;
    let backlog = ledger.backlog().await?;
    if backlog.origin != request.origin {
        // A new stream began meanwhile; the next `hello` is about that one.
        return Ok(None);
    }
    Ok(standing::judge(backlog.origin, backlog.seq, ours, answer.applied_seq, answer.head))
}

/// Why the answer ends syncing, if it does.
fn objection(answer: &HelloAnswer, request: &HelloRequest) -> Option<Stop> {
    if answer.hub_id != request.hub_id {
        Some(Stop::WrongHub)
    } else if !request.protocols.contains(&answer.protocol) {
        Some(Stop::Version)
    } else {
        None
    }
}

/// Keeps a new secret durably, then uses it: in the other order a power cut would leave the node without any. A secret
/// that cannot be kept is not used; the one in use stays good.
async fn take_secret(session: &Session, secret: String) {
    match session.desk.ledger().set_credential(secret.clone()).await {
        Ok(()) => {
            session.hub.use_secret(secret);
            tracing::debug!("the node's credential was renewed");
        }
        Err(error) => tracing::warn!(%error, "a new credential could not be kept; the one in use stays"),
    }
}

/// Notes what is in a backup of the hub. It is told again with every hello, so a failure costs nothing.
async fn note_durable(session: &Session, origin: Uuid, seq: u64) {
    if seq > 0
        && let Err(error) = session.desk.ledger().note_durable([(origin, seq)].into()).await
    {
        tracing::debug!(%error, "what is in a backup could not be noted");
    }
}

/// Notes which program is at headquarters. It is told again with every hello.
async fn saw_program(session: &Session, answer: &HelloAnswer) {
    let newest = answer.protocols.iter().copied().max().unwrap_or(answer.protocol);
    // What headquarters says is shown to people.
    let version = answer.version.chars().filter(|c| !c.is_control()).take(MAX_VERSION_CHARS).collect();
    let seen = HubProgram { protocol: answer.protocol, newest, version };
    match session.desk.ledger().see_hub_program(seen).await {
        Ok(true) => {
            tracing::info!("headquarters speaks a newer protocol now; pulling everything again, with its seals")
        }
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "which program is at headquarters could not be noted"),
    }
}

async fn settle(session: &Session, answer: HelloAnswer, (origin, acknowledged): (Uuid, u64), no: u64, breaks: u64) {
    session.contact();
    session.link(|link, now| link.hello_succeeded(now, answer.protocol < sync_protocol::VERSION));
    session.board.well(Part::Stop);
    session.board.well(Part::Link);
    if let Some(photos) = answer.photos.clone()
        && let Err(error) = session.desk.take_photo_limits(photos).await
    {
        tracing::debug!(%error, "what headquarters takes of photos could not be kept; it is told again");
    }
    let HelloAnswer { limits, scopes, applied_seq, protocol, retired, .. } = answer;
    let scopes = if retired { Vec::new() } else { scopes };
    session.welcome(Welcome { no, breaks, protocol, limits, scopes, origin, applied_seq, acknowledged });
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::message::{Limits, NodeStatus};

    #[test]
    fn a_secret_that_is_refused_though_it_is_new_is_not_kept_for_a_day() {
        let now_ms = 1_800_000_000_000;
        assert!(renews(Phase::Fresh, None, now_ms));
        assert!(!renews(Phase::Online, Some(now_ms - 1000), now_ms));
        assert!(renews(Phase::Online, Some(now_ms - RENEW_EVERY_MS), now_ms));
        assert!(renews(Phase::Stopped(Stop::Copy), Some(now_ms - 1000), now_ms));
        assert!(!renews(Phase::Stopped(Stop::Revoked), Some(now_ms - 1000), now_ms));
    }

    #[test]
    fn another_hub_or_protocol_ends_syncing() {
        let (hub_id, origin) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let request = HelloRequest {
            version: String::new(),
            protocols: vec![1],
            hub_id,
            epoch: hub_id,
            origin,
            seq: 0,
            head: ChainLink::start(origin),
            now_ms: 0,
            renew: false,
            acked: None,
            status: NodeStatus::default(),
        };
        let answer = |hub_id, protocol| HelloAnswer {
            hub_id,
            epoch: hub_id,
            protocol,
            scopes: Vec::new(),
            limits: Limits::default(),
            photos: None,
            now_ms: 0,
            applied_seq: 0,
            head: ChainLink::start(origin),
            credential: None,
            durable_seq: 0,
            version: String::new(),
            protocols: Vec::new(),
            retired: false,
            successor: None,
            returned: false,
            authorities: Vec::new(),
        };
        assert_eq!(objection(&answer(hub_id, 1), &request), None);
        assert_eq!(objection(&answer(origin, 1), &request), Some(Stop::WrongHub));
        assert_eq!(objection(&answer(hub_id, 9), &request), Some(Stop::Version));
    }
}
