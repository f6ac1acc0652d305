//! When the hub finds out that it has forgotten something, and gets it back.
//!
//! A hub that was restored from a backup and does not know it would give out numbers a second time that nodes hold with
//! other bytes. So whatever proves that it once knew more (its own receipt, its own cursor, a credential of its own that
//! is newer than any it knows of, the mark that a restore leaves) begins a new epoch: nodes then push again what it lacks
//! of theirs, pull from the beginning, and offer what they hold of others. All these proofs carry the hub's own seal and
//! name the epoch that stands, so a node cannot make the hub begin anew at will, and one restore is found out once.

use super::credentials::{Caller, recheck};
use super::{Intake, Refused};
use bytes::Bytes;
use chassis::heavy;
use desk::ledger::{Identity, SharedLedger};
use desk::{Desk, Error};
use sync_protocol::HISTORIES_SINCE;
use sync_protocol::batch::{BatchError, Page};
use sync_protocol::message::{GiveAnswer, Given, GivenLine, HelloRequest, MAX_OFFER, OfferAnswer, OfferRequest};
use uuid::Uuid;

/// Begins a new epoch where the ledger came out of a backup. Before anything is served.
///
/// # Errors
/// When the ledger cannot be used.
pub async fn after_restore(desk: &Desk) -> Result<(), Error> {
    if desk.ledger().is_restored().await?
        && let Identity::Hub { epoch, .. } = desk.ledger().identity().await?
    {
        begin(desk.ledger(), epoch, "its folder was restored from a backup", desk.now_ms()).await?;
    }
    Ok(())
}

async fn begin(ledger: &SharedLedger, from: Uuid, reason: &str, now_ms: i64) -> Result<Uuid, Error> {
    let epoch = ledger.begin_epoch(from, reason.to_owned(), now_ms).await?;
    metrics::counter!("hub_epochs_total").increment(1);
    tracing::error!(%from, %epoch, reason, "the hub has begun a new epoch: nodes send again what it has forgotten");
    Ok(epoch)
}

impl Intake {
    /// The epoch that stands now; another process may have begun it a moment ago.
    pub(super) async fn epoch(&self) -> Result<Uuid, Refused> {
        match self.ledger().identity().await.map_err(|error| self.failed(error))? {
            Identity::Hub { epoch, .. } => Ok(epoch),
            Identity::Node(_) | Identity::Unenrolled => {
                Err(Refused::Failed(Error::Fault("the ledger is no hub's".to_owned())))
            }
        }
    }

    /// The hub has forgotten something since `from` began; answers the epoch that stands then.
    pub(super) async fn forgot(&self, from: Uuid, reason: &str) -> Result<Uuid, Refused> {
        begin(self.ledger(), from, reason, self.now_ms()).await.map_err(|error| self.failed(error))
    }

    /// Looks for proof, in what a node says with its hello, that the hub once knew more than the `held` it holds of the
    /// node's origin; answers the epoch that stands then.
    pub(super) async fn remember(&self, caller: &Caller, request: &HelloRequest, held: u64) -> Result<Uuid, Refused> {
        let epoch = self.epoch().await?;
        if let Some(receipt) = request.acked.filter(|receipt| receipt.epoch != epoch || receipt.seq > held)
            && self.ledger().hub_key().await.map_err(|error| self.failed(error))?.gave(request.origin, &receipt)
        {
            let (of, seq) = (receipt.epoch, receipt.seq);
            if of == epoch {
                return self
                    .forgot(epoch, &format!("a node holds its receipt for change {seq}, and it holds {held}"))
                    .await;
            }
            // Put back to before an epoch of its own: it would record again under streams that it had ended.
            if !self.ledger().knows_epoch(of).await.map_err(|error| self.failed(error))? {
                let epoch = self.forgot(epoch, &format!("a node holds its receipt of the epoch {of}")).await?;
                // Afterwards: a crash in between finds the same out once more, and the other order never.
                self.ledger().note_epoch(of).await.map_err(|error| self.failed(error))?;
                return Ok(epoch);
            }
        }
        if caller.is_ahead && request.epoch == epoch {
            return self.forgot(epoch, "a node has a credential of its own that it does not remember").await;
        }
        Ok(epoch)
    }

    /// What the hub lacks of what the node holds of others.
    ///
    /// # Errors
    /// [`Refused::Version`] in a version without it; [`Refused::Malformed`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn offer(&self, caller: &Caller, request: OfferRequest) -> Result<OfferAnswer, Refused> {
        knows_histories(caller)?;
        if request.origins.len() > MAX_OFFER {
            return Err(Refused::Malformed(format!("at most {MAX_OFFER} origins can be offered at once")));
        }
        let wanted = self.ledger().lacking(caller.scopes(), request.origins).await;
        let wanted = wanted.map_err(|error| self.failed(error))?;
        Ok(OfferAnswer { hub_id: self.inner.hub_id, epoch: self.epoch().await?, wanted })
    }

    /// Takes back what carries the hub's own seal, and answers once it is durable. The caller holds room for the body.
    ///
    /// # Errors
    /// [`Refused::Version`] in a version without it; [`Refused::Malformed`] and [`Refused::TooLarge`] when it is no batch of
    /// lines within the limits; [`Refused::Revoked`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn give(&self, caller: &Caller, body: Bytes) -> Result<GiveAnswer, Refused> {
        knows_histories(caller)?;
        let turn = self.inner.admission.take().await;
        let limits = self.inner.limits;
        let page = heavy::run(move || Page::decode(&body, &limits)).await;
        let page = page.map_err(|panic| Refused::Malformed(format!("the batch cannot be read: {panic}")))?;
        let page = page.map_err(|error| match error {
            BatchError::TooLarge => Refused::TooLarge(error.to_string()),
            BatchError::Malformed(_) | BatchError::ChainBroken => Refused::Malformed(error.to_string()),
        })?;
        recheck(self.ledger(), caller).await?;
        let now_ms = self.now_ms();
        let answers = match self.ledger().take_given(caller.scopes(), page.clone(), now_ms).await {
            Ok(answers) => answers,
            Err(Error::Fault(cause) | Error::Damaged(cause)) => {
                tracing::error!(node = %caller.node_id, cause, "lines given made the hub fail; trying them one by one");
                self.give_singly(caller, page, now_ms).await?
            }
            Err(error) => return Err(self.failed(error)),
        };
        drop(turn);
        account(caller, &answers);
        Ok(GiveAnswer { hub_id: self.inner.hub_id, epoch: self.epoch().await?, answers })
    }

    /// Each line in a transaction of its own, so that one that makes the hub fail does not stop the others.
    async fn give_singly(&self, caller: &Caller, page: Page, now_ms: i64) -> Result<Vec<GivenLine>, Refused> {
        let mut answers = Vec::with_capacity(page.lines.len());
        for line in page.lines {
            let (origin, seq) = (line.origin, line.seq);
            let single = Page { header: page.header.clone(), lines: vec![line] };
            match self.ledger().take_given(caller.scopes(), single, now_ms).await {
                Ok(answered) => answers.extend(answered),
                Err(Error::Fault(cause) | Error::Damaged(cause)) => {
                    tracing::error!(node = %caller.node_id, %origin, seq, cause, "a change given back made the hub fail");
                    let reason = "the hub failed while applying it".to_owned();
                    answers.push(GivenLine { origin, seq, outcome: Given::Refused { later: true, reason } });
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(answers)
    }
}

/// Offer and give are of version 2.
fn knows_histories(caller: &Caller) -> Result<(), Refused> {
    if caller.protocol < HISTORIES_SINCE { Err(Refused::Version) } else { Ok(()) }
}

/// Counts what came back, and says aloud what did not.
fn account(caller: &Caller, answers: &[GivenLine]) {
    let taken = answers.iter().filter(|line| line.outcome == Given::Taken).count();
    metrics::counter!("hub_changes_given_back_total").increment(taken as u64);
    let refused = answers.iter().find_map(|line| match &line.outcome {
        Given::Refused { reason, .. } => Some((line.origin, line.seq, reason)),
        Given::Taken | Given::Known => None,
    });
    if taken > 0 {
        tracing::info!(node = %caller.node_id, taken, "a node gave back what the hub had forgotten");
    }
    if let Some((origin, seq, reason)) = refused {
        tracing::warn!(node = %caller.node_id, %origin, seq, reason, "something a node gave back was not taken");
    }
}
