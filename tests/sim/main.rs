//! The simulator: a hub and several nodes, the real protocol, ledgers, intake and replicator, in one process, over virtual
//! time and a network and disks that fail. A seed is a run; `make sim SEED=… RUNS=…` repeats one or makes many.

mod bugs;
mod check;
mod disk;
mod faults;
mod older;
mod people;
mod site;
mod time;
mod trace;
mod wire;
mod world;

use bugs::Bug;
use faults::Coverage;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::Ended;

/// Runs of `make test`, lightly optimised: under two minutes on two processors. `AINCIDENT_SIM_RUNS` sets another number; `make sim`
/// makes more, optimised.
const RUNS: u64 = 2000;
/// Failures after which it is enough.
const ENOUGH: usize = 20;
/// Runs within which each planted bug has to be found.
const RUNS_PER_BUG: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

/// One run, on this thread, in virtual time.
fn run(seed: u64, coverage: &Arc<Coverage>, bug: Option<Bug>) -> Result<Ended, String> {
    let loud = std::env::var_os("AINCIDENT_SIM_TRACE").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world::run(seed, coverage, bug, loud))));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
    })
}

/// Runs seeds from `first` on, on all processors, until `enough` failed or `runs` are done.
fn many(first: u64, runs: u64, coverage: &Arc<Coverage>, bug: Option<Bug>, enough: usize) -> BTreeMap<u64, String> {
    let (next, failed) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + runs || failed.lock().unwrap().len() >= enough {
                        return;
                    }
                    if let Err(why) = run(seed, coverage, bug) {
                        println!("seed {seed}: {}", why.lines().last().unwrap_or_default());
                        failed.lock().unwrap().insert(seed, why);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_and_all_sites_end_alike() {
    let (first, runs) = (number("AINCIDENT_SIM_SEED").unwrap_or(1), number("AINCIDENT_SIM_RUNS").unwrap_or(RUNS));
    let coverage = Coverage::new();
    let begun = std::time::Instant::now();
    let failed = many(first, runs, &coverage, None, ENOUGH);
    println!("{}", coverage.table());
    println!("{runs} runs from seed {first} in {:.1} s", begun.elapsed().as_secs_f64());
    if let Some((seed, why)) = failed.first_key_value() {
        panic!("seed {seed} (make sim SEED={seed} RUNS=1 repeats it)\n{why}");
    }
    assert!(runs < RUNS || coverage.missing().is_empty(), "never reached: {:?}", coverage.missing());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let coverage = Coverage::new();
    for seed in [3, 14, 159] {
        assert_eq!(run(seed, &coverage, None), run(seed, &coverage, None), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut unfound = Vec::new();
    for bug in Bug::ALL {
        let mut failed = many(bug.known(), 1, &Coverage::new(), Some(bug), 1);
        if failed.is_empty() {
            failed = many(1, RUNS_PER_BUG, &Coverage::new(), Some(bug), 1);
        }
        match failed.first_key_value() {
            Some((seed, why)) => println!("{bug:?}: seed {seed}: {}", why.lines().last().unwrap_or_default()),
            None => unfound.push(bug),
        }
    }
    assert!(unfound.is_empty(), "not found within {RUNS_PER_BUG} runs: {unfound:?}");
}
