use super::*;
use crate::http::form::Form;
use crate::words::Lang;
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
    let back = returned(now, form, &zone(), Lang::En.words(), &Arc::default());
    (Value::Object(back.patch), back.sheet)
}

#[test]
fn a_form_that_nobody_changed_writes_nothing() {
    let now = incident();
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
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
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
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
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    let mut form = filled(&sheet, &[("loss.amount", "")]);
    form.0.retain(|(name, _)| name != "ambulance");
    let (patch, _) = patch(&now, &form);
    assert_eq!(patch, json!({"loss": {"amount_minor": null}, "ambulance": false}));
}

#[test]
fn what_somebody_else_changed_meanwhile_stays() {
    let sheet = Sheet::of(&incident(), &zone(), &Arc::default());
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
    let sheet = Sheet::of(&incident(), &zone(), &Arc::default());
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
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
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
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
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

/// What a browser makes of what a form shows: a line loses its line ends, several lines get CR LF, boxes come in their order.
fn as_browsers_send(sheet: &Sheet, changes: &[(&str, &str)]) -> Form {
    let mut form = filled(sheet, changes);
    let long = ["description", ".statement"];
    for (name, value) in &mut form.0 {
        let is_long = !name.starts_with("items.") && long.iter().any(|end| name.ends_with(end));
        *value = if is_long {
            value.replace("\r\n", "\n").replace('\n', "\r\n")
        } else {
            value.replace(['\r', '\n'], "")
        };
    }
    form.0.sort_by(|a, b| match a.0.ends_with(".roles") && a.0 == b.0 {
        true => a.1.cmp(&b.1),
        false => std::cmp::Ordering::Equal,
    });
    Form(form.0)
}

#[test]
fn what_a_browser_makes_of_a_text_is_no_edit() {
    let mut now = incident();
    now["title"] = json!(" Razor\nblades ");
    now["description"] = json!("  Two people\r\nran\n\n");
    now["location"] = json!("aisle 7\n");
    now["people"][0]["description"] = json!("tall\nin red ");
    now["people"][0]["roles"] = json!(["witness", "employee"]);
    now["items"][0]["description"] = json!("Blades\nof steel");
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    assert_eq!(patch(&now, &as_browsers_send(&sheet, &[])).0, json!({}));
    // Where one field of a person was changed, the others stay as they were written.
    let (patch, _) = patch(&now, &as_browsers_send(&sheet, &[("people.01.name", "Anna")]));
    let person = &patch["people"][0];
    assert_eq!((&person["name"], &person["description"]), (&json!("Anna"), &json!("tall\nin red ")));
    assert_eq!((&person["roles"], &patch.get("items")), (&json!(["witness", "employee"]), &None));
}

#[test]
fn a_time_to_the_second_stays_where_something_else_was_changed() {
    let mut now = incident();
    now["people"][1]["injury"]["died_at"] = json!("2026-11-20T20:05:33Z");
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    let (patch, _) = patch(&now, &filled(&sheet, &[("people.02.name", "Rob")]));
    assert_eq!(patch["people"][1]["injury"]["died_at"], "2026-11-20T20:05:33Z");
}

#[test]
fn another_currency_with_other_decimals_means_the_amounts_as_they_are_shown() {
    let mut now = incident();
    now["loss"] = json!({"amount_minor": 150_000, "recovered_minor": null, "currency": "USD"});
    now["items"][0]["value_minor"] = json!(2000);
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    let (same, _) = patch(&now, &filled(&sheet, &[("loss.currency", "EUR")]));
    assert_eq!(same, json!({"loss": {"currency": "EUR"}}));
    // Yen have no decimals: 1500.00 is no amount of them, and nothing is written until somebody says what it is.
    let (_, back) = patch(&now, &filled(&sheet, &[("loss.currency", "JPY")]));
    assert!(back.complaint("loss.amount").is_some() && back.complaint("items.03.value").is_some());
    let (other, back) = patch(&now, &filled(&sheet, &[("loss.currency", "KWD")]));
    assert!(!back.is_wrong());
    assert_eq!(other["loss"], json!({"currency": "KWD", "amount_minor": 1_500_000}));
    assert_eq!(other["items"][0]["value_minor"], 20_000);
    now["loss"]["currency"] = json!("JPY");
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    assert_eq!(sheet.v("loss.amount"), "150000");
    let (other, _) = patch(&now, &filled(&sheet, &[("loss.currency", "USD")]));
    assert_eq!(other["loss"]["amount_minor"], 15_000_000);
}

#[test]
fn an_amount_without_a_currency_is_none() {
    let form = |currency: &str| {
        Form(vec![("loss.amount".to_owned(), "12".to_owned()), ("loss.currency".to_owned(), currency.to_owned())])
    };
    let (_, back) = patch(&Value::Null, &form(""));
    assert_eq!(back.complaint("loss.amount"), Some(Lang::En.words().t("sheet.no_currency")));
    assert_eq!(patch(&Value::Null, &form("usd")).0["loss"], json!({"currency": "USD", "amount_minor": 1200}));
    // What stands without one stays, and is shown as it is kept.
    let mut now = incident();
    now["loss"]["currency"] = Value::Null;
    let sheet = Sheet::of(&now, &zone(), &Arc::default());
    assert_eq!(sheet.v("loss.amount"), "123450");
    assert_eq!(patch(&now, &filled(&sheet, &[])).0, json!({}));
}

#[test]
fn a_form_of_endless_people_is_looked_at_once_and_complained_about() {
    let mut pairs = Vec::new();
    for n in 0..6000 {
        pairs.push((format!("people.new{n}.name"), "x".to_owned()));
    }
    let begun = std::time::Instant::now();
    let (patch, back) = patch(&Value::Null, &Form(pairs));
    assert_eq!(patch["people"].as_array().unwrap().len(), 101);
    assert!(back.general[0].contains("101"), "{:?}", back.general);
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn the_api_counts_in_the_list_that_was_sent_on() {
    let sheet = Sheet::of(&incident(), &zone(), &Arc::default());
    let mut now = incident();
    // Somebody added one in front meanwhile, which the form does not have.
    now["people"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"id": "00", "name": "New", "roles": ["other"]}));
    let changes = [("people.01.remove", "1"), ("people.new1.name", "Cem"), ("people.new1.roles", "victim")];
    let (patch, mut back) = patch(&now, &filled(&sheet, &changes));
    let names: Vec<_> = patch["people"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["New", "Bob", "Cem"]);
    let words = Lang::En.words();
    back.complain("people[0].name", "theirs", words);
    back.complain("people[1].name", "bob", words);
    back.complain("people[2].name", "cem", words);
    assert_eq!((back.complaint("people.02.name"), back.complaint("people.new1.name")), (Some("bob"), Some("cem")));
    assert_eq!(back.general, ["people[0].name: theirs"]);
}
