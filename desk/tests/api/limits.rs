use crate::photos::until;
use crate::site::{PASSWORD, Site};
use chassis::http::{Limits, Rate, Rates};
use serde_json::json;

#[tokio::test]
async fn an_account_that_asks_too_often_waits_wherever_it_asks_from_and_others_do_not() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let rates = Rates::new(Limits { account: Rate { per_s: 1, burst: 3 }, ..Limits::default() });
    let ask = async |token: &str, from: &str| hub.ask("GET", "/api/v1/me").from(&rates, from).token(token).send().await;
    for left in [2, 1, 0] {
        let answer = ask(&kim, "192.0.2.1").await;
        assert_eq!(answer.header("ratelimit-policy"), r#""address";q=5000;w=5, "account";q=3;w=3"#);
        assert!(answer.header("ratelimit").contains(&format!(r#""account";r={left};t="#)));
        answer.expect(200);
    }
    let refused = ask(&kim, "2001:db8::1").await;
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.header("ratelimit").ends_with(r#""account";r=0;t=1"#));
    assert_eq!(refused.problem(429)["type"], "urn:aincident:problem:too-many-requests");
    ask(&mia, "192.0.2.1").await.expect(200);
    // This machine's own programs are not counted.
    for _ in 0..5 {
        let answer = ask(&kim, "127.0.0.1").await;
        assert!(!answer.headers.contains_key("ratelimit"));
        answer.expect(200);
    }
}

#[tokio::test]
async fn whoever_tries_many_names_from_one_address_has_to_wait_and_a_minute_at_most() {
    let hub = Site::hub().await;
    let rates = Rates::new(Limits { login_failures: 4, ..Limits::default() });
    let log_in = async |from: &str, username: &str, password: &str| {
        let body = json!({"username": username, "password": password});
        hub.ask("POST", "/api/v1/login").from(&rates, from).json(&body).send().await
    };
    // Right ones cost nothing, however many.
    for _ in 0..6 {
        log_in("192.0.2.1", "kim", PASSWORD).await.expect(200);
    }
    for username in ["kim", "lee", "nobody", "max"] {
        log_in("192.0.2.1", username, "wrong horse").await.problem(401);
    }
    let slow = log_in("192.0.2.1", "mia", PASSWORD).await;
    let wait_s: u64 = slow.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait_s), "{wait_s}");
    slow.problem(429);
    log_in("192.0.2.2", "mia", PASSWORD).await.expect(200);
    // Nobody is locked out for good.
    until(async || log_in("192.0.2.1", "mia", PASSWORD).await.status == 200).await;
    // One more wrong one, and the wait is longer than the first.
    log_in("192.0.2.1", "max", "wrong horse").await.problem(401);
    assert!(log_in("192.0.2.1", "mia", PASSWORD).await.header("retry-after").parse::<u64>().unwrap() > wait_s);
}

#[tokio::test]
async fn guesses_from_this_machine_are_counted_where_that_is_told() {
    let hub = Site::hub().await;
    for (loopback, third) in [(true, 429), (false, 401)] {
        let rates = Rates::new(Limits { login_failures: 2, loopback, ..Limits::default() });
        for (n, status) in [401, 401, third].into_iter().enumerate() {
            // Each name slows down by itself.
            let wrong = json!({"username": format!("nobody-{n}"), "password": "wrong horse"});
            hub.ask("POST", "/api/v1/login").from(&rates, "127.0.0.1").json(&wrong).send().await.problem(status);
        }
    }
}

#[tokio::test]
async fn every_call_is_described_with_what_it_answers_to_who_asks_too_often() {
    let site = Site::open();
    let api = site.ask("GET", "/openapi.json").send().await.expect(200);
    for (path, method) in [("/api/v1/incidents", "get"), ("/api/v1/incidents/{id}", "patch"), ("/api/v1/login", "post")]
    {
        let answer = &api["paths"][path][method]["responses"]["429"];
        assert!(answer["headers"]["Retry-After"].is_object(), "{method} {path}: {answer}");
    }
}
