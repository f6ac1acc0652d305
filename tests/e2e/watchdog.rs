//! The watchdog over the real program: whatever of it stands still, systemd hears nothing more until it goes on. A stopped process
//! shows nothing here: it could not feed anybody, whatever it asks itself.

use crate::machine::{Disk, has_root, limit_files};
use aincident_tests::{Hub, Node, Scratch, wait_until};
use serde_json::json;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// What the log says of each look at which something did not answer.
const SILENT: &str = "not everything answers";

/// A node, and what systemd hears of it: a look every half second.
struct Watched {
    node: Node,
    socket: UnixDatagram,
}

impl Watched {
    async fn new(scratch: &Scratch, mut node: Node, hub: &Hub) -> Self {
        let path = scratch.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        node.enroll(&hub.node_code("042").await).await.ok("enroll");
        node.env("NOTIFY_SOCKET", path.to_str().unwrap());
        node.env("WATCHDOG_USEC", "2000000");
        node.start().await;
        let watched = Self { node, socket };
        watched.is_fed().await;
        watched
    }

    /// How often the watchdog was fed since this was last asked.
    fn fed(&self) -> usize {
        let (mut bytes, mut fed) = ([0; 300], 0);
        while let Ok(length) = self.socket.recv(&mut bytes) {
            fed += usize::from(&bytes[..length] == b"WATCHDOG=1");
        }
        fed
    }

    async fn is_fed(&self) {
        self.fed();
        wait_until("the watchdog to be fed", PATIENCE, async || self.fed() > 0).await;
    }

    /// Waits until `vital` is named as what does not answer; from then on nothing is fed.
    async fn is_not_fed_for(&self, vital: &str) {
        let log = || self.node.daemon().log_tail(usize::MAX);
        let named = format!("{vital}: ");
        wait_until(&format!("{vital} not to answer"), PATIENCE, async || {
            log().lines().any(|line| line.contains(SILENT) && line.contains(&named))
        })
        .await;
        let looks = || log().matches(SILENT).count();
        let before = looks();
        self.fed();
        wait_until("two looks more", PATIENCE, async || looks() >= before + 2).await;
        assert_eq!(self.fed(), 0, "the watchdog was fed while {vital} stood still");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_stands_still_feeds_no_watchdog_until_it_goes_on() {
    if !has_root("the disk that stands still").await {
        return;
    }
    let scratch = Scratch::new("watchdog-writer");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut disk = Disk::ext4(&scratch, 256).await;
    let node = Node::over(disk.path().join("node"), &scratch, &hub, "042", "node").await;
    let mut watched = Watched::new(&scratch, node, &hub).await;
    let employee = watched.node.employee().await;
    let frozen = disk.freeze().await;
    // It waits for the disk, and whether anybody still waits for its answer in the end is not the question.
    let posting = tokio::spawn(async move { employee.post("/api/v1/incidents", &json!({ "description": "x" })).await });
    watched.is_not_fed_for("writer").await;
    drop(frozen);
    watched.is_fed().await;
    let _ = posting.await;
    watched.node.stop().await;
    disk.unmount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_accepts_nobody_feeds_no_watchdog_until_it_does() {
    let scratch = Scratch::new("watchdog-listener");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::new(&scratch, &hub, "042", "node").await;
    let mut watched = Watched::new(&scratch, node, &hub).await;
    let pid = watched.node.daemon().pid();
    // Nothing can be opened any more, so nobody can be let in.
    limit_files(pid, 3).await;
    watched.is_not_fed_for("listener").await;
    limit_files(pid, 1024).await;
    watched.is_fed().await;
    watched.node.stop().await;
}
