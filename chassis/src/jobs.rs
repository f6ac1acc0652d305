//! Durable jobs: work that outlives the request that asked for it, and the process too.
//!
//! Layout: a table behind [`Queue`]. A job is queued in the transaction of the data it is about, so that neither is ever
//! without the other. A [`Runner`] takes the due job of smallest priority, oldest first, at most so many of a kind at a time,
//! and notes what came of it.
//!
//! What makes it survive: a job is marked as running before it begins and removed after it ends. Whatever is marked when a
//! program starts was cut off: it is tried again, but after [`MOST_CRASHES`] times set aside as dead, so that a job which kills
//! the program does not kill it for ever. So a job may run twice, and must not mind.
//!
//! What depends on somebody else, who may be away for long, is patient by age, and goes in lanes, one for each receiver: while nobody
//! is there, one job finds out now and then, and all others wait without being tried.
//!
//! What cannot be done stays in the list of dead jobs with its reason, until a person has it retried or discarded.

mod lanes;

use crate::clock::SharedClock;
use crate::ids::Ids;
use crate::outbound::Backoff;
use crate::slow;
use crate::telemetry::traces;
use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanes::Lanes;
use serde::Serialize;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// How often a program may end while a job runs before that is set aside.
pub const MOST_CRASHES: u32 = 3;
/// How often a job is tried before it is set aside, where its kind is not a patient one.
pub const MOST_ATTEMPTS: u32 = 12;
/// The pauses between tries.
const PACE: Backoff = Backoff { floor: Duration::from_secs(2), cap: Duration::from_secs(600) };
/// No job is put off for longer; one that is due later than this after now was queued by a clock that has been set back since.
const MOST_AHEAD_MS: i64 = 3_600_000;
/// How long running jobs may take to end when the program stops.
const GRACE: Duration = Duration::from_secs(5);
/// The pause after the queue itself failed.
const QUEUE_AGAIN: Duration = Duration::from_secs(1);
/// The most of a reason that is kept, in characters.
const MOST_REASON: usize = 500;

/// A job to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Which [`Runner`] handler does it.
    pub kind: &'static str,
    /// What it is about: queueing a second one of the kind while the first is unfinished changes only its priority.
    pub key: String,
    /// JSON, for the handler.
    pub payload: String,
    /// The smaller, the sooner.
    pub priority: i32,
    /// Not before; milliseconds since 1970.
    pub run_at_ms: i64,
    /// To whom it goes, where that is somebody else; empty: to nobody.
    pub lane: String,
}

impl NewJob {
    /// One that is due at once, with nothing for the handler but its key, and goes to nobody.
    #[must_use]
    pub fn new(kind: &'static str, key: String) -> Self {
        Self {
            kind,
            key,
            payload: "{}".to_owned(),
            priority: 0,
            run_at_ms: 0,
            lane: String::new(),
        }
    }
}

/// A job at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub no: i64,
    /// Its kind.
    pub kind: String,
    /// What it is about.
    pub key: String,
    /// JSON.
    pub payload: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Since when it is tried; milliseconds since 1970.
    pub queued_ms: i64,
    /// See [`NewJob`].
    pub lane: String,
}

/// A job that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadJob {
    /// Its number.
    pub no: i64,
    /// Its kind.
    pub kind: String,
    /// What it is about.
    pub key: String,
    /// Why, in words.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was queued; milliseconds since 1970.
    pub queued_ms: i64,
}

/// How many jobs there are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// `waiting`, `running` or `dead`.
    pub state: String,
    /// How many.
    pub count: u64,
    /// When the oldest of them was queued; milliseconds since 1970.
    pub oldest_ms: i64,
}

/// Why a job did not succeed; each with a reason for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// It may work later.
    Retry(String),
    /// Nobody is there: nothing else of its lane will work now, either.
    Away {
        /// Why.
        why: String,
        /// No job of the lane is tried sooner; at most an hour.
        wait: Duration,
    },
    /// It was not tried, because nothing of its lane can be done now: that counts as no try.
    Unasked {
        /// Why.
        why: String,
        /// No job of the lane is tried sooner; at most an hour.
        wait: Duration,
    },
    /// It never will.
    Dead(String),
}

/// The queue itself failed; for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct QueueError(pub String);

/// Where jobs are kept. Every verb is a durable transaction of its own.
#[async_trait]
pub trait Queue: Send + Sync {
    /// At start, before anything runs: jobs that were running are waiting again, or dead when that happened too often.
    async fn recover(&self) -> Result<(), QueueError>;
    /// When the next waiting job of `kind` is due, those in `closed` lanes left out; cheap. Milliseconds since 1970.
    async fn next_due(&self, kind: &'static str, closed: &[String]) -> Result<Option<i64>, QueueError>;
    /// Takes the due job of `kind` of smallest priority, oldest first, and marks it as running; none of `closed` lanes.
    async fn take(&self, kind: &'static str, now_ms: i64, closed: &[String]) -> Result<Option<Job>, QueueError>;
    /// Removes a job that is done.
    async fn done(&self, no: i64) -> Result<(), QueueError>;
    /// Has a running job wait until `run_at_ms`.
    async fn retry(&self, no: i64, run_at_ms: i64, error: String) -> Result<(), QueueError>;
    /// Has a running job that was not tried wait until `run_at_ms`.
    async fn put_off(&self, no: i64, run_at_ms: i64) -> Result<(), QueueError>;
    /// Has what waits in a lane be due at `now_ms`.
    async fn hasten(&self, kind: String, lane: String, now_ms: i64) -> Result<(), QueueError>;
    /// Sets a running job aside.
    async fn bury(&self, no: i64, error: String) -> Result<(), QueueError>;
    /// Notes how far a running job is.
    async fn progress(&self, no: i64, done: u64, total: u64) -> Result<(), QueueError>;
    /// Jobs set aside, newest first, at most `limit`.
    async fn dead(&self, limit: u32) -> Result<Vec<DeadJob>, QueueError>;
    /// The one of that number, where it was set aside.
    async fn dead_job(&self, no: i64) -> Result<Option<DeadJob>, QueueError>;
    /// Has a dead job wait again from `now_ms`; false when there is none of that number, or another of its kind and key waits.
    async fn revive(&self, no: i64, now_ms: i64) -> Result<bool, QueueError>;
    /// Removes a dead job; false when there is none of that number.
    async fn discard(&self, no: i64) -> Result<bool, QueueError>;
    /// How many there are.
    async fn counts(&self) -> Result<Vec<JobCount>, QueueError>;
    /// Changes after every commit that may have queued something.
    fn changed(&self) -> watch::Receiver<u64>;
}

/// Does one kind of job.
pub type Handler = Arc<dyn Fn(Job) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// For how long a kind goes on trying. A job is set aside once both are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries.
    pub tries: u32,
    /// Since the job was queued.
    pub lasts: Duration,
}

impl Patience {
    /// Whether a job that has been tried so often and is waiting since `queued_ms` is tried again.
    fn has(self, attempt: u32, queued_ms: i64, now_ms: i64) -> bool {
        let lasts_ms = i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX);
        attempt < self.tries || now_ms.saturating_sub(queued_ms).max(0) < lasts_ms
    }
}

struct Kind {
    name: &'static str,
    at_once: usize,
    patience: Patience,
    lanes: Arc<Mutex<Lanes>>,
    handler: Handler,
}

impl Kind {
    fn lanes<T>(&self, f: impl FnOnce(&mut Lanes) -> T) -> T {
        f(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A job's place in its lane, until it has ended, in whatever way.
struct InLane {
    lanes: Arc<Mutex<Lanes>>,
    name: String,
}

impl InLane {
    fn begin(lanes: &Arc<Mutex<Lanes>>, name: &str) -> Self {
        let place = Self { lanes: Arc::clone(lanes), name: name.to_owned() };
        place.with(Lanes::begin);
        place
    }

    fn with<T>(&self, f: impl FnOnce(&mut Lanes, &str) -> T) -> T {
        f(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner), &self.name)
    }
}

impl Drop for InLane {
    fn drop(&mut self) {
        self.with(Lanes::end);
    }
}

/// Runs jobs until it is told to stop.
pub struct Runner {
    queue: Arc<dyn Queue>,
    clock: SharedClock,
    ids: Ids,
    kinds: Vec<Kind>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("kinds", &self.kinds.iter().map(|kind| kind.name).collect::<Vec<_>>())
            .finish()
    }
}

impl Runner {
    /// A runner that knows no kind yet.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, clock: SharedClock, ids: Ids) -> Self {
        Self { queue, clock, ids, kinds: Vec::new() }
    }

    /// Has `handler` do jobs of `name`, at most `at_once` at a time.
    #[must_use]
    pub fn kind(self, name: &'static str, at_once: usize, handler: Handler) -> Self {
        let patience = Patience { tries: MOST_ATTEMPTS, lasts: Duration::ZERO };
        self.laned_kind(name, (at_once, usize::MAX), patience, handler)
    }

    /// [`Runner::kind`] for what goes to others, who may be away for long: at most so many at a time, and so many in one lane.
    #[must_use]
    pub fn laned_kind(
        mut self,
        name: &'static str,
        (at_once, in_lane): (usize, usize),
        patience: Patience,
        handler: Handler,
    ) -> Self {
        let lanes = Arc::new(Mutex::new(Lanes::new(in_lane)));
        self.kinds.push(Kind { name, at_once: at_once.max(1), patience, lanes, handler });
        self
    }

    /// Runs until `stop` is cancelled, then lets what runs end within [`GRACE`].
    pub async fn run(self, stop: CancellationToken) {
        while let Err(error) = self.queue.recover().await {
            tracing::error!(%error, "jobs cannot be taken up");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(QUEUE_AGAIN) => {}
            }
        }
        let mut running: JoinSet<&'static str> = JoinSet::new();
        let mut busy: HashMap<&'static str, usize> = HashMap::new();
        let mut changed = self.queue.changed();
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            let pause = self.start_due(&mut running, &mut busy).await;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = running.join_next() => {
                    // A job's own panic is caught inside; this one can only have been aborted.
                    let Ok(kind) = ended else { continue };
                    busy.entry(kind).and_modify(|running| *running = running.saturating_sub(1));
                }
                gone = changed.changed() => if gone.is_err() { break },
                () = tokio::time::sleep(pause) => {}
            }
        }
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::info!(jobs = running.len(), "jobs are left for the next start");
        }
    }

    /// Starts what is due and has room; answers how long nothing else will be due.
    async fn start_due(
        &self,
        running: &mut JoinSet<&'static str>,
        busy: &mut HashMap<&'static str, usize>,
    ) -> Duration {
        let mut pause = Duration::from_secs(3600);
        for kind in &self.kinds {
            loop {
                let at_work = busy.entry(kind.name).or_default();
                if *at_work >= kind.at_once {
                    break;
                }
                match self.next(kind).await {
                    Ok(Next::Job(job)) => {
                        *at_work += 1;
                        let (name, work) = (kind.name, self.work(job, kind));
                        running.spawn(async move {
                            work.await;
                            name
                        });
                    }
                    Ok(Next::In(wait)) => {
                        pause = pause.min(wait);
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, "jobs cannot be read");
                        pause = pause.min(QUEUE_AGAIN);
                        break;
                    }
                }
            }
        }
        pause
    }

    async fn next(&self, kind: &Kind) -> Result<Next, QueueError> {
        let now_ms = self.clock.now_ms();
        let (closed, opens_in) = kind.lanes(|lanes| (lanes.closed(now_ms), lanes.opens_in(now_ms)));
        let pause = opens_in.unwrap_or(Duration::from_secs(3600));
        match self.queue.next_due(kind.name, &closed).await? {
            None => Ok(Next::In(pause)),
            Some(due_ms) if due_ms > now_ms && due_ms - now_ms <= MOST_AHEAD_MS => {
                Ok(Next::In(pause.min(Duration::from_millis((due_ms - now_ms) as u64))))
            }
            Some(due_ms) => match self.queue.take(kind.name, now_ms.max(due_ms), &closed).await? {
                Some(job) => Ok(Next::Job(job)),
                None => Ok(Next::In(QUEUE_AGAIN)),
            },
        }
    }

    fn work(&self, job: Job, kind: &Kind) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (queue, clock, random) = (Arc::clone(&self.queue), Arc::clone(&self.clock), self.ids.random_u64());
        let (handler, patience) = (Arc::clone(&kind.handler), kind.patience);
        let place = InLane::begin(&kind.lanes, &job.lane);
        async move {
            let begun = Instant::now();
            let Job { kind, key, .. } = job.clone();
            let span = traces::worked(&kind, &key);
            let ended = AssertUnwindSafe(handler(job.clone())).catch_unwind().instrument(span).await;
            let ended = ended.unwrap_or_else(|_| Err(JobError::Retry("the program met a fault of its own".to_owned())));
            metrics::histogram!("job_seconds", "kind" => kind.clone()).record(begun.elapsed().as_secs_f64());
            slow::note(slow::Kind::Job, begun.elapsed(), || format!("{kind} {key}"));
            let noted = match ended {
                Ok(()) => done(&*queue, &job, &place, clock.now_ms()).await,
                Err(error) => failed(&*queue, job, error, (&place, patience, random), clock.now_ms()).await,
            };
            if let Err(error) = noted {
                tracing::error!(kind, key, %error, "what became of a job cannot be noted; it is done again at the next start");
            }
        }
    }
}

/// Whoever it went to is there: what was put off in its lane need not wait any longer.
async fn done(queue: &dyn Queue, job: &Job, place: &InLane, now_ms: i64) -> Result<(), QueueError> {
    let others_wait = place.with(Lanes::answered);
    queue.done(job.no).await?;
    if others_wait && !job.lane.is_empty() {
        queue.hasten(job.kind.clone(), job.lane.clone(), now_ms).await?;
    }
    Ok(())
}

async fn failed(
    queue: &dyn Queue,
    job: Job,
    error: JobError,
    (place, patience, random): (&InLane, Patience, u64),
    now_ms: i64,
) -> Result<(), QueueError> {
    let Job { no, kind, key, attempt, queued_ms, .. } = job;
    // When it is tried again, where it is; the lane hears of it before anything else can be taken from it.
    let (why, again_ms) = match error {
        JobError::Unasked { why, wait } => {
            let again_ms = place.with(|lanes, lane| lanes.hold(lane, wait, now_ms));
            tracing::debug!(kind, key, why, pause_ms = again_ms - now_ms, "a job is not tried now");
            return queue.put_off(no, again_ms).await;
        }
        JobError::Away { why, wait } => (why, Some(place.with(|lanes, lane| lanes.away(lane, wait, random, now_ms)))),
        JobError::Retry(why) => {
            place.with(Lanes::put_off);
            (why, Some(lanes::later(now_ms, PACE.delay(attempt, random))))
        }
        JobError::Dead(why) => {
            place.with(Lanes::answered);
            (why, None)
        }
    };
    metrics::counter!("job_failures_total", "kind" => kind.clone()).increment(1);
    match again_ms.filter(|_| patience.has(attempt, queued_ms, now_ms)) {
        Some(again_ms) => {
            tracing::info!(kind, key, attempt, why, pause_ms = again_ms - now_ms, "a job is tried again later");
            queue.retry(no, again_ms, shorten(why)).await
        }
        None => {
            tracing::warn!(kind, key, attempt, why, "a job is set aside");
            queue.bury(no, shorten(why)).await
        }
    }
}

fn shorten(why: String) -> String {
    if why.chars().count() <= MOST_REASON {
        why
    } else {
        why.chars().take(MOST_REASON).collect()
    }
}

enum Next {
    Job(Job),
    In(Duration),
}

#[cfg(test)]
mod tests;
