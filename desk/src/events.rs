//! What changes, as it changes: a stream of events for one person's open page.
//!
//! The ledger rings a bell when anything was committed, by this process or another one; the stream then asks what
//! arrived after the last number it told. Numbers are those of the site, so a page that was away goes on where it was.

use crate::accounts::authenticate;
use crate::actor::{Actor, Role};
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Epoch, Event, Identity};
use crate::rules;
use futures::Stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::scope::Scope;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// How often a quiet stream shows that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams of one site at once.
pub const MAX_STREAMS: usize = 256;
/// Events read at once.
const BATCH: u32 = 100;
/// A busy site is asked this often at most: open pages need no more.
const REST: Duration = Duration::from_millis(100);

/// What a stream tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something changed.
    Changed(Event),
    /// Headquarters has begun another history: told to its own people.
    Epoch(Epoch),
    /// Nothing did for a while.
    Alive,
}

struct Watch {
    desk: Desk,
    actor: Actor,
    token_hash: [u8; 32],
    committed: tokio::sync::watch::Receiver<u64>,
    last: i64,
    /// The hub's history when it was last looked at; none at a node.
    epoch: Option<Uuid>,
    ready: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

/// Follows what `actor` may see, from behind event `after`, or from now on. Ends with the session and with the site.
///
/// # Errors
/// [`crate::Refusal::NotEnrolled`]; [`Error::Unavailable`] where too many follow already; what the ledger says.
pub async fn follow(
    desk: &Desk,
    actor: Actor,
    token_hash: [u8; 32],
    after: Option<i64>,
) -> Result<impl Stream<Item = Told> + Send + use<>, Error> {
    desk.own_store().await?;
    let place = Arc::clone(desk.streams())
        .try_acquire_owned()
        .map_err(|_| Error::Unavailable("too many event streams".to_owned()))?;
    let committed = desk.ledger().committed();
    let newest = desk.ledger().last_event().await?;
    // A number from before a restore may lie ahead; there is nothing to catch up with then.
    let last = after.filter(|after| (0..=newest).contains(after)).unwrap_or(newest);
    let watch = Watch {
        desk: desk.clone(),
        actor,
        token_hash,
        committed,
        last,
        epoch: standing(desk).await?,
        ready: VecDeque::new(),
        _place: place,
    };
    Ok(futures::stream::unfold(watch, next))
}

async fn next(mut watch: Watch) -> Option<(Told, Watch)> {
    loop {
        if let Some(event) = watch.ready.pop_front() {
            return Some((Told::Changed(event), watch));
        }
        // Marks what was rung so far as heard, before looking: what comes after rings again.
        watch.committed.borrow_and_update();
        if !watch.is_open().await {
            return None;
        }
        if let Some(epoch) = watch.begun().await.ok()? {
            return Some((Told::Epoch(epoch), watch));
        }
        let batch = watch.read().await.ok()?;
        if batch {
            continue;
        }
        let stop = watch.desk.stop().clone();
        tokio::select! {
            () = stop.cancelled() => return None,
            rung = watch.committed.changed() => {
                rung.ok()?;
                tokio::time::sleep(REST).await;
            }
            () = tokio::time::sleep(HEARTBEAT) => return Some((Told::Alive, watch)),
        }
    }
}

impl Watch {
    /// Whether the session is still that of an active account, whose rights may have changed meanwhile.
    async fn is_open(&mut self) -> bool {
        if self.desk.stop().is_cancelled() {
            return false;
        }
        match authenticate(&self.desk, self.token_hash).await {
            Ok(Some(actor)) => {
                self.actor = actor;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "an event stream ended");
                false
            }
        }
    }

    /// The history that the hub has begun since it was last looked at, where `actor` may hear of it.
    async fn begun(&mut self) -> Result<Option<Epoch>, Error> {
        if self.epoch.is_none() || self.actor.role < Role::Hq {
            return Ok(None);
        }
        let stands = standing(&self.desk).await?;
        if stands == self.epoch {
            return Ok(None);
        }
        self.epoch = stands;
        Ok(self.desk.ledger().epochs(1).await?.into_iter().next())
    }

    /// Reads on; `false` where there was nothing.
    async fn read(&mut self) -> Result<bool, Error> {
        let events = self
            .desk
            .ledger()
            .events_after(self.last, BATCH)
            .await
            .inspect_err(|error| tracing::warn!(%error, "an event stream ended"))?;
        let Some(newest) = events.last() else { return Ok(false) };
        self.last = newest.no;
        let actor = &self.actor;
        self.ready.extend(events.into_iter().filter(|event| may_hear(actor, &event.scope)));
        Ok(true)
    }
}

/// Which of its histories the hub is in; none at a node. Not from the desk, which remembers the one of its start.
async fn standing(desk: &Desk) -> Result<Option<Uuid>, Error> {
    Ok(match desk.ledger().identity().await? {
        Identity::Hub { epoch, .. } => Some(epoch),
        Identity::Node(_) | Identity::Unenrolled => None,
    })
}

/// Whether `actor` may hear of changes in `scope`.
fn may_hear(actor: &Actor, scope: &Scope) -> bool {
    match scope {
        Scope::Store(code) => rules::sees(actor, code),
        Scope::Company => true,
        Scope::Hub => matches!(actor.role, Role::Hq | Role::Admin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_people_hear_of_their_store_and_the_company_only() {
        let actor = |role, store: Option<&str>| Actor {
            id: Uuid::nil(),
            username: "kim".to_owned(),
            display_name: String::new(),
            role,
            store_code: store.map(ToOwned::to_owned),
        };
        let kim = actor(Role::Manager, Some("042"));
        assert!(may_hear(&kim, &Scope::Store("042".to_owned())) && may_hear(&kim, &Scope::Company));
        assert!(!may_hear(&kim, &Scope::Store("007".to_owned())) && !may_hear(&kim, &Scope::Hub));
        let hq = actor(Role::Hq, None);
        assert!(may_hear(&hq, &Scope::Store("007".to_owned())) && may_hear(&hq, &Scope::Hub));
    }
}
