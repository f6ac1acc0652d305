use crate::site::{T0, TestSite, fixed_id, set, store_042};
use desk::ledger::{Draft, Filter, Incidents as _};
use serde_json::json;
use sync_protocol::record::INCIDENT;
use uuid::Uuid;

fn either(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn own(values: &[&str]) -> std::collections::BTreeMap<String, Vec<String>> {
    [("custom/place".to_owned(), either(values))].into()
}

/// Every filter of the API, alone and in company.
fn filters() -> Vec<(&'static str, Filter)> {
    let none = Filter::default();
    vec![
        ("nothing", none.clone()),
        ("sight", Filter { sight: Some("042".to_owned()), ..none.clone() }),
        ("store", Filter { store: either(&["042"]), ..none.clone() }),
        ("status", Filter { status: either(&["submitted"]), ..none.clone() }),
        ("two statuses", Filter { status: either(&["submitted", "closed"]), ..none.clone() }),
        ("category", Filter { category: either(&["theft"]), ..none.clone() }),
        ("three categories", Filter { category: either(&["theft", "fraud", "other"]), ..none.clone() }),
        ("severity", Filter { severity_min: Some(4), ..none.clone() }),
        ("any severity", Filter { severity_min: Some(1), ..none.clone() }),
        ("one severity", Filter { severity_min: Some(3), severity_max: Some(3), ..none.clone() }),
        ("small severities", Filter { severity_max: Some(2), ..none.clone() }),
        ("reporter", Filter { reported_by: either(&["kim"]), ..none.clone() }),
        ("tag", Filter { tag: either(&["red"]), ..none.clone() }),
        ("two tags", Filter { tag: either(&["red", "blue"]), ..none.clone() }),
        ("one value of its own", Filter { own: own(&["till"]), ..none.clone() }),
        ("two values of its own", Filter { own: own(&["till", "door"]), ..none.clone() }),
        (
            "a tag and a value of its own",
            Filter { tag: either(&["red"]), own: own(&["till"]), ..none.clone() },
        ),
        ("from and to", Filter { from_ms: Some(T0), to_ms: Some(T0 + 50), ..none.clone() }),
        ("deleted too", Filter { deleted: true, ..none.clone() }),
        (
            "status and category",
            Filter { status: either(&["submitted"]), category: either(&["theft"]), ..none.clone() },
        ),
        ("tag and time", Filter { tag: either(&["red"]), from_ms: Some(T0 + 10), ..none.clone() }),
        ("a short name", Filter { person: either(&["li"]), ..none.clone() }),
        ("a name", Filter { person: either(&["lindqv"]), ..none.clone() }),
        ("ids", Filter { id: vec![Uuid::from_u128(7), Uuid::from_u128(9)], ..none.clone() }),
        (
            "ids and the rest",
            Filter {
                id: vec![Uuid::from_u128(7)],
                store: either(&["042"]),
                severity_min: Some(2),
                ..none.clone()
            },
        ),
        ("words", Filter { q: Some("Numero thi".to_owned()), ..none.clone() }),
        (
            "words and the rest",
            Filter {
                q: Some("numero".to_owned()),
                category: either(&["theft"]),
                severity_min: Some(2),
                ..none
            },
        ),
    ]
}

fn is_from_text_index(filter: &Filter, common: bool) -> bool {
    // A few rows by their ids are sorted, too.
    !filter.id.is_empty()
        || (filter.q.is_some() && !common)
        || filter.person.iter().any(|part| part.chars().count() >= 3)
}

#[tokio::test]
async fn every_list_walks_an_index_in_order_and_looks_rows_up_by_key() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 40).await;
    for (site, (name, filter)) in
        [&hub, &node].into_iter().flat_map(|site| filters().into_iter().map(move |one| (site, one)))
    {
        for (after, common) in [(None, false), (Some((T0, Uuid::from_u128(9))), false), (None, true)] {
            let plan = site.ledger.explain(filter.clone(), after, common).await.unwrap();
            for step in &plan {
                let walks_an_index = !step.starts_with("SCAN i")
                    || step.contains("USING INDEX")
                    || step.contains("USING COVERING INDEX");
                assert!(walks_an_index || step.contains("VIRTUAL TABLE"), "{name}: reads the whole table: {plan:#?}");
                for table in ["d", "a", "t", "x"] {
                    assert!(
                        !step.starts_with(&format!("SCAN {table} ")) && step != &format!("SCAN {table}"),
                        "{name}: scans {table}: {plan:#?}"
                    );
                }
                assert!(!step.contains("AUTOMATIC"), "{name}: builds an index on the fly: {plan:#?}");
                assert!(
                    is_from_text_index(&filter, common) || !step.contains("TEMP B-TREE"),
                    "{name}: sorts: {plan:#?}"
                );
            }
        }
    }
}

/// A word that so many have that the other way of searching is taken.
#[tokio::test]
async fn a_common_word_finds_the_same_as_a_rare_one_would() {
    let site = TestSite::hub().await;
    let mut ids = Vec::new();
    for n in 0..1_010_i64 {
        let words = if n % 300 == 0 { "common rare" } else { "common" };
        ids.push(site.incident("kim", T0 + n, json!({"description": words})).await);
    }
    let found = |q: &str| Filter { q: Some(q.to_owned()), ..Filter::default() };
    let common = site.ledger.incidents(found("COMM"), None, 3).await.unwrap();
    assert_eq!(common.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[1009], ids[1008], ids[1007]]);
    let after = common.last().map(|row| (row.occurred_at_ms, row.id));
    assert_eq!(site.ledger.incidents(found("comm"), after, 1).await.unwrap()[0].id, ids[1006]);
    let rare = site.ledger.incidents(found("common rare"), None, 10).await.unwrap();
    assert_eq!(rare.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[900], ids[600], ids[300], ids[0]]);
}

/// The list's answers against the same question asked in the plainest way of every incident there is.
#[tokio::test]
async fn pages_hold_every_match_once_newest_first_whatever_the_filter_at_headquarters() {
    pages_hold_every_match_once(TestSite::hub().await).await;
}

#[tokio::test]
async fn pages_hold_every_match_once_newest_first_whatever_the_filter_in_a_store() {
    let hub = TestSite::hub().await;
    pages_hold_every_match_once(TestSite::node(&hub, 41).await).await;
}

async fn pages_hold_every_match_once(site: TestSite) {
    let categories = ["theft", "fraud", "other"];
    for n in 0..60_i64 {
        // Several share a millisecond, so that the id has to break the tie.
        let at = T0 + n / 3;
        let mut fields = json!({
            "description": format!("Número {} {}", n, if n % 5 == 0 { "thief" } else { "wind" }),
            "category": categories[n as usize % 3],
            "severity": 1 + n % 5,
            "tags": if n % 4 == 0 { json!(["red"]) } else if n % 4 == 1 { json!(["blue", "red"]) } else { json!([]) },
        });
        if n % 4 != 3 {
            fields["custom/place"] = json!(["till", "door", "yard"][n as usize % 4]);
        }
        if n % 6 == 0 {
            fields[format!("people/{}", fixed_id(&format!("p{n}")))] =
                json!({"name": "Åsa Lindqvist", "roles": ["witness"]});
        }
        let id = site.incident(if n % 2 == 0 { "kim" } else { "lee" }, at, fields).await;
        if n % 10 == 9 {
            let seen = json!({"saw": {}});
            site.record(
                "lee",
                at,
                Draft {
                    kind: INCIDENT,
                    id,
                    scope: store_042(),
                    new: false,
                    set: set(json!({"deleted": seen})),
                    number_year: None,
                },
            )
            .await;
        }
    }
    let all = site.ledger.incidents(Filter { deleted: true, ..Filter::default() }, None, 1000).await.unwrap();
    assert_eq!(all.len(), 60);
    let ids = all.iter().step_by(3).map(|row| row.id).chain([Uuid::from_u128(7)]).collect::<Vec<_>>();
    let by_id = Filter { id: ids, ..Filter::default() };
    let and_more = Filter { severity_min: Some(3), deleted: true, ..by_id.clone() };
    let of_ids = [("some ids", by_id), ("some ids and the rest", and_more)];
    for (name, filter) in filters().into_iter().chain(of_ids) {
        let wanted: Vec<Uuid> = all.iter().filter(|row| plainly(&filter, row)).map(|row| row.id).collect();
        let mut got = Vec::new();
        let mut after = None;
        loop {
            let page = site.ledger.incidents(filter.clone(), after, 7).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.occurred_at_ms, last.id));
            got.extend(page.iter().map(|row| row.id));
        }
        assert_eq!(got, wanted, "{name}");
        assert_eq!(site.ledger.stats(filter).await.unwrap().total as usize, wanted.len(), "{name}: counts");
    }
}

fn plainly(filter: &Filter, row: &desk::ledger::IncidentRow) -> bool {
    let doc: serde_json::Value = serde_json::from_str(&row.doc).unwrap();
    let said = |name: &str| doc.pointer(&format!("/{name}")).and_then(serde_json::Value::as_str).unwrap_or_default();
    if filter.own.iter().any(|(name, either)| !either.iter().any(|value| value == said(name))) {
        return false;
    }
    let one_of =
        |values: &[String], field: &str| values.is_empty() || values.iter().any(|value| doc[field] == value.as_str());
    let tags: Vec<&str> = doc["tags"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str).collect();
    let names: Vec<&str> =
        doc["people"].as_array().unwrap().iter().filter_map(|person| person["name"].as_str()).collect();
    let text = doc["description"].as_str().unwrap();
    (filter.deleted || !row.deleted)
        && (filter.id.is_empty() || filter.id.contains(&row.id))
        && one_of(&filter.status, "status")
        && one_of(&filter.category, "category")
        && one_of(&filter.reported_by, "reported_by")
        && filter.severity_min.is_none_or(|least| doc["severity"].as_u64().unwrap() >= u64::from(least))
        && filter.severity_max.is_none_or(|most| doc["severity"].as_u64().unwrap() <= u64::from(most))
        && (filter.tag.is_empty() || filter.tag.iter().any(|tag| tags.contains(&tag.as_str())))
        && (filter.person.is_empty() || !names.is_empty())
        && filter.from_ms.is_none_or(|from| row.occurred_at_ms >= from)
        && filter.to_ms.is_none_or(|to| row.occurred_at_ms < to)
        && filter.q.as_deref().is_none_or(|q| !q.contains("thi") || text.contains("thief"))
}
