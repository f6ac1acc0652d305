//! The laws of `merge`, over changes as chance makes them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod arbitrary;

use arbitrary::{FIELDS, Made, Site, all_of, config, json, nonsense, shuffled, sites, state_of};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::hlc::{Hlc, MAX_MS};
use sync_protocol::merge::{DELETED, RecordState, Settled, losers, undecided};

fn fields() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().chain([DELETED])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_order_and_any_repeats_end_in_the_same_state(made in nonsense(), chance: u64) {
        prop_assert_eq!(state_of(&shuffled(&made, chance)), state_of(&made));
    }

    #[test]
    fn replicas_that_exchange_what_they_have_become_equal_however_they_do_it(
        made in nonsense(),
        held in proptest::collection::vec(1_u8..8, 16),
        chance: u64,
    ) {
        // Change number n starts at the replicas whose bit is set in held[n].
        let part = |replica: u8| -> Vec<Made> {
            made.iter().zip(&held).filter(|(_, held)| **held & (1 << replica) != 0).map(|(m, _)| m.clone()).collect()
        };
        let parts = [part(0), part(1), part(2)];
        let ends = [[0, 1, 2], [1, 2, 0], [2, 1, 0]].map(|order| {
            let arrivals: Vec<Made> = order
                .iter()
                .flat_map(|at| shuffled(&parts[*at], chance.rotate_left(*at as u32)))
                .collect();
            state_of(&arrivals)
        });
        prop_assert_eq!(&ends[0], &ends[1]);
        prop_assert_eq!(&ends[0], &ends[2]);
        prop_assert_eq!(&ends[0], &state_of(&made));
    }

    #[test]
    fn a_state_survives_being_kept_in_a_ledger(made in nonsense()) {
        let state = state_of(&made);
        let kept = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<RecordState>(&kept).unwrap(), &state);
        prop_assert_eq!(serde_json::to_string(&serde_json::from_str::<RecordState>(&kept).unwrap()).unwrap(), kept);
    }

    #[test]
    fn the_winner_of_every_field_is_its_latest_write(made in nonsense()) {
        let state = state_of(&made);
        for field in fields() {
            let latest = Made::writes_of(&made, field).into_iter().map(|write| write.stamp).max();
            prop_assert_eq!(state.cells.get(field).map(|cell| cell.stamp), latest);
        }
    }

    #[test]
    fn what_is_lost_does_not_depend_on_order_or_repeats(made in nonsense(), chance: u64) {
        for field in fields() {
            let writes = Made::writes_of(&made, field);
            let again = Made::writes_of(&shuffled(&made, chance), field);
            prop_assert_eq!(losers(&writes), losers(&again));
        }
    }

    #[test]
    fn a_loss_is_never_overlooked_by_apply(made in nonsense(), chance: u64) {
        let mut state = RecordState::default();
        let mut here: Vec<Made> = Vec::new();
        for one in shuffled(&made, chance) {
            let lost = |here: &[Made], field| BTreeSet::from_iter(losers(&Made::writes_of(here, field)));
            let before: Vec<_> = fields().map(|field| lost(&here, field)).collect();
            let applied = state.apply(one.id, one.hlc, &one.change);
            here.push(one);
            for (field, before) in fields().zip(before) {
                let newly = &lost(&here, field) - &before;
                prop_assert!(newly.is_empty() || applied.met.iter().any(|met| met == field), "{field}: {newly:?}");
            }
        }
    }

    #[test]
    fn sites_that_met_lose_nothing_that_the_winner_had_seen(sites in sites()) {
        let all = all_of(&sites);
        for field in fields() {
            let writes = Made::writes_of(&all, field);
            let lost = losers(&writes);
            // Follow the winner's bases: whoever is on that way was seen and is not lost.
            let mut at = writes.iter().max_by_key(|write| write.stamp).map(|write| write.stamp.id);
            while let Some(id) = at {
                prop_assert!(!lost.contains(&id));
                at = writes.iter().find(|write| write.stamp.id == id).and_then(|write| write.base);
            }
            // And whoever is neither on it nor seen by anybody else is lost: nothing vanishes without a word.
            let seen: BTreeSet<_> = writes.iter().filter_map(|write| write.base).collect();
            let winner = writes.iter().map(|write| write.stamp).max();
            for write in &writes {
                let stands = Some(write.stamp) == winner;
                prop_assert!(stands || seen.contains(&write.stamp.id) || lost.contains(&write.stamp.id));
            }
        }
    }

    #[test]
    fn sites_that_learnt_everything_are_equal_and_agree_on_what_is_deleted(sites in sites()) {
        let all = all_of(&sites);
        let mut ends = sites.clone();
        for end in &mut ends {
            all.iter().rev().for_each(|made| end.take(made));
        }
        let end = state_of(&all);
        for other in &ends {
            prop_assert_eq!(&other.state, &end);
        }
        // A record with an unseen edit is alive; one without is deleted exactly where its last word is a deletion.
        let says_deleted = end.get(DELETED).is_some();
        prop_assert_eq!(end.is_deleted(), says_deleted && end.edited_while_deleted().is_empty());
    }

    #[test]
    fn any_number_of_offline_edits_of_a_field_lose_once_at_most(edits in 1..20_i64, ahead in 0..40_i64) {
        let (mut store, mut hub) = (Site::new(0, 0), Site::new(1, 0));
        let first = store.set(0, "title", "first".into());
        hub.take(&first);
        for edit in 1..=edits {
            store.set(edit, "title", edit.into());
        }
        let other = hub.set(ahead, "title", "headquarters".into());
        let all = all_of(&[store.clone(), hub]);
        let lost = losers(&Made::writes_of(&all, "title"));
        let last = store.known.last().unwrap();
        let loser = if other.hlc > last.hlc || (other.hlc == last.hlc && other.id > last.id) { last.id } else { other.id };
        prop_assert_eq!(lost, vec![loser]);
    }

    #[test]
    fn a_delete_that_did_not_see_an_edit_deletes_nothing(edit_at in 0..10_i64, delete_at in 0..10_i64, chance: u64) {
        let (mut store, mut hub) = (Site::new(0, 0), Site::new(1, 0));
        let first = store.set(0, "title", "first".into());
        hub.take(&first);
        store.set(edit_at, "description", "new facts".into());
        hub.delete(delete_at);
        prop_assert!(hub.state.is_deleted());
        let all = all_of(&[store.clone(), hub.clone()]);
        let merged = state_of(&shuffled(&all, chance));
        prop_assert!(!merged.is_deleted());
        prop_assert_eq!(merged.edited_while_deleted(), vec!["description"]);
        // Somebody who has seen both deletes again.
        all.iter().for_each(|made| hub.take(made));
        hub.delete(20);
        prop_assert!(hub.state.is_deleted());
        // And brings it back.
        hub.set(21, DELETED, serde_json::Value::Null);
        prop_assert!(!hub.state.is_deleted() && hub.state.edited_while_deleted().is_empty());
    }

    #[test]
    fn what_a_version_does_not_know_survives_from_body_to_state_to_body(
        set in proptest::collection::btree_map(any::<String>(), json(), 0..8),
        kind: String,
        at in 0..MAX_MS,
    ) {
        let id = ChangeId { origin: arbitrary::origin(0), seq: 1 };
        let change = Change { at, base: BTreeMap::new(), by: "kim".into(), hlc: None, instead_of: None, id: arbitrary::origin(9), kind, new: true, set };
        let body = change.to_body().unwrap();
        let read = Change::from_body(&body).unwrap();
        prop_assert_eq!(&read, &change);
        let state = RecordState::of([(id, read.order(), &read)]);
        let kept: RecordState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        let set = kept.cells.into_iter().map(|(field, cell)| (field, cell.value)).collect();
        prop_assert_eq!(Change { set, ..read }.to_body().unwrap(), body);
    }

    #[test]
    fn a_clock_only_goes_forward_and_clamping_keeps_the_order(
        walls in proptest::collection::vec((any::<i64>(), any::<bool>()), 1..40),
        now in 0..MAX_MS,
        ahead in 0..600_000_i64,
    ) {
        let mut clock = Hlc::default();
        let mut clamped = clock.clamp(now, ahead);
        for (wall, seen) in walls {
            let wall = wall % (MAX_MS / 2);
            let next = if seen { clock.observe(Hlc::new(wall, 7)).next(0) } else { clock.next(wall) };
            prop_assert!(next > clock);
            prop_assert!(next.ms() >= wall.min(MAX_MS));
            prop_assert_eq!(Hlc::from_i64(next.to_i64()), next);
            prop_assert_eq!(next.to_string().parse::<Hlc>().unwrap(), next);
            prop_assert!(next.clamp(now, ahead) >= clamped);
            prop_assert!(next.clamp(now, ahead) <= Hlc::new(now.saturating_add(ahead), 0));
            (clock, clamped) = (next, next.clamp(now, ahead));
        }
    }
}

#[test]
fn the_last_reading_of_all_has_no_next_and_stays_in_range() {
    let last = Hlc::from_i64(i64::MAX);
    assert_eq!(last.next(0), last);
    assert_eq!(last.to_string().parse::<Hlc>().unwrap(), last);
}

#[test]
fn ten_offline_edits_are_one_branch() {
    let (mut store, mut hub) = (Site::new(0, 0), Site::new(1, 0));
    let first = store.set(0, "title", "first".into());
    hub.take(&first);
    for edit in 1..=10 {
        store.set(edit, "title", edit.into());
    }
    let other = hub.set(5, "title", "headquarters".into());
    let all = all_of(&[store, hub]);
    assert_eq!(losers(&Made::writes_of(&all, "title")), vec![other.id]);
}

#[test]
fn an_edit_made_after_seeing_a_conflict_settles_it_for_the_value_it_replaced_only() {
    let (mut store, mut hub) = (Site::new(0, 0), Site::new(1, 0));
    let first = store.set(0, "title", "first".into());
    hub.take(&first);
    let ours = store.set(1, "title", "store".into());
    let theirs = hub.set(2, "title", "hub".into());
    hub.take(&ours);
    let settled = hub.set(3, "title", "both".into());
    let all = [first, ours.clone(), theirs, settled];
    // The lost value stays on record as lost: history never forgets that somebody's words were typed over unseen.
    assert_eq!(losers(&Made::writes_of(&all, "title")), vec![ours.id]);
}

#[test]
fn a_change_that_deletes_a_record_and_writes_another_field_has_seen_that_field() {
    let mut site = Site::new(0, 0);
    site.set(0, "title", "first".into());
    let mut change = site.known[0].change.clone();
    change.new = false;
    change.set.insert(DELETED.into(), serde_json::to_value(site.state.seen()).unwrap());
    change.set.insert("description".into(), "entered by mistake".into());
    site.state.apply(ChangeId { origin: arbitrary::origin(0), seq: 2 }, site.clock.next(0), &change);
    assert!(site.state.is_deleted());
}

/// A store and headquarters that changed a title without knowing of each other: the lost write, and the writes of both.
fn met() -> (Site, Site, ChangeId) {
    let (mut store, mut hub) = (Site::new(0, 0), Site::new(1, 0));
    let first = store.set(0, "title", "first".into());
    hub.take(&first);
    let ours = store.set(1, "title", "store".into());
    let theirs = hub.set(2, "title", "hub".into());
    hub.take(&ours);
    store.take(&theirs);
    (store, hub, ours.id)
}

#[test]
fn a_lost_write_is_undecided_until_somebody_decides_about_it() {
    let (store, hub, lost) = met();
    let writes = Made::writes_of(&all_of(&[store, hub]), "title");
    assert_eq!(undecided(&writes, &[]), vec![lost]);
    let about =
        |lost: ChangeId, seq| Settled { id: ChangeId { origin: arbitrary::origin(2), seq }, lost: [lost].into() };
    let another = ChangeId { origin: arbitrary::origin(0), seq: 99 };
    assert_eq!(undecided(&writes, &[about(another, 1)]), vec![lost]);
    assert_eq!(undecided(&writes, &[about(another, 1), about(lost, 2)]), vec![]);
}

#[test]
fn what_two_people_chose_at_once_about_one_loss_is_not_put_before_people_again() {
    let (mut store, mut hub, lost) = met();
    let here = store.set(3, "title", "chosen in the store".into());
    let there = hub.set(4, "title", "chosen at headquarters".into());
    let writes = Made::writes_of(&all_of(&[store, hub]), "title");
    assert_eq!(losers(&writes), vec![lost, here.id], "history tells of both");
    let about = |id: ChangeId, lost: ChangeId| Settled { id, lost: [lost].into() };
    let both = [about(here.id, lost), about(there.id, lost)];
    assert_eq!(undecided(&writes, &both), vec![]);
    assert_eq!(undecided(&writes, &[both[1].clone(), both[0].clone()]), vec![]);
    // An edit that only one of them decided against is another matter.
    assert_eq!(undecided(&writes, &both[..1]), vec![here.id]);
}
