use super::*;
use serde_json::json;

fn zone() -> TimeZone {
    crate::moment::zone("America/Chicago")
}

fn incident() -> Value {
    json!({
        "title": "Razor blades", "description": "Two people\nran", "category": "theft", "severity": 4,
        "occurred_at": "2026-11-20T20:05:00Z", "occurred_precision": "exact", "tags": ["a", "b"], "ambulance": true,
        "loss": {"amount_minor": 123_450, "recovered_minor": null, "currency": "USD"},
        "police": {"agency": null}, "people": [
            {"id": "01", "name": "Ann", "roles": ["witness", "employee"], "later": 7},
            {"id": "02", "name": "Bob", "roles": ["suspect"], "injury": {"nature": "cut"}},
        ],
        "items": [{"id": "03", "description": "Blades", "quantity": 2, "value_minor": 2199}],
    })
}

/// The form as a browser sends it back, with what a person changed.
fn filled(sheet: &Sheet, changes: &[(&str, &str)]) -> Form {
    let mut pairs = vec![("was".to_owned(), sheet.was.clone()), ("ambulance.there".to_owned(), "1".to_owned())];
    for (name, value) in &sheet.values {
        if changes.iter().any(|(changed, _)| changed == name) {
            continue;
        }
        match name.as_str() {
            name if name.ends_with(".roles") => {
                pairs.extend(value.split(' ').map(|role| (name.to_owned(), role.to_owned())));
            }
            "ambulance" if value.is_empty() => {}
            name => pairs.push((name.to_owned(), value.clone())),
        }
    }
    pairs.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Form(pairs)
}

fn patch(now: &Value, form: &Form) -> (Value, Sheet) {
    let back = returned(now, form, &zone(), Lang::En.words());
    (Value::Object(back.patch), back.sheet)
}

#[test]
fn a_form_that_nobody_changed_writes_nothing() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone());
    assert_eq!(sheet.v("occurred_at"), "2026-11-20T14:05");
    assert_eq!((sheet.v("loss.amount"), sheet.v("tags"), sheet.v("ambulance")), ("1234.50", "a, b", "true"));
    assert_eq!(sheet.v("people.01.roles"), "witness employee");
    let (patch, back) = patch(&now, &filled(&sheet, &[]));
    assert_eq!(patch, json!({}));
    assert!(!back.is_wrong());
    assert_eq!(back.v("title"), "Razor blades");
}

#[test]
fn only_what_was_changed_is_written() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone());
    let changes = [
        ("title", "Blades"),
        ("police.agency", "CPD"),
        ("loss.amount", "1,000"),
        ("tags", "b, c, c"),
        ("occurred_at", "2026-11-20T15:00"),
        ("subcategory", "  "),
    ];
    let (patch, back) = patch(&now, &filled(&sheet, &changes));
    assert_eq!(
        patch,
        json!({"title": "Blades", "police": {"agency": "CPD"}, "loss": {"amount_minor": 100_000}, "tags": ["b", "c"],
            "occurred_at": "2026-11-20T21:00:00Z"})
    );
    assert!(!back.is_wrong());
}

#[test]
fn an_emptied_field_is_taken_away_and_a_box_that_is_not_ticked_is_no() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone());
    let mut form = filled(&sheet, &[("loss.amount", "")]);
    form.0.retain(|(name, _)| name != "ambulance");
    let (patch, _) = patch(&now, &form);
    assert_eq!(patch, json!({"loss": {"amount_minor": null}, "ambulance": false}));
}

#[test]
fn what_somebody_else_changed_meanwhile_stays() {
    let sheet = Sheet::of(&incident(), &zone());
    let mut now = incident();
    now["title"] = json!("Theirs");
    now["people"][1]["name"] = json!("Robert");
    now["people"].as_array_mut().unwrap().push(json!({"id": "09", "name": "New", "roles": ["other"]}));
    let form = filled(&sheet, &[("description", "Mine"), ("people.01.name", "Anna")]);
    let (patch, back) = patch(&now, &form);
    assert_eq!(patch["description"], "Mine");
    assert_eq!(patch.get("title"), None);
    let people = patch["people"].as_array().unwrap();
    assert_eq!((&people[0]["name"], &people[0]["later"]), (&json!("Anna"), &json!(7)));
    assert_eq!((&people[1]["name"], &people[2]["name"]), (&json!("Robert"), &json!("New")));
    assert!(!back.is_wrong());
    assert_eq!((back.v("title"), back.v("people.02.name")), ("Theirs", "Robert"));
}

#[test]
fn one_field_that_two_people_changed_is_asked_about_and_written_the_second_time() {
    let sheet = Sheet::of(&incident(), &zone());
    let mut now = incident();
    now["title"] = json!("Theirs");
    now["people"][0]["name"] = json!("Annie");
    let form = filled(&sheet, &[("title", "Mine"), ("people.01.name", "Anna")]);
    let (_, back) = patch(&now, &form);
    assert!(back.is_wrong());
    assert_eq!(back.meanwhile("title"), Some("Theirs"));
    assert!(back.meanwhile("people.01").unwrap().contains("Annie"));
    assert_eq!(back.v("title"), "Mine");
    let again = filled(&back, &[]);
    let (patch, back) = patch(&now, &again);
    assert!(!back.is_wrong());
    assert_eq!((&patch["title"], &patch["people"][0]["name"]), (&json!("Mine"), &json!("Anna")));
}

#[test]
fn people_are_added_and_taken_away() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone());
    let form = filled(
        &sheet,
        &[
            ("people.01.remove", "1"),
            ("people.new1.name", "Cem"),
            ("people.new1.roles", "victim"),
            ("people.new1.injury.days_away", "3"),
            ("items.new1.quantity", "1"),
        ],
    );
    let (patch, _) = patch(&now, &form);
    let people = patch["people"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    assert_eq!(people[0]["id"], "02");
    assert_eq!(people[1]["name"], "Cem");
    assert_eq!(people[1]["injury"]["days_away"], 3);
    assert_eq!(people[1].get("id"), None);
    // An empty place, with nothing but what it starts with, is no item.
    assert_eq!(patch.get("items"), None);
}

#[test]
fn what_cannot_be_read_is_complained_about_at_its_field() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone());
    let form = filled(&sheet, &[("loss.amount", "a lot"), ("occurred_at", "yesterday"), ("items.03.quantity", "x")]);
    let (_, mut back) = patch(&now, &form);
    for name in ["loss.amount", "occurred_at", "items.03.quantity"] {
        assert!(back.complaint(name).is_some(), "{name}");
    }
    assert_eq!(back.v("loss.amount"), "a lot");
    let words = Lang::En.words();
    back.complain("people[1].injury.nature", "must be shorter", words);
    back.complain("police.agency", "must be shorter", words);
    back.complain("colour", "there is no such field", words);
    assert_eq!(back.complaint("people.02.injury.nature"), Some("must be shorter"));
    assert_eq!(back.complaint("police.agency"), Some("must be shorter"));
    assert_eq!(back.general, ["colour: there is no such field"]);
}

#[test]
fn a_new_incident_is_what_was_filled_in() {
    let form = Form(vec![
        ("description".to_owned(), "It happened".to_owned()),
        ("category".to_owned(), String::new()),
        ("severity".to_owned(), "4".to_owned()),
        ("people.new1.name".to_owned(), "Dee".to_owned()),
        ("people.new1.roles".to_owned(), "other".to_owned()),
    ]);
    let (patch, back) = patch(&Value::Null, &form);
    assert!(!back.is_wrong());
    assert_eq!(patch["description"], "It happened");
    assert_eq!(patch["severity"], 4);
    assert_eq!(patch.get("category"), None);
    assert_eq!(patch["people"][0]["name"], "Dee");
}
