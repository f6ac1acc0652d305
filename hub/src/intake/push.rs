//! A node's changes come in.

use super::credentials::{Caller, may_push, recheck};
use super::{Intake, Refused};
use bytes::Bytes;
use chassis::heavy;
use desk::{Error, Refusal};
use sync_protocol::batch::{BatchError, Push, PushHeader};
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
            Err(Error::Fault(cause)) => {
                tracing::error!(node = %caller.node_id, %origin, cause, "a push made the hub fail; trying its changes one by one");
                let again = unpack(body, self.inner.limits).await?;
                self.one_by_one(caller, again, now_ms).await.map_err(|error| self.not_taken(error))?
            }
            Err(error) => return Err(self.not_taken(error)),
        };
        drop(turn);
        account(caller, origin, &result);
        self.note_contact(caller.node_id, None).await;
        Ok(PushAnswer { hub_id: self.inner.hub_id, epoch: self.epoch().await?, now_ms, result })
    }

    /// Takes each change of a push in a transaction of its own; those that make it fail go to quarantine, so that one
    /// of them never stops a node for good.
    async fn one_by_one(&self, caller: &Caller, push: Push, now_ms: i64) -> Result<PushResult, Error> {
        let (node_id, scope) = (caller.node_id, caller.own_scope());
        let mut answered = Vec::with_capacity(push.bodies.len());
        let mut last = None;
        for single in singles(&push) {
            let result = match self.ledger().take_push(node_id, scope.clone(), single.clone(), now_ms).await {
                Err(Error::Fault(cause)) => {
                    let seq = single.header.first_seq;
                    tracing::error!(node = %node_id, origin = %push.header.origin, seq, cause, "a change made the hub fail");
                    self.ledger().keep_failed(node_id, scope.clone(), single, FAILED.to_owned(), now_ms).await?
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

/// Each change of a push as a push of its own.
fn singles(push: &Push) -> impl Iterator<Item = Push> {
    let mut prev = push.header.prev;
    push.links().map(move |(seq, body, link)| {
        let header = PushHeader { origin: push.header.origin, first_seq: seq, prev, count: 1, head: link };
        prev = link;
        Push { header, bodies: vec![body.to_owned()] }
    })
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
