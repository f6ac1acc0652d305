//! Sending what was recorded here, in order, one batch under way at a time.
//!
//! The place to go on from is what the ledger says the hub acknowledged; nothing else is remembered. An answer that
//! was lost on the way is the normal case: the same changes are sent again and the hub answers the same. Only a hub
//! that holds less than it once acknowledged (it was restored from a backup) makes the loop go back further: what it
//! forgot is not acknowledged any more, and so sent until its new answers are noted.

use std::time::Duration;

use desk::ledger::Unpushed;
use sync_protocol::batch::{MEDIA_TYPE, Push};
use sync_protocol::chain::Link as ChainLink;
use sync_protocol::message::{Answer, PushAnswer, PushResult, path, refusal};
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::Batch;
use super::board::Part;
use super::hub::{Call, Failure, MOST_JSON_BYTES};
use super::link::Stop;
use super::session::{Session, Waiting, Welcome};
use super::standing::{self, Parted};

/// The first batch after a start, in bytes of bodies.
const FIRST_BYTES: u64 = 16 * 1024;
/// What a push may take whatever its size.
const DEADLINE: Duration = Duration::from_secs(20);
/// The slowest uplink a push is given time for, in bytes a second.
const SLOWEST_BYTES_PER_S: u64 = 4 * 1024;

/// How long a push of so many bytes may take.
fn deadline(sent_bytes: u64) -> Duration {
    DEADLINE + Duration::from_secs(sent_bytes / SLOWEST_BYTES_PER_S)
}

/// What an answer means for the loop.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The hub holds everything up to `applied_seq`, and here is what became of each change sent.
    Noted { applied_seq: u64, answers: Vec<Answer> },
    /// Changes are missing at the hub: go on from here.
    Resend { after: u64 },
    /// The hub holds other changes under these numbers.
    Fork { agreed_seq: u64 },
    /// The answer contradicts itself or what was sent.
    Nonsense(&'static str),
}

/// Judges the answer to `sent`. Pure.
fn judge(sent: &Unpushed, result: PushResult) -> Verdict {
    let last = sent.first_seq.saturating_add(sent.bodies.len() as u64).saturating_sub(1);
    match result {
        PushResult::Accepted { applied_seq, head, answers, .. } => {
            let ours = sent.bodies.iter().fold(sent.prev, |link: ChainLink, body| link.extend(body.as_bytes()));
            let in_order =
                answers.len() == sent.bodies.len() && answers.iter().zip(sent.first_seq..).all(|(a, seq)| a.seq == seq);
            if applied_seq < last || !in_order {
                Verdict::Nonsense("it does not answer what was sent")
            } else if applied_seq == last && head != ours {
                Verdict::Nonsense("its chain is not that of what was sent")
            } else {
                // What the hub holds beyond is sent again too: its answers are wanted.
                Verdict::Noted { applied_seq: last, answers }
            }
        }
        PushResult::Gap { expected } if expected >= 1 && expected < sent.first_seq => {
            Verdict::Resend { after: expected - 1 }
        }
        PushResult::Gap { .. } => Verdict::Nonsense("it misses changes that were just sent"),
        PushResult::Fork { agreed_seq } => Verdict::Fork { agreed_seq },
    }
}

/// Where the loop stands.
#[derive(Debug, Default)]
struct Position {
    /// The `hello` this was derived from.
    welcome: u64,
    /// Set while the hub holds less than it acknowledged: go on after this number.
    after: Option<u64>,
    /// How many settlements the node had heard of when it last asked what became of changes in quarantine.
    asked: Option<u64>,
    /// Set while it asks: what comes after this number is still to be asked about.
    asking: Option<u64>,
}

/// Sends whenever there is something to send, for as long as it is polled.
pub(super) async fn run(session: &Session) {
    let mut view = session.view.clone();
    let mut waiting = Waiting::new(session.pace);
    let mut batch = Batch::new(FIRST_BYTES, u64::MAX);
    let mut position = Position::default();
    loop {
        let welcome = session.ready(&mut waiting).await;
        let round = session.round("push", deadline(welcome.limits.push_bytes));
        if let Err(error) = arrive(&mut position, &mut batch, &welcome, session).await {
            session.ledger_failed(&mut waiting, &error);
            continue;
        }
        view.borrow_and_update();
        let max_bytes = usize::try_from(batch.size()).unwrap_or(usize::MAX);
        let next = session.desk.ledger().unpushed(position.after, welcome.limits.push_changes.max(1), max_bytes).await;
        match next {
            Ok(Some(run)) => {
                session.note_sent(false);
                send(session, &mut waiting, &mut batch, &mut position, run).await;
            }
            Ok(None) if position.after.take().is_some() => {}
            Ok(None) if asks(session, &mut waiting, &mut batch, &mut position, &welcome).await => {}
            Ok(None) => {
                session.note_sent(true);
                drop(round);
                tokio::select! {
                    changed = view.changed() => if changed.is_err() {
                        return;
                    },
                    // A hub that was met again may hold less than it did, and nothing here tells of that.
                    () = session.welcome_after(welcome.no) => {}
                }
            }
            Err(error) => session.ledger_failed(&mut waiting, &error),
        }
    }
}

/// Takes in what a new `hello` told.
async fn arrive(
    position: &mut Position,
    batch: &mut Batch,
    welcome: &Welcome,
    session: &Session,
) -> Result<(), desk::Error> {
    if position.welcome == welcome.no {
        return Ok(());
    }
    // Not from the view, which may be a moment older than what the hub was sent.
    let backlog = session.desk.ledger().backlog().await?;
    // It may have been upgraded, and have tried again what it could not take.
    (position.asked, position.asking) = (None, None);
    batch.set_most(welcome.limits.push_bytes);
    // What `hello` told is about the stream it asked for.
    let is_behind = welcome.origin == backlog.origin && welcome.applied_seq < welcome.acknowledged;
    position.after = is_behind.then_some(welcome.applied_seq);
    if is_behind {
        session.desk.ledger().take_back_acks(backlog.origin, welcome.applied_seq).await?;
    }
    position.welcome = welcome.no;
    Ok(())
}

/// Sends again what the hub could not put into records, to hear what became of it: when the hub is met, and after each
/// settlement. False when there is nothing to ask.
async fn asks(
    session: &Session,
    waiting: &mut Waiting,
    batch: &mut Batch,
    position: &mut Position,
    welcome: &Welcome,
) -> bool {
    let settled = session.view.borrow().backlog.settled;
    if position.asking.is_none() {
        if position.asked == Some(settled) {
            return false;
        }
        (position.asked, position.asking) = (Some(settled), Some(0));
    }
    let after = position.asking.unwrap_or(0);
    let max_bytes = usize::try_from(batch.size()).unwrap_or(usize::MAX);
    match session.desk.ledger().unsettled(after, welcome.limits.push_changes.max(1), max_bytes).await {
        Ok(Some(run)) => {
            let last = run.first_seq + run.bodies.len() as u64 - 1;
            if send(session, waiting, batch, position, run).await {
                position.asking = Some(last);
            }
            true
        }
        Ok(None) => {
            position.asking = None;
            false
        }
        Err(error) => {
            session.ledger_failed(waiting, &error);
            true
        }
    }
}

/// Sends one batch and acts on the answer; true when the hub took it.
async fn send(
    session: &Session,
    waiting: &mut Waiting,
    batch: &mut Batch,
    position: &mut Position,
    run: Unpushed,
) -> bool {
    let size = run.bodies.iter().map(|body| body.len() as u64).sum();
    let body = Push::encode(run.origin, run.first_seq, run.prev, &run.bodies);
    let sent_bytes = body.len() as u64;
    let deadline = deadline(sent_bytes);
    let call = Call {
        path: path::PUSH,
        media_type: MEDIA_TYPE,
        body,
        deadline,
        most_bytes: MOST_JSON_BYTES,
    };
    let (began, sent_boot_ms) = (Instant::now(), session.desk.boot_ms());
    let answer = match session.hub.call(call).await {
        Ok(body) => serde_json::from_slice::<PushAnswer>(&body).map_err(Failure::nonsense),
        Err(failure) => Err(failure),
    };
    metrics::counter!("aincident_sync_sent_bytes_total").increment(sent_bytes);
    metrics::counter!("aincident_pushes_total", "result" => if answer.is_ok() { "answered" } else { "failed" })
        .increment(1);
    let failure = match answer {
        Ok(answer) if answer.hub_id != session.enrolment.hub_id => {
            session.stop(Stop::WrongHub);
            return false;
        }
        Ok(answer) => {
            session.contact();
            session.measure(sent_boot_ms, answer.now_ms);
            session.saw_epoch(answer.epoch).await;
            keep_receipt(session, run.origin, &answer.result).await;
            match act(session, position, &run, judge(&run, answer.result)).await {
                Ok(true) => {
                    batch.succeeded(size, began.elapsed());
                    waiting.succeeded();
                    return true;
                }
                Ok(false) => return false,
                Err(Trouble::Answer(failure)) => failure,
                Err(Trouble::Ledger(error)) => {
                    session.ledger_failed(waiting, &error);
                    return false;
                }
            }
        }
        Err(Failure::Refused(refused)) if refused.kind == refusal::NOT_YOURS => {
            session.contact();
            let most = run.first_seq.saturating_sub(1);
            session
                .part(Parted { origin: run.origin, most, is_exact: true, lost: 0, why: standing::NOT_YOURS })
                .await;
            return false;
        }
        Err(failure) => failure,
    };
    if !failure.is_about_time() {
        batch.failed(size);
    }
    session.lane_failed(Part::Push, waiting, &failure).await;
    false
}

/// Keeps the hub's word for what it holds, and notes what is in its backup. A failure costs nothing: the next push brings
/// another one.
async fn keep_receipt(session: &Session, origin: Uuid, result: &PushResult) {
    let PushResult::Accepted { receipt, durable_seq, .. } = result else {
        return;
    };
    let ledger = session.desk.ledger();
    let mut kept = Ok(());
    if let Some(receipt) = receipt {
        kept = ledger.keep_receipt(origin, *receipt).await;
    }
    if *durable_seq > 0 && kept.is_ok() {
        kept = ledger.note_durable([(origin, *durable_seq)].into()).await;
    }
    if let Err(error) = kept {
        tracing::debug!(%error, "a receipt could not be kept");
    }
}

/// Why acting on an answer failed.
enum Trouble {
    Answer(Failure),
    Ledger(desk::Error),
}

/// Acts on a verdict; true when the hub took the batch.
async fn act(session: &Session, position: &mut Position, run: &Unpushed, verdict: Verdict) -> Result<bool, Trouble> {
    match verdict {
        Verdict::Noted { applied_seq, answers } => {
            metrics::counter!("aincident_pushed_changes_total").increment(answers.len() as u64);
            session
                .desk
                .ledger()
                .note_answers(run.origin, applied_seq, answers)
                .await
                .map_err(Trouble::Ledger)?;
            if position.after.is_some() {
                position.after = Some(applied_seq);
            }
            session.board.well(Part::Push);
            session.board.well(Part::Stall);
            session.board.well(Part::Ledger);
            Ok(true)
        }
        Verdict::Resend { after } => {
            tracing::warn!(origin = %run.origin, from = after + 1, "headquarters misses changes; sending them again");
            session.desk.ledger().take_back_acks(run.origin, after).await.map_err(Trouble::Ledger)?;
            position.after = Some(after);
            Ok(false)
        }
        Verdict::Fork { agreed_seq } => {
            // 0 says that the push showed nothing that is the same: they part somewhere before it.
            let is_exact = agreed_seq > 0;
            let most = if is_exact { agreed_seq } else { run.first_seq.saturating_sub(1) };
            session.part(Parted { origin: run.origin, most, is_exact, lost: 0, why: standing::FORKED }).await;
            Ok(false)
        }
        Verdict::Nonsense(what) => Err(Trouble::Answer(Failure::nonsense(what))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::message::Outcome;

    fn run() -> Unpushed {
        let origin = Uuid::from_u128(7);
        let prev = ChainLink::start(origin).extend(b"1").extend(b"2");
        Unpushed { origin, first_seq: 3, prev, bodies: vec!["3".into(), "4".into()] }
    }

    fn answers(seqs: &[u64]) -> Vec<Answer> {
        seqs.iter()
            .map(|seq| Answer { seq: *seq, outcome: Outcome::Applied, received_ms: 1, hlc: None })
            .collect()
    }

    fn accepted(applied_seq: u64, seqs: &[u64]) -> PushResult {
        let head = run().prev.extend(b"3").extend(b"4");
        PushResult::Accepted { applied_seq, durable_seq: 0, head, answers: answers(seqs), receipt: None }
    }

    #[test]
    fn only_an_answer_to_what_was_sent_is_noted() {
        assert_eq!(judge(&run(), accepted(4, &[3, 4])), Verdict::Noted { applied_seq: 4, answers: answers(&[3, 4]) });
        assert_eq!(judge(&run(), accepted(9, &[3, 4])), Verdict::Noted { applied_seq: 4, answers: answers(&[3, 4]) });
        for wrong in [accepted(3, &[3, 4]), accepted(4, &[3]), accepted(4, &[4, 3]), accepted(4, &[])] {
            assert!(matches!(judge(&run(), wrong), Verdict::Nonsense(_)));
        }
        let head = run().prev;
        let other =
            PushResult::Accepted { applied_seq: 4, durable_seq: 0, head, answers: answers(&[3, 4]), receipt: None };
        assert!(matches!(judge(&run(), other), Verdict::Nonsense(_)));
    }

    #[test]
    fn a_gap_goes_back_to_what_the_hub_expects_and_never_forward() {
        assert_eq!(judge(&run(), PushResult::Gap { expected: 1 }), Verdict::Resend { after: 0 });
        for expected in [0, 3, 4, u64::MAX] {
            assert!(matches!(judge(&run(), PushResult::Gap { expected }), Verdict::Nonsense(_)));
        }
        assert_eq!(judge(&run(), PushResult::Fork { agreed_seq: 2 }), Verdict::Fork { agreed_seq: 2 });
    }
}
