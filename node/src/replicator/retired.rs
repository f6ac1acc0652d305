//! When another PC took this one's place: what it still holds is sent, nothing more is fetched, and people record there.
//!
//! Headquarters says so in every `hello`, and may think better of it. The ledger keeps it, so that it holds without a line too.

use super::board::Part;
use super::session::Session;
use desk::ledger::Retirement;
use sync_protocol::message::HelloAnswer;

/// Notes what headquarters says of it.
pub(super) async fn note(session: &Session, answer: &HelloAnswer) {
    let ledger = session.desk.ledger();
    let noted = async {
        let known = ledger.retirement().await?;
        match (answer.retired, known) {
            (false, Some(_)) => {
                tracing::warn!("headquarters takes this node back into service");
                ledger.set_retirement(None).await
            }
            (true, None) => {
                let waited = ledger.backlog().await?.pending_changes;
                let (successor, since_ms) = match &answer.successor {
                    Some(successor) => (successor.name.clone(), successor.since_ms),
                    None => (String::new(), answer.now_ms),
                };
                tracing::warn!(
                    successor,
                    waited,
                    "this PC was replaced: what it still holds is sent, people record at the new one"
                );
                ledger.set_retirement(Some(Retirement { successor, since_ms, waited })).await
            }
            (true, Some(_)) | (false, None) => Ok(()),
        }
    };
    if let Err(error) = noted.await {
        // The next `hello` says it again.
        session.board.trouble(Part::Ledger, format!("the node's own ledger cannot be used: {error}"), None);
    }
}
