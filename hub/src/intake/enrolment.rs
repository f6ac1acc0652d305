//! A node becomes a store's: the one request without a credential.

use super::{Intake, Refused, codes, common_version, scopes_of};
use desk::ledger::NewNode;
use sync_protocol::message::{EnrolAnswer, EnrolRequest};
use tokio::time::Instant;

/// Longest name of a node, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Longest version text, in characters.
pub(super) const MAX_VERSION_CHARS: usize = 50;

impl Intake {
    /// Uses the code up and takes the node in, with a credential of its own.
    ///
    /// # Errors
    /// [`Refused::BadCode`] when the code is unknown, used or too old; [`Refused::TooMany`] after too many of those;
    /// [`Refused::Version`], [`Refused::Malformed`]; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn enrol(&self, request: EnrolRequest) -> Result<EnrolAnswer, Refused> {
        let protocol = common_version(&request.protocols)?;
        let name = request.node_name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            return Err(Refused::Malformed(format!("a node's name has 1 to {MAX_NAME_CHARS} characters")));
        }
        if request.version.chars().count() > MAX_VERSION_CHARS {
            return Err(Refused::Malformed(format!("a version has at most {MAX_VERSION_CHARS} characters")));
        }
        self.inner.throttle.ask(Instant::now()).map_err(|retry_after| Refused::TooMany { retry_after })?;
        let now_ms = self.now_ms();
        let ids = self.inner.desk.ids();
        let node_id = ids.new_v7(now_ms);
        let epoch = self.epoch().await?;
        let node = NewNode {
            code_hash: codes::hash(&request.code),
            node_id,
            name,
            version: request.version,
            now_ms,
            clock_offset_ms: request.now_ms.saturating_sub(now_ms),
            only_store: request.store_code,
        };
        let taken_in = self.ledger().enrol(node).await;
        let Some((store, credential)) = taken_in.map_err(|error| self.failed(error))? else {
            metrics::counter!("hub_enrolments_total", "result" => "refused").increment(1);
            tracing::warn!("an enrolment code was refused: unknown, used or too old");
            return Err(Refused::BadCode);
        };
        self.inner.throttle.right();
        self.note_protocols(node_id, &request.protocols).await;
        metrics::counter!("hub_enrolments_total", "result" => "enrolled").increment(1);
        tracing::info!(node = %node_id, store = store.code, "a node was enrolled");
        let photos = self.inner.desk.photo_limits().await.map_err(|error| self.failed(error))?;
        Ok(EnrolAnswer {
            hub_id: self.inner.hub_id,
            epoch,
            node_id,
            scopes: scopes_of(&store.code),
            store_code: store.code,
            store_name: store.name,
            timezone: store.timezone,
            credential,
            protocol,
            limits: self.inner.limits,
            photos: (protocol > 1).then(|| (*photos).clone()),
            now_ms,
        })
    }
}
