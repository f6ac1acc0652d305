use crate::browser::{Browser, hub};
use crate::site::{PASSWORD, Site};
use desk::accounts::pins::Pins;

const DAY_MS: i64 = 86_400_000;
const PIN: &str = "2580";

/// A site that takes PINs.
async fn shared() -> Site {
    let site = hub().await;
    site.desk.set_pins(Pins { lasts_ms: 30 * DAY_MS });
    site
}

/// Logs in and sets a PIN.
async fn with_pin(browser: &mut Browser<'_>, username: &str) {
    browser.post("/login", &[("username", username), ("password", PASSWORD)]).await.leads();
    let fields = [("pin", PIN), ("again", PIN), ("password", PASSWORD)];
    assert_eq!(browser.post("/pin", &fields).await.leads(), "/pin?said=set");
}

async fn try_pin(browser: &mut Browser<'_>, username: &str, pin: &str) -> crate::browser::Seen {
    browser.post("/switch", &[("username", username), ("pin", pin), ("next", "/incidents")]).await
}

/// The session that a browser has.
fn session(browser: &Browser<'_>) -> String {
    let cookies = browser.cookies();
    let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| name.starts_with("aincident_session"));
    found.map(|(_, token)| token.to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn two_people_share_a_device_and_each_comes_back_with_a_pin() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    with_pin(&mut till, "lee").await;
    let people = till.get("/switch?next=%2Fincidents").await.is(200);
    assert!(people.says("KIM of 042") && people.says("LEE of 042"), "{}", people.text);
    let pad = till.get("/switch?who=kim&next=%2Fincidents").await.is(200);
    assert!(pad.says("inputmode=\"numeric\"") && pad.field("username") == "kim" && pad.field("next") == "/incidents");
    let lees = session(&till);
    assert_eq!(try_pin(&mut till, "kim", PIN).await.leads(), "/incidents");
    assert!(till.get("/incidents").await.is(200).says("KIM of 042"));
    // A new session, and the one that was open is none any more.
    assert!(session(&till).len() == 43 && session(&till) != lees);
    site.get(&lees, "/api/v1/me").await.problem(401);
}

#[tokio::test]
async fn a_pin_is_worth_nothing_where_its_owner_has_not_shown_the_password_lately() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    for mut elsewhere in [Browser::new(&site), Browser::of(&site, "lee").await] {
        let before = session(&elsewhere);
        assert!(try_pin(&mut elsewhere, "kim", PIN).await.leads().starts_with("/login?pin=over&username=kim"));
        assert_eq!(session(&elsewhere), before);
        assert!(!elsewhere.get("/switch").await.is(200).says("KIM of 042"));
    }
    // A device that goes by a name which somebody made up is none.
    let mut planted = Browser::new(&site);
    planted.plant("aincident_device=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    planted.post("/login", &[("username", "lee"), ("password", PASSWORD)]).await.leads();
    assert!(!planted.cookies().contains("AAAAAAAA"));
    site.clock.advance(30 * DAY_MS);
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
    let login = till.get("/login?pin=over&username=kim").await.is(200);
    assert!(login.says("On this device it takes your password now.") && login.field("username") == "kim");
    till.post("/login", &[("username", "kim"), ("password", PASSWORD)]).await.leads();
    assert_eq!(try_pin(&mut till, "kim", PIN).await.leads(), "/incidents");
}

#[tokio::test]
async fn after_five_wrong_pins_the_device_forgets_whose_they_were_to_be_and_no_other() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    with_pin(&mut till, "lee").await;
    for left in [4, 3, 2] {
        let page = try_pin(&mut till, "kim", "9999").await.is(401);
        assert!(page.says(&format!("After {left} more wrong ones")) && !page.says("9999"), "{}", page.text);
    }
    // Even the right one waits now, and that costs nothing.
    let waiting = try_pin(&mut till, "kim", PIN).await.is(429);
    assert!(waiting.says("Too many tries. Wait 5 seconds"), "{}", waiting.text);
    site.clock.advance(5_000);
    assert!(try_pin(&mut till, "kim", "9999").await.is(401).says("After 1 more wrong one "));
    site.clock.advance(30_000);
    assert!(try_pin(&mut till, "kim", "9999").await.leads().starts_with("/login?pin=over"));
    site.clock.advance(DAY_MS);
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
    assert_eq!(try_pin(&mut till, "lee", PIN).await.leads(), "/incidents");
}

#[tokio::test]
async fn a_right_pin_forgives_no_wrong_ones_and_time_forgives_them_one_by_one() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "lee").await;
    // However often its owner comes back, a colleague who guesses in between gets no more tries.
    for left in [4, 3, 2] {
        let page = try_pin(&mut till, "lee", "9999").await.is(401);
        assert!(page.says(&format!("After {left} more wrong ones")), "{}", page.text);
        site.clock.advance(60_000);
        for _ in 0..2 {
            assert_eq!(try_pin(&mut till, "lee", PIN).await.leads(), "/incidents");
        }
    }
    // A shift later one is forgotten, though the right one was used meanwhile; after a day all of them are.
    site.clock.advance(DAY_MS / 3);
    assert!(try_pin(&mut till, "lee", "9999").await.is(401).says("After 2 more wrong ones"));
    site.clock.advance(DAY_MS);
    assert!(try_pin(&mut till, "lee", "9999").await.is(401).says("After 4 more wrong ones"));
    for _ in 0..2 {
        try_pin(&mut till, "lee", "9999").await.is(401);
    }
    site.clock.advance(5_000);
    try_pin(&mut till, "lee", "9999").await.is(401);
    site.clock.advance(30_000);
    assert_eq!(try_pin(&mut till, "lee", PIN).await.leads(), "/incidents");
    assert!(try_pin(&mut till, "lee", "9999").await.leads().starts_with("/login?pin=over"));
}

#[tokio::test]
async fn many_pins_sent_at_once_are_not_looked_at_more_often_than_one_after_the_other() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    let cookies = till.cookies();
    let guess = || {
        let ask = site.ask("POST", "/switch").header("cookie", &cookies).header("sec-fetch-site", "same-origin");
        ask.header("accept", "text/html")
            .text("application/x-www-form-urlencoded", "username=kim&pin=9999")
            .send()
    };
    let answers = all((0..20).map(|_| guess()).collect()).await;
    let looked_at = answers.iter().filter(|status| **status == 401).count();
    assert!(looked_at <= 3, "{looked_at}");
}

/// All of them at once.
async fn all(asked: Vec<impl Future<Output = crate::site::Answer>>) -> Vec<u16> {
    let mut pending: Vec<_> = asked.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        pending.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                done.push(answer.status.as_u16());
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done
}

#[tokio::test]
async fn a_pin_takes_the_password_to_be_set_and_ends_with_it() {
    let site = shared().await;
    let mut till = Browser::of(&site, "kim").await;
    for (fields, said) in [
        ([("pin", PIN), ("again", "2581"), ("password", PASSWORD)], "not the same"),
        ([("pin", "1234"), ("again", "1234"), ("password", PASSWORD)], "role=\"alert\""),
        ([("pin", PIN), ("again", PIN), ("password", "wrong horse")], "The password is wrong."),
    ] {
        let page = till.post("/pin", &fields).await.is(422);
        assert!(page.says(said) && !page.says(PIN), "{}", page.text);
    }
    assert!(till.get("/pin").await.is(200).says("You have no PIN yet."));
    with_pin(&mut till, "kim").await;
    let kim = site.desk.ledger().account("kim").await.unwrap().unwrap();
    let edit = desk::accounts::AccountEdit { password: Some("another horse".to_owned()), ..Default::default() };
    desk::accounts::edit(&site.desk, &desk::actor::Actor::system("cli"), kim.id, edit).await.unwrap();
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
    till.post("/login", &[("username", "kim"), ("password", "another horse")]).await.leads();
    // Whoever knew the old password may have set the PIN: it went with it.
    assert!(till.get("/pin").await.is(200).says("You have no PIN yet."));
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
    till.post("/login", &[("username", "kim"), ("password", "another horse")]).await.leads();
    let fields = [("pin", PIN), ("again", PIN), ("password", "another horse")];
    till.post("/pin", &fields).await.leads();
    assert_eq!(try_pin(&mut till, "kim", PIN).await.leads(), "/incidents");
    assert_eq!(till.post("/pin/remove", &[]).await.leads(), "/pin?said=removed");
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
}

#[tokio::test]
async fn a_closed_account_comes_back_by_no_pin_and_a_device_forgets_whoever_asks() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    with_pin(&mut till, "lee").await;
    assert_eq!(till.post("/pin/forget", &[]).await.leads(), "/pin?said=forgotten");
    assert!(try_pin(&mut till, "lee", PIN).await.leads().starts_with("/login?pin=over"));
    let kim = site.desk.ledger().account("kim").await.unwrap().unwrap();
    let edit = desk::accounts::AccountEdit { active: Some(false), ..Default::default() };
    desk::accounts::edit(&site.desk, &desk::actor::Actor::system("cli"), kim.id, edit).await.unwrap();
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
    assert!(till.get("/switch").await.is(200).says("Nobody can come back"));
}

#[tokio::test]
async fn where_pins_are_switched_off_there_is_nothing_of_them() {
    let site = hub().await;
    let mut browser = Browser::of(&site, "kim").await;
    assert!(!browser.cookies().contains("aincident_device"));
    for path in ["/switch", "/pin"] {
        browser.get(path).await.is(404);
    }
    try_pin(&mut browser, "kim", PIN).await.is(404);
    let token = session(&browser);
    let body = serde_json::json!({"pin": PIN, "password": PASSWORD});
    site.ask("PUT", "/api/v1/me/pin").token(&token).json(&body).send().await.problem(404);
}

#[tokio::test]
async fn programs_set_and_remove_a_pin_and_other_sites_cannot_switch_anybody() {
    let site = shared().await;
    let mut till = Browser::of(&site, "kim").await;
    let token = session(&till);
    let set = |pin: &str, password: &str| {
        let body = serde_json::json!({"pin": pin, "password": password});
        site.ask("PUT", "/api/v1/me/pin").token(&token).json(&body).send()
    };
    assert_eq!(set("12", PASSWORD).await.fields(), ["pin"]);
    assert_eq!(set(PIN, "wrong horse").await.fields(), ["password"]);
    set(PIN, PASSWORD).await.expect(204);
    let cookies = till.cookies();
    let ask = site.ask("POST", "/switch").header("cookie", &cookies).header("sec-fetch-site", "cross-site");
    let answer = ask.text("application/x-www-form-urlencoded", format!("username=kim&pin={PIN}")).send().await;
    assert_eq!(answer.status.as_u16(), 403);
    assert_eq!(try_pin(&mut till, "kim", PIN).await.leads(), "/incidents");
    let token = session(&till);
    site.ask("DELETE", "/api/v1/me/pin").token(&token).send().await.expect(204);
    assert!(try_pin(&mut till, "kim", PIN).await.leads().starts_with("/login?pin=over"));
}

#[tokio::test]
async fn a_form_that_was_opened_by_somebody_else_is_recorded_under_nobodys_name() {
    let site = shared().await;
    let mut till = Browser::new(&site);
    with_pin(&mut till, "kim").await;
    with_pin(&mut till, "mia").await;
    let form = till.get("/incidents/new").await.is(200);
    assert_eq!(form.field("username"), "mia");
    assert_eq!(try_pin(&mut till, "kim", PIN).await.leads(), "/incidents");
    let fields = [("username", "mia"), ("description", "a puddle"), ("store_code", "042")];
    till.post("/incidents/new", &fields).await.is(409);
    let token = session(&till);
    let listed = site.get(&token, "/api/v1/incidents").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 0);
}
