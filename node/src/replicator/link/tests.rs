use super::*;

const MOST: u64 = u64::MAX;

fn ms(duration: Duration) -> Tick {
    u64::try_from(duration.as_millis()).unwrap()
}

#[test]
fn a_fresh_link_says_hello_at_once_and_keeps_lanes_waiting() {
    let link = Link::new(PACE, 70);
    assert_eq!(link.hello_at(), 70);
    assert!(!link.is_open_for_lanes());
}

#[test]
fn weeks_offline_never_pause_longer_than_the_longest() {
    let mut link = Link::new(PACE, 0);
    let mut now = 0;
    for _ in 0..100_000 {
        link.hello_failed(now, None, MOST);
        assert!(link.hello_at() - now <= 30_000);
        assert_eq!(link.phase(), Phase::Offline);
        now = link.hello_at();
    }
    link.hello_succeeded(now, false);
    assert!(link.is_open_for_lanes());
    assert_eq!(link.hello_at() - now, ms(HELLO_EVERY));
    link.lane_failed(now + 1);
    link.hello_failed(now + 1, None, MOST);
    assert_eq!(link.hello_at() - (now + 1), 1999, "a success starts the pauses anew");
}

#[test]
fn retry_after_is_obeyed_by_link_and_lane_up_to_a_limit() {
    let mut link = Link::new(PACE, 0);
    link.hello_failed(1000, Some(Duration::from_secs(60)), 0);
    assert_eq!(link.hello_at(), 61_000);
    link.nudge(2000);
    assert_eq!(link.hello_at(), 61_000, "not even something new breaks it");
    link.hello_failed(61_000, Some(Duration::from_secs(86_400)), 0);
    assert_eq!(link.hello_at(), 61_000 + ms(LONGEST_RETRY_AFTER));

    let mut lane = Lane::new(PACE);
    lane.failed(1000, Some(Duration::from_secs(7)), 0);
    assert_eq!(lane.due(), 8000);
    lane.succeeded();
    assert_eq!(lane.due(), 0);
}

#[test]
fn a_hub_that_is_asked_too_often_is_no_hub_that_is_away() {
    let mut link = Link::new(PACE, 0);
    link.hello_succeeded(0, false);
    link.lane_failed(1000);
    link.hello_held(1000, Duration::from_secs(3));
    assert_eq!((link.phase(), link.hello_at()), (Phase::Checking, 4000));
    link.hello_held(4000, Duration::from_secs(86_400));
    assert_eq!(link.hello_at(), 4000 + ms(LONGEST_RETRY_AFTER));
}

#[test]
fn something_recorded_brings_the_next_try_forward_once_in_five_seconds() {
    let mut link = Link::new(PACE, 0);
    for _ in 0..10 {
        link.hello_failed(100_000, None, MOST);
    }
    link.nudge(101_000);
    assert_eq!(link.hello_at(), 101_000);
    for _ in 0..10 {
        link.hello_failed(101_500, None, MOST);
    }
    let due = link.hello_at();
    link.nudge(105_999);
    assert_eq!(link.hello_at(), due, "too soon");
    link.nudge(106_000);
    assert_eq!(link.hello_at(), 106_000);
}

#[test]
fn a_lane_that_fails_closes_the_gate_until_hello_has_told() {
    let mut link = Link::new(PACE, 0);
    link.hello_succeeded(10, false);
    link.lane_failed(20);
    assert_eq!((link.phase(), link.hello_at()), (Phase::Checking, 20));
    assert!(!link.is_open_for_lanes());
    link.lane_failed(30);
    assert_eq!(link.hello_at(), 20, "the second lane changes nothing");
    link.hello_succeeded(40, false);
    assert!(link.is_open_for_lanes());
}

#[test]
fn a_hub_that_is_older_is_asked_again_soon_whether_it_still_is() {
    let mut link = Link::new(PACE, 0);
    link.hello_succeeded(10, false);
    assert_eq!(link.hello_at(), 10 + ms(HELLO_EVERY));
    link.hello_succeeded(20, true);
    assert_eq!(link.hello_at(), 20 + ms(HELLO_OLDER_EVERY));
}

#[test]
fn a_stopped_link_syncs_nothing_asks_rarely_and_can_heal() {
    let mut link = Link::new(PACE, 0);
    link.hello_succeeded(10, false);
    link.stop(20, Stop::Revoked);
    link.lane_failed(21);
    link.nudge(22);
    link.ask_again(23);
    assert_eq!(link.phase(), Phase::Stopped(Stop::Revoked));
    assert_eq!(link.hello_at(), 20 + ms(RECHECK));
    assert!(!link.is_open_for_lanes());
    link.hello_succeeded(link.hello_at(), false);
    assert!(link.is_open_for_lanes());
}

#[test]
fn only_a_backlog_that_stands_still_while_online_is_a_stall() {
    let mut dog = Watchdog::new(STALL);
    assert!(!dog.look(0, false, 5, 0));
    assert!(!dog.look(500_000, false, 5, 0), "offline for long is no stall");
    assert!(!dog.look(600_000, true, 5, 0));
    assert!(!dog.look(700_000, true, 4, 1), "an answer came");
    assert!(!dog.look(819_999, true, 9, 1));
    assert!(dog.look(820_000, true, 9, 1));
    assert!(!dog.look(820_001, true, 9, 1), "told once");
    assert!(!dog.look(900_000, true, 0, 1));
    assert!(!dog.look(1_100_000, true, 1, 1), "an empty backlog counts anew");
}
