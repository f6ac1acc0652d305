#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::change::{Change, ChangeId};
use crate::hlc::Hlc;
use serde_json::json;
use uuid::Uuid;

mod table;

const ID: &str = "0199a6c5-7d1e-7000-8000-000000000001";

fn set(value: Value) -> BTreeMap<Field, Value> {
    serde_json::from_value(value).unwrap()
}

/// The one complaint about `value` in `field`, or nothing.
fn about(kind: &str, field: &str, value: Value) -> Option<String> {
    let mut found = check(kind, &set(json!({ field: value })));
    assert!(found.len() <= 1, "{found:?}");
    found.pop().map(|error| format!("{} {}", error.field, error.message))
}

fn right(kind: &str, field: &str, value: Value) {
    assert_eq!(about(kind, field, value.clone()), None, "{field}: {value}");
}

fn wrong(kind: &str, field: &str, value: Value) -> String {
    about(kind, field, value.clone()).unwrap_or_else(|| panic!("{field}: {value} was let pass"))
}

fn state(kind: &str, value: Value) -> RecordState {
    let change = Change {
        at: 1,
        base: BTreeMap::new(),
        by: "kim".into(),
        hlc: None,
        instead_of: None,
        id: Uuid::nil(),
        kind: kind.into(),
        new: true,
        set: set(value),
    };
    RecordState::of([(ChangeId { origin: Uuid::nil(), seq: 1 }, Hlc::new(1, 0), &change)])
}

fn whole(kind: &str, value: Value) -> Vec<String> {
    check_whole(kind, &state(kind, value))
        .into_iter()
        .map(|e| format!("{} {}", e.field, e.message))
        .collect()
}

#[test]
fn a_description_is_counted_in_characters_and_must_say_something() {
    right(INCIDENT, "description", "é".repeat(20_000).into());
    right(INCIDENT, "description", "盗難 سرقة 🙂\u{202e}\u{85}\r\n\t".into());
    assert_eq!(
        wrong(INCIDENT, "description", "🙂".repeat(20_001).into()),
        "description must be at most 20000 characters and has 20001"
    );
    assert_eq!(wrong(INCIDENT, "description", " \n\u{2003}".into()), "description must not be blank");
    assert_eq!(wrong(INCIDENT, "description", Value::Null), "description is required");
    assert_eq!(wrong(INCIDENT, "description", 5.into()), "description must be text");
    assert_eq!(
        wrong(INCIDENT, "description", "a\u{0}b".into()),
        "description must not contain the control character U+0000"
    );
    wrong(INCIDENT, "title", "bell \u{7}".into());
}

#[test]
fn optional_fields_can_be_taken_away_and_required_ones_cannot() {
    for kind in [INCIDENT, COMMENT, STEP, SETTLEMENT, STORE, ACCOUNT] {
        for (name, part) in parts(kind) {
            let field = name.replace("custom/*", "custom/key").replace("settled/*", "settled/title").replace('*', ID);
            assert!(knows(kind, &field), "{field}");
            assert!(!knows(kind, name) || !name.contains('*'), "{name}");
            assert_eq!(about(kind, &field, Value::Null).is_some(), part.required, "{kind} {field}");
        }
        right(kind, "deleted", Value::Null);
    }
}

#[test]
fn words_are_those_of_the_vocabulary() {
    right(INCIDENT, "category", "near_miss".into());
    assert!(wrong(INCIDENT, "category", "Theft".into()).contains("theft, fraud, robbery"));
    right(INCIDENT, "status", "void".into());
    wrong(INCIDENT, "zone", "moon".into());
    right(INCIDENT, "occurred_precision", "range".into());
    right(COMMENT, "kind", "addendum".into());
    right(ACCOUNT, "role", "hq".into());
    wrong(ACCOUNT, "role", "root".into());
}

#[test]
fn numbers_are_whole_and_within_bounds() {
    for severity in 1..=5 {
        right(INCIDENT, "severity", severity.into());
    }
    for severity in [json!(0), json!(6), json!(-1), json!(3.0), json!("3"), json!(true)] {
        assert_eq!(wrong(INCIDENT, "severity", severity), "severity must be a whole number from 1 to 5");
    }
    right(INCIDENT, "loss/amount_minor", 9_007_199_254_740_991_u64.into());
    wrong(INCIDENT, "loss/amount_minor", 9_007_199_254_740_992_u64.into());
    wrong(INCIDENT, "loss/recovered_minor", json!(-1));
    right(INCIDENT, "loss/currency", "EUR".into());
    for currency in ["eur", "EURO", "E1R", "ÄÖ", ""] {
        wrong(INCIDENT, "loss/currency", currency.into());
    }
}

#[test]
fn tags_are_few_and_short() {
    right(INCIDENT, "tags", json!([]));
    right(INCIDENT, "tags", json!(vec!["ü".repeat(50); 20]));
    assert_eq!(wrong(INCIDENT, "tags", json!(vec!["a"; 21])), "tags must be at most 20 and are 21");
    assert_eq!(
        wrong(INCIDENT, "tags", json!(["a".repeat(51)])),
        "tags each must be at most 50 characters and has 51"
    );
    wrong(INCIDENT, "tags", json!([" "]));
    wrong(INCIDENT, "tags", json!([5]));
    wrong(INCIDENT, "tags", json!("a"));
}

#[test]
fn a_person_is_checked_to_the_last_member() {
    let person = format!("people/{ID}");
    right(INCIDENT, &person, json!({}));
    right(
        INCIDENT,
        &person,
        json!({
            "name": "Zoë", "roles": ["suspect", "employee"], "contact": null, "vehicle": "grey van",
            "statement": "x".repeat(10_000), "shoe_size": 46,
            "injury": {"body_part": "hand", "treatment": "in_patient", "days_away": 10_000, "died_at": "2026-01-02T03:04:05Z", "x": 1},
        }),
    );
    for roles in [json!([]), json!(["thief"]), json!(["victim", "victim"]), json!("victim"), json!([null])] {
        assert!(
            wrong(INCIDENT, &person, json!({ "roles": roles })).starts_with(&format!("{person}/roles must be a list"))
        );
    }
    let long = wrong(INCIDENT, &person, json!({"injury": {"nature": "x".repeat(201)}}));
    assert_eq!(long, format!("{person}/injury/nature must be at most 200 characters and has 201"));
    wrong(INCIDENT, &person, json!({"injury": {"days_away": 10_001}}));
    wrong(INCIDENT, &person, json!({"injury": {"died_at": "yesterday"}}));
    wrong(INCIDENT, &person, json!({"injury": []}));
    wrong(INCIDENT, &person, json!("Zoë"));
    assert_eq!(check(INCIDENT, &set(json!({ person: {"name": 1, "contact": 2} }))).len(), 2);
}

#[test]
fn items_and_custom_fields_have_their_limits() {
    let item = format!("items/{ID}");
    right(
        INCIDENT,
        &item,
        json!({"description": "TV", "quantity": 1, "value_minor": 0, "outcome": "attempted"}),
    );
    wrong(INCIDENT, &item, json!({"quantity": 0}));
    wrong(INCIDENT, &item, json!({"quantity": 1_000_001}));
    wrong(INCIDENT, &item, json!({"sku": "x".repeat(101)}));
    for value in [json!("x".repeat(2000)), json!(1.5), json!(-7), json!(true)] {
        right(INCIDENT, "custom/register_no", value);
    }
    wrong(INCIDENT, "custom/a", json!("x".repeat(2001)));
    wrong(INCIDENT, "custom/a", json!([1]));
    wrong(INCIDENT, "custom/a", json!({}));
}

#[test]
fn names_are_what_they_must_be() {
    right(INCIDENT, "assigned_to", "kim.lee_2-b".into());
    for name in ["", "Kim", "system:import", "a b", "ä", &"a".repeat(65)] {
        wrong(ACCOUNT, "username", name.into());
    }
    right(INCIDENT, "duplicate_of", ID.into());
    wrong(INCIDENT, "duplicate_of", ID.to_uppercase().into());
    wrong(INCIDENT, "duplicate_of", ID.replace('-', "").into());
    right(STORE, "code", "042".into());
    wrong(STORE, "code", "a/b".into());
    wrong(STORE, "name", " ".into());
}

#[test]
fn a_deletion_says_what_it_saw() {
    right(INCIDENT, "deleted", json!({"saw": {}}));
    right(COMMENT, "deleted", json!({"saw": {ID: 7}, "why": "later"}));
    for value in [json!(true), json!({}), json!({"saw": {ID: -1}}), json!({"saw": {"x": 1}}), json!({"saw": []})] {
        wrong(INCIDENT, "deleted", value);
    }
}

#[test]
fn what_is_not_known_passes_and_is_named_to_those_who_ask() {
    let unknown = set(json!({
        "weather": {"any": "thing\u{0}"}, "custom/Ä": 1, "people/7": {}, "people/*": 5, "people": 5, "title": "t",
        format!("people/{ID}"): {"shoe_size": 46, "injury": {"depth": 1, "nature": "cut"}},
    }));
    assert_eq!(check(INCIDENT, &unknown), []);
    assert_eq!(check("weather_report", &unknown), []);
    let names: Vec<String> = unknown_members(INCIDENT, &unknown).into_iter().map(|e| e.field).collect();
    let (injury, shoes) = (format!("people/{ID}/injury/depth"), format!("people/{ID}/shoe_size"));
    assert_eq!(names, ["custom/Ä", "people", "people/*", &injury, &shoes, "people/7", "weather"]);
    assert_eq!(unknown_members(COMMENT, &set(json!({"title": 1})))[0].message, "there is no such field");
    assert!(!knows("weather_report", "deleted") && knows(STEP, "deleted") && !knows(STEP, "title"));
}

#[test]
fn a_whole_record_has_what_is_required() {
    assert_eq!(whole(INCIDENT, json!({})), ["description is required"]);
    assert_eq!(whole(INCIDENT, json!({"description": null})), ["description is required"]);
    assert_eq!(whole(COMMENT, json!({"body": "b"})), ["incident_id is required"]);
    assert_eq!(whole(ACCOUNT, json!({"username": "kim"})), ["role is required"]);
    assert_eq!(whole(STORE, json!({})).len(), 2);
    assert!(whole("weather_report", json!({})).is_empty());
}

#[test]
fn a_whole_incident_has_counts_within_limits_and_ends_after_it_began() {
    let many = |collection: &str, count: usize, value: Value| {
        let mut fields = set(json!({"description": "d"}));
        fields.extend((0..count).map(|at| (format!("{collection}/{at}"), value.clone())));
        whole(INCIDENT, serde_json::to_value(fields).unwrap())
    };
    for (collection, most) in [("people", 50), ("items", 200), ("custom", 100)] {
        assert!(many(collection, most, json!({})).is_empty());
        assert!(many(collection, most + 1, Value::Null).is_empty());
        assert_eq!(
            many(collection, most + 1, json!({})),
            [format!("{collection} must be at most {most} and are {}", most + 1)]
        );
    }
    let times =
        |from: &str, to: &str| whole(INCIDENT, json!({"description": "d", "occurred_at": from, "occurred_to": to}));
    assert!(times("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z").is_empty());
    assert!(times("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.001Z").is_empty());
    assert_eq!(
        times("2026-01-02T03:04:05.001Z", "2026-01-02T03:04:05Z"),
        ["occurred_to must not be before occurred_at"]
    );
}

#[test]
fn the_workflow_goes_these_ways_and_no_other() {
    let ways = |from: &str| -> Vec<&str> {
        vocabulary::STATUSES.iter().copied().filter(|to| step_allowed(from, to)).collect()
    };
    assert_eq!(ways("draft"), ["submitted", "void"]);
    assert_eq!(ways("submitted"), ["in_review", "needs_info", "closed", "void"]);
    assert_eq!(ways("in_review"), ["needs_info", "closed", "void"]);
    assert_eq!(ways("needs_info"), ["submitted", "in_review", "closed", "void"]);
    assert_eq!(ways("closed"), ["in_review", "void"]);
    assert_eq!(ways("void"), ["in_review"]);
    assert!(ways("elsewhere").is_empty());
}

#[test]
fn voiding_needs_a_reason() {
    let step = |to: &str, reason: Value| json!({"incident_id": ID, "from": "submitted", "to": to, "reason": reason});
    for blank in [Value::Null, " ".into()] {
        assert_eq!(check(STEP, &set(step("void", blank.clone())))[0].message, "is required to void an incident");
        assert_eq!(whole(STEP, step("void", blank)), ["reason is required to void an incident"]);
    }
    assert_eq!(check(STEP, &set(step("void", "entered twice".into()))), []);
    assert_eq!(check(STEP, &set(step("closed", Value::Null))), []);
    assert_eq!(check(STEP, &set(json!({"reason": "only"}))), []);
    assert_eq!(whole(STEP, step("draft", "r".into())), ["to an incident that is submitted cannot become draft"]);
}

#[test]
fn defaults_are_values_that_pass() {
    for kind in [INCIDENT, COMMENT, STEP, STORE, ACCOUNT] {
        for (name, part) in parts(kind) {
            let default = default_value(kind, name);
            assert!(default.is_null() || check(kind, &set(json!({*name: default}))).is_empty(), "{name}");
            assert!(!part.required || default.is_null() || (kind, *name) == (ACCOUNT, "role"), "{name}");
        }
    }
    assert_eq!(default_value(INCIDENT, "severity"), 3);
    assert_eq!(default_value(INCIDENT, "status"), "submitted");
    assert!(DEFAULT_PERSON_ROLES.iter().all(|role| vocabulary::PERSON_ROLES.contains(role)));
}

#[test]
fn a_rule_and_never_a_guess_forces_severity() {
    let forced = |value: Value| forced_severity(&set(value));
    let injured = |injury: Value| forced(json!({ format!("people/{ID}"): {"injury": injury} }));
    assert_eq!(injured(json!({"died_at": "2026-01-02T03:04:05Z", "treatment": "in_patient"})), Some("a death"));
    assert_eq!(injured(json!({"treatment": "in_patient"})), Some("in-patient treatment"));
    assert_eq!(injured(json!({"treatment": "emergency_room", "died_at": null})), None);
    for nature in ["Amputation", "finger amputated", "AMPUTATION, partial"] {
        assert_eq!(injured(json!({ "nature": nature })), Some("an amputation"), "{nature}");
    }
    for nature in ["Loss of an eye", "lost his left eye", "LOSS OF EYE", "eye loss", "enucleation", "loss of both eyes"]
    {
        assert_eq!(injured(json!({ "nature": nature })), Some("the loss of an eye"), "{nature}");
    }
    for nature in ["cut", "eye irritation", "loss of balance", "loss of balance after hit on the eye", "lost"] {
        assert_eq!(injured(json!({ "nature": nature })), None, "{nature}");
    }
    assert_eq!(forced(json!({"category": "weapon"})), Some("a weapon"));
    assert_eq!(forced(json!({"category": "emergency", "subcategory": " Fire"})), Some("a fire"));
    assert_eq!(forced(json!({"category": "theft", "subcategory": "fire"})), None);
    assert_eq!(forced(json!({"tags": ["wet floor", "Fire"]})), Some("a fire"));
    assert_eq!(forced(json!({"tags": ["fire exit"]})), None);
    assert_eq!(forced(json!({ format!("people/{ID}"): null, "category": null, "tags": 5 })), None);
}

#[test]
fn every_category_has_its_nibrs_codes_or_none() {
    assert_eq!(vocabulary::nibrs("theft"), ["23C", "23F", "23H"]);
    assert!(vocabulary::nibrs("near_miss").is_empty());
    assert_eq!(vocabulary::CATEGORIES.iter().filter(|c| !vocabulary::nibrs(c).is_empty()).count(), 9);
}

#[test]
fn a_decision_is_about_a_field_that_there_is_and_names_changes() {
    let id = "019aa2b3-c000-7000-8000-00000000000a:7";
    let decided = serde_json::json!({"keep": "lost", "lost": [id]});
    for (field, value, wrong) in [
        ("settled/title", decided.clone(), 0),
        ("settled/deleted", decided.clone(), 0),
        ("settled/people/019aa2b3-c000-7000-8000-00000000000a", decided.clone(), 0),
        ("settled/title", serde_json::json!({"keep": "mine", "lost": [id]}), 1),
        ("settled/title", serde_json::json!({"keep": "lost", "lost": ["7"]}), 1),
        ("settled/title", serde_json::json!({"keep": "lost"}), 1),
        // Only a newer version knows: kept.
        ("settled/smell", serde_json::json!(7), 0),
        ("settled/settled/title", serde_json::json!(7), 0),
    ] {
        let set = BTreeMap::from([(field.to_owned(), value)]);
        assert_eq!(check(INCIDENT, &set).len(), wrong, "{set:?}");
    }
    assert!(!knows(INCIDENT, "settled/smell") && !knows(INCIDENT, "settled/*") && !knows(COMMENT, "settled/body"));
}

#[test]
fn what_is_decided_about_a_change_is_one_record_wherever_it_is_decided() {
    let id: ChangeId = "019aa2b3-c000-7000-8000-00000000000a:7".parse().unwrap();
    let record = settlement_of(id);
    assert_eq!(record.get_version_num(), 8);
    assert_eq!(record, settlement_of(id));
    assert_ne!(record, settlement_of(ChangeId { seq: 8, ..id }));
    // As the protocol document says; a second implementation comes to the same.
    let hash = blake3::hash(b"aincident settlement v1\n019aa2b3-c000-7000-8000-00000000000a:7");
    assert_eq!(record.as_bytes()[..6], hash.as_bytes()[..6]);
}
