//! A node gets what it lacks, at once or as soon as there is something.

use super::credentials::{Caller, may_pull};
use super::enrolment::MAX_VERSION_CHARS;
use super::{Intake, Refused};
use chassis::heavy;
use desk::ledger::{PageQuery, PageResult};
use std::time::Duration;
use sync_protocol::HISTORIES_SINCE;
use sync_protocol::batch::{MAX_PAGE_BODY_BYTES, Page};
use sync_protocol::message::{NodeStatus, PullRequest};
use tokio::time::Instant;

/// Most origins that a node may leave out.
const MAX_SKIP: usize = 1000;
/// How soon a pull that waits hears that its node was revoked: a point read for each that waits.
const RECHECK: Duration = Duration::from_secs(2);
/// Longest cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 200;

impl Intake {
    /// The next page of the caller's scopes. With nothing to send it waits as long as asked (and the limits) allow,
    /// until one of the scopes moves or the hub shuts down, and then answers with an empty page.
    ///
    /// # Errors
    /// [`Refused::NotYours`] when a scope is not the caller's; [`Refused::BadCursor`]; [`Refused::Malformed`];
    /// [`Refused::Revoked`] and [`Refused::Retired`], also while it waits; [`Refused::Busy`] and [`Refused::Failed`].
    pub async fn pull(&self, caller: &Caller, request: PullRequest) -> Result<Vec<u8>, Refused> {
        if caller.retired {
            return Err(Refused::Retired);
        }
        let wait = Duration::from_millis(request.wait_ms.min(self.inner.limits.wait_ms));
        let deadline = Instant::now() + wait;
        if !request.looks {
            self.note_contact(caller.node_id, told(&request.status)).await;
        }
        let query = self.query(caller, request)?;
        let mut page = self.next_page(caller, query, deadline).await?;
        if caller.protocol < HISTORIES_SINCE {
            page.lines.iter_mut().for_each(|line| line.seal = None);
        }
        // Time has passed: revoked means from that moment on.
        may_pull(self.ledger(), caller).await?;
        let result = if page.lines.is_empty() { "empty" } else { "changes" };
        metrics::counter!("hub_pulls_total", "result" => result).increment(1);
        metrics::counter!("hub_changes_sent_total").increment(page.lines.len() as u64);
        pack(page).await
    }

    fn query(&self, caller: &Caller, request: PullRequest) -> Result<PageQuery, Refused> {
        let scopes = caller.scopes();
        if request.cursors.keys().any(|scope| !scopes.contains(scope)) {
            tracing::warn!(node = %caller.node_id, "a node asked for a scope that is not its own");
            return Err(Refused::NotYours("the scope"));
        }
        if request.cursors.is_empty() {
            return Err(Refused::Malformed("name at least one scope".to_owned()));
        }
        if request.cursors.values().flatten().any(|cursor| cursor.len() > MAX_CURSOR_BYTES) {
            return Err(Refused::BadCursor);
        }
        if request.skip.len() > MAX_SKIP {
            return Err(Refused::Malformed(format!("at most {MAX_SKIP} origins can be left out")));
        }
        Ok(PageQuery {
            cursors: request.cursors,
            skip: request.skip.into_iter().collect(),
            limit: request.limit.clamp(1, self.inner.limits.pull_changes),
            max_bytes: MAX_PAGE_BODY_BYTES as usize,
            now_ms: self.now_ms(),
        })
    }

    async fn next_page(&self, caller: &Caller, mut query: PageQuery, deadline: Instant) -> Result<Page, Refused> {
        let mut listener = self.inner.bell.listen(query.cursors.keys());
        let mut waiting = None;
        loop {
            listener.hush();
            let page = self.read(PageQuery { now_ms: self.now_ms(), ..query.clone() }).await?;
            if !page.lines.is_empty() || page.header.more || Instant::now() >= deadline {
                return Ok(page);
            }
            if waiting.is_none() {
                waiting = self.inner.admission.wait();
            }
            // Without room to wait the node hears at once that there is nothing, and asks again in its own time.
            if waiting.is_none() {
                return Ok(page);
            }
            loop {
                let recheck_at = (Instant::now() + RECHECK).min(deadline);
                tokio::select! {
                    biased;
                    () = self.inner.stop.cancelled() => return Ok(page),
                    () = listener.rung() => break,
                    () = tokio::time::sleep_until(recheck_at) => {}
                }
                if Instant::now() >= deadline {
                    return Ok(page);
                }
                may_pull(self.ledger(), caller).await?;
            }
            // What was only its own is behind it now; the page after a wait starts where this one ended.
            query.cursors = page.header.cursors.into_iter().map(|(scope, cursor)| (scope, Some(cursor))).collect();
        }
    }

    async fn read(&self, query: PageQuery) -> Result<Page, Refused> {
        let _turn = self.inner.admission.read().await;
        match self.ledger().page(query).await.map_err(|error| self.failed(error))? {
            PageResult::Page(page) => Ok(page),
            PageResult::BadCursor => Err(Refused::BadCursor),
            PageResult::Forgotten { epoch } => {
                self.forgot(epoch, "a node holds a cursor of its own that it does not remember").await?;
                Err(Refused::BadCursor)
            }
        }
    }
}

/// What the node told of itself, where it told anything.
fn told(status: &NodeStatus) -> Option<NodeStatus> {
    let fits = status.version.chars().count() <= MAX_VERSION_CHARS;
    (fits && *status != NodeStatus::default()).then(|| status.clone())
}

/// The page as it is sent. Packing a large one takes tens of milliseconds, which no other request should wait for.
async fn pack(page: Page) -> Result<Vec<u8>, Refused> {
    if page.lines.is_empty() {
        return Ok(page.encode());
    }
    let packed = heavy::run(move || page.encode()).await;
    packed.map_err(|panic| Refused::Failed(desk::Error::Fault(format!("a page cannot be packed: {panic}"))))
}
