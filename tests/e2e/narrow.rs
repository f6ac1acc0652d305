//! A line of 256 kbit/s with 600 ms there and back that loses 2 %: records and thumbnails are there within a minute, and
//! originals fill it. `make narrow` does the same with 20 MB.

use aincident_tests::narrow::{Cargo, run};
use aincident_tests::{Rng, figures, tell};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_narrow_line_records_and_thumbnails_come_first_and_originals_fill_it() {
    let mut rng = Rng::announced("narrow");
    let cargo = Cargo { incidents: 20, pixels: (340, 255), files: vec![150_000; 5] };
    let found = run(&cargo, &mut rng).await;
    tell(&format!(
        "narrow: records after {}, thumbnails after {}, all after {}; then {} at {:.1} % of the line, \
         {:.3} times the contents in all",
        figures::time(found.records),
        figures::time(found.thumbnails),
        figures::time(found.all),
        figures::bytes(found.bytes),
        found.share * 100.0,
        found.sent
    ));
    assert!(found.thumbnails < Duration::from_secs(60), "{found:?}");
    // Records, questions and heads of requests are some tens of kilobytes; no content goes twice.
    assert!(found.sent < 1.06, "{found:?}");
    // Of so little, the last seconds, when fewer are on their way than fill the line, are much, and other tests use the machine;
    // of 20 MB it is over 0.9: `make narrow`.
    assert!(found.share > 0.5, "{found:?}");
}
