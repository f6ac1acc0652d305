//! What can go wrong, and how often it did: a fault that is never reached proves nothing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($($name:ident: $what:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// For people.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

faults! {
    RequestLost: "a request is lost",
    AnswerLost: "an answer is lost",
    RequestTwice: "a request arrives twice",
    RequestLate: "a request arrives after later ones",
    RequestCut: "a request is cut in mid-body",
    AnswerCut: "an answer is cut in mid-body",
    Portal: "something else answers 200",
    StaleAnswer: "the answer to an earlier request comes",
    LineDown: "a store is cut off",
    StrangeHub: "another hub answers at the address",
    NodeDown: "a node's power fails",
    NodeDownBefore: "a node's power fails before a write",
    NodeDownInCommit: "a node's power fails in a write",
    NodeDownAfter: "a node's power fails after a write, unanswered",
    HubDown: "the hub's power fails",
    HubDownBefore: "the hub's power fails before a write",
    HubDownInCommit: "the hub's power fails in a write",
    HubDownAfter: "the hub's power fails after a write, unanswered",
    NodeStopped: "a node is stopped in order",
    NodeDiskFull: "a node's disk is full",
    HubDiskFull: "the hub's disk is full",
    NodeDiskBroken: "a node's disk fails for a while",
    HubDiskBroken: "the hub's disk fails for a while",
    DatabasePutBack: "a node's database alone is put back",
    FolderPutBack: "a node's folder is put back as it was",
    NodeRestored: "a node is restored by its program",
    HubPutBack: "the hub's folder is put back as it was",
    HubRestored: "the hub is restored by its program",
    Cloned: "a node's disk is copied to a second machine",
    EnrolledAnew: "a node is enrolled anew",
    NodeClock2031: "a node's clock jumps to 2031",
    NodeClock1970: "a node's clock jumps to 1970",
    NodeClockBack: "a node's clock is put right",
    HubClock: "the hub's clock jumps",
    UnknownFields: "a newer node records fields nobody knows",
    UnknownKind: "a newer node records a kind nobody knows",
    OlderNode: "a node of the version before is heard",
    OlderHub: "a hub of the version before is asked",
    NodeUpgraded: "a node of the version before is upgraded",
    HubUpgraded: "a hub of the version before is upgraded",
    MixedAtTheEnd: "versions are mixed to the end",
    PoisonFails: "a change makes the hub fail",
    PoisonRefused: "a change is one the hub does not take",
    Photo: "a photo's content travels",
    Erasure: "headquarters has something erased",
}

/// How often each fault was reached.
#[derive(Debug)]
pub struct Coverage {
    times: Vec<AtomicU64>,
}

impl Coverage {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { times: Fault::ALL.iter().map(|_| AtomicU64::new(0)).collect() })
    }

    pub fn reached(&self, fault: Fault) {
        self.times[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.times[fault as usize].load(Ordering::Relaxed)
    }

    /// Those never reached.
    pub fn missing(&self) -> Vec<&'static str> {
        Fault::ALL.iter().filter(|fault| self.of(**fault) == 0).map(|fault| fault.what()).collect()
    }

    /// As a table.
    pub fn table(&self) -> String {
        let mut text = format!("{:>9}  fault\n", "times");
        for fault in Fault::ALL {
            let _ = writeln!(text, "{:>9}  {}", self.of(*fault), fault.what());
        }
        text
    }
}
