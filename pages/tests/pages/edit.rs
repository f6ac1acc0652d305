use crate::browser::{Browser, Seen, hub};
use crate::site::Site;
use serde_json::json;

async fn one(hub: &Site) -> String {
    let mia = hub.login("mia").await;
    let incident = json!({"description": "Two people ran", "title": "Razor blades", "location": "aisle 7",
        "people": [{"name": "Ann", "roles": ["witness"]}]});
    hub.incident(&mia, incident).await.1["id"].as_str().unwrap().to_owned()
}

/// What a browser sends of the form that it was shown, with what a person changed.
fn filled<'a>(was: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("was", was), ("ambulance.there", "1")];
    for (name, value) in [("description", "Two people ran"), ("title", "Razor blades"), ("location", "aisle 7")] {
        fields.push((name, changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, value)| value)));
    }
    fields.extend(changes.iter().filter(|(name, _)| !["description", "title", "location"].contains(name)));
    fields
}

async fn form(mia: &mut Browser<'_>, path: &str) -> Seen {
    mia.get(path).await.is(200)
}

#[tokio::test]
async fn only_what_was_changed_is_written_and_an_edit_made_meanwhile_stays() {
    let hub = hub().await;
    let id = one(&hub).await;
    let (path, token) = (format!("/incidents/{id}/edit"), hub.login("mia").await);
    let mut mia = Browser::of(&hub, "mia").await;
    let was = form(&mut mia, &path).await.field("was");
    hub.patch(&token, &format!("/api/v1/incidents/{id}"), &json!({"location": "aisle 9", "severity": 5}))
        .await
        .expect(200);
    let to = mia.post(&path, &filled(&was, &[("title", "Blades"), ("police.agency", "CPD")])).await.leads();
    assert_eq!(to, format!("/incidents/{id}?said=saved"));
    let now = hub.get(&token, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(
        (&now["title"], &now["location"], &now["severity"]),
        (&json!("Blades"), &json!("aisle 9"), &json!(5))
    );
    assert_eq!((&now["police"]["agency"], &now["people"][0]["name"]), (&json!("CPD"), &json!("Ann")));
    let history = hub.get(&token, &format!("/api/v1/incidents/{id}/history")).await.expect(200);
    let fields: Vec<&str> =
        history["items"].as_array().unwrap().iter().filter_map(|item| item["field"].as_str()).collect();
    assert_eq!(fields, ["location", "severity", "police/agency", "title"]);
}

#[tokio::test]
async fn a_field_that_two_people_changed_is_asked_about_with_both_texts() {
    let hub = hub().await;
    let id = one(&hub).await;
    let (path, token) = (format!("/incidents/{id}/edit"), hub.login("mia").await);
    let mut mia = Browser::of(&hub, "mia").await;
    let was = form(&mut mia, &path).await.field("was");
    hub.patch(&token, &format!("/api/v1/incidents/{id}"), &json!({"title": "Their title"}))
        .await
        .expect(200);
    let asked = mia.post(&path, &filled(&was, &[("title", "My title")])).await.is(409);
    assert!(asked.says("Their title") && asked.says("My title") && asked.says("Somebody changed this meanwhile"));
    let now = hub.get(&token, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(now["title"], "Their title");
    let was = asked.field("was");
    mia.post(&path, &filled(&was, &[("title", "My title")])).await.leads();
    let now = hub.get(&token, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(now["title"], "My title");
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_nothing_is_lost() {
    let hub = hub().await;
    let id = one(&hub).await;
    let path = format!("/incidents/{id}/edit");
    let mut mia = Browser::of(&hub, "mia").await;
    let was = form(&mut mia, &path).await.field("was");
    let changes = [("description", ""), ("title", "kept text"), ("loss.amount", "a lot")];
    let page = mia.post(&path, &filled(&was, &changes)).await.is(409);
    assert!(page.says("This is no amount.") && page.says("kept text") && page.says("a lot"));
    let page = mia.post(&path, &filled(&was, &[("description", ""), ("title", "kept text")])).await.is(422);
    assert!(page.says("aria-invalid") && page.says("kept text"));
    let page = mia.post(&path, &filled(&was, &[("assigned_to", "nobody")])).await.is(422);
    assert!(page.says("must be the username of an active account"));
    let mut spanish = Browser::of(&hub, "mia").await.speaks("es");
    let page = spanish.post(&path, &filled(&was, &[("loss.amount", "mucho")])).await.is(409);
    assert!(page.says("Esto no es un importe."));
}

#[tokio::test]
async fn an_employee_edits_their_own_report_until_it_is_in_review() {
    let hub = hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (_, incident) = hub.incident(&kim, json!({"description": "mine"})).await;
    let id = incident["id"].as_str().unwrap();
    let path = format!("/incidents/{id}/edit");
    let mut browser = Browser::of(&hub, "kim").await;
    let page = form(&mut browser, &path).await;
    assert!(!page.says("name=\"assigned_to\""));
    let was = page.field("was");
    hub.patch(&mia, &format!("/api/v1/incidents/{id}"), &json!({"status": "in_review"}))
        .await
        .expect(200);
    browser.post(&path, &[("was", &was), ("description", "other")]).await.is(403);
    browser.get(&path).await.is(403);
}
