use crate::site::Site;
use serde_json::{Value, json};

fn titles(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect()
}

async fn five(hub: &Site, token: &str) {
    for n in 0..5 {
        let day = format!("2026-11-1{n}T00:00:00Z");
        hub.incident(token, json!({"description": format!("no {n}"), "occurred_at": day, "tags": [format!("t{}", n % 2)], "severity": n + 1})).await;
    }
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_newest_first() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    five(&hub, &kim).await;
    let first = hub.get(&kim, "/api/v1/incidents?limit=2").await.expect(200);
    assert_eq!(titles(&first), ["no 4", "no 3"]);
    let next = |page: &Value| format!("/api/v1/incidents?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let second = hub.get(&kim, &next(&first)).await.expect(200);
    assert_eq!(titles(&second), ["no 2", "no 1"]);
    let third = hub.get(&kim, &next(&second)).await.expect(200);
    assert_eq!(titles(&third), ["no 0"]);
    assert_eq!(third["next_cursor"], Value::Null);
    let exact = hub.get(&kim, "/api/v1/incidents?limit=5").await.expect(200);
    assert_eq!(exact["next_cursor"], Value::Null);
    let foreign = format!("{}&tag=t1", next(&first));
    assert_eq!(hub.get(&kim, &foreign).await.fields(), ["cursor"]);
    let mia = hub.login("hana").await;
    assert_eq!(hub.get(&mia, &next(&first)).await.fields(), ["cursor"]);
    assert_eq!(hub.get(&kim, "/api/v1/incidents?cursor=nonsense").await.fields(), ["cursor"]);
}

#[tokio::test]
async fn every_filter_narrows_and_a_repeated_one_means_either() {
    let hub = Site::hub().await;
    let (kim, max, hana) = (hub.login("kim").await, hub.login("max").await, hub.login("hana").await);
    five(&hub, &kim).await;
    let body = json!({
        "description": "łódź", "title": "harbour", "category": "theft", "occurred_at": "2026-10-01T00:00:00Z", "status": "draft",
        "people": [{"name": "Łukasz Nowak"}],
    });
    hub.incident(&max, body).await;
    for (query, expected) in [
        ("store=007", vec!["harbour"]),
        ("store=007&store=042&severity_min=5", vec!["no 4"]),
        ("severity_min=5&severity_min=4", vec!["no 4", "no 3"]),
        ("severity_min=4&severity_max=4", vec!["no 3"]),
        ("severity_max=1&severity_max=2", vec!["no 1", "no 0"]),
        ("severity_min=4&severity_max=2", vec![]),
        ("tag=t1", vec!["no 3", "no 1"]),
        ("category=theft&category=fraud", vec!["harbour"]),
        ("status=draft", vec!["harbour"]),
        ("reported_by=MAX", vec!["harbour"]),
        ("person=lukasz%20no", vec!["harbour"]),
        ("from=2026-11-12T00:00:00Z&to=2026-11-14T00:00:00Z", vec!["no 3", "no 2"]),
        ("to=2026-10-01T02:00:00%2B02:00", vec![]),
        ("to=2026-10-01T02:00:00.001%2B02:00", vec!["harbour"]),
        ("q=lodz", vec!["harbour"]),
        ("q=LOD", vec!["harbour"]),
        ("q=lodz%20nothing", vec![]),
        ("q=&limit=1", vec!["no 4"]),
    ] {
        let page = hub.get(&hana, &format!("/api/v1/incidents?{query}")).await.expect(200);
        assert_eq!(titles(&page), expected, "{query}");
    }
    // A store's people see their own store, whatever they ask for.
    assert!(titles(&hub.get(&kim, "/api/v1/incidents?store=007").await.expect(200)).is_empty());
}

#[tokio::test]
async fn parameters_that_cannot_be_taken_are_named() {
    let hub = Site::hub().await;
    let mia = hub.login("mia").await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("colour=red", "colour"),
        ("status=open", "status"),
        ("category=x", "category"),
        ("severity_min=0", "severity_min"),
        ("severity_max=6", "severity_max"),
        ("from=yesterday", "from"),
        ("deleted=maybe", "deleted"),
    ] {
        assert_eq!(hub.get(&mia, &format!("/api/v1/incidents?{query}")).await.fields(), [field], "{query}");
    }
    assert_eq!(hub.get(&mia, "/api/v1/stats?limit=5").await.fields(), ["limit"]);
    assert_eq!(hub.get(&mia, "/api/v1/reviews?limit=0").await.fields(), ["limit"]);
    assert_eq!(hub.get(&mia, "/api/v1/reviews?colour=red").await.fields(), ["colour"]);
}

#[tokio::test]
async fn counts_are_over_what_the_filters_let_through() {
    let hub = Site::hub().await;
    let (kim, max, hana) = (hub.login("kim").await, hub.login("max").await, hub.login("hana").await);
    five(&hub, &kim).await;
    hub.incident(&max, json!({"description": "x", "category": "theft", "occurred_at": "2026-11-14T09:00:00Z"}))
        .await;
    let all = hub.get(&hana, "/api/v1/stats").await.expect(200);
    assert_eq!(all["total"], 6);
    assert_eq!(all["by_store"], json!([{"store_code": "007", "count": 1}, {"store_code": "042", "count": 5}]));
    assert_eq!(all["by_category"], json!([{"category": "other", "count": 5}, {"category": "theft", "count": 1}]));
    assert_eq!(all["by_day"][4], json!({"day": "2026-11-14", "count": 2}));
    assert_eq!(all["by_severity"][2], json!({"severity": 3, "count": 2}));
    assert_eq!(hub.get(&kim, "/api/v1/stats?severity_min=4").await.expect(200)["total"], 2);
    assert_eq!(hub.get(&max, "/api/v1/stats").await.expect(200)["total"], 1);
}

#[tokio::test]
async fn equal_times_are_told_apart_by_id() {
    let hub = Site::hub().await;
    let kim = hub.login("kim").await;
    for n in 0..7 {
        hub.incident(&kim, json!({"description": format!("{n}")})).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/incidents?limit=3".to_owned();
    loop {
        let page = hub.get(&kim, &path).await.expect(200);
        seen.extend(titles(&page).into_iter().map(ToOwned::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/incidents?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn reviews_are_for_managers() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    hub.get(&kim, "/api/v1/reviews").await.problem(403);
    assert_eq!(hub.get(&mia, "/api/v1/reviews").await.expect(200), json!({"items": []}));
}
