//! Node and hub tell each other where they stand, and the node gets a new secret.
//!
//! A node asks for one at its start and once a day, so a copy of a disk is found out soon after either machine does.

use super::credentials::{Caller, may_push};
use super::enrolment::MAX_VERSION_CHARS;
use super::{Intake, Refused, common_version};
use std::sync::PoisonError;
use sync_protocol::chain::Link;
use sync_protocol::message::{HelloAnswer, HelloRequest, NodeStatus, Successor};
use sync_protocol::{HISTORIES_SINCE, OLDEST_VERSION, VERSION};
use uuid::Uuid;

impl Intake {
    /// Says where the hub stands with the node's origin, and issues a new credential beside the one in use where the node
    /// asks for one.
    ///
    /// # Errors
    /// [`Refused::WrongHub`]; [`Refused::Version`]; [`Refused::NotYours`] when the origin is another site's;
    /// [`Refused::Malformed`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn hello(&self, caller: &Caller, request: HelloRequest) -> Result<HelloAnswer, Refused> {
        if request.hub_id != self.inner.hub_id {
            tracing::warn!(node = %caller.node_id, hub = %request.hub_id, "a node of another hub called");
            return Err(Refused::WrongHub);
        }
        let protocol = common_version(&request.protocols)?;
        self.note_protocols(caller.node_id, &request.protocols).await;
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
        self.inner.called.send_replace(true);
        let now_ms = self.now_ms();
        // Measured here and now, which beats what the node remembers.
        let clock_offset_ms = request.now_ms.saturating_sub(now_ms);
        self.note_contact(
            caller.node_id,
            Some(NodeStatus { clock_offset_ms, version: request.version, ..request.status }),
        )
        .await;

        let photos = self.inner.desk.photo_limits().await.map_err(|error| self.failed(error))?;
        let successor = if caller.retired && protocol >= HISTORIES_SINCE {
            self.successor(caller).await?
        } else {
            None
        };
        let credential = if request.renew { Some(self.issue(caller, now_ms).await?) } else { None };
        let is_first = protocol < HISTORIES_SINCE;
        Ok(HelloAnswer {
            hub_id: self.inner.hub_id,
            epoch,
            protocol,
            scopes: caller.scopes(),
            limits: self.inner.limits,
            // As version 1 was, in whichever program.
            photos: (!is_first).then(|| (*photos).clone()),
            now_ms,
            applied_seq,
            head,
            credential,
            durable_seq: if is_first { 0 } else { durable_seq },
            // A node of version 1 gets what version 1 had.
            version: if is_first { String::new() } else { env!("CARGO_PKG_VERSION").to_owned() },
            protocols: if is_first { Vec::new() } else { (OLDEST_VERSION..=VERSION).collect() },
            retired: caller.retired,
            successor,
            returned: caller.returns && !is_first,
            authorities: if is_first { Vec::new() } else { self.announced() },
        })
    }

    fn announced(&self) -> Vec<String> {
        self.inner.authorities.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the newest version that a node speaks, for the fleet list. A failure costs that and nothing else.
    pub(super) async fn note_protocols(&self, node_id: Uuid, theirs: &[u32]) {
        let newest = theirs.iter().copied().max().unwrap_or(0);
        if let Err(error) = self.ledger().note_protocol(node_id, newest).await {
            tracing::warn!(node = %node_id, %error, "cannot note which protocol versions the node speaks");
        }
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
        self.ledger()
            .issue_credential(caller.node_id, now_ms, caller.returns)
            .await
            .map_err(|error| self.failed(error))
    }
}
