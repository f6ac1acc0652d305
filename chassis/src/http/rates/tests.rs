use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::*;
use crate::http::{StackConfig, stack};
use crate::ids::Ids;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_bucket_gives_its_burst_then_its_rate_and_is_full_again_after_a_rest() {
    let (mut bucket, rate) = (Bucket::default(), Rate { per_s: 10, burst: 5 });
    let mut take = |now| bucket.take("address", rate, now).0;
    let lefts: Vec<_> = (0..5).map(|_| take(7).unwrap().unwrap().left).collect();
    assert_eq!(lefts, [4, 3, 2, 1, 0]);
    let refused = take(7).unwrap_err();
    assert_eq!((refused.left, refused.wait_ns), (0, SECOND_NS / 10));
    // What is refused costs nothing.
    assert!(take(7 + SECOND_NS / 10).is_ok());
    assert!(take(7 + SECOND_NS / 10).is_err());
    let rested = take(7 + 60 * SECOND_NS).unwrap().unwrap();
    assert_eq!((rested.left, rested.wait_ns), (4, SECOND_NS / 10));
}

#[test]
fn without_a_rate_nothing_is_counted_and_a_smaller_burst_makes_nobody_wait_for_the_larger_one() {
    let mut bucket = Bucket::default();
    assert!((0..1000).all(|_| bucket.take("node", Rate { per_s: 0, burst: 1 }, 0).0 == Ok(None)));
    for _ in 0..1000 {
        bucket.take("node", Rate { per_s: 1, burst: 1000 }, 0).0.unwrap();
    }
    let (refused, _) = bucket.take("node", Rate { per_s: 1, burst: 2 }, 0);
    assert_eq!(refused.unwrap_err().wait_ns, SECOND_NS);
}

#[test]
fn it_is_told_once_a_minute_that_a_key_asks_too_often() {
    let (mut bucket, rate) = (Bucket::default(), Rate { per_s: 1, burst: 1 });
    bucket.take("account", rate, 0).0.unwrap();
    let told: Vec<_> = (0..130).map(|n| bucket.take("account", rate, n).1).collect();
    assert_eq!(told.iter().filter(|told| **told).count(), 1);
    for second in 1..130 {
        let _ = bucket.take("account", rate, second * SECOND_NS);
        let (refused, told) = bucket.take("account", rate, second * SECOND_NS);
        assert!(refused.is_err());
        assert_eq!(told, second == 61 || second == 121, "{second}");
    }
}

#[test]
fn more_keys_than_there_is_room_for_free_nobody_who_is_held_back_and_hold_nobody_back() {
    let (kept, rate) = (Keyed::<Uuid, Bucket>::new(64), Rate { per_s: 1, burst: 10 });
    let held = Uuid::from_u128(1);
    for _ in 0..10 {
        kept.with(held, 0, |bucket| bucket.take("node", rate, 0)).0.unwrap();
    }
    for n in 2..10_000 {
        let (taken, _) = kept.with(Uuid::from_u128(n), 0, |bucket| bucket.take("node", rate, 0));
        assert!(taken.is_ok(), "{n}");
    }
    assert!(kept.len() <= 64, "{}", kept.len());
    assert!(kept.with(held, 0, |bucket| bucket.take("node", rate, 0)).0.is_err());
}

#[test]
fn what_says_nothing_any_more_makes_room() {
    let (kept, rate) = (Keyed::<Uuid, Bucket>::new(4 * 32), Rate { per_s: 1, burst: 10 });
    let take =
        |key: u128, now| kept.with(Uuid::from_u128(key), now, |bucket| bucket.take("node", rate, now)).0.unwrap();
    for key in 0..2_000 {
        take(key, 0);
    }
    assert_eq!(kept.len(), 4 * 32);
    // All four of the part that this one comes into, and not only one of them.
    take(2_000, 100 * SECOND_NS);
    assert_eq!(kept.len(), 4 * 32 - 3);
}

#[test]
fn an_address_is_an_ipv4_address_or_a_network_of_ipv6() {
    assert_eq!(block(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
    assert_eq!(block(ip("2001:db8:1:2::")), block(ip("2001:db8:1:2:ffff::1")));
    assert_ne!(block(ip("2001:db8:1:2::1")), block(ip("2001:db8:1:3::1")));
    assert_eq!(block(ip("::ffff:192.0.2.7")), ip("192.0.2.7"));
    assert_eq!(block(ip("::1")), ip("::1"));
}

#[test]
fn only_a_proxy_that_is_named_is_believed_and_no_more_than_it_knows() {
    let forwarded = |lines: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        headers
    };
    let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
    let from = |peer: &str, lines: &[&'static str]| client(ip(peer), &forwarded(lines), &proxies);
    assert_eq!(from("192.0.2.9", &["203.0.113.5"]), ip("192.0.2.9"));
    assert_eq!(from("10.0.0.1", &["203.0.113.5"]), ip("203.0.113.5"));
    // What the client itself has written stands before that.
    assert_eq!(from("10.0.0.1", &["127.0.0.1, 203.0.113.5, 10.0.0.2"]), ip("203.0.113.5"));
    assert_eq!(from("10.0.0.1", &["198.51.100.1", "203.0.113.5"]), ip("203.0.113.5"));
    for worthless in [&[][..], &["unknown"], &["203.0.113.5, nonsense"], &["10.0.0.2"]] {
        assert_eq!(from("10.0.0.1", worthless), ip("10.0.0.1"), "{worthless:?}");
    }
}

#[test]
fn wrong_guesses_are_free_then_wait_longer_each_time_a_minute_at_most_and_are_forgotten() {
    const FREE: u32 = 30;
    let mut guesses = Guesses::default();
    for _ in 0..FREE {
        assert_eq!(guesses.wait(FREE, 0).0, 0);
        guesses.count(FREE, 0);
    }
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..7 {
        let (wait, _) = guesses.wait(FREE, now);
        waits.push(wait / SECOND_NS);
        now += wait;
        assert_eq!(guesses.wait(FREE, now).0, 0, "after the wait one is looked at");
        guesses.count(FREE, now);
    }
    assert_eq!(waits[..4], [1, 2, 4, 8]);
    assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT_S), "{waits:?}");
    // However many there were: five minutes later one begins anew.
    for _ in 0..1000 {
        guesses.count(FREE, now);
    }
    assert_eq!(guesses.wait(FREE, now).0, LONGEST_WAIT_S * SECOND_NS);
    now += 6 * 60 * SECOND_NS;
    guesses.count(FREE, now);
    assert_eq!((guesses.count, guesses.wait(FREE, now).0), (1, 0));
    // A typing error every minute never adds up.
    for _ in 0..1000 {
        now += 60 * SECOND_NS;
        assert_eq!(guesses.wait(FREE, now).0, 0);
        guesses.count(FREE, now);
    }
}

#[test]
fn settings_lie_over_one_another_and_are_checked() {
    let file: LimitsLayer =
        crate::config::parse("address_per_s = 7\nloopback = true\nproxies = ['::ffff:10.0.0.1']\n").unwrap();
    let above = LimitsLayer { address_per_s: Some(8), login_failures: Some(0), ..LimitsLayer::default() };
    let limits = above.over(Some(file)).unwrap();
    assert_eq!(limits.address, Rate { per_s: 8, burst: Limits::default().address.burst });
    assert!(limits.loopback && limits.login_failures == 0 && limits.proxies == [ip("10.0.0.1")]);
    assert_eq!(LimitsLayer::default().over(None).unwrap(), Limits::default());
    let wrong = LimitsLayer { account_burst: Some(0), ..LimitsLayer::default() };
    assert!(wrong.over(None).unwrap_err().contains("limits.account_burst is 0; give 1 to"));
    assert!(crate::config::parse::<LimitsLayer>("proxies = ['proxy.example.com']\n").is_err());
}

/// A small rate for addresses, and a router under it.
fn limited(loopback: bool) -> (Rates, Router) {
    let limits = Limits { address: Rate { per_s: 1, burst: 3 }, loopback, ..Limits::default() };
    let router = Router::new().route("/", get(|| async { "x" })).route("/healthz", get(|| async { "alive" }));
    (Rates::new(limits), stack(router, StackConfig::new(Ids::seeded(1))))
}

async fn ask(router: &Router, rates: &Rates, from: &str, path: &str) -> axum::response::Response {
    let request = Request::get(path).extension(Asker::at(rates, ip(from))).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_so_and_when_to_come_back_and_others_are_not_held_back() {
    let (rates, router) = limited(false);
    for left in ["2", "1", "0"] {
        let answer = ask(&router, &rates, "192.0.2.1", "/").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["ratelimit-policy"], r#""address";q=3;w=3"#);
        let standing = answer.headers()["ratelimit"].to_str().unwrap();
        assert!(standing.starts_with(&format!(r#""address";r={left};t="#)), "{standing}");
    }
    let answer = ask(&router, &rates, "192.0.2.1", "/").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()[RETRY_AFTER], "1");
    assert_eq!(answer.headers()["ratelimit"], r#""address";r=0;t=1"#);
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    // Not for health either: that is free on this machine alone.
    assert_eq!(ask(&router, &rates, "192.0.2.1", "/healthz").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask(&router, &rates, "192.0.2.2", "/").await.status(), StatusCode::OK);
    rates.set(Limits { address: Rate { per_s: 0, burst: 1 }, ..Limits::default() });
    let answer = ask(&router, &rates, "192.0.2.1", "/").await;
    assert!(answer.status() == StatusCode::OK && !answer.headers().contains_key("ratelimit"));
}

#[tokio::test]
async fn this_machine_is_limited_where_that_is_said_and_its_watchdog_never_is() {
    let (rates, router) = limited(false);
    for _ in 0..10 {
        let answer = ask(&router, &rates, "127.0.0.1", "/").await;
        assert!(answer.status() == StatusCode::OK && !answer.headers().contains_key("ratelimit"));
    }
    let (rates, router) = limited(true);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(&router, &rates, "::ffff:127.0.0.1", "/").await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(ask(&router, &rates, "127.0.0.1", "/healthz").await.status(), StatusCode::OK);
}

#[test]
fn an_account_is_counted_where_its_address_is() {
    let limits = Limits { account: Rate { per_s: 1, burst: 1 }, ..Limits::default() };
    let (rates, id) = (Rates::new(limits), Uuid::from_u128(7));
    for (from, second) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let mut request = Request::get("/").extension(Asker::at(&rates, ip(from))).body(Body::empty()).unwrap();
        let metered = meter(&mut request).unwrap();
        let asker = request.extensions().get::<Asker>().unwrap();
        assert!(asker.account(id).is_ok());
        let again = asker.account(id);
        assert_eq!(again.is_ok(), second, "{from}");
        let told = metered.told(axum::response::Response::new(Body::empty()));
        let policy = told.headers().get("ratelimit-policy").map(|policy| policy.to_str().unwrap().to_owned());
        assert_eq!(policy.is_some_and(|policy| policy.contains(r#", "account";q=1;w=1"#)), !second, "{from}");
    }
}
