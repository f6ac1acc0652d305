//! Rules, as an administrator without scripts keeps them.

use crate::browser::{Browser, hub};
use crate::site::{Site, T0};
use chassis::mail::MailLayer;
use chassis::webhooks::WebhookLayer;
use desk::notifications::follow::Follower;
use desk::notifications::rule::What;
use desk::notifications::{Notifier, letter};
use serde_json::json;

const FIELDS: [(&str, &str); 8] = [
    ("name", "grave <b>ones</b>"),
    ("about", "incident"),
    ("severity_min", "4"),
    ("silent_minutes", "60"),
    ("delivery", "at_once"),
    ("digest_hour", "6"),
    ("enabled", "true"),
    ("stores", "042, 007"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    FIELDS.into_iter().chain(more.iter().copied()).collect()
}

/// A hub that sends mail, and webhooks.
async fn telling_hub() -> Site {
    let hub = hub().await;
    let mail = MailLayer {
        host: Some("smtp.example.com".to_owned()),
        from: Some("incidents@example.com".to_owned()),
        ..MailLayer::default()
    };
    let webhooks = WebhookLayer::default().settle().unwrap();
    hub.desk
        .set_notifier(Notifier::new(mail.settle().unwrap(), webhooks, Box::new(pages::Letters)).unwrap());
    hub
}

#[tokio::test]
async fn a_rule_is_made_tested_changed_and_deleted_at_the_page() {
    let hub = telling_hub().await;
    Browser::of(&hub, "hana").await.get("/notifications").await.is(403);
    let mut ada = Browser::of(&hub, "ada").await;
    assert!(ada.get("/notifications").await.is(200).says("Nobody is told of anything yet."));

    // What cannot be taken comes again, with why.
    let wrong = with(&[("channel", "webhook"), ("url", "http://example.com/hook"), ("categories", "robbery")]);
    let page = ada.post("/notifications", &wrong).await.is(422);
    assert!(page.says("must be https") && page.says("value=\"robbery\" checked"), "{}", page.text);
    assert_eq!(
        (page.field("url"), page.field("stores")),
        ("http://example.com/hook".to_owned(), "042 007".to_owned())
    );
    let wrong = with(&[("channel", "mail"), ("addresses", "nobody")]);
    assert!(ada.post("/notifications", &wrong).await.is(422).says("mail addresses"));
    let mut wrong = with(&[("channel", "mail"), ("addresses", "kim@example.com")]);
    wrong.retain(|(name, _)| *name != "digest_hour");
    wrong.push(("digest_hour", "noon"));
    assert!(ada.post("/notifications", &wrong).await.is(422).says("Hour of the daily message"));

    let hook = with(&[("channel", "webhook"), ("url", "https://example.com/hook")]);
    let made = ada.post("/notifications", &hook).await.is(200);
    assert!(made.says("whsec_") && made.says("&#60;b&#62;ones"), "{}", made.text);
    let path = made.text.split("action=\"").find_map(|part| part.strip_prefix("/notifications/")).unwrap();
    let path = format!("/notifications/{}", path.split(['/', '"']).next().unwrap());
    assert!(!ada.get(&path).await.is(200).says("whsec_"));
    let list = ada.get("/notifications").await.is(200);
    assert!(list.says("https://example.com/hook") && list.says("Nothing was sent yet"));
    assert_eq!(ada.post(&format!("{path}/test"), &[]).await.leads(), "/notifications?said=tested");
    assert!(ada.get("/notifications?said=tested").await.is(200).says("1 is waiting"));
    assert!(ada.post(&format!("{path}/secret"), &[]).await.is(200).says("whsec_"));

    let mail = with(&[("channel", "mail"), ("url", ""), ("addresses", "kim@example.com\r\nlee@example.com")]);
    assert_eq!(ada.post(&path, &mail).await.leads(), "/notifications?said=saved");
    assert!(ada.get("/notifications").await.is(200).says("kim@example.com, lee@example.com"));

    // One that was set aside is seen, sent again, given up.
    let job = hub.desk.jobs().take("notify", T0 + 1, &[]).await.unwrap().unwrap();
    hub.desk.jobs().bury(job.no, "the receiver answers 410".to_owned()).await.unwrap();
    let list = ada.get("/notifications").await.is(200);
    assert!(list.says("Could not be sent") && list.says("the receiver answers 410") && list.says("A test"));
    let dead = format!("/notifications/messages/{}", job.no);
    assert_eq!(ada.post(&dead, &[("do", "retry")]).await.leads(), "/notifications?said=retried");
    assert!(!ada.get("/notifications").await.is(200).says("Could not be sent"));
    // All at once.
    let job = hub.desk.jobs().take("notify", T0 + 1, &[]).await.unwrap().unwrap();
    hub.desk.jobs().bury(job.no, "the receiver answers 410".to_owned()).await.unwrap();
    assert!(ada.get("/notifications").await.is(200).says("1 in all"));
    assert_eq!(ada.post("/notifications/messages", &[]).await.leads(), "/notifications?said=retried_all");
    assert!(ada.get("/notifications?said=retried_all").await.is(200).says("They are all on their way again."));
    ada.post(&dead, &[("do", "discard")]).await.is(404);

    // The label says whose clocks the hour is of.
    assert!(ada.get(&path).await.is(200).says("Hour of the daily message (UTC)"));
    let daily = [("channel", "mail"), ("addresses", "kim@example.com"), ("timezone", "America/Chicago")];
    let mut daily = with(&daily);
    daily.retain(|(name, _)| *name != "delivery");
    daily.push(("delivery", "daily"));
    assert_eq!(ada.post(&path, &daily).await.leads(), "/notifications?said=saved");
    assert!(ada.get("/notifications").await.is(200).says("Once a day, 06:00 America/Chicago"));
    assert!(ada.get(&path).await.is(200).says("Hour of the daily message (America/Chicago)"));
    daily.push(("timezone", "Mars/Olympus"));
    daily.retain(|field| *field != ("timezone", "America/Chicago"));
    assert!(ada.post(&path, &daily).await.is(422).says("Time zone"));

    let mut spanish = Browser::of(&hub, "ada").await.speaks("es");
    assert!(spanish.get("/notifications").await.is(200).says("Avisos"));
    assert_eq!(ada.post(&format!("{path}/delete"), &[]).await.leads(), "/notifications?said=saved");
    ada.get(&path).await.is(404);
    let token = hub.login("ada").await;
    assert_eq!(hub.get(&token, "/api/v1/notifications").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn mail_is_written_in_the_language_of_its_rule_and_a_form_offers_that_of_its_reader() {
    let hub = telling_hub().await;
    let mut ada = Browser::of(&hub, "ada").await;
    let english = with(&[("channel", "mail"), ("addresses", "kim@example.com"), ("language", "en")]);
    assert_eq!(ada.post("/notifications", &english).await.leads(), "/notifications?said=saved");
    let mut spanish = Browser::of(&hub, "ada").await.speaks("es");
    let form = spanish.get("/notifications").await.is(200);
    assert!(form.says("<option value=\"es\" lang=\"es\" selected>Español</option>"), "{}", form.text);
    let fields = with(&[("channel", "mail"), ("addresses", "ana@example.com"), ("language", "es")]);
    assert_eq!(spanish.post("/notifications", &fields).await.leads(), "/notifications?said=saved");
    let wrong = with(&[("channel", "mail"), ("addresses", "ana@example.com"), ("language", "fr")]);
    assert!(spanish.post("/notifications", &wrong).await.is(422).says("Idioma del correo"));

    let token = hub.login("mia").await;
    let body = json!({"description": "x", "category": "employee_injury", "severity": 5});
    let (_, incident) = hub.incident(&token, body).await;
    let mut follower = Follower::new(T0);
    while follower.look(&hub.desk, true).await.unwrap() {}
    let what = What::Incident { incident_id: incident["id"].as_str().unwrap().parse().unwrap() };
    let mut told = Vec::new();
    for row in hub.desk.ledger().notification_rules(false).await.unwrap() {
        let message = hub.desk.ledger().waiting_message(&what.id(row.id)).await.unwrap().unwrap();
        told.push(letter::write(&hub.desk, &pages::Letters, &row, &message).await.unwrap().unwrap());
    }
    let reference = incident["reference"].as_str().unwrap();
    assert_eq!(told[0].subject, format!("[042] {reference}: Employee injury, severity 5"));
    assert!(
        told[0].text.contains("Severity: 5 of 5\n") && told[0].text.contains("at headquarters, under Notifications")
    );
    assert_eq!(told[1].subject, format!("[042] {reference}: Lesión de un empleado, gravedad 5"));
    assert!(
        told[1].text.contains("Gravedad: 5 de 5\n") && told[1].text.contains("en la central, en el apartado Avisos")
    );
    // Programs are told the same in every language.
    assert_eq!(told[0].body["data"]["incident"], told[1].body["data"]["incident"]);
}
