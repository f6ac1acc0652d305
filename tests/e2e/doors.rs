//! What other sites can do with somebody's browser: nothing. Every route that the pages have is tried, as their tables name them.

use aincident_tests::http::client_that_stays;
use aincident_tests::hub::PASSWORD;
use aincident_tests::{Hub, Node, Scratch};
use reqwest::{Client, Method, RequestBuilder};

/// Where each program's routes stand.
const COMMON: &str = include_str!("../../pages/src/http.rs");
const CONSOLE: &str = include_str!("../../hub/src/http/pages.rs");
const STORE: &str = include_str!("../../node/src/http/pages.rs");

/// The routes of a table: their addresses with something in place of what is open in them, and whether forms are sent there.
fn routes(table: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for part in table.split(".route(").skip(1) {
        let address = part.split('"').nth(1).expect("an address");
        let handlers = part.split(".with_state").next().unwrap_or_default();
        let id = "019aa000-0000-7000-8000-00000000002a";
        let address = address
            .replace("{digest}", "0000000000000000")
            .replace("{name}", "app.js")
            .replace("{code}", "042")
            .replace("{field}", "title")
            .replace("{no}", "1")
            .replace("{id}", id)
            .replace("{incident}", id);
        assert!(!address.contains('{'), "what stands for {address}?");
        found.push((address, handlers.contains("post(")));
    }
    found
}

/// The session that a form of the login page opens, and what was said of its cookies.
async fn log_in(client: &Client, url: &str, username: &str, before: &str) -> (String, Vec<String>) {
    let form = format!("username={username}&password={}", PASSWORD.replace(' ', "+"));
    let request = client
        .post(format!("{url}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", before);
    let answer = request.body(form).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 303);
    let set: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    let session = set.iter().find(|cookie| cookie.starts_with("aincident_session_")).expect("a session");
    (session.split(';').next().unwrap().to_owned(), set)
}

async fn status(request: RequestBuilder) -> u16 {
    request.header("accept", "text/html").send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_another_site_is_taken_no_page_stands_in_a_frame_and_no_session_is_planted() {
    let scratch = Scratch::new("doors");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    for (site, own, username) in [(&*hub, CONSOLE, "ada"), (&*node, STORE, "manager-042")] {
        let (client, url) = (client_that_stays(), site.url());
        let (session, cookies) = log_in(&client, url, username, "").await;
        for cookie in &cookies {
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
        }
        let all: Vec<_> = routes(COMMON).into_iter().chain(routes(own)).collect();
        assert!(all.iter().filter(|(_, post)| *post).count() > 20, "{all:?}");
        for (path, is_form) in &all {
            let answer = client.get(format!("{url}{path}")).header("cookie", &session).header("accept", "text/html");
            let answer = answer.send().await.unwrap();
            let policy =
                answer.headers().get("content-security-policy").map(|value| value.to_str().unwrap().to_owned());
            let shown = answer.status() != 303 && answer.status() != 405;
            assert!(
                !shown || policy.as_ref().is_some_and(|all| all.contains("frame-ancestors 'none'")),
                "{path}: {policy:?}"
            );
            if !is_form {
                continue;
            }
            for (name, value) in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
                ("origin", "https://evil.example"),
            ] {
                let form = client
                    .request(Method::POST, format!("{url}{path}"))
                    .header("cookie", &session)
                    .header(name, value)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body("username=ada&password=x&name=x&description=x&lang=es&sure=true&reason=x&do=discard");
                let got = status(form).await;
                // The first account was made long ago: the page is gone, for everybody.
                assert!(got == 403 || (path == "/setup" && got == 404), "{path} with {name}: {value}: {got}");
            }
        }
        // A session that somebody planted in a browser is none, is not taken over, and the one before ends with the next login.
        let planted = "aincident_session=planted-by-somebody-else-0000000000000000000";
        let see = |cookie: &str| status(client.get(format!("{url}/incidents")).header("cookie", cookie));
        assert_eq!(see(planted).await, 303);
        let (fresh, _) = log_in(&client, url, username, planted).await;
        assert_ne!(fresh, planted);
        assert_eq!((see(planted).await, see(&fresh).await), (303, 200));
        let (second, _) = log_in(&client, url, username, &fresh).await;
        assert_eq!((see(&fresh).await, see(&second).await), (303, 200));
    }
}
