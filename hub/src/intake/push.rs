//! A node's changes come in.

use super::credentials::{Caller, may_push, recheck};
use super::{Intake, Refused};
use bytes::Bytes;
use chassis::heavy;
use desk::{Error, Refusal};
use sync_protocol::HISTORIES_SINCE;
use sync_protocol::batch::{BatchError, Push, PushHeader};
use sync_protocol::chain::Link;
use sync_protocol::message::{Limits, Outcome, PushAnswer, PushResult};
use uuid::Uuid;

/// What a person reads of a change that made the hub fail; the hub's log says more.
const FAILED: &str = "the hub failed while applying it; it is tried again after an upgrade";

impl Intake {
    /// Takes a push whole or not at all, and answers once it is durable. The caller holds room for its body.
    ///
    /// # Errors
    /// [`Refused::Malformed`] and [`Refused::TooLarge`] when it is not a push within the limits;
    /// [`Refused::NotYours`] when the stream is another site's; [`Refused::Revoked`]; [`Refused::Busy`] and
    /// [`Refused::Failed`].
    pub async fn push(&self, caller: &Caller, body: Bytes) -> Result<PushAnswer, Refused> {
        let turn = self.inner.admission.take().await;
        let push = unpack(body.clone(), self.inner.limits).await?;
        let origin = push.header.origin;
        // The body may have taken its time: revoked means from that moment on.
        recheck(self.ledger(), caller).await?;
        let held = self.ledger().origin_head(origin).await.map_err(|error| self.failed(error))?;
        if held.is_some_and(|held| !may_push(&held, caller)) {
            tracing::warn!(node = %caller.node_id, %origin, "a node pushed a stream that is not its own");
            return Err(Refused::NotYours("the origin"));
        }
        let now_ms = self.now_ms();
        let result = match self.ledger().take_push(caller.node_id, caller.own_scope(), push, now_ms).await {
            Ok(result) => result,
            Err(Error::Fault(cause) | Error::Damaged(cause)) => {
                tracing::error!(node = %caller.node_id, %origin, cause, "a push made the hub fail; trying it by halves");
                let again = unpack(body, self.inner.limits).await?;
                self.by_halves(caller, again, now_ms).await.map_err(|error| self.not_taken(error))?
            }
            Err(error) => return Err(self.not_taken(error)),
        };
        drop(turn);
        account(caller, origin, &result);
        let result = in_version(caller.protocol, result);
        self.note_contact(caller.node_id, None).await;
        Ok(PushAnswer { hub_id: self.inner.hub_id, epoch: self.epoch().await?, now_ms, result })
    }

    /// Takes a push that made the hub fail half by half, each in a transaction of its own, until what fails is one change: that
    /// one goes to quarantine, so that it never stops a node for good, and all others are taken. A push of *n* changes with one
    /// such among them costs about 2·log2(*n*) transactions.
    ///
    /// Where what the hub holds of its record is damaged there is nothing wrong with the change: it waits for that.
    async fn by_halves(&self, caller: &Caller, push: Push, now_ms: i64) -> Result<PushResult, Error> {
        let (node_id, scope) = (caller.node_id, caller.own_scope());
        let mut answered = Vec::with_capacity(push.bodies.len());
        let mut last = None;
        // What is left, the next part on top.
        let mut parts = halves(push);
        parts.reverse();
        while let Some(part) = parts.pop() {
            let (seq, origin) = (part.header.first_seq, part.header.origin);
            let result = match self.ledger().take_push(node_id, scope.clone(), part.clone(), now_ms).await {
                Err(Error::Damaged(cause)) if part.bodies.len() == 1 => {
                    tracing::error!(node = %node_id, %origin, seq, cause, "a change waits until what it meets here is mended");
                    self.ledger().keep_waiting(node_id, scope.clone(), part, now_ms).await?
                }
                Err(Error::Fault(cause)) if part.bodies.len() == 1 => {
                    tracing::error!(node = %node_id, %origin, seq, cause, "a change made the hub fail");
                    self.ledger().keep_failed(node_id, scope.clone(), part, FAILED.to_owned(), now_ms).await?
                }
                Err(Error::Fault(_) | Error::Damaged(_)) => {
                    parts.extend(halves(part).into_iter().rev());
                    continue;
                }
                result => result?,
            };
            let PushResult::Accepted { applied_seq, durable_seq, head, answers, receipt } = result else {
                return Ok(result);
            };
            answered.extend(answers);
            last = Some((applied_seq, durable_seq, head, receipt));
        }
        let (applied_seq, durable_seq, head, receipt) =
            last.ok_or_else(|| Error::Fault("a push without changes made the hub fail".to_owned()))?;
        Ok(PushResult::Accepted { applied_seq, durable_seq, head, answers: answered, receipt })
    }

    fn not_taken(&self, error: Error) -> Refused {
        match error {
            // Another node was first with this stream, a moment ago.
            Error::Refused(Refusal::Forbidden(_)) => Refused::NotYours("the origin"),
            Error::Refused(Refusal::Conflict(why)) => Refused::Malformed(why),
            error => self.failed(error),
        }
    }
}

/// What a version of the protocol has of a result.
fn in_version(protocol: u32, mut result: PushResult) -> PushResult {
    if protocol < HISTORIES_SINCE
        && let PushResult::Accepted { receipt, .. } = &mut result
    {
        *receipt = None;
    }
    result
}

/// Unpacking a large push takes tens of milliseconds, which no other request should wait for.
async fn unpack(body: Bytes, limits: Limits) -> Result<Push, Refused> {
    let unpacked = heavy::run(move || Push::decode(&body, &limits)).await;
    let refuse = |error: BatchError| match error {
        BatchError::TooLarge => Refused::TooLarge(error.to_string()),
        BatchError::Malformed(_) | BatchError::ChainBroken => Refused::Malformed(error.to_string()),
    };
    match unpacked {
        Ok(push) => push.map_err(refuse),
        Err(panic) => Err(Refused::Malformed(format!("the push cannot be read: {panic}"))),
    }
}

/// A push in two parts, each a push of its own; one where it holds a single change, none where it holds nothing.
fn halves(push: Push) -> Vec<Push> {
    let Push { header, mut bodies } = push;
    let rest = bodies.split_off(bodies.len().div_ceil(2));
    let part = |first_seq: u64, prev, bodies: Vec<String>| {
        let head = bodies.iter().fold(prev, |link: Link, body| link.extend(body.as_bytes()));
        let count = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
        Push {
            header: PushHeader { origin: header.origin, first_seq, prev, count, head },
            bodies,
        }
    };
    let (then, first) = (header.first_seq + bodies.len() as u64, part(header.first_seq, header.prev, bodies));
    let middle = first.header.head;
    [first, part(then, middle, rest)].into_iter().filter(|part| !part.bodies.is_empty()).collect()
}

/// Counts what came in, and says aloud what a person has to look at.
fn account(caller: &Caller, origin: Uuid, result: &PushResult) {
    let name = match result {
        PushResult::Accepted { answers, .. } => {
            for answer in answers {
                metrics::counter!("hub_changes_taken_total", "outcome" => outcome(&answer.outcome)).increment(1);
            }
            "accepted"
        }
        PushResult::Gap { expected } => {
            tracing::info!(node = %caller.node_id, %origin, expected, "changes before the pushed ones are missing");
            "gap"
        }
        PushResult::Fork { agreed_seq } => {
            tracing::error!(
                node = %caller.node_id, store = caller.store_code, %origin, agreed_seq,
                "two histories of one stream: a copied disk or an old backup; the push is kept for a person"
            );
            "fork"
        }
    };
    metrics::counter!("hub_pushes_total", "result" => name).increment(1);
}

const fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Merged => "merged",
        Outcome::Duplicate => "duplicate",
        Outcome::Deferred => "deferred",
        Outcome::Quarantined { .. } => "quarantined",
    }
}
