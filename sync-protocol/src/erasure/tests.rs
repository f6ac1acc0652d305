use super::*;
use crate::chain::Link;
use crate::change::Change;
use serde_json::json;

const PERSON: &str = "people/019aa2b3-c000-7000-8000-000000000020";

fn body() -> String {
    let set = json!({
        "category": "theft", "description": "Zoë ran", PERSON: {"name": "Zoë", "contact": "555", "roles": ["suspect"]},
        "loss/amount_minor": 7,
    });
    format!(
        r#"{{"at":1,"by":"kim","id":"019aa2b3-c000-7000-8000-000000000001","kind":"incident","later": 1.50,"new":true,"salt":"00ff","set":{set}}}"#
    )
}

#[test]
fn what_is_left_keeps_the_chain_and_everything_that_was_not_named() {
    let whole = body();
    let left = redact(&whole, |field| field == PERSON).unwrap();
    assert!(!left.contains("Zoë\"") && !left.contains("555") && !left.contains("salt"), "{left}");
    assert!(
        left.contains("\"later\":1.50") && left.contains("Zoë ran"),
        "values that stay keep their bytes: {left}"
    );
    assert_eq!(digest(left.as_bytes()), *blake3::hash(whole.as_bytes()).as_bytes());
    let start = Link::start(Uuid::nil());
    assert_eq!(start.extend(left.as_bytes()), start.extend(whole.as_bytes()));
    let (was, is) = (Change::from_body(&whole).unwrap(), Change::from_body(&left).unwrap());
    assert_eq!(is.set[PERSON], json!({"roles": ["suspect"]}));
    assert_eq!(
        (is.at, is.by, is.id, is.set["category"].clone()),
        (was.at, was.by, was.id, was.set["category"].clone())
    );
}

#[test]
fn two_orders_leave_the_same_whichever_comes_first_and_one_twice_changes_nothing() {
    let whole = body();
    let (person, text) = (|field: &str| field == PERSON, |field: &str| field == "description");
    let one = redact(&redact(&whole, person).unwrap(), text).unwrap();
    let other = redact(&redact(&whole, text).unwrap(), person).unwrap();
    assert_eq!(one, other);
    assert_eq!(one, redact(&whole, |field| person(field) || text(field)).unwrap());
    assert_eq!(redact(&one, person), None);
    assert_eq!(Change::from_body(&one).unwrap().set["description"], ERASED_TEXT);
}

#[test]
fn what_does_not_write_the_field_and_what_is_no_change_stays_as_it_is() {
    assert_eq!(redact(&body(), |field| field == "title"), None);
    assert_eq!(redact("{\"at\":\"yesterday\"}", |_| true), None);
    assert_eq!(redact("no json", |_| true), None);
    let left = nothing_left("no json");
    assert_eq!(digest(left.as_bytes()), *blake3::hash(b"no json").as_bytes());
}

#[test]
fn only_a_member_of_the_body_itself_with_a_digest_makes_it_an_erased_one() {
    let digest = "ab".repeat(32);
    assert!(original(format!(r#"{{"erased":"{digest}"}}"#).as_bytes()).is_some());
    for other in [
        format!(r#"{{"set":{{"erased":"{digest}"}}}}"#),
        format!(r#"{{"erased":"{}"}}"#, "AB".repeat(32)),
        format!(r#"{{"erased":"{digest}","erased":"{digest}"}}"#),
        r#"{"erased":7}"#.to_owned(),
        format!(r#"{{"set":{{"title":"\"erased\":\"{digest}\""}}}}"#),
        format!(r#"["erased","{digest}"]"#),
    ] {
        assert_eq!(original(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn what_is_left_is_always_a_value_that_every_site_takes() {
    for (kind, field, value) in [
        (record::INCIDENT, "description", json!("x")),
        (record::INCIDENT, "title", json!("x")),
        (record::INCIDENT, "tags", json!(["x"])),
        (record::INCIDENT, PERSON, json!({"name": "x", "injury": {"nature": "y"}})),
        (
            record::INCIDENT,
            "items/019aa2b3-c000-7000-8000-000000000020",
            json!({"description": "x", "quantity": 2}),
        ),
        (record::INCIDENT, "custom/k", json!("x")),
        (record::INCIDENT, "police/officer", json!("x")),
        (record::COMMENT, "body", json!("x")),
        (record::STEP, "reason", json!("x")),
        (record::PHOTO, "filename", json!("x")),
        (record::PHOTO, "display/sha256", json!("ab".repeat(32))),
        (record::PHOTO, "display/size_bytes", json!(7)),
    ] {
        assert!(is_erasable(kind, field), "{kind} {field}");
        let left = left_of(kind, field, &value);
        assert_eq!(record::check(kind, &BTreeMap::from([(field.to_owned(), left.clone())])), [], "{kind} {field}");
        assert_eq!(left_of(kind, field, &left), left, "{kind} {field}: twice is once");
    }
    for (kind, field) in [(record::INCIDENT, "severity"), (record::INCIDENT, "people/x"), (record::STORE, "name")] {
        assert!(!is_erasable(kind, field), "{kind} {field}");
    }
}
