//! The hub's own certificate authority and the nodes that believe the hub by it: they are told of the next one before it is used, over
//! connections that the present one vouches for, and it is used once all of them have said that they believe it, too.

use crate::intake::Intake;
use chassis::http::{Followers, Tls, next_authority};
use chassis::outbound::Pin;
use desk::Desk;
use desk::ledger::NodeRow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked what nodes are to be told, and who has heard of it.
const EVERY: Duration = Duration::from_secs(60);
/// While some have not heard: not more often than this, however much is committed.
const GATHER: Duration = Duration::from_secs(2);

/// The nodes that have not said that they believe `next`, of those in service.
pub fn missing(nodes: &[NodeRow], next: Pin) -> impl Iterator<Item = &NodeRow> {
    let next = next.to_hex();
    let in_service = nodes.iter().filter(|node| node.is_in_service());
    in_service.filter(move |node| !node.status.believes.contains(&next))
}

fn counted(nodes: &[NodeRow], next: Option<Pin>) -> Followers {
    let all = nodes.iter().filter(|node| node.is_in_service()).count();
    let heard = next.map_or(0, |next| all - missing(nodes, next).count());
    Followers { all, heard, of: next }
}

/// Who follows the hub, before it serves; `folder` is where its authority is kept. Where the ledger cannot tell, nothing changes: as if
/// there were one that has not heard.
pub async fn followers(desk: &Desk, folder: &Path) -> Followers {
    let next = next_authority(folder).map(|(pin, _)| pin);
    match desk.ledger().nodes(None).await {
        Ok(nodes) => counted(&nodes, next),
        Err(error) => {
            tracing::warn!(%error, "which nodes follow the hub's authority cannot be read");
            Followers { all: 1, ..Followers::default() }
        }
    }
}

/// Has nodes told of the authority that is to come, where one is prepared; which one that is.
pub fn announce(intake: &Intake, tls: &Tls) -> Option<Pin> {
    let told = tls.authority_pem().zip(tls.next_authority_pem());
    let next = told.as_ref().and_then(|(_, next)| Pin::of_pem(next));
    intake.announce(told.map_or_else(Vec::new, |(now, next)| vec![now, next]));
    next
}

/// Keeps nodes told, and the authority in the picture of who has heard, for as long as it is polled.
pub async fn keep(desk: Desk, intake: Intake, tls: Arc<Tls>) {
    let mut committed = desk.ledger().committed();
    loop {
        committed.mark_unchanged();
        // The authority may be busy with files.
        let (told, at) = (intake.clone(), Arc::clone(&tls));
        let next = tokio::task::spawn_blocking(move || announce(&told, &at)).await.unwrap_or_default();
        match desk.ledger().nodes(None).await {
            Ok(nodes) => tls.followed_by(counted(&nodes, next)),
            Err(error) => tracing::debug!(%error, "which nodes follow the hub's authority cannot be read"),
        }
        if next.is_none() {
            tokio::time::sleep(EVERY).await;
            continue;
        }
        // What nodes say of themselves is committed.
        tokio::time::sleep(GATHER).await;
        let _ = tokio::time::timeout(EVERY, committed.changed()).await;
    }
}
