//! What a company adds to incidents, in the forms and lists of every site.

use crate::browser::{Browser, hub};
use serde_json::json;

#[tokio::test]
async fn a_companys_category_is_one_tap_and_its_fields_are_in_the_form_on_the_incident_and_in_the_filters() {
    let hub = hub().await;
    let ada = hub.login("ada").await;
    let set = json!({
        "categories": {
            "gift_card": {"label": "Gift card", "category": "fraud"},
            "old": {"label": "Cheque", "category": "fraud", "retired": true},
        },
        "custom_fields": {
            "till": {"label": "Till <no>", "type": "number", "required": true},
            "shift": {"label": "Shift", "type": "choice", "choices": ["early", "late"]},
            "seen_on": {"label": "Seen on", "type": "date"},
        },
    });
    hub.patch(&ada, "/api/v1/settings", &set).await.expect(200);
    let mut mia = Browser::of(&hub, "mia").await;
    let form = mia.get("/incidents/new").await.is(200);
    for said in [
        "value=\"fraud/Gift card\"",
        "Till &#60;no&#62;",
        "name=\"custom.shift\"",
        "type=\"date\" name=\"custom.seen_on\"",
    ] {
        assert!(form.says(said), "{said}: {}", form.text);
    }
    assert!(!form.says("Cheque"), "a retired category is offered");
    let fields = |more: &[(&str, &str)]| -> Vec<(String, String)> {
        let mut all = vec![("id".to_owned(), form.field("id")), ("description".to_owned(), "A card".to_owned())];
        all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all
    };
    let wrong = fields(&[("category", "fraud/Gift card"), ("custom.till", "four")]);
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let again = mia.post("/incidents/new", &wrong).await.is(422);
    assert!(again.says("This is no number.") && again.says("value=\"four\""), "{}", again.text);
    let right = fields(&[
        ("category", "fraud/Gift card"),
        ("subcategory", ""),
        ("custom.till", "4"),
        ("custom.shift", "late"),
        ("custom.seen_on", "2026-11-19"),
    ]);
    let right: Vec<(&str, &str)> = right.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let to = mia.post("/incidents/new", &right).await.leads();
    let id = to.split('/').nth(2).unwrap().split('?').next().unwrap().to_owned();
    let made = hub.get(&ada, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!((&made["category"], &made["subcategory"]), (&json!("fraud"), &json!("Gift card")));
    assert_eq!(made["custom"], json!({"till": 4, "shift": "late", "seen_on": "2026-11-19"}));
    let page = mia.get(&format!("/incidents/{id}")).await.is(200);
    assert!(page.says("Gift card") && page.says("Till &#60;no&#62;") && page.says("2026-11-19"), "{}", page.text);

    // Another category takes the name beneath the old one along; what is not touched stays.
    let edit = mia.get(&format!("/incidents/{id}/edit")).await.is(200);
    assert!(edit.says("value=\"fraud/Gift card\" checked"), "{}", edit.text);
    let was = edit.field("was");
    let changed = [("was", was.as_str()), ("category", "theft"), ("subcategory", "Gift card"), ("custom.till", "5")];
    mia.post(&format!("/incidents/{id}/edit"), &changed).await.leads();
    let made = hub.get(&ada, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(
        (&made["category"], &made["subcategory"], &made["custom"]["till"]),
        (&json!("theft"), &json!(null), &json!(5))
    );
    assert_eq!(made["custom"]["shift"], "late");

    let list = mia.get("/incidents?custom.shift=late").await.is(200);
    assert!(list.says("class=\"row-a\"") && list.says("<option value=\"late\" selected>"), "{}", list.text);
    assert!(!mia.get("/incidents?custom.shift=early").await.is(200).says("class=\"row-a\""));
    assert!(
        mia.get("/incidents?subcategory=Gift+card")
            .await
            .is(200)
            .says("<option value=\"Gift card\" selected>")
    );
}

#[tokio::test]
async fn what_is_needed_to_close_is_said_by_its_name_in_the_readers_language() {
    let hub = hub().await;
    let ada = hub.login("ada").await;
    let set = json!({"custom_fields": {"till": {"label": "Caja", "type": "number", "required": true}}});
    hub.patch(&ada, "/api/v1/settings", &set).await.expect(200);
    let (_, made) = hub.incident(&hub.login("kim").await, json!({"description": "x"})).await;
    let mut mia = Browser::of(&hub, "mia").await.speaks("es");
    let path = format!("/incidents/{}/step", made["id"].as_str().unwrap());
    let page = mia.post(&path, &[("to", "closed")]).await.is(422);
    assert!(page.says("Caja tiene que rellenarse antes de cerrar un incidente"), "{}", page.text);
}
