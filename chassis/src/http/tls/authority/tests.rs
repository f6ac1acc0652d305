use super::*;
use crate::clock::ManualClock;
use crate::folder::tests::{Scratch, scratch};
use std::sync::Arc;

/// 2030-03-17.
const T0: i64 = 1_900_000_000_000;

fn open(folder: &Scratch, given: &[&str], clock: &Arc<ManualClock>) -> Authority {
    let given = given.iter().map(ToString::to_string).collect();
    Authority::open(folder.join("tls"), given, Arc::clone(clock) as SharedClock).unwrap()
}

fn wanted(names: &[&str]) -> Wanted {
    Wanted { names: names.iter().map(ToString::to_string).collect(), addresses: Vec::new() }
}

/// So many of `all` that have heard of whatever is prepared.
fn heard(authority: &Authority, all: usize, heard: usize) -> Followers {
    Followers { all, heard, of: authority.next.as_ref().and_then(Kept::pin) }
}

/// Turns, and again once the clock has said the same for long enough.
fn turn_held(authority: &mut Authority, clock: &ManualClock, wanted: &Wanted, followers: Followers, doubted: bool) {
    authority.turn_for(wanted, followers, doubted).unwrap();
    clock.advance(CLOCK_HELD_MS);
    authority.turn_for(wanted, followers, doubted).unwrap();
}

#[test]
fn a_certificate_is_made_anew_in_time() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let mut authority = open(&folder, &[], &clock);
    assert!(authority.is_due());
    for (days, due) in [(0, false), (89, false), (91, true), (-2, true)] {
        clock.set(T0);
        authority.certificate().unwrap();
        clock.set(T0 + days * DAY_MS);
        assert_eq!(authority.is_due(), due, "after {days} days");
    }
    // A file that is none is told of, and not made anew: devices trust what it was.
    std::fs::write(folder.join("tls/authority.json"), "{").unwrap();
    let error = Authority::open(folder.join("tls"), Vec::new(), clock).err().unwrap().to_string();
    assert!(error.contains("authority.json"), "{error}");
}

#[test]
fn a_certificate_is_made_anew_when_the_machine_gets_another_address() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let mut authority = open(&folder, &[], &clock);
    let pem = authority.pem().to_owned();
    let at = |addresses: &[[u8; 4]]| Wanted {
        names: vec!["hub.local".to_owned()],
        addresses: addresses.iter().map(|address| std::net::IpAddr::from(*address)).collect(),
    };
    let (one, both) = (at(&[[192, 168, 7, 2]]), at(&[[192, 168, 7, 2], [10, 0, 0, 9]]));
    authority.certificate_for(one.clone()).unwrap();
    assert!(!authority.is_due_for(&one) && authority.is_due_for(&both));
    let pair = authority.certificate_for(both.clone()).unwrap();
    assert!(!authority.is_due_for(&both));
    // It is for both, and the same authority vouches for it.
    assert!(pair.cert[0].windows(4).any(|bytes| bytes == [10, 0, 0, 9]));
    assert_eq!(authority.pem(), pem);
}

#[test]
fn an_authority_for_a_new_name_waits_until_all_have_heard_of_it_and_going_back_needs_none() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let mut authority = open(&folder, &[], &clock);
    let first = authority.pem().to_owned();
    let (a, b) = (wanted(&["hub-a.example.com", "hub.local"]), wanted(&["hub-b.example.com", "hub.local"]));
    // Nobody follows: nobody has to wait.
    authority.turn_for(&a, Followers::default(), false).unwrap();
    let second = authority.pem().to_owned();
    assert!(second != first && authority.next.is_none());
    // Two follow: the one in use goes on, and vouches for what it can.
    authority.turn_for(&b, heard(&authority, 2, 0), false).unwrap();
    let next = authority.next_pem().unwrap().to_owned();
    assert_eq!((authority.pem(), authority.now.part_of(&b)), (second.as_str(), wanted(&["hub.local"])));
    authority.turn_for(&b, heard(&authority, 2, 1), false).unwrap();
    // Those who heard of another one have not heard of this one.
    authority.turn_for(&b, Followers { all: 2, heard: 2, of: Pin::of_pem(&first) }, false).unwrap();
    assert_eq!((authority.pem(), authority.next_pem()), (second.as_str(), Some(next.as_str())));
    authority.turn_for(&b, heard(&authority, 2, 2), false).unwrap();
    assert_eq!((authority.pem(), authority.next_pem()), (next.as_str(), None));
    // Back to the first name, and below it: the same one vouches for both.
    for back in [&a, &b, &wanted(&["store.hub-a.example.com"])] {
        authority.turn_for(back, Followers::default(), false).unwrap();
        assert_eq!(authority.pem(), next);
    }
    // And after a restart.
    let again = open(&folder, &[], &clock);
    assert_eq!((again.pem(), again.next_pem()), (next.as_str(), None));
    assert_eq!(std::fs::read_to_string(folder.join("tls/ca.pem")).unwrap(), next);
    assert!(again.now.covers(&a) && again.now.covers(&b));
}

#[test]
fn towards_its_end_the_next_one_is_prepared_and_takes_over_when_all_have_heard_or_in_the_last_month() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let mut authority = open(&folder, &[], &clock);
    let (local, first) = (wanted(&["hub.local"]), authority.pem().to_owned());
    let left = |days: i64| T0 + (AUTHORITY_DAYS - days) * DAY_MS;
    clock.set(left(AUTHORITY_PREPARED_DAYS + 1));
    turn_held(&mut authority, &clock, &local, Followers { all: 1, ..Followers::default() }, false);
    assert_eq!((authority.pem(), authority.next_pem()), (first.as_str(), None));
    clock.set(left(AUTHORITY_PREPARED_DAYS - 1));
    turn_held(&mut authority, &clock, &local, Followers { all: 1, ..Followers::default() }, false);
    let next = authority.next_pem().unwrap().to_owned();
    assert_eq!(authority.pem(), first);
    // All have heard, and it is not time yet; it is time, and one has not heard.
    authority.turn_for(&local, heard(&authority, 1, 1), false).unwrap();
    assert_eq!(authority.pem(), first);
    clock.set(left(AUTHORITY_RENEWED_DAYS - 1));
    authority.turn_for(&local, heard(&authority, 1, 0), false).unwrap();
    assert_eq!((authority.pem(), authority.next_pem()), (first.as_str(), Some(next.as_str())));
    clock.set(left(AUTHORITY_FORCED_DAYS - 1));
    authority.turn_for(&local, heard(&authority, 1, 0), false).unwrap();
    assert_eq!((authority.pem(), authority.next_pem()), (next.as_str(), None));
}

#[test]
fn a_clock_that_jumps_replaces_no_authority_and_one_that_stayed_wrong_gives_it_back() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let mut authority = open(&folder, &[], &clock);
    let (local, first, nobody) = (wanted(&["hub.local"]), authority.pem().to_owned(), Followers::default());
    let far_ms = T0 + 2 * AUTHORITY_DAYS * DAY_MS;
    // A jump, and one that headquarters contradicts for as long as it likes.
    clock.set(far_ms);
    authority.turn_for(&local, nobody, false).unwrap();
    assert_eq!(authority.pem(), first);
    turn_held(&mut authority, &clock, &local, nobody, true);
    assert_eq!(authority.pem(), first);
    // For hours, and nobody contradicts; then it is put right.
    turn_held(&mut authority, &clock, &local, nobody, false);
    assert_ne!(authority.pem(), first);
    clock.set(T0 + DAY_MS);
    authority.turn_for(&local, nobody, false).unwrap();
    assert_ne!(authority.pem(), first);
    clock.advance(CLOCK_HELD_MS);
    authority.turn_for(&local, nobody, false).unwrap();
    assert_eq!(authority.pem(), first);
}

#[test]
fn an_authority_made_while_the_clock_was_ahead_is_made_anew_and_one_made_in_1970_is_good_afterwards() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0 + 1000 * DAY_MS));
    let mut authority = open(&folder, &[], &clock);
    let (local, ahead) = (wanted(&["hub.local"]), authority.pem().to_owned());
    clock.set(T0);
    turn_held(&mut authority, &clock, &local, Followers::default(), false);
    assert_ne!(authority.pem(), ahead);
    assert!(authority.now.since_ms() <= T0);
    // Before anybody could have set it right, it says nothing.
    let (folder, clock) = (scratch("authority"), ManualClock::new(5 * DAY_MS));
    let mut authority = open(&folder, &[], &clock);
    let made = authority.pem().to_owned();
    turn_held(&mut authority, &clock, &local, Followers::default(), false);
    clock.set(T0);
    turn_held(&mut authority, &clock, &local, Followers::default(), false);
    assert_eq!(authority.pem(), made);
}

#[test]
fn what_commands_do_is_seen_by_who_serves() {
    let (folder, clock) = (scratch("authority"), ManualClock::new(T0));
    let tls = folder.join("tls");
    let prepare = |given: &[&str]| {
        let given = given.iter().map(ToString::to_string).collect();
        prepare(&tls, given, Arc::clone(&clock) as SharedClock)
    };
    assert!(prepare(&[]).is_err() && switch(&tls).is_err() && next(&tls).is_none());
    let mut authority = open(&folder, &[], &clock);
    authority.certificate().unwrap();
    let first = Pin::of_pem(authority.pem()).unwrap();
    assert!(switch(&tls).unwrap_err().to_string().contains("prepare"));
    let next_pin = prepare(&[]).unwrap();
    assert_eq!(prepare(&[]).unwrap(), next_pin);
    assert_eq!(next(&tls).unwrap().0, next_pin);
    // Nobody asked for it to take over.
    authority.turn(Followers::default(), false).unwrap();
    assert_eq!(Pin::of_pem(authority.pem()), Some(first));
    assert_eq!(authority.next_pem().and_then(Pin::of_pem), Some(next_pin));
    assert!(!authority.is_due());
    assert_eq!(switch(&tls).unwrap(), (first, next_pin));
    authority.turn(Followers::default(), false).unwrap();
    assert_eq!(Pin::of_pem(authority.pem()), Some(next_pin));
    assert!(authority.is_due() && authority.next_pem().is_none());
    assert_eq!(kept(&tls).unwrap().0, next_pin);
}

#[test]
fn an_authority_is_carried_to_another_machine_and_takes_no_others_place_unasked() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, other, clock) = (scratch("authority"), scratch("authority"), ManualClock::new(T0));
    let (from, to, file) = (folder.join("tls"), other.join("tls"), folder.join("carried"));
    assert!(export(&from, &file).is_err());
    let pin = Pin::of_pem(open(&folder, &[], &clock).pem()).unwrap();
    let next_pin = prepare(&from, Vec::new(), Arc::clone(&clock) as SharedClock).unwrap();
    assert_eq!(export(&from, &file).unwrap(), pin);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(export(&from, &file).is_err(), "it is there already");
    assert_eq!(import(&to, &file, false).unwrap(), pin);
    assert_eq!((kept(&to).unwrap().0, next(&to).unwrap().0), (pin, next_pin));
    // The same again changes nothing; another one's place is taken only where that is said.
    assert_eq!(import(&to, &file, false).unwrap(), pin);
    let third = scratch("authority");
    let own = Pin::of_pem(open(&third, &[], &clock).pem()).unwrap();
    let to = third.join("tls");
    assert!(import(&to, &file, false).unwrap_err().to_string().contains("--replace"));
    assert_eq!(kept(&to).unwrap().0, own);
    assert_eq!(import(&to, &file, true).unwrap(), pin);
    assert_eq!(told(&to, Place::Before).unwrap().0, own);
    for wrong in ["{", "{\"authority\":{}}"] {
        std::fs::write(&file, wrong).unwrap();
        assert!(import(&to, &file, true).unwrap_err().to_string().contains("tls export"), "{wrong}");
    }
    assert_eq!(kept(&to).unwrap().0, pin);
}
