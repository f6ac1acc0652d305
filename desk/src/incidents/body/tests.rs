use super::*;
use serde_json::json;

const ANNA: &str = "00000000-0000-7000-8000-00000000000a";
const BO: &str = "00000000-0000-7000-8000-00000000000b";

fn body(value: Value) -> Body {
    value.as_object().unwrap().clone()
}

fn state(fields: Value) -> RecordState {
    let set: Fields = body(fields).into_iter().collect();
    after(&RecordState::default(), &set)
}

fn ids() -> impl FnMut() -> Uuid {
    let mut next = 0xf00;
    move || {
        next += 1;
        Uuid::from_u128(next)
    }
}

fn writes(request: Value, before: &RecordState) -> Fields {
    flatten(body(request), before, ids()).unwrap().changes(before).set
}

fn complaints(request: Value, before: &RecordState) -> Vec<String> {
    flatten(body(request), before, ids()).unwrap_err().into_iter().map(|error| error.field).collect()
}

#[test]
fn a_new_report_becomes_flat_fields_and_defaults_are_not_stored() {
    let set = writes(
        json!({
            "description": "x", "severity": 3, "category": "other", "title": "  ", "tags": ["a", "b", "a"], "zone": null,
            "occurred_at": "2026-01-02T05:04:05+02:00",
            "loss": {"amount_minor": 1250, "currency": "USD", "recovered_minor": null},
            "people": [{"name": "Anna", "roles": ["witness"], "contact": null}],
            "custom": {"till": 4},
        }),
        &RecordState::default(),
    );
    let expected = json!({
        "description": "x", "tags": ["a", "b"], "occurred_at": "2026-01-02T03:04:05Z",
        "loss/amount_minor": 1250, "loss/currency": "USD", "custom/till": 4,
        "people/00000000-0000-0000-0000-000000000f01": {"name": "Anna", "roles": ["witness"]},
    });
    assert_eq!(serde_json::to_value(set).unwrap(), expected);
}

#[test]
fn a_patch_writes_only_what_it_changes() {
    let before = state(json!({"description": "x", "severity": 4, "loss/currency": "USD", "tags": ["a"]}));
    assert!(
        writes(
            json!({"description": "x", "severity": 4, "tags": ["a"], "loss": {"currency": "USD"}, "zone": null}),
            &before
        )
        .is_empty()
    );
    let set = writes(json!({"severity": null, "loss": {"amount_minor": 5}, "police": null}), &before);
    assert_eq!(serde_json::to_value(set).unwrap(), json!({"severity": null, "loss/amount_minor": 5}));
    let set = writes(json!({"loss": null}), &before);
    assert_eq!(serde_json::to_value(set).unwrap(), json!({"loss/currency": null}));
}

#[test]
fn a_list_replaces_the_list_and_elements_are_told_apart_by_id_or_by_being_equal() {
    let before = state(json!({
        format!("people/{ANNA}"): {"name": "Anna"},
        format!("people/{BO}"): {"name": "Bo"},
    }));
    // Nothing changes, whether ids are sent or not.
    assert!(writes(json!({"people": [{"id": ANNA, "name": "Anna"}, {"name": "Bo"}]}), &before).is_empty());
    // Bo goes, Anna changes, a third one comes.
    let set = writes(json!({"people": [{"id": ANNA, "name": "Anne"}, {"name": "Cy"}]}), &before);
    let expected = json!({
        format!("people/{ANNA}"): {"name": "Anne"},
        format!("people/{BO}"): null,
        "people/00000000-0000-0000-0000-000000000f01": {"name": "Cy"},
    });
    assert_eq!(serde_json::to_value(set).unwrap(), expected);
    // Two equal elements without ids are two elements.
    let set = writes(json!({"people": [{"name": "Anna"}, {"name": "Anna"}, {"name": "Bo"}]}), &before);
    assert_eq!(set.len(), 1);
    let set = writes(json!({"people": null}), &before);
    assert_eq!(set.values().filter(|value| value.is_null()).count(), 2);
}

#[test]
fn errors_name_fields_as_the_client_wrote_them() {
    let none = RecordState::default();
    assert_eq!(complaints(json!({"colour": 1, "description": "x"}), &none), ["colour"]);
    assert_eq!(complaints(json!({"loss": {"colour": 1}}), &none), ["loss.colour"]);
    assert_eq!(complaints(json!({"people": [{"name": "a"}, {"religion": "x"}]}), &none), ["people[1].religion"]);
    assert_eq!(
        complaints(json!({"people": [{"injury": {"treatment": "prayer"}}]}), &none),
        ["people[0].injury.treatment"]
    );
    assert_eq!(complaints(json!({"people": [{"id": "7"}]}), &none), ["people[0].id"]);
    assert_eq!(complaints(json!({"people": [{"id": ANNA}, {"id": ANNA}]}), &none), ["people[1].id"]);
    assert_eq!(complaints(json!({"people/x": {}}), &none), ["people/x"]);
    assert_eq!(complaints(json!({"loss": 5, "items": {}}), &none), ["items", "loss"]);
    assert_eq!(complaints(json!({"occurred_at": "yesterday"}), &none), ["occurred_at"]);
    assert_eq!(complaints(json!({"occurred_at": 5}), &none), ["occurred_at"]);
    assert_eq!(complaints(json!({"description": null}), &none), ["description"]);
    assert_eq!(complaints(json!({"custom": {"Till No": 4}}), &none), ["custom.Till No"]);
    assert_eq!(complaints(json!({"custom": {"till": {"a": 1}}}), &none), ["custom.till"]);
    let people: Vec<Value> = (0..51).map(|_| json!({"name": "x"})).collect();
    assert_eq!(complaints(json!({"people": people}), &none), ["people"]);
}

#[test]
fn what_the_system_sets_cannot_be_given() {
    for field in READ_ONLY {
        assert_eq!(complaints(json!({field: "x"}), &RecordState::default()), [field]);
    }
}

#[test]
fn an_incident_is_checked_as_a_whole_for_what_the_edit_brings() {
    let before = state(json!({"description": "x", "occurred_at": "2026-01-02T03:04:05Z"}));
    let flat = flatten(body(json!({"occurred_to": "2026-01-02T03:04:04Z"})), &before, ids()).unwrap();
    assert_eq!(flat.check_whole(&before)[0].field, "occurred_to");
    let flat = flatten(Body::new(), &RecordState::default(), ids()).unwrap();
    assert_eq!(flat.check_whole(&RecordState::default())[0].field, "description");
}

#[test]
fn the_severity_rule_wins_over_the_request() {
    let mut set: Fields = BTreeMap::from([("category".to_owned(), json!("weapon")), ("severity".to_owned(), json!(2))]);
    assert!(force_severity(&RecordState::default(), &mut set));
    assert_eq!(set["severity"], 5);
    let before = state(json!({"category": "weapon", "severity": 5}));
    let mut set: Fields = BTreeMap::from([("severity".to_owned(), json!(1))]);
    assert!(force_severity(&before, &mut set));
    assert!(set.is_empty());
    let mut set: Fields = BTreeMap::from([("title".to_owned(), json!("x"))]);
    assert!(!force_severity(&before, &mut set));
    assert_eq!(set.len(), 1);
}
