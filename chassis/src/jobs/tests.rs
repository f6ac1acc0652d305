use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::sqlite::jobs::{SqliteQueue, enqueue};
use crate::sqlite::{Database, OpenOptions, runner};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SCHEMA: &[(&str, &str)] = &[
    ("V1__work", include_str!("../../../migrations/sqlite/V5__work.sql")),
    ("V2__lanes", include_str!("../../../migrations/sqlite/V23__lanes.sql")),
    ("V3__lane_order", include_str!("../../../migrations/sqlite/V24__lane_order.sql")),
];

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("jobs-{:016x}", Ids::system().random_u64()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path) -> Database {
    Database::open(OpenOptions::new(folder.join("db"), runner(SCHEMA).unwrap())).unwrap()
}

fn job(key: &str, priority: i32) -> NewJob {
    NewJob { priority, ..NewJob::new("test", key.to_owned()) }
}

async fn queue_up(db: &Database, jobs: Vec<NewJob>) {
    db.write(move |tx| -> Result<(), Never> {
        for job in &jobs {
            enqueue(tx, job, 5).unwrap();
        }
        Ok(())
    })
    .await
    .unwrap()
    .unwrap();
}

#[derive(Debug)]
struct Never;

impl crate::sqlite::StoreError for Never {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        None
    }
}

async fn until(mut what: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !what().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn said(into: &Arc<Mutex<Vec<String>>>) -> Handler {
    let into = Arc::clone(into);
    Arc::new(move |job: Job| {
        let into = Arc::clone(&into);
        async move {
            into.lock().unwrap().push(job.key);
            Ok(())
        }
        .boxed()
    })
}

#[tokio::test]
async fn the_smallest_priority_goes_first_and_one_key_is_done_once() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, vec![job("b", 5), job("c", 9), job("a", 7), job("c", 1), job("b", 8)]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::new(db.clone()));
    let stop = CancellationToken::new();
    let clock = ManualClock::new(100);
    let runner = Runner::new(Arc::clone(&queue), clock, Ids::seeded(1)).kind("test", 1, said(&seen));
    let running = tokio::spawn(runner.run(stop.clone()));
    until(async || seen.lock().unwrap().len() == 3).await;
    assert_eq!(*seen.lock().unwrap(), ["c", "b", "a"]);
    // What is queued while it runs is noticed.
    queue_up(&db, vec![job("d", 1)]).await;
    until(async || seen.lock().unwrap().len() == 4 && queue.counts().await.unwrap().is_empty()).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_kind_never_has_more_at_work_than_it_may() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, (0..20).map(|n| job(&n.to_string(), 0)).collect()).await;
    let (now, most, done) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler: Handler = {
        let (now, most, done) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&done));
        Arc::new(move |_| {
            let (now, most, done) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&done));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            .boxed()
        })
    };
    let stop = CancellationToken::new();
    let runner = Runner::new(Arc::new(SqliteQueue::new(db)), ManualClock::new(1), Ids::seeded(1));
    let running = tokio::spawn(runner.kind("test", 3, handler).run(stop.clone()));
    until(async || done.load(Ordering::SeqCst) == 20).await;
    assert!(most.load(Ordering::SeqCst) <= 3);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_what_cannot_be_done_is_kept_for_a_person() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, vec![job("later", 0), job("never", 0), job("panics", 0)]).await;
    let handler: Handler = Arc::new(|job: Job| {
        async move {
            match (job.key.as_str(), job.attempt) {
                ("later", 1) => Err(JobError::Retry("not yet".to_owned())),
                ("never", _) => Err(JobError::Dead("it is no photo".to_owned())),
                ("panics", 1) => panic!("a fault"),
                _ => Ok(()),
            }
        }
        .boxed()
    });
    let clock = ManualClock::new(1);
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::new(db.clone()));
    let stop = CancellationToken::new();
    let runner = Runner::new(Arc::clone(&queue), clock.clone(), Ids::seeded(1)).kind("test", 2, handler);
    let running = tokio::spawn(runner.run(stop.clone()));
    // Both are put off by the clock as it is now: one still at work would be put off from where it is set to below.
    until(async || {
        let counts = queue.counts().await.unwrap();
        let of = |state: &str| counts.iter().find(|count| count.state == state).map_or(0, |count| count.count);
        (of("dead"), of("waiting"), of("running")) == (1, 2, 0) && queue.next_due("test", &[]).await.unwrap() > Some(1)
    })
    .await;
    let dead = queue.dead(10).await.unwrap().remove(0);
    assert_eq!((dead.key.as_str(), dead.error.as_str(), dead.attempts), ("never", "it is no photo", 1));
    assert_eq!(queue.dead_job(dead.no).await.unwrap().unwrap().key, "never");
    assert!(queue.dead_job(dead.no + 1).await.unwrap().is_none(), "one that waits was taken for dead");
    clock.set(10_000_000);
    queue_up(&db, Vec::new()).await;
    queue_up(&db, vec![job("wakes", 0)]).await;
    until(async || queue.counts().await.unwrap().len() == 1).await;
    assert!(queue.revive(dead.no, 10_000_000).await.unwrap());
    until(async || queue.dead(10).await.unwrap().len() == 1).await;
    assert!(queue.discard(dead.no).await.unwrap() && !queue.discard(dead.no).await.unwrap());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_job_that_was_cut_off_is_done_again_but_not_for_ever() {
    let folder = Folder::new();
    {
        let db = open(&folder.0);
        queue_up(&db, vec![job("kills", 0)]).await;
    }
    for crash in 1..=MOST_CRASHES {
        let queue = SqliteQueue::new(open(&folder.0));
        queue.recover().await.unwrap();
        let taken = queue.take("test", 10, &[]).await.unwrap().unwrap();
        assert_eq!((taken.key.as_str(), taken.attempt), ("kills", crash));
    }
    let queue = SqliteQueue::new(open(&folder.0));
    queue.recover().await.unwrap();
    assert_eq!(queue.take("test", 10, &[]).await.unwrap(), None);
    assert!(queue.dead(1).await.unwrap()[0].error.contains("ended 3 times"));
}

#[tokio::test]
async fn a_job_that_a_clock_years_ahead_queued_is_done_once_the_clock_is_right() {
    let folder = Folder::new();
    let db = open(&folder.0);
    let (now_ms, year_2031_ms) = (1_795_132_800_000, 1_925_000_000_000);
    queue_up(&db, vec![NewJob { run_at_ms: year_2031_ms, ..job("stranded", 0) }]).await;
    let done = Arc::new(AtomicUsize::new(0));
    let handler: Handler = {
        let done = Arc::clone(&done);
        Arc::new(move |_| {
            done.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }.boxed()
        })
    };
    let stop = CancellationToken::new();
    let runner = Runner::new(Arc::new(SqliteQueue::new(db)), ManualClock::new(now_ms), Ids::seeded(1));
    let running = tokio::spawn(runner.kind("test", 1, handler).run(stop.clone()));
    until(async || done.load(Ordering::SeqCst) == 1).await;
    stop.cancel();
    running.await.unwrap();
}

/// Has the runner look again, though nothing that it does was queued.
async fn wake(db: &Database) {
    queue_up(db, vec![NewJob { kind: "wake", ..job("wake", 0) }]).await;
}

async fn at_work(queue: &Arc<dyn Queue>) -> bool {
    queue.counts().await.unwrap().iter().any(|count| count.state == "running")
}

fn in_lane(lane: &str, key: &str) -> NewJob {
    NewJob { lane: lane.to_owned(), ..job(key, 0) }
}

const MONTH: Patience = Patience { tries: 12, lasts: Duration::from_secs(30 * 24 * 3600) };

#[tokio::test]
async fn what_a_receiver_missed_in_twenty_days_arrives_once_and_cost_a_try_now_and_then() {
    const HOUR_MS: i64 = 3_600_000;
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, (0..40).map(|n| in_lane("away", &n.to_string())).collect()).await;
    let (there, tries) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let came = Arc::new(Mutex::new(Vec::new()));
    let handler: Handler = {
        let (there, tries, came) = (Arc::clone(&there), Arc::clone(&tries), Arc::clone(&came));
        Arc::new(move |job: Job| {
            let (there, tries, came) = (Arc::clone(&there), Arc::clone(&tries), Arc::clone(&came));
            async move {
                tries.fetch_add(1, Ordering::SeqCst);
                if there.load(Ordering::SeqCst) == 0 {
                    return Err(JobError::Away { why: "nobody is there".to_owned(), wait: Duration::ZERO });
                }
                came.lock().unwrap().push(job.key);
                Ok(())
            }
            .boxed()
        })
    };
    let (clock, stop) = (ManualClock::new(5), CancellationToken::new());
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::new(db.clone()));
    let runner = Runner::new(Arc::clone(&queue), clock.clone(), Ids::seeded(1));
    let running = tokio::spawn(runner.laned_kind("test", (8, 4), MONTH, handler).run(stop.clone()));
    until(async || tries.load(Ordering::SeqCst) > 0 && !at_work(&queue).await).await;
    for step in 1..=20 * 8 {
        let before = tries.load(Ordering::SeqCst);
        clock.set(5 + step * 3 * HOUR_MS);
        wake(&db).await;
        until(async || tries.load(Ordering::SeqCst) > before && !at_work(&queue).await).await;
        assert_eq!(tries.load(Ordering::SeqCst), before + 1, "one job finds out for all");
    }
    assert!(queue.dead(10).await.unwrap().is_empty());
    // Another receiver did not wait for it.
    there.store(1, Ordering::SeqCst);
    queue_up(&db, vec![in_lane("other", "other")]).await;
    until(async || came.lock().unwrap().contains(&"other".to_owned())).await;
    assert_eq!(came.lock().unwrap().len(), 1);
    clock.set(5 + 20 * 24 * HOUR_MS + 121_000);
    wake(&db).await;
    until(async || came.lock().unwrap().len() == 41 && !at_work(&queue).await).await;
    let mut all = came.lock().unwrap().clone();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 41, "some came twice");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_was_not_tried_has_used_no_try_and_a_success_hastens_what_was_put_off() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, vec![in_lane("lane", "held")]).await;
    let (asked, put_off) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler: Handler = {
        let (asked, put_off) = (Arc::clone(&asked), Arc::clone(&put_off));
        Arc::new(move |job: Job| {
            let (asked, put_off) = (Arc::clone(&asked), Arc::clone(&put_off));
            async move {
                match job.key.as_str() {
                    "held" if asked.fetch_add(1, Ordering::SeqCst) < 3 => {
                        Err(JobError::Unasked { why: "its breaker is open".to_owned(), wait: Duration::from_secs(60) })
                    }
                    "held" => Err(JobError::Dead("refused".to_owned())),
                    "put off" if put_off.fetch_add(1, Ordering::SeqCst) == 0 => {
                        Err(JobError::Retry("not now".to_owned()))
                    }
                    _ => Ok(()),
                }
            }
            .boxed()
        })
    };
    let (clock, stop) = (ManualClock::new(5), CancellationToken::new());
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::new(db.clone()));
    let runner = Runner::new(Arc::clone(&queue), clock.clone(), Ids::seeded(1));
    let running = tokio::spawn(runner.laned_kind("test", (8, 4), MONTH, handler).run(stop.clone()));
    for asking in 1..=3 {
        until(async || asked.load(Ordering::SeqCst) == asking && !at_work(&queue).await).await;
        // Until it half-opens nobody is asked, whatever else happens.
        assert_eq!(queue.next_due("test", &[]).await.unwrap(), Some(clock.now_ms() + 60_000));
        clock.advance(59_999);
        queue_up(&db, vec![in_lane("lane", "another")]).await;
        assert_eq!(asked.load(Ordering::SeqCst), asking);
        clock.advance(1);
        wake(&db).await;
    }
    until(async || queue.dead(10).await.unwrap().len() == 1).await;
    assert_eq!(queue.dead(10).await.unwrap()[0].attempts, 1);
    until(async || queue.next_due("test", &[]).await.unwrap().is_none() && !at_work(&queue).await).await;

    queue_up(&db, vec![in_lane("lane", "put off")]).await;
    until(async || put_off.load(Ordering::SeqCst) == 1 && !at_work(&queue).await).await;
    // The clock stands still: its own pause would not end.
    queue_up(&db, vec![in_lane("lane", "taken")]).await;
    until(async || put_off.load(Ordering::SeqCst) == 2).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_receiver_that_never_answers_has_some_places_and_leaves_the_others() {
    let folder = Folder::new();
    let db = open(&folder.0);
    let mut jobs: Vec<NewJob> = (0..30).map(|n| in_lane("black hole", &format!("lost {n}"))).collect();
    jobs.push(in_lane("fine", "fine"));
    queue_up(&db, jobs).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler: Handler = {
        let seen = Arc::clone(&seen);
        Arc::new(move |job: Job| {
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().unwrap().push(job.key);
                if job.lane == "fine" { Ok(()) } else { std::future::pending().await }
            }
            .boxed()
        })
    };
    let stop = CancellationToken::new();
    let runner = Runner::new(Arc::new(SqliteQueue::new(db)), ManualClock::new(5), Ids::seeded(1));
    let running = tokio::spawn(runner.laned_kind("test", (8, 4), MONTH, handler).run(stop.clone()));
    until(async || seen.lock().unwrap().contains(&"fine".to_owned())).await;
    assert!(seen.lock().unwrap().len() <= 5, "{seen:?}");
    running.abort();
}

#[test]
fn patience_ends_when_both_the_tries_and_the_time_are_over() {
    let month_ms = 30 * 24 * 3_600_000;
    assert!(MONTH.has(10_000, 0, month_ms - 1) && !MONTH.has(12, 0, month_ms));
    // A clock that was in 1970 when it was queued.
    assert!(MONTH.has(11, 0, 1_795_132_800_000));
    let tries_alone = Patience { tries: 2, lasts: Duration::ZERO };
    assert!(tries_alone.has(1, 0, 0) && !tries_alone.has(2, 0, 0) && !tries_alone.has(2, 10, 0));
}

#[tokio::test]
async fn a_job_that_has_to_wait_is_not_counted_as_tried_however_often_it_has_to() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, vec![job("a", 5)]).await;
    let queue = SqliteQueue::new(db);
    for now_ms in 0..20 {
        let job = queue.take("test", now_ms, &[]).await.unwrap().unwrap();
        assert_eq!(job.attempt, 1);
        queue.put_off(job.no, now_ms + 1).await.unwrap();
    }
    assert_eq!(queue.next_due("test", &[]).await.unwrap(), Some(20));
}

#[tokio::test]
async fn the_next_job_is_the_first_of_the_lanes_that_are_open() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(
        &db,
        vec![in_lane("", "1"), in_lane("b", "2"), in_lane("b", "3"), in_lane("c", "4"), in_lane("d", "5")],
    )
    .await;
    let queue = SqliteQueue::new(db);
    let next = async |closed: &[&str]| {
        let closed = closed.iter().map(|&lane| lane.to_owned()).collect::<Vec<_>>();
        queue.next_due("test", &closed).await.unwrap()
    };
    assert_eq!(queue.next_due("other", &[]).await.unwrap(), None);
    // Taken in the order of their numbers, and put off to 10, 20 …
    for again_ms in [30, 10, 20, 50] {
        let job = queue.take("test", 5, &[]).await.unwrap().unwrap();
        queue.put_off(job.no, again_ms).await.unwrap();
    }
    let last = queue.take("test", 5, &[]).await.unwrap().unwrap();
    assert_eq!(next(&[]).await, Some(10));
    assert_eq!(next(&["b"]).await, Some(30));
    assert_eq!(next(&["", "b", "gone"]).await, Some(50));
    // The one of `d` is at work.
    assert_eq!(next(&["", "b", "c"]).await, None);
    queue.put_off(last.no, 7).await.unwrap();
    assert_eq!(next(&["", "b", "c"]).await, Some(7));
    assert_eq!(next(&["", "b", "c", "d"]).await, None);
}
