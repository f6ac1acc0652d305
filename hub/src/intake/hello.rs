//! Node and hub tell each other where they stand, and the node gets a new secret.
//!
//! A node asks for one at its start and once a day, so a copy of a disk is found out soon after either machine does.

use super::credentials::{Caller, may_push};
use super::enrolment::MAX_VERSION_CHARS;
use super::{Intake, Refused, common_version};
use sync_protocol::chain::Link;
use sync_protocol::message::{HelloAnswer, HelloRequest, NodeStatus, Successor};

impl Intake {
    /// Says where the hub stands with the node's origin, and issues a new credential beside the one in use where the node
    /// asks for one.
    ///
    /// # Errors
    /// [`Refused::WrongHub`]; [`Refused::Version`]; [`Refused::NotYours`] when the origin is another site's;
    /// [`Refused::Malformed`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn hello(&self, caller: &Caller, request: HelloRequest) -> Result<HelloAnswer, Refused> {
        if request.hub_id != self.inner.hub_id {
            tracing::warn!(node = %caller.node_id, "a node of another hub called");
            return Err(Refused::WrongHub);
        }
        let protocol = common_version(&request.protocols)?;
        if request.version.chars().count() > MAX_VERSION_CHARS {
            return Err(Refused::Malformed(format!("a version has at most {MAX_VERSION_CHARS} characters")));
        }
        let held = self.ledger().origin_head(request.origin).await.map_err(|error| self.failed(error))?;
        let (applied_seq, head, durable_seq) = match held {
            None => (0, Link::start(request.origin), 0),
            Some(held) if may_push(&held, caller) => (held.seq, held.head, held.durable_seq),
            Some(_) => return Err(Refused::NotYours("the origin")),
        };
        let epoch = self.remember(caller, &request, applied_seq).await?;
        let now_ms = self.now_ms();
        // Measured here and now, which beats what the node remembers.
        let clock_offset_ms = request.now_ms.saturating_sub(now_ms);
        self.note_contact(
            caller.node_id,
            Some(NodeStatus { clock_offset_ms, version: request.version, ..request.status }),
        )
        .await;

        let successor = if caller.retired { self.successor(caller).await? } else { None };
        let credential = if request.renew { Some(self.issue(caller, now_ms).await?) } else { None };
        Ok(HelloAnswer {
            hub_id: self.inner.hub_id,
            epoch,
            protocol,
            scopes: caller.scopes(),
            limits: self.inner.limits,
            now_ms,
            applied_seq,
            head,
            credential,
            durable_seq,
            retired: caller.retired,
            successor,
        })
    }

    async fn successor(&self, caller: &Caller) -> Result<Option<Successor>, Refused> {
        let node = self.ledger().node(caller.node_id).await.map_err(|error| self.failed(error))?;
        let Some((since_ms, by)) = node.and_then(|node| node.retired_ms.zip(node.replaced_by)) else {
            return Ok(None);
        };
        let by = self.ledger().node(by).await.map_err(|error| self.failed(error))?;
        Ok(by.map(|by| Successor { name: by.name, since_ms }))
    }

    async fn issue(&self, caller: &Caller, now_ms: i64) -> Result<String, Refused> {
        self.ledger().issue_credential(caller.node_id, now_ms).await.map_err(|error| self.failed(error))
    }
}
