//! Giving back to a hub that was restored from a backup what it has forgotten of others: headquarters' own edits, and
//! changes of the store's other nodes.
//!
//! Done once for each epoch, and only when everything recorded here is at the hub again: what others wrote may need it.
//! The hub says what it lacks; lines go in the order in which they once came, each with the hub's own seal. What the hub
//! cannot take yet, because it needs something that another node has still to send, is offered again later. That it is due
//! is in the ledger, so the process may end at any moment; a line given twice changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use sync_protocol::HISTORIES_SINCE;
use sync_protocol::batch::MEDIA_TYPE;
use sync_protocol::message::{GiveAnswer, Given, MAX_OFFER, OfferAnswer, OfferRequest, path};
use uuid::Uuid;

use super::board::Part;
use super::hub::{Call, Failure, MOST_JSON_BYTES};
use super::session::{Session, Waiting};

/// Most changes given at once.
const MAX_CHANGES: u32 = 250;
/// Most bytes of bodies given at once; a single change may be larger.
const MAX_BYTES: usize = 256 * 1024;
/// What a request may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// The pause before what the hub could not take yet is offered again; doubled each time.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest such pause.
const AGAIN_AT_MOST: Duration = Duration::from_secs(300);
/// After so many rounds (hours) what is left is not coming any more; it stays here, and the log says so.
const MAX_ROUNDS: u32 = 60;

/// Why a round did not end.
enum Trouble {
    Link(Failure),
    Ledger(desk::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Link(failure)
    }
}

impl From<desk::Error> for Trouble {
    fn from(error: desk::Error) -> Self {
        Self::Ledger(error)
    }
}

/// What a round did.
#[derive(Debug, Default)]
struct Round {
    taken: u64,
    /// Refused for now.
    later: u64,
    /// Refused for good, and the first reason.
    never: u64,
    reason: Option<String>,
}

/// Offers what is due, for as long as it is polled.
pub(super) async fn run(session: &Session) {
    let mut waiting = Waiting::new(session.pace);
    let mut rounds = 0;
    loop {
        let welcome = session.ready(&mut waiting).await;
        if welcome.protocol < HISTORIES_SINCE {
            // It stays due until headquarters is upgraded.
            session.welcome_after(welcome.no).await;
            continue;
        }
        session.all_sent().await;
        let epoch = session.enrolment.epoch;
        match session.desk.ledger().offer_due().await {
            Ok(Some(due)) if due == epoch => {}
            // It becomes due with another epoch, which is another session.
            Ok(_) => return std::future::pending().await,
            Err(error) => {
                session.ledger_failed(&mut waiting, &error);
                continue;
            }
        }
        let done = round(session).await;
        match done {
            Ok(round) => {
                waiting.succeeded();
                session.contact();
                session.board.well(Part::Offer);
                rounds += 1;
                if round.later > 0 && rounds < MAX_ROUNDS {
                    waiting.hold(session.now(), (AGAIN * 2_u32.pow(rounds.min(10))).min(AGAIN_AT_MOST));
                    continue;
                }
                tell(&round);
                if let Err(error) = session.desk.ledger().note_offered(epoch).await {
                    session.ledger_failed(&mut waiting, &error);
                }
            }
            Err(Trouble::Link(failure)) => session.lane_failed(Part::Offer, &mut waiting, &failure).await,
            Err(Trouble::Ledger(error)) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

fn tell(round: &Round) {
    let Round { taken, later, never, reason } = round;
    tracing::info!(taken, "headquarters has been given back what it had forgotten of others");
    if later + never > 0 {
        tracing::warn!(later, never, reason, "headquarters did not take all that was given back; it stays here");
    }
}

async fn round(session: &Session) -> Result<Round, Trouble> {
    let wanted = wanted(session).await?;
    let mut round = Round::default();
    if wanted.is_empty() {
        return Ok(round);
    }
    let (ledger, mut after) = (session.desk.ledger(), 0);
    while let Some(giving) = ledger.to_give(wanted.clone(), after, MAX_CHANGES, MAX_BYTES).await? {
        after = giving.after;
        if giving.page.lines.is_empty() {
            continue;
        }
        let call = Call {
            path: path::GIVE,
            media_type: MEDIA_TYPE,
            body: giving.page.encode(),
            deadline: DEADLINE,
            most_bytes: MOST_JSON_BYTES,
        };
        let answer = session.hub.call(call).await?;
        let answer: GiveAnswer = serde_json::from_slice(&answer).map_err(Failure::nonsense)?;
        if answer.answers.len() != giving.page.lines.len() {
            return Err(Failure::nonsense("it does not answer what was given").into());
        }
        for line in answer.answers {
            match line.outcome {
                Given::Taken | Given::Known => round.taken += 1,
                Given::Refused { later: true, reason } => {
                    round.later += 1;
                    round.reason.get_or_insert(reason);
                }
                Given::Refused { later: false, reason } => {
                    round.never += 1;
                    round.reason.get_or_insert(reason);
                }
            }
        }
    }
    // What was recorded here, under an enrolment that the hub forgot, carries no seal of its own.
    for (origin, first) in wanted {
        let again = ledger.record_again(origin, first).await?;
        if again > 0 {
            tracing::warn!(%origin, first, again, "headquarters forgot what was recorded here under an earlier enrolment; it is sent again");
        }
    }
    metrics::counter!("aincident_given_changes_total").increment(round.taken);
    Ok(round)
}

/// What the hub lacks of all that is held of others.
async fn wanted(session: &Session) -> Result<BTreeMap<Uuid, u64>, Trouble> {
    let (mut wanted, mut after) = (BTreeMap::new(), None);
    loop {
        let origins = session.desk.ledger().held_of_others(after, MAX_OFFER as u32).await?;
        let Some(last) = origins.keys().next_back().copied() else {
            return Ok(wanted);
        };
        let request = OfferRequest { origins };
        let answer: OfferAnswer = session.hub.ask(path::OFFER, &request, DEADLINE).await?;
        if answer.hub_id != session.enrolment.hub_id {
            return Err(Failure::nonsense("it is of another hub").into());
        }
        wanted.extend(answer.wanted);
        after = Some(last);
    }
}
