use crate::site::{PASSWORD, Site};
use serde_json::json;

#[tokio::test]
async fn a_login_opens_a_session_that_logout_ends() {
    let hub = Site::hub().await;
    let answer = hub
        .ask("POST", "/api/v1/login")
        .json(&json!({"username": "KIM", "password": PASSWORD}))
        .send()
        .await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly")
            && cookie.contains("SameSite=Strict")
            && cookie.contains("Path=/")
            && !cookie.contains("Secure")
    );
    let opened = answer.expect(200);
    assert_eq!(opened["expires_at"], "2026-11-27T00:00:00Z");
    assert_eq!(opened["user"]["username"], "kim");
    assert_eq!(opened["user"]["role"], "employee");
    let token = opened["token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    let me = hub.get(token, "/api/v1/me").await.expect(200);
    assert_eq!(me["user"]["store_code"], "042");
    assert_eq!(me["user"], opened["user"]);
    hub.ask("POST", "/api/v1/logout").token(token).send().await.expect(204);
    let problem = hub.get(token, "/api/v1/me").await;
    assert_eq!(problem.header("www-authenticate"), "Bearer");
    problem.problem(401);
}

#[tokio::test]
async fn a_session_ends_after_seven_days() {
    let hub = Site::hub().await;
    let token = hub.login("kim").await;
    hub.clock.advance(7 * 86_400_000 - 1);
    hub.get(&token, "/api/v1/me").await.expect(200);
    hub.clock.advance(1);
    hub.get(&token, "/api/v1/me").await.problem(401);
}

#[tokio::test]
async fn a_session_of_a_clock_years_ahead_ends_when_the_clock_is_set_right_and_everybody_can_log_in_again() {
    let hub = Site::hub().await;
    let before = hub.login("kim").await;
    hub.clock.advance(5 * 365 * 86_400_000);
    hub.get(&before, "/api/v1/me").await.problem(401);
    let wrong = json!({"username": "kim", "password": "wrong"});
    for _ in 0..7 {
        let _ = hub.ask("POST", "/api/v1/login").json(&wrong).send().await;
    }
    hub.clock.advance(60_000);
    let stranded = hub.login("kim").await;
    let waiting = json!({"username": "lee", "password": "wrong"});
    for _ in 0..7 {
        let _ = hub.ask("POST", "/api/v1/login").json(&waiting).send().await;
    }
    hub.clock.advance(-5 * 365 * 86_400_000);
    hub.get(&stranded, "/api/v1/me").await.problem(401);
    // Nobody waits until 2031, neither who failed there nor who did not.
    let again = hub.login("kim").await;
    hub.get(&again, "/api/v1/me").await.expect(200);
    hub.login("lee").await;
    // A clock that is corrected by some minutes logs nobody out.
    hub.clock.advance(-20 * 60_000);
    hub.get(&again, "/api/v1/me").await.expect(200);
}

#[tokio::test]
async fn off_this_machine_the_cookie_travels_encrypted_only() {
    let hub = Site::hub().await;
    let body = json!({"username": "kim", "password": PASSWORD});
    let response = hub.ask("POST", "http://aincident.example/api/v1/login").json(&body).send().await;
    assert!(response.header("set-cookie").contains("; Secure"));
}

#[tokio::test]
async fn wrong_passwords_and_unknown_names_look_the_same_and_have_to_wait_after_five() {
    let hub = Site::hub().await;
    for username in ["kim", "nobody"] {
        let attempt = |password: &'static str| {
            hub.ask("POST", "/api/v1/login").json(&json!({"username": username, "password": password})).send()
        };
        let mut details = Vec::new();
        for _ in 0..5 {
            details.push(attempt("wrong horse").await.problem(401)["detail"].clone());
        }
        assert!(details.iter().all(|detail| detail == "the username or the password is wrong"));
        let wait = attempt(PASSWORD).await;
        assert_eq!(wait.header("retry-after"), "1");
        wait.problem(429);
        hub.clock.advance(1000);
        attempt("wrong horse").await.problem(401);
        assert_eq!(attempt("wrong horse").await.header("retry-after"), "2");
        hub.clock.advance(2000);
    }
    // The right password ends it, also in capital letters.
    hub.login("Kim").await;
    let wrong = hub
        .ask("POST", "/api/v1/login")
        .json(&json!({"username": "kim", "password": "wrong horse"}))
        .send()
        .await;
    wrong.problem(401);
}

#[tokio::test]
async fn a_cookie_counts_on_pages_of_this_site_only() {
    let hub = Site::hub().await;
    let cookie = format!("aincident_session={}", hub.login("kim").await);
    hub.ask("GET", "/api/v1/me").header("cookie", &cookie).send().await.expect(200);
    let post = || hub.ask("POST", "/api/v1/incidents").header("cookie", &cookie).json(&json!({"description": "x"}));
    post().send().await.problem(403);
    post().header("origin", "https://evil.example").send().await.problem(403);
    post().header("sec-fetch-site", "cross-site").send().await.problem(403);
    post().header("sec-fetch-site", "same-origin").send().await.expect(201);
    post().header("origin", "http://127.0.0.1:7710").send().await.expect(201);
    // A bearer token wins, even a wrong one.
    post().header("sec-fetch-site", "same-origin").token("nonsense").send().await.problem(401);
    let login = hub
        .ask("POST", "/api/v1/login")
        .header("sec-fetch-site", "cross-site")
        .json(&json!({"username": "kim", "password": PASSWORD}));
    login.send().await.problem(403);
}

#[tokio::test]
async fn a_node_that_is_not_enrolled_says_how_to() {
    let node = Site::open();
    for (method, path) in [
        ("GET", "/api/v1/incidents"),
        ("GET", "/api/v1/me"),
        ("POST", "/api/v1/logout"),
        ("GET", "/api/v1/events"),
    ] {
        let problem = node.ask(method, path).send().await.problem(503);
        assert_eq!(problem["type"], "urn:aincident:problem:not-enrolled");
        assert!(problem["detail"].as_str().unwrap().contains("aincident-node enroll"));
    }
    let login = node
        .ask("POST", "/api/v1/login")
        .json(&json!({"username": "kim", "password": PASSWORD}))
        .send()
        .await;
    assert_eq!(login.problem(503)["type"], "urn:aincident:problem:not-enrolled");
}

#[tokio::test]
async fn a_stores_people_log_in_at_their_node_and_headquarters_people_do_not() {
    let hub = Site::hub().await;
    let node = Site::node(&hub).await;
    let token = node.login("kim").await;
    node.get(&token, "/api/v1/me").await.expect(200);
    for stranger in ["ada", "hana", "max"] {
        let answer = node
            .ask("POST", "/api/v1/login")
            .json(&json!({"username": stranger, "password": PASSWORD}))
            .send()
            .await;
        answer.problem(401);
    }
}

#[tokio::test]
async fn a_login_that_is_no_login_is_refused_by_name() {
    let hub = Site::hub().await;
    let ask = |body| hub.ask("POST", "/api/v1/login").json(&body).send();
    assert_eq!(ask(json!({"username": "kim"})).await.fields(), ["password"]);
    assert_eq!(ask(json!({"username": "kim", "password": "x", "role": "admin"})).await.fields(), ["role"]);
    assert_eq!(ask(json!({"username": "", "password": "x"})).await.fields(), ["username"]);
    assert_eq!(ask(json!(["kim", PASSWORD])).await.fields(), [""]);
    hub.ask("POST", "/api/v1/login").text("text/plain", "hello").send().await.problem(415);
    hub.ask("POST", "/api/v1/login").text("application/json", "{").send().await.problem(400);
}
