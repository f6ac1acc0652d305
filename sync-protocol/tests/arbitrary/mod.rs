//! Changes as chance makes them: at random, and as sites make them that meet now and then.
#![allow(dead_code, reason = "each test file uses its part")]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::hlc::Hlc;
use sync_protocol::merge::{DELETED, RecordState, Stamp, Write};
use uuid::Uuid;

/// 256 cases; a failing case prints its seed and is tried first from then on, once the file is committed.
pub fn config() -> ProptestConfig {
    const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seeds.txt");
    ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..ProptestConfig::default()
    }
}

pub fn origin(number: usize) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + number as u128)
}

pub const FIELDS: [&str; 3] = ["title", "people/0199a6c5-7d1e-7000-8000-00000000000a", "from_a_later_version"];
const START_MS: i64 = 1_764_000_000_000;

/// A change where it stands in the order.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: ChangeId,
    pub hlc: Hlc,
    pub change: Change,
}

impl Made {
    pub fn writes_of<'a>(made: impl IntoIterator<Item = &'a Self>, field: &str) -> Vec<Write> {
        made.into_iter()
            .filter(|made| made.change.set.contains_key(field))
            .map(|made| Write {
                stamp: Stamp { hlc: made.hlc, id: made.id },
                base: made.change.base.get(field).copied(),
            })
            .collect()
    }
}

pub fn state_of<'a>(made: impl IntoIterator<Item = &'a Made>) -> RecordState {
    RecordState::of(made.into_iter().map(|made| (made.id, made.hlc, &made.change)))
}

/// Any JSON that this process writes as it read it: numbers are whole, or have a fraction.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number + 0.5)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Changes of one record that nobody could have made: stamps, bases and deletions mean nothing. The laws hold anyway.
pub fn nonsense() -> impl Strategy<Value = Vec<Made>> {
    let id = || (0..3_usize, 1..8_u64).prop_map(|(at, seq)| ChangeId { origin: origin(at), seq });
    let value = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        (0..4_u64).prop_map(Value::from),
        (0..3_usize, 0..8_u64).prop_map(|(at, seq)| json!({"saw": {origin(at).to_string(): seq}})),
    ];
    let field = prop_oneof![3 => (0..3_usize).prop_map(|at| FIELDS[at]), 1 => Just(DELETED)];
    let writes = btree_map(field.prop_map(str::to_owned), (value, proptest::option::of(id())), 0..4);
    vec((0..3_usize, 0..4_i64, 0..2_u16, any::<bool>(), writes), 0..16).prop_map(|edits| {
        let mut seqs = [0_u64; 3];
        edits
            .into_iter()
            .map(|(at, ms, counter, new, writes)| {
                seqs[at] += 1;
                let mut change = Change {
                    at: ms,
                    base: BTreeMap::new(),
                    by: format!("user-{at}"),
                    hlc: None,
                    instead_of: None,
                    id: origin(99),
                    kind: "incident".to_owned(),
                    new,
                    set: BTreeMap::new(),
                };
                for (field, (value, base)) in writes {
                    change.base.extend(base.map(|base| (field.clone(), base)));
                    change.set.insert(field, value);
                }
                let hlc = Hlc::new(ms, counter);
                change.set_order(hlc);
                Made { id: ChangeId { origin: origin(at), seq: seqs[at] }, hlc, change }
            })
            .collect()
    })
}

/// What one site does.
#[derive(Clone, Debug)]
pub enum Act {
    Write(usize, u64),
    Delete,
    Restore,
    /// It learns all that the other one knows.
    Learn(usize),
}

/// A site with a clock of its own.
#[derive(Clone, Debug)]
pub struct Site {
    pub number: usize,
    pub offset_ms: i64,
    pub clock: Hlc,
    pub seq: u64,
    pub state: RecordState,
    pub known: Vec<Made>,
}

impl Site {
    pub fn new(number: usize, offset_ms: i64) -> Self {
        Self {
            number,
            offset_ms,
            clock: Hlc::default(),
            seq: 0,
            state: RecordState::default(),
            known: Vec::new(),
        }
    }

    pub fn set(&mut self, now: i64, field: &str, value: Value) -> Made {
        let at = START_MS + now + self.offset_ms;
        self.clock = self.clock.next(at);
        self.seq += 1;
        let mut change = Change {
            at,
            base: self.state.base_of(field).into_iter().map(|base| (field.to_owned(), base)).collect(),
            by: format!("user-{}", self.number),
            hlc: None,
            instead_of: None,
            id: origin(99),
            kind: "incident".to_owned(),
            new: self.known.is_empty(),
            set: BTreeMap::from([(field.to_owned(), value)]),
        };
        change.set_order(self.clock);
        let made = Made {
            id: ChangeId { origin: origin(self.number), seq: self.seq },
            hlc: self.clock,
            change,
        };
        self.take(&made);
        made
    }

    pub fn take(&mut self, made: &Made) {
        if self.known.iter().all(|known| known.id != made.id) {
            self.clock = self.clock.observe(made.hlc);
            self.state.apply(made.id, made.hlc, &made.change);
            self.known.push(made.clone());
        }
    }

    pub fn delete(&mut self, now: i64) -> Made {
        let seen = serde_json::to_value(self.state.seen()).unwrap();
        self.set(now, DELETED, seen)
    }
}

/// Three sites with wrong clocks, after some acts in an order of time. Each knows what it made and learnt.
pub fn sites() -> impl Strategy<Value = Vec<Site>> {
    let act = prop_oneof![
        5 => (0..3_usize, 0..9_u64).prop_map(|(field, value)| Act::Write(field, value)),
        1 => Just(Act::Delete),
        1 => Just(Act::Restore),
        3 => (0..3_usize).prop_map(Act::Learn),
    ];
    let offsets = proptest::array::uniform3(-3_i64..3);
    (offsets, vec((0..3_usize, 0..2_i64, act), 0..40)).prop_map(|(offsets, acts)| {
        let mut sites: Vec<Site> = offsets.iter().enumerate().map(|(at, offset)| Site::new(at, *offset)).collect();
        let mut now = 0;
        for (at, passed, act) in acts {
            now += passed;
            match act {
                Act::Write(field, value) => drop(sites[at].set(now, FIELDS[field], value.into())),
                Act::Delete => drop(sites[at].delete(now)),
                Act::Restore => drop(sites[at].set(now, DELETED, Value::Null)),
                Act::Learn(from) => {
                    let known = sites[from].known.clone();
                    known.iter().for_each(|made| sites[at].take(made));
                }
            }
        }
        sites
    })
}

/// Every change that any of the sites made, once.
pub fn all_of(sites: &[Site]) -> Vec<Made> {
    let known = sites.iter().flat_map(|site| &site.known);
    known.map(|made| (made.id, made.clone())).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// `made` in an order, and with repeats, that `chance` picks.
pub fn shuffled(made: &[Made], chance: u64) -> Vec<Made> {
    let mut chance = chance | 1;
    let mut next = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance
    };
    let mut out: Vec<Made> = Vec::new();
    for one in made {
        for _ in 0..1 + next() % 2 {
            let at = next() as usize % (out.len() + 1);
            out.insert(at, one.clone());
        }
    }
    out
}
