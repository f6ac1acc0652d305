//! How changes become a record.
//!
//! **The law.** A record is a set of *writes* (field, value, who wrote it when, which write its author saw).
//! Merging two replicas is the union of their sets, so it is commutative, associative and idempotent by
//! construction; everything shown is a pure function of the set:
//!
//! * the value of a field is that of its latest write by [`Stamp`];
//! * a write is *lost* when it is neither the winner nor seen, directly or through others, by any other write of
//!   its field: somebody typed it, somebody else typed over it without having seen it;
//! * a record is deleted when its latest `deleted` write says so **and** had seen every value that stands
//!   (what the same change wrote it has seen). An edit that the delete had not seen keeps the record alive: no delete
//!   silently beats an edit.
//!
//! [`RecordState`] is the set boiled down to what is needed on every write (the winners); [`losers`] needs the
//! whole history of one field and is asked only when [`RecordState::apply`] says that a write met another one it
//! had not seen.

use crate::change::{Change, ChangeId, Field};
use crate::erasure::is_mark;
use crate::hlc::Hlc;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// The field that says whether a record is deleted: `null` or [`Deletion`].
pub const DELETED: &str = "deleted";

/// The order of all writes: by clock, ties by origin and number, never by arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// When, after clamping.
    pub hlc: Hlc,
    /// Which change wrote it.
    pub id: ChangeId,
}

/// The value of a deletion: what its author had seen of the record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Deletion {
    /// For each origin that has a value in the record, the number of its latest change to it.
    pub saw: BTreeMap<Uuid, u64>,
}

/// A field's standing value and the change that wrote it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The value; `null` where it was taken away.
    pub value: Value,
    /// Which change wrote it.
    pub stamp: Stamp,
}

/// Who recorded a record first, and when by that site's clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Born {
    /// The change that recorded it.
    pub stamp: Stamp,
    /// Username.
    pub by: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// A record as its winning writes make it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RecordState {
    /// The earliest change that says it is new; `None` until that has arrived.
    pub born: Option<Born>,
    /// Every field that was ever written.
    pub cells: BTreeMap<Field, Cell>,
}

/// What a change did to a record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Fields whose value is now this change's.
    pub won: Vec<Field>,
    /// Fields where this change and the standing value did not know of each other: ask [`losers`].
    pub met: Vec<Field>,
}

impl RecordState {
    /// The record that `changes` make, each with its number and its place in the order.
    ///
    /// What a site needs when the hub placed one of its changes elsewhere (a clamped clock): [`RecordState::apply`]
    /// takes a change it has seen for done and does not move it.
    #[must_use]
    pub fn of<'a>(changes: impl IntoIterator<Item = (ChangeId, Hlc, &'a Change)>) -> Self {
        let mut state = Self::default();
        for (id, hlc, change) in changes {
            state.apply(id, hlc, change);
        }
        state
    }

    /// Merges `change`, number `id.seq` of `id.origin`, which stands at `hlc` in the order of all changes.
    ///
    /// Applying the same change again, or the same changes in another order, ends in the same state.
    pub fn apply(&mut self, id: ChangeId, hlc: Hlc, change: &Change) -> Applied {
        let stamp = Stamp { hlc, id };
        if change.new && self.born.as_ref().is_none_or(|born| stamp < born.stamp) {
            self.born = Some(Born { stamp, by: change.by.clone(), at: change.at });
        }
        let mut applied = Applied::default();
        for (field, value) in &change.set {
            let base = change.base.get(field);
            match self.cells.get_mut(field) {
                None => {
                    // A base that is not here yet makes no difference to the winner.
                    self.cells.insert(field.clone(), Cell { value: value.clone(), stamp });
                    applied.won.push(field.clone());
                }
                Some(cell) if cell.stamp.id == id => {}
                Some(cell) => {
                    // Having seen the standing value and yet standing before it takes a clock that went back.
                    if base != Some(&cell.stamp.id) || stamp < cell.stamp {
                        applied.met.push(field.clone());
                    }
                    if stamp > cell.stamp {
                        *cell = Cell { value: value.clone(), stamp };
                        applied.won.push(field.clone());
                    }
                }
            }
        }
        applied
    }

    /// The field's value, where it has one.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.cells.get(field).map(|cell| &cell.value).filter(|value| !value.is_null())
    }

    /// The write that a new change of `field` has to name as its base.
    #[must_use]
    pub fn base_of(&self, field: &str) -> Option<ChangeId> {
        self.cells.get(field).map(|cell| cell.stamp.id)
    }

    /// What the author of a deletion made now would have seen.
    #[must_use]
    pub fn seen(&self) -> Deletion {
        let mut saw = BTreeMap::new();
        for cell in self.cells.values() {
            let latest = saw.entry(cell.stamp.id.origin).or_insert(0);
            *latest = cell.stamp.id.seq.max(*latest);
        }
        Deletion { saw }
    }

    /// Whether the record is deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deletion().is_some_and(|deletion| self.unseen_by(&deletion).next().is_none())
    }

    /// Fields that somebody edited while somebody else, not knowing of it, deleted the record. Not empty means
    /// that the record stays and a person has to decide.
    #[must_use]
    pub fn edited_while_deleted(&self) -> Vec<&str> {
        self.deletion().map_or_else(Vec::new, |deletion| {
            let mut fields: Vec<&str> = self.unseen_by(&deletion).collect();
            fields.sort_unstable();
            fields
        })
    }

    fn deletion(&self) -> Option<(Deletion, ChangeId)> {
        let cell = self.cells.get(DELETED).filter(|cell| !cell.value.is_null())?;
        // A deletion that this version cannot read saw nothing, and so deletes nothing.
        Some((Deletion::deserialize(&cell.value).unwrap_or_default(), cell.stamp.id))
    }

    fn unseen_by<'a>(&'a self, (deletion, by): &(Deletion, ChangeId)) -> impl Iterator<Item = &'a str> {
        let (saw, by) = (deletion.saw.clone(), *by);
        self.cells
            .iter()
            .filter(move |(field, cell)| field.as_str() != DELETED && !is_mark(field) && cell.stamp.id != by)
            .filter(move |(_, cell)| saw.get(&cell.stamp.id.origin).is_none_or(|seq| *seq < cell.stamp.id.seq))
            .map(|(field, _)| field.as_str())
    }
}

/// One write of one field, as history has it.
#[derive(Clone, PartialEq, Debug)]
pub struct Write {
    /// Which change, and its place in the order.
    pub stamp: Stamp,
    /// The write its author saw, if the field had a value.
    pub base: Option<ChangeId>,
}

/// The writes of one field that were lost: typed over by somebody who had not seen them, and not settled since.
/// Ten offline edits by one store are one branch and lose at most once, at its end.
///
/// `writes`: all known writes of one field, in any order, repeats allowed. Answers in order of [`Stamp`].
#[must_use]
pub fn losers(writes: &[Write]) -> Vec<ChangeId> {
    let Some(winner) = writes.iter().max_by_key(|write| write.stamp) else {
        return Vec::new();
    };
    let seen: HashSet<ChangeId> = writes.iter().filter_map(|write| write.base).collect();
    let mut lost: Vec<Stamp> = writes
        .iter()
        .map(|write| write.stamp)
        .filter(|stamp| *stamp != winner.stamp && !seen.contains(&stamp.id))
        .collect();
    lost.sort_unstable();
    lost.dedup();
    lost.into_iter().map(|stamp| stamp.id).collect()
}

/// A person's decision about lost writes of one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// The change that says so.
    pub id: ChangeId,
    /// The lost writes it is about.
    pub lost: BTreeSet<ChangeId>,
}

/// The [`losers`] of one field that nobody has decided about. Sites that hold the same changes answer the same.
///
/// `settled`: all known decisions about the field, in any order. A value that a person chose in deciding and that another
/// decision about the same loss wrote over is not put before people once more: both looked at the same values.
#[must_use]
pub fn undecided(writes: &[Write], settled: &[Settled]) -> Vec<ChangeId> {
    let is_decided = |id: &ChangeId| settled.iter().any(|decision| decision.lost.contains(id));
    let met_another = |id: &ChangeId| {
        let own = settled.iter().filter(|decision| decision.id == *id);
        own.into_iter()
            .any(|own| settled.iter().any(|other| other.id != *id && !other.lost.is_disjoint(&own.lost)))
    };
    let mut lost = losers(writes);
    lost.retain(|id| !is_decided(id) && !met_another(id));
    lost
}

// ---- how a ledger keeps a state: stamps once, fields by number -------------------------------------------------

#[derive(Serialize, Deserialize)]
struct Packed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<(u32, String, i64)>,
    stamps: Vec<(Hlc, Uuid, u64)>,
    cells: BTreeMap<Field, (Value, u32)>,
}

impl Serialize for RecordState {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut stamps = Vec::new();
        let mut known: HashMap<Stamp, u32> = HashMap::new();
        let mut number = |stamp: Stamp| {
            *known.entry(stamp).or_insert_with(|| {
                stamps.push((stamp.hlc, stamp.id.origin, stamp.id.seq));
                (stamps.len() - 1) as u32
            })
        };
        let born = self.born.as_ref().map(|born| (number(born.stamp), born.by.clone(), born.at));
        let cells = self
            .cells
            .iter()
            .map(|(field, cell)| (field.clone(), (cell.value.clone(), number(cell.stamp))))
            .collect();
        Packed { born, stamps, cells }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for RecordState {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let packed = Packed::deserialize(d)?;
        let stamp = |number: u32| {
            let (hlc, origin, seq) = packed
                .stamps
                .get(number as usize)
                .ok_or_else(|| serde::de::Error::custom("a cell names a stamp that is not there"))?;
            Ok(Stamp { hlc: *hlc, id: ChangeId { origin: *origin, seq: *seq } })
        };
        let born = match packed.born {
            None => None,
            Some((number, by, at)) => Some(Born { stamp: stamp(number)?, by, at }),
        };
        let mut cells = BTreeMap::new();
        for (field, (value, number)) in packed.cells {
            cells.insert(field, Cell { value, stamp: stamp(number)? });
        }
        Ok(Self { born, cells })
    }
}
