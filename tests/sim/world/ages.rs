//! Versions side by side: in some runs machines have the program of the version before, and are upgraded one by one.

use super::World;
use crate::faults::Fault;
use crate::older;
use aincident_tests::random::Rng;

/// Which programs are older at the beginning, and how that goes on.
pub(super) struct Ages {
    rng: Rng,
    /// Share of nodes whose program is older.
    nodes: f64,
    /// Whether headquarters' is.
    pub hub: bool,
    /// Who has not been upgraded by then stays as it is to the end.
    pub stay: bool,
    /// Nobody begins anew in the end: what an older version did not tell is found out by those who ask again after a while.
    pub patient: bool,
}

impl Ages {
    /// Draws from numbers of its own, so that runs of one version stay what they were.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa9e5);
        let (nodes, hub) = match rng.below(5) {
            0 => (0.6, false),
            1 => (0.4, true),
            _ => (0.0, false),
        };
        let (stay, patient) = (rng.chance(0.5), rng.chance(0.15));
        Self { rng, nodes, hub, stay, patient }
    }

    /// Whether there was ever anybody of the version before.
    pub fn were_mixed(&self) -> bool {
        self.hub || self.nodes > 0.0
    }

    /// Whether the next machine in a store is older.
    pub fn is_older(&mut self) -> bool {
        self.nodes > 0.0 && self.rng.chance(self.nodes)
    }
}

impl World {
    /// Somebody is upgraded now and then.
    pub(super) async fn age(&mut self) {
        if !self.is_mixed() || !self.ages.rng.chance(0.05) {
            return;
        }
        let older: Vec<usize> = (0..self.nodes.len()).filter(|no| self.nodes[*no].line.is_older()).collect();
        let is_hub = self.wire.is_older(self.hub.host());
        if is_hub && (older.is_empty() || self.ages.rng.chance(0.4)) {
            self.upgrade_the_hub().await;
        } else if !older.is_empty() {
            let no = *self.ages.rng.pick(&older);
            self.upgrade_a_node(no).await;
        }
    }

    /// Whether anybody is of the version before.
    pub(super) fn is_mixed(&self) -> bool {
        self.wire.is_older(self.hub.host()) || self.nodes.iter().any(|node| node.line.is_older())
    }

    /// Whether a node and headquarters get along in the version before.
    pub(super) fn speaks_older(&self, no: usize) -> bool {
        self.wire.is_older(self.hub.host()) || self.nodes[no].line.is_older()
    }

    pub(super) async fn upgrade_a_node(&mut self, no: usize) {
        let node = &mut self.nodes[no];
        self.trace.say(|| format!("{} is upgraded from version {}", node.name(), older::SPOKEN));
        self.coverage.reached(Fault::NodeUpgraded);
        let was_on = node.on.as_ref().is_some_and(|on| !on.disk.is_dead());
        if was_on {
            node.stop().await;
        }
        node.line.set_older(false);
        if was_on {
            node.start().await;
        }
    }

    pub(super) async fn upgrade_the_hub(&mut self) {
        self.trace.say(|| format!("the hub is upgraded from version {}", older::SPOKEN));
        self.coverage.reached(Fault::HubUpgraded);
        let was_on = self.hub.on.as_ref().is_some_and(|on| !on.disk.is_dead());
        self.hub.lose_power().await;
        self.wire.set_older(self.hub.host(), false);
        if was_on {
            self.hub.start().await;
        }
    }

    /// In the end most are started once more, as they are every night; then they ask again at once, and not after ten minutes.
    pub(super) async fn all_begin_anew(&mut self) {
        if !self.ages.were_mixed() || self.ages.patient {
            return;
        }
        for node in &mut self.nodes {
            node.stop().await;
            node.start().await;
        }
    }

    /// Before the end: a hub that was put back needs nodes that can give back to it, so only where none was may somebody stay
    /// older.
    pub(super) async fn all_grow_up(&mut self) {
        if self.ages.stay && !self.hub_forgot {
            if self.is_mixed() {
                self.coverage.reached(Fault::MixedAtTheEnd);
            }
            return;
        }
        if self.wire.is_older(self.hub.host()) {
            self.upgrade_the_hub().await;
        }
        for no in 0..self.nodes.len() {
            if self.nodes[no].line.is_older() {
                self.upgrade_a_node(no).await;
            }
        }
    }
}
