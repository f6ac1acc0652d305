//! Fetching what others recorded: one request waits at the hub until there is something, so that an edit made at
//! headquarters is here within a second.
//!
//! A page's changes and the cursors after it are stored in one transaction; a page that comes twice changes nothing.
//! When the hub does not know the cursors any more (it was restored from a backup) everything is pulled again.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::heavy;
use desk::ledger::{PageApplied, SharedLedger};
use sync_protocol::batch::{MAX_PAGE_BYTES, Page};
use sync_protocol::message::{Limits, NodeStatus, PullRequest, path, refusal};
use sync_protocol::scope::Scope;
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::Batch;
use super::board::Part;
use super::hub::{Call, Failure, Hub};
use super::link::{Link, Stop};
use super::session::{Session, Waiting, cursors};

/// The first page after a start, in changes.
const FIRST_CHANGES: u64 = 128;
/// A page may take this much longer than the wait that was asked for.
const STALLED: Duration = Duration::from_secs(15);

/// How long nothing is asked for where there is nothing to be had.
const NOTHING_TO_FETCH: Duration = Duration::from_secs(5);

/// What to ask for.
pub(crate) struct Ask<'a> {
    /// The scopes and where the node stands in them.
    pub cursors: BTreeMap<Scope, Option<String>>,
    /// Origins that need not come back.
    pub skip: Vec<Uuid>,
    /// Most changes.
    pub limit: u32,
    /// How long the hub may wait for something to come.
    pub wait_ms: u64,
    /// The hub's limits.
    pub limits: &'a Limits,
    /// For the fleet list.
    pub status: NodeStatus,
}

/// What a pull brought.
pub(crate) struct Pulled {
    /// What its changes did.
    pub applied: PageApplied,
    /// Whether there is more to have at once.
    pub more: bool,
    /// Whether the node stands elsewhere now than before.
    pub moved: bool,
}

/// Why a pull brought nothing.
pub(crate) enum NotPulled {
    /// The request.
    Failure(Failure),
    /// Another hub's page.
    WrongHub,
    /// The hub does not know the cursors.
    BadCursor,
    /// The hub has begun another epoch; nothing of the page was stored.
    Epoch(Uuid),
    /// The node's own ledger.
    Ledger(desk::Error),
}

/// Pulls one page and stores it. Stored means durable, cursors included.
pub(crate) async fn one(
    hub: &Hub,
    ledger: &SharedLedger,
    (hub_id, epoch): (Uuid, Uuid),
    ask: Ask<'_>,
    clock: &chassis::clock::SharedClock,
) -> Result<Pulled, NotPulled> {
    let request = PullRequest {
        cursors: ask.cursors,
        skip: ask.skip,
        limit: ask.limit,
        wait_ms: ask.wait_ms,
        status: ask.status,
        looks: false,
    };
    let body = serde_json::to_vec(&request).map_err(|e| NotPulled::Failure(Failure::nonsense(e)))?;
    let deadline = Duration::from_millis(ask.wait_ms) + STALLED;
    let call = Call {
        path: path::PULL,
        media_type: "application/json",
        body,
        deadline,
        most_bytes: MAX_PAGE_BYTES,
    };
    let body = hub.call(call).await.map_err(|failure| match failure {
        Failure::Refused(refused) if refused.kind == refusal::BAD_CURSOR => NotPulled::BadCursor,
        failure => NotPulled::Failure(failure),
    })?;
    metrics::counter!("aincident_sync_received_bytes_total").increment(body.len() as u64);
    let limits = *ask.limits;
    // Unpacking a large page takes longer than a loop shared with everything else should be held up.
    let page = heavy::run(move || Page::decode(&body, &limits)).await;
    let page = page
        .map_err(|e| NotPulled::Failure(Failure::nonsense(e)))?
        .map_err(|e| NotPulled::Failure(Failure::nonsense(e)))?;
    if page.header.hub_id != hub_id {
        return Err(NotPulled::WrongHub);
    }
    if page.header.epoch != epoch {
        return Err(NotPulled::Epoch(page.header.epoch));
    }
    let asked_for = |scope: &Scope| request.cursors.contains_key(scope);
    if !(page.lines.iter().all(|line| asked_for(&line.scope)) && page.header.cursors.keys().all(asked_for)) {
        return Err(NotPulled::Failure(Failure::nonsense("a page holds what was not asked for")));
    }
    let more = page.header.more;
    let moved = page
        .header
        .cursors
        .iter()
        .any(|(scope, cursor)| request.cursors.get(scope).is_none_or(|was| was.as_ref() != Some(cursor)));
    let applied = ledger.apply_page(page, clock.now_ms()).await.map_err(NotPulled::Ledger)?;
    metrics::counter!("aincident_pulled_changes_total").increment(applied.new);
    Ok(Pulled { applied, more, moved })
}

/// Pulls, waits, pulls, for as long as it is polled.
pub(super) async fn run(session: &Session) {
    let mut waiting = Waiting::new(session.pace);
    let mut batch = Batch::new(FIRST_CHANGES, FIRST_CHANGES);
    let mut anew = false;
    let mut told = None;
    loop {
        let welcome = session.ready(&mut waiting).await;
        let _round = session.round("pull", Duration::from_millis(welcome.limits.wait_ms) + STALLED);
        if welcome.scopes.is_empty() {
            // Another PC took this one's place; a `hello` that says otherwise ends the wait. No pull tells any more what is still
            // here, so a `hello` does.
            let waits = (session.view.borrow().backlog.pending_changes, session.view.borrow().contents);
            if told.replace(waits).is_some_and(|told| told != waits) {
                session.link(Link::ask_again);
            }
            waiting.hold(session.now(), NOTHING_TO_FETCH);
            continue;
        }
        batch.set_most(u64::from(welcome.limits.pull_changes));
        let ledger = session.desk.ledger();
        let (held, own) = match (ledger.cursors().await, ledger.backlog().await) {
            (Ok(held), Ok(backlog)) => (held, backlog.origin),
            (Err(error), _) | (_, Err(error)) => {
                session.ledger_failed(&mut waiting, &error);
                continue;
            }
        };
        let ask = Ask {
            cursors: cursors(&welcome.scopes, &held, anew),
            // What the node recorded itself need not come back.
            skip: vec![own],
            limit: batch.count(),
            wait_ms: welcome.limits.wait_ms,
            limits: &welcome.limits,
            status: session.node_status(),
        };
        let (asked, began) = (u64::from(ask.limit), Instant::now());
        let early = Duration::from_millis(ask.wait_ms / 2);
        let of = (session.enrolment.hub_id, session.enrolment.epoch);
        let pulled = one(&session.hub, session.desk.ledger(), of, ask, session.desk.clock()).await;
        let result = if pulled.is_ok() { "answered" } else { "failed" };
        metrics::counter!("aincident_pulls_total", "result" => result).increment(1);
        match pulled {
            Ok(pulled) => {
                anew = false;
                let took = began.elapsed();
                batch.succeeded(
                    pulled.applied.new + pulled.applied.known,
                    if pulled.more { took } else { Duration::ZERO },
                );
                well(session, &mut waiting);
                if !pulled.more && !pulled.moved && took < early {
                    waiting.hold(session.now(), no_room(session.desk.ids().random_u64()));
                }
            }
            Err(NotPulled::BadCursor) if !anew => {
                tracing::warn!("headquarters does not know where this node stands; pulling everything again");
                session.contact();
                anew = true;
            }
            Err(NotPulled::BadCursor) => {
                let failure = Failure::nonsense("it refuses to begin anew");
                session.lane_failed(Part::Pull, &mut waiting, &failure).await;
            }
            Err(NotPulled::Epoch(epoch)) => session.saw_epoch(epoch).await,
            Err(NotPulled::WrongHub) => session.stop(Stop::WrongHub),
            Err(NotPulled::Ledger(error)) => session.ledger_failed(&mut waiting, &error),
            Err(NotPulled::Failure(failure)) => {
                if !failure.is_about_time() {
                    batch.failed(asked);
                }
                session.lane_failed(Part::Pull, &mut waiting, &failure).await;
            }
        }
    }
}

/// The pause after a hub without room for one more that waits answered at once: 1 to 2 s.
const fn no_room(random: u64) -> Duration {
    Duration::from_millis(1000 + random % 1000)
}

fn well(session: &Session, waiting: &mut Waiting) {
    waiting.succeeded();
    session.contact();
    session.board.well(Part::Pull);
    session.board.well(Part::Ledger);
}
