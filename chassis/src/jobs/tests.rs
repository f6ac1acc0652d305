use super::*;
use crate::clock::ManualClock;
use crate::sqlite::jobs::{SqliteQueue, enqueue};
use crate::sqlite::{Database, OpenOptions, runner};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SCHEMA: &[(&str, &str)] = &[("V1__work", include_str!("../../../migrations/sqlite/V5__work.sql"))];

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
    NewJob {
        kind: "test",
        key: key.to_owned(),
        payload: "{}".to_owned(),
        priority,
        run_at_ms: 0,
    }
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
        (of("dead"), of("waiting"), of("running")) == (1, 2, 0) && queue.next_due("test").await.unwrap() > Some(1)
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
        let taken = queue.take("test", 10).await.unwrap().unwrap();
        assert_eq!((taken.key.as_str(), taken.attempt), ("kills", crash));
    }
    let queue = SqliteQueue::new(open(&folder.0));
    queue.recover().await.unwrap();
    assert_eq!(queue.take("test", 10).await.unwrap(), None);
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

#[tokio::test]
async fn a_job_that_has_to_wait_is_not_counted_as_tried_however_often_it_has_to() {
    let folder = Folder::new();
    let db = open(&folder.0);
    queue_up(&db, vec![job("a", 5)]).await;
    let queue = SqliteQueue::new(db);
    for now_ms in 0..20 {
        let job = queue.take("test", now_ms).await.unwrap().unwrap();
        assert_eq!(job.attempt, 1);
        queue.put_off(job.no, now_ms + 1, "no room".to_owned()).await.unwrap();
    }
    assert_eq!(queue.next_due("test").await.unwrap(), Some(20));
}
