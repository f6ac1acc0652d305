use crate::browser::{Browser, hub, with_pages};
use crate::site::{PASSWORD, Site};

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_login_page_and_back() {
    let hub = hub().await;
    let mut browser = Browser::new(&hub);
    let to = browser.get("/incidents?status=closed&q=a%20b").await.leads();
    assert_eq!(to, "/login?next=%2Fincidents%3Fstatus%3Dclosed%26q%3Da%2520b");
    let page = browser.get(&to).await.is(200);
    assert!(page.says("name=\"password\""));
    let next = page.field("next").replace("&#38;", "&").replace("&amp;", "&");
    assert_eq!(next, "/incidents?status=closed&q=a%20b");
    let to = browser
        .post("/login", &[("username", "KIM"), ("password", PASSWORD), ("next", &next)])
        .await
        .leads();
    assert_eq!(to, "/incidents?status=closed&q=a%20b");
    assert!(browser.get("/incidents").await.is(200).says("KIM of 042"));
    assert_eq!(browser.post("/logout", &[]).await.leads(), "/login");
    assert!(browser.get("/incidents").await.leads().starts_with("/login"));
}

#[tokio::test]
async fn nobody_is_led_to_another_site_after_logging_in() {
    let hub = hub().await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let mut browser = Browser::new(&hub);
        let to = browser.post("/login", &[("username", "kim"), ("password", PASSWORD), ("next", next)]).await.leads();
        assert_eq!(to, "/incidents", "{next}");
    }
}

#[tokio::test]
async fn a_session_begins_anew_at_each_login() {
    let hub = hub().await;
    let mut browser = Browser::of(&hub, "kim").await;
    let before = browser.cookies();
    browser.post("/login", &[("username", "kim"), ("password", PASSWORD)]).await.leads();
    assert_ne!(before, browser.cookies());
    // One that somebody planted is no session.
    let ask = hub
        .ask("GET", "/incidents")
        .header("cookie", "aincident_session=planted")
        .header("accept", "text/html");
    assert_eq!(ask.send().await.status.as_u16(), 303);
}

#[tokio::test]
async fn wrong_passwords_are_told_on_the_page_and_have_to_wait_after_five() {
    let hub = hub().await;
    let mut browser = Browser::new(&hub);
    for _ in 0..5 {
        let page = browser.post("/login", &[("username", "kim"), ("password", "wrong horse")]).await.is(401);
        assert!(page.says("role=\"alert\"") && page.says("The username or the password is wrong."));
        assert!(!page.says("wrong horse"));
        assert_eq!(page.field("username"), "kim");
    }
    assert!(
        browser
            .post("/login", &[("username", "kim"), ("password", PASSWORD)])
            .await
            .is(429)
            .says("Too many tries")
    );
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let hub = hub().await;
    let browser = Browser::of(&hub, "mia").await;
    let cookies = browser.cookies();
    for (path, body) in [
        ("/login", "username=kim&password=correct+horse"),
        ("/logout", ""),
        ("/language", "lang=es"),
        ("/incidents/new", "description=x"),
    ] {
        for (name, value) in
            [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "said")]
        {
            let ask =
                hub.ask("POST", path).header("cookie", &cookies).header(name, value).header("accept", "text/html");
            let answer = ask.text("application/x-www-form-urlencoded", body).send().await;
            assert_eq!(answer.status.as_u16(), 403, "{path} {name}");
        }
    }
    let mut browser = browser;
    browser.get("/incidents").await.is(200);
}

#[tokio::test]
async fn a_link_from_another_site_asks_again_with_the_cookie_that_the_browser_withheld() {
    let hub = hub().await;
    let ask = hub
        .ask("GET", "/incidents")
        .header("accept", "text/html")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate");
    let answer = ask.send().await;
    assert_eq!((answer.status.as_u16(), answer.header("refresh")), (200, "0"));
}

#[tokio::test]
async fn pages_speak_the_language_that_was_chosen_or_that_the_browser_asks_for() {
    let hub = hub().await;
    let mut browser = Browser::of(&hub, "kim").await;
    assert!(browser.get("/incidents").await.is(200).says("<html lang=\"en\">"));
    let to = browser.post("/language", &[("lang", "es"), ("next", "/incidents?q=x")]).await.leads();
    assert_eq!(to, "/incidents?q=x");
    let page = browser.get("/incidents").await.is(200);
    assert!(page.says("<html lang=\"es\">") && page.says("Nuevo incidente"));
    let ask = hub.ask("GET", "/login").header("accept-language", "es-MX,en;q=0.5").header("accept", "text/html");
    assert!(String::from_utf8(ask.send().await.bytes).unwrap().contains("Iniciar sesión"));
    assert!(Browser::new(&hub).speaks("en").get("/login").await.is(200).says("Log in"));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_a_problem_for_programs() {
    let hub = hub().await;
    let mut browser = Browser::of(&hub, "kim").await;
    let page = browser.get("/nothing/here").await.is(404);
    // Whoever is logged in stays so, and finds the menu.
    assert!(page.says("There is nothing here") && page.says("KIM of 042") && page.says("class=\"menu\""));
    assert!(!Browser::new(&hub).get("/nothing/here").await.is(404).says("class=\"menu\""));
    assert!(browser.get("/incidents/nonsense").await.answer.status.is_client_error());
    hub.ask("GET", "/nothing").send().await.problem(404);
    hub.ask("GET", "/api/v1/nothing").header("accept", "text/html").send().await.problem(404);
}

#[tokio::test]
async fn a_site_that_belongs_to_no_store_says_how_to_enrol() {
    let node = with_pages(Site::open());
    for path in ["/incidents", "/login"] {
        let page = Browser::new(&node).get(path).await.is(503);
        assert!(page.says("aincident-node enroll") && page.says("http-equiv=\"refresh\""), "{path}");
    }
}

#[tokio::test]
async fn style_and_scripts_are_kept_for_ever_under_a_name_that_follows_from_them() {
    let hub = hub().await;
    let page = Browser::new(&hub).get("/login").await.is(200);
    let at = page.text.find("/static/").unwrap();
    let css = page.text[at..].split('"').next().unwrap();
    let answer = hub.ask("GET", css).send().await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    let old = hub.ask("GET", "/static/0000000000000000/app.js").send().await;
    assert_eq!((old.status.as_u16(), old.header("cache-control")), (200, "no-store"));
    assert_eq!(hub.ask("GET", "/static/0000000000000000/other.js").send().await.status.as_u16(), 404);
}

#[tokio::test]
async fn every_cookie_is_kept_from_scripts_and_other_sites_and_travels_encrypted_off_this_machine() {
    let hub = hub().await;
    for (host, encrypted) in [("", false), ("https://incidents.example", true)] {
        for (path, body) in [
            ("/login", format!("username=kim&password={}", PASSWORD.replace(' ', "+"))),
            ("/language", "lang=es".to_owned()),
        ] {
            let ask = hub.ask("POST", &format!("{host}{path}")).header("sec-fetch-site", "same-origin");
            let answer = ask.text("application/x-www-form-urlencoded", body).send().await;
            let set: Vec<_> = answer
                .headers
                .get_all("set-cookie")
                .iter()
                .map(|value| value.to_str().unwrap().to_owned())
                .collect();
            assert!(!set.is_empty(), "{path}: {}", answer.status);
            for cookie in set {
                assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite="), "{cookie}");
                assert_eq!(cookie.contains("; Secure"), encrypted, "{cookie}");
                // What language somebody reads is nobody's secret; a session is.
                assert!(cookie.contains("SameSite=Strict") || cookie.starts_with("aincident_lang="), "{cookie}");
            }
        }
    }
}
