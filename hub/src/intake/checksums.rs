//! Whether hub and node hold the same, and what is done where they do not.
//!
//! A node asks, when nothing waits on either side. The first question compares one number for each scope; where it differs, the
//! second brings the records of the buckets that differ, and the third has the hub make sure of its own records and tell their
//! changes. What the hub misses itself it asks for with every answer: it cannot call a node.

use super::credentials::{Caller, may_push, recheck};
use super::{Intake, Refused};
use bytes::Bytes;
use desk::ledger::Checkpoint;
use desk::scrub;
use std::collections::BTreeMap;
use sync_protocol::batch::{BatchError, MAX_PAGE_BODY_BYTES, Page};
use sync_protocol::checksum::{
    BUCKETS, ChangesRequest, ChecksumsAnswer, ChecksumsRequest, Compared, MAX_CHANGES, MAX_ITEMS, MAX_RECORDS,
    MAX_WANTED, ScopeAnswer,
};
use sync_protocol::message::{GiveAnswer, Given};
use sync_protocol::scope::Scope;

/// Contents that never came, in one answer: it is asked again in a quarter of an hour.
const MAX_LACKING: usize = 100;
/// Longest cursor looked at, in bytes.
const MAX_CURSOR_BYTES: usize = 200;

impl Intake {
    /// Compares what a node says it holds with what the hub holds, and tells more where it is asked to.
    ///
    /// # Errors
    /// [`Refused::NotYours`] when a scope or the origin is not the caller's; [`Refused::Retired`]; [`Refused::Malformed`];
    /// [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn checksums(&self, caller: &Caller, request: ChecksumsRequest) -> Result<ChecksumsAnswer, Refused> {
        if caller.retired {
            return Err(Refused::Retired);
        }
        let scopes = caller.scopes();
        let named = request.sums.keys().chain(request.buckets.keys()).chain(request.cursors.keys());
        if !named.into_iter().all(|scope| scopes.contains(scope)) {
            return Err(Refused::NotYours("the scope"));
        }
        let is_too_much = request.records.len() > MAX_RECORDS
            || request.buckets.values().any(|buckets| buckets.len() > BUCKETS)
            || request.cursors.values().flatten().any(|cursor| cursor.len() > MAX_CURSOR_BYTES);
        if is_too_much {
            return Err(Refused::Malformed(format!(
                "at most {MAX_RECORDS} records, {BUCKETS} buckets a scope and {MAX_CURSOR_BYTES} bytes of a cursor"
            )));
        }
        let held = self.ledger().origin_head(request.origin).await.map_err(|error| self.failed(error))?;
        if held.is_some_and(|held| !may_push(&held, caller)) {
            return Err(Refused::NotYours("the origin"));
        }
        let is_first = request.records.is_empty() && request.buckets.is_empty();
        // What takes long waits for its turn, as pushes do.
        let _turn = if is_first { None } else { self.inner.admission.take().await };
        let now_ms = self.now_ms();
        if !request.records.is_empty() {
            self.make_sure(caller, &request, now_ms).await?;
        }
        let mut answers =
            self.ledger().compare(scopes.clone(), request.clone()).await.map_err(|error| self.failed(error))?;
        if is_first {
            self.note(caller, &request, &answers, now_ms).await;
        }
        for (scope, buckets) in request.buckets {
            let Some(answer) = answers.get_mut(&scope).filter(|answer| answer.state == Compared::Different) else {
                continue;
            };
            let items = self.ledger().items(scope, buckets, MAX_ITEMS, false).await;
            (answer.items, answer.more) = items.map_err(|error| self.failed(error))?;
        }
        let records = if request.records.is_empty() {
            Vec::new()
        } else {
            let told = self.ledger().changes_of(scopes.clone(), request.records, MAX_CHANGES).await;
            told.map_err(|error| self.failed(error))?
        };
        let wanted = self.ledger().changes_wanted(scopes, MAX_WANTED).await.map_err(|error| self.failed(error))?;
        let lost = self.ledger().contents_lost(caller.own_scope(), MAX_WANTED).await;
        let mut lost = lost.map_err(|error| self.failed(error))?;
        // While changes are on their way contents are as well.
        if is_first && answers.values().all(|answer| answer.state != Compared::Behind) {
            let limit = MAX_LACKING.min(MAX_WANTED - lost.len().min(MAX_WANTED));
            let lacking = self.ledger().contents_lacking(caller.own_scope(), limit).await;
            lost.extend(lacking.map_err(|error| self.failed(error))?);
        }
        Ok(ChecksumsAnswer {
            hub_id: self.inner.hub_id,
            epoch: self.epoch().await?,
            now_ms,
            scopes: answers,
            records,
            wanted,
            lost,
        })
    }

    /// Makes sure that the hub's own records, and the sums of their scopes, are what its changes say.
    async fn make_sure(&self, caller: &Caller, request: &ChecksumsRequest, now_ms: i64) -> Result<(), Refused> {
        let mended = self.ledger().mend_records(caller.scopes(), request.records.clone(), now_ms).await;
        scrub::tell(&mended.map_err(|error| self.failed(error))?);
        for scope in request.sums.keys() {
            if self.ledger().sum_again(scope.clone()).await.map_err(|error| self.failed(error))? {
                tracing::warn!(%scope, "the sums of a scope were not those of its records; they are now");
            }
        }
        Ok(())
    }

    /// Notes how it compared. A failure costs a line in the fleet list, never the node's request.
    async fn note(
        &self,
        caller: &Caller,
        request: &ChecksumsRequest,
        answers: &BTreeMap<Scope, ScopeAnswer>,
        now_ms: i64,
    ) {
        let mut checkpoints = Vec::with_capacity(answers.len());
        for (scope, answer) in answers {
            if answer.state == Compared::Different {
                metrics::counter!("hub_differences_total").increment(1);
                tracing::error!(node = %caller.node_id, %scope, "a node and the hub know the same changes and do not hold the same");
            }
            checkpoints.push(Checkpoint {
                node_id: caller.node_id,
                scope: scope.clone(),
                at_ms: now_ms,
                state: answer.state,
                node_lacks: answer.node_lacks,
                hub_lacks: answer.hub_lacks,
                sums: answer.sums,
                equal_ms: None,
                damaged: request.damaged.min(i64::MAX.unsigned_abs()),
                mended: request.mended.min(i64::MAX.unsigned_abs()),
            });
        }
        if let Err(error) = self.ledger().keep_checkpoints(checkpoints).await {
            tracing::warn!(node = %caller.node_id, %error, "cannot note how the node compared");
        }
    }

    /// Changes of the caller's scopes by their names, as a batch.
    ///
    /// # Errors
    /// [`Refused::Malformed`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn changes(&self, caller: &Caller, request: ChangesRequest) -> Result<Vec<u8>, Refused> {
        if request.wanted.len() > MAX_WANTED {
            return Err(Refused::Malformed(format!("at most {MAX_WANTED} changes can be asked for at once")));
        }
        let _turn = self.inner.admission.read().await;
        let page = self
            .ledger()
            .changes_named(caller.scopes(), request.wanted, MAX_PAGE_BODY_BYTES as usize, self.now_ms())
            .await
            .map_err(|error| self.failed(error))?;
        let packed = chassis::heavy::run(move || page.encode()).await;
        packed.map_err(|panic| Refused::Failed(desk::Error::Fault(panic.to_string())))
    }

    /// Takes changes back that the hub has lost or found damaged, and answers once that is durable. The caller holds room for the
    /// body.
    ///
    /// # Errors
    /// [`Refused::Malformed`] and [`Refused::TooLarge`] when it is no batch of lines within the limits;
    /// [`Refused::Revoked`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn mend(&self, caller: &Caller, body: Bytes) -> Result<GiveAnswer, Refused> {
        let _turn = self.inner.admission.take().await;
        let limits = self.inner.limits;
        let page = chassis::heavy::run(move || Page::decode(&body, &limits)).await;
        let page = page.map_err(|panic| Refused::Malformed(format!("the batch cannot be read: {panic}")))?;
        let page = page.map_err(|error| match error {
            BatchError::TooLarge => Refused::TooLarge(error.to_string()),
            BatchError::Malformed(_) | BatchError::ChainBroken => Refused::Malformed(error.to_string()),
        })?;
        recheck(self.ledger(), caller).await?;
        let answers = self.ledger().take_mended(caller.scopes(), page, self.now_ms()).await;
        let answers = answers.map_err(|error| self.failed(error))?;
        let taken = answers.iter().filter(|line| line.outcome == Given::Taken).count();
        if taken > 0 {
            metrics::counter!("hub_changes_mended_total").increment(taken as u64);
            tracing::warn!(node = %caller.node_id, taken, "a node gave back changes that were damaged or lost here");
        }
        for line in &answers {
            if let Given::Refused { reason, .. } = &line.outcome {
                tracing::warn!(node = %caller.node_id, origin = %line.origin, seq = line.seq, reason, "a change given back was not taken");
            }
        }
        Ok(GiveAnswer { hub_id: self.inner.hub_id, epoch: self.epoch().await?, answers })
    }
}
