use super::*;
use crate::incidents::body::after;
use serde_json::json;

fn body(value: Value) -> Body {
    value.as_object().unwrap().clone()
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

fn state(value: Value) -> RecordState {
    after(&RecordState::default(), &fields(value))
}

fn refused(before: &RecordState, patch: Value) -> Vec<String> {
    changes(before, body(patch)).unwrap_err().into_iter().map(|error| error.field).collect()
}

fn row(scope: Scope, value: Value, changed_ms: i64) -> SettingsRow {
    SettingsRow { scope, fields: fields(value), changed_ms }
}

#[test]
fn a_patch_becomes_writes_of_what_changes() {
    let none = RecordState::default();
    let patch = json!({"log_level": "debug", "photos": {"max_kbit_s": 500, "originals": null}});
    assert_eq!(
        changes(&none, body(patch.clone())).unwrap(),
        fields(json!({"log_level": "debug", "photos/max_kbit_s": 500}))
    );
    let there = state(json!({"log_level": "debug", "photos/max_kbit_s": 400, "photos/originals": "always"}));
    let set = fields(json!({"photos/max_kbit_s": 500, "photos/originals": null}));
    assert_eq!(changes(&there, body(patch)).unwrap(), set);
    let gone = fields(json!({"photos/max_kbit_s": null, "photos/originals": null}));
    assert_eq!(changes(&there, body(json!({"photos": null}))).unwrap(), gone);
}

#[test]
fn elements_are_merged_member_by_member() {
    let there = state(json!({"categories/gift": {"label": "Gift card", "category": "fraud"}}));
    let set = changes(&there, body(json!({"categories": {"gift": {"retired": true}}}))).unwrap();
    assert_eq!(set["categories/gift"], json!({"label": "Gift card", "category": "fraud", "retired": true}));
    let set = changes(&there, body(json!({"categories": {"gift": null}}))).unwrap();
    assert_eq!(set["categories/gift"], Value::Null);
}

#[test]
fn everything_that_cannot_be_taken_is_named() {
    let none = RecordState::default();
    assert_eq!(
        refused(&none, json!({"log_level": "loud", "photos": {"max_kbit_s": -1, "url": "x"}, "command": "reboot"})),
        ["command", "photos.url", "log_level", "photos.max_kbit_s"]
    );
    assert_eq!(refused(&none, json!({"photos": 7})), ["photos"]);
    assert_eq!(refused(&none, json!({"photos/max_kbit_s": 7})), ["photos/max_kbit_s".replace('/', ".")]);
    assert_eq!(
        refused(&none, json!({"categories": {"Gift": {"label": "x", "category": "fraud"}}})),
        ["categories.Gift"]
    );
    assert_eq!(
        refused(&none, json!({"custom_fields": {"till": {"label": "Till", "type": "script"}}})),
        ["custom_fields.till.type"]
    );
}

#[test]
fn names_and_types_that_reports_carry_stay_and_no_two_are_alike() {
    let there = state(json!({
        "categories/gift": {"label": "Gift card", "category": "fraud"},
        "custom_fields/till": {"label": "Till", "type": "number"},
    }));
    assert_eq!(refused(&there, json!({"categories": {"gift": {"label": "Card"}}})), ["categories.gift.label"]);
    assert_eq!(refused(&there, json!({"custom_fields": {"till": {"type": "text"}}})), ["custom_fields.till.type"]);
    assert!(changes(&there, body(json!({"custom_fields": {"till": {"label": "Register"}}}))).is_ok());
    let twin = json!({"categories": {"card": {"label": "Gift card", "category": "fraud"}}});
    assert_eq!(refused(&there, twin), ["categories.card.label"]);
    let elsewhere = json!({"categories": {"card": {"label": "Gift card", "category": "theft"}}});
    assert!(changes(&there, body(elsewhere)).is_ok());
}

#[test]
fn there_is_an_end_to_what_a_company_adds() {
    let many: Map<String, Value> = (0..=MAX_OWN)
        .map(|at| (format!("k{at}"), json!({"label": format!("L{at}"), "category": "other"})))
        .collect();
    assert_eq!(refused(&RecordState::default(), json!({ "categories": many })), ["categories"]);
}

#[test]
fn a_stores_values_go_before_the_companys_field_by_field() {
    let rows = [
        row(Scope::Company, json!({"log_level": "warn", "photos/max_kbit_s": 100}), 5),
        row(Scope::Store("042".into()), json!({"photos/max_kbit_s": 900}), 9),
    ];
    let holding = Holding::of(&rows, Some("042"));
    assert_eq!(holding.get("log_level"), Some(&json!("warn")));
    assert_eq!(holding.get("photos/max_kbit_s"), Some(&json!(900)));
    assert_eq!(holding.fields()["photos/max_kbit_s"].1, Source::Store);
    assert_eq!(holding.changed_ms(), Some(9));
    let other = Holding::of(&rows, Some("007"));
    assert_eq!(other.get("photos/max_kbit_s"), Some(&json!(100)));
    assert_ne!(other.version(), holding.version());
    assert_eq!(Holding::of(&rows, None).version(), other.version());
}

#[test]
fn what_a_newer_or_a_hostile_headquarters_says_is_refused_and_the_rest_is_not() {
    let rows = [row(
        Scope::Company,
        json!({
            "log_level": "debug", "photos/max_kbit_s": "; reboot", "warp/factor": 9,
            "categories/gift": {"label": "Gift card", "category": "time_travel"},
            "categories/fine": {"label": "Fine", "category": "fraud"},
            "custom_fields/map": {"label": "Map", "type": "place"},
        }),
        1,
    )];
    let holding = Holding::of(&rows, Some("042"));
    let refused = holding.refused();
    assert_eq!(
        refused.keys().collect::<Vec<_>>(),
        ["categories/gift", "custom_fields/map", "photos/max_kbit_s", "warp/factor"]
    );
    assert!(refused["warp/factor"].contains("upgrade"), "{refused:?}");
    assert!(refused["custom_fields/map"].starts_with("type must be one of"), "{refused:?}");
    assert_eq!(holding.categories().len(), 1);
    assert_eq!(holding.custom_fields(), []);
    let report = SettingsReport { refused, overridden: vec!["log_level".into()], ..SettingsReport::default() };
    let told = told(&holding, Some("042".into()), &report);
    assert_eq!(told.sources["log_level"], Source::Here);
    assert_eq!(told.sources["photos.max_kbit_s"], Source::Default);
    assert_eq!(told.sources["categories.fine"], Source::Company);
    assert_eq!(told.settings["warp"]["factor"], 9);
}
