//! What a node takes for headquarters' time when its program, or its machine, is started again.

use crate::hub::{FakeHub, SECRET};
use crate::machine::{enrolment, scratch};
use aincident_node::site;
use chassis::blobs::Blobs;
use chassis::clock::ManualClock;
use chassis::ids::Ids;
use desk::cache::Memory;
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{LinkState, Site as _};
use desk::{Desk, Storage};
use std::path::Path;
use std::sync::Arc;

const NOW_MS: i64 = 1_795_132_800_000;
const HOUR_MS: i64 = 3_600_000;

/// The node in `folder` on a machine that was started anew, whose clock says `now_ms`.
async fn started(folder: &Path, now_ms: i64) -> Desk {
    let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), Ids::seeded(7)).unwrap();
    let blobs = Blobs::open(&folder.join("blobs")).unwrap();
    let storage = Storage::sqlite(ledger, blobs, Arc::new(Memory::new(1_000_000)));
    let desk = Desk::new(storage, ManualClock::new(now_ms), Ids::seeded(8));
    site::reckon(&desk).await.unwrap();
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn after_another_start_of_the_machine_a_clock_that_was_ahead_is_not_trusted_and_nothing_is_ordered_after_a_right_one()
 {
    let (hub, folder) = (FakeHub::start().await, scratch());
    let ledger = SqliteLedger::open(&folder.join("ledger.sqlite"), Ids::seeded(7)).unwrap();
    ledger.become_node(enrolment(&hub), SECRET.to_owned(), Ids::seeded(9).new_v7(NOW_MS)).await.unwrap();
    for (kept_ms, order_ms) in [
        // Two hours ahead, as last measured: it is still.
        (2 * HOUR_MS, NOW_MS - 2 * HOUR_MS),
        // In 1970, as last measured: somebody changed the battery and set it right.
        (-20_000 * 24 * HOUR_MS, NOW_MS),
        (0, NOW_MS),
    ] {
        let link = LinkState { clock_offset_ms: kept_ms, ..LinkState::default() };
        ledger.set_link_state(link).await.unwrap();
        let desk = started(&folder, NOW_MS).await;
        assert_eq!((desk.when().at_ms, desk.when().order_ms), (NOW_MS, order_ms), "{kept_ms}");
    }
}
