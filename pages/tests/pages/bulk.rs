use crate::browser::{Browser, hub};
use serde_json::{Value, json};

/// The ids that a list offers to be chosen, in its order.
fn offered(page: &str) -> Vec<String> {
    let boxes = page.match_indices("name=\"id\" value=\"");
    boxes.map(|(at, found)| page[at + found.len()..].split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn several_are_assigned_and_closed_at_once_and_each_says_what_came_of_it() {
    let hub = hub().await;
    let (mia, max) = (hub.login("mia").await, hub.login("max").await);
    for n in 0..3 {
        hub.incident(&mia, json!({"description": format!("number {n}"), "title": format!("title <{n}>")}))
            .await;
    }
    let (_, of_another) = hub.incident(&max, json!({"description": "the Harbour's"})).await;
    let of_another = of_another["id"].as_str().unwrap().to_owned();
    let mut browser = Browser::of(&hub, "mia").await;
    let ids = offered(&browser.get("/incidents?category=other").await.is(200).text);
    assert_eq!(ids.len(), 3);
    // One is void already, one was deleted since the list was read, one is another store's.
    hub.patch(&mia, &format!("/api/v1/incidents/{}", ids[0]), &json!({"status": "void", "reason": "twice"}))
        .await
        .expect(200);
    hub.ask("DELETE", &format!("/api/v1/incidents/{}", ids[1])).token(&mia).send().await;
    let chosen: Vec<(&str, &str)> = [&ids[0], &ids[1], &ids[2], &ids[2], &of_another]
        .into_iter()
        .map(|id| ("id", id.as_str()))
        .collect();
    let with = |more: &[(&'static str, &'static str)]| {
        let mut fields = chosen.clone();
        fields.extend(more.iter().copied());
        fields
    };
    let page = browser.post("/incidents/bulk", &with(&[("do", "close"), ("reason", "settled")])).await.is(200);
    assert!(page.says("Done for 1 incident.") && page.says("3 incidents were refused."), "{}", page.text);
    assert!(page.says("it was deleted") && page.says("an incident that is void cannot become closed"));
    assert!(page.says("title &#60;2&#62;") || page.says("title &#60;0&#62;"));
    assert!(!page.says("the Harbour's") && page.says("there is no such incident, or none that you may see"));
    let closed = hub.get(&mia, &format!("/api/v1/incidents/{}", ids[2])).await.expect(200);
    assert_eq!(closed["status"], "closed");
    let history = hub.get(&mia, &format!("/api/v1/incidents/{}/history", ids[2])).await.expect(200);
    assert!(history.to_string().contains("settled"));
    // Sent again it does no harm.
    let page = browser.post("/incidents/bulk", &with(&[("do", "close"), ("reason", "settled")])).await.is(200);
    assert!(page.says("1 incident was so already."), "{}", page.text);
    let page = browser
        .post("/incidents/bulk", &[("id", &ids[2]), ("do", "assign"), ("assigned_to", "kim")])
        .await
        .is(200);
    assert!(page.says("Done for 1 incident."), "{}", page.text);
    assert_eq!(hub.get(&mia, &format!("/api/v1/incidents/{}", ids[2])).await.expect(200)["assigned_to"], "kim");
    let page = browser
        .post("/incidents/bulk", &[("id", &ids[2]), ("do", "assign"), ("assigned_to", "nobody")])
        .await
        .is(200);
    assert!(page.says("1 incident was refused."), "{}", page.text);
}

#[tokio::test]
async fn what_was_chosen_is_taken_out_as_a_file_and_nothing_but_that() {
    let hub = hub().await;
    let mia = hub.login("mia").await;
    for n in 0..3 {
        hub.incident(&mia, json!({"description": format!("number {n}")})).await;
    }
    let mut browser = Browser::of(&hub, "mia").await;
    let ids = offered(&browser.get("/incidents").await.is(200).text);
    let to = browser.post("/incidents/bulk", &[("id", &ids[0]), ("id", &ids[2]), ("do", "csv")]).await.leads();
    let file = hub.get(&mia, &to).await;
    let text = String::from_utf8_lossy(&file.bytes).into_owned();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(&ids[0]) && text.contains(&ids[2]) && !text.contains(&ids[1]));
    for format in ["xlsx", "pdf", "zip"] {
        let to = browser.post("/incidents/bulk", &[("id", &ids[0]), ("do", format)]).await.leads();
        assert_eq!(hub.get(&mia, &to).await.status.as_u16(), 200, "{format}");
    }
    // An employee may do none of it, and is offered none of it.
    let mut kim = Browser::of(&hub, "kim").await;
    assert!(offered(&kim.get("/incidents").await.is(200).text).is_empty());
    for fields in [[("id", ids[0].as_str()), ("do", "csv")], [("id", &ids[0]), ("do", "assign")]] {
        kim.post("/incidents/bulk", &fields).await.is(403);
    }
}

#[tokio::test]
async fn too_many_or_none_or_no_reason_is_said_and_the_api_says_the_same() {
    let hub = hub().await;
    let mia = hub.login("mia").await;
    let (_, one) = hub.incident(&mia, json!({"description": "x"})).await;
    let id = one["id"].as_str().unwrap();
    let mut browser = Browser::of(&hub, "mia").await;
    assert!(browser.post("/incidents/bulk", &[("do", "close")]).await.is(422).says("No incident was chosen"));
    assert!(browser.post("/incidents/bulk", &[("id", id), ("do", "close")]).await.is(422).says("needs a reason"));
    assert!(browser.post("/incidents/bulk", &[("id", id)]).await.is(422).says("Nothing was chosen"));
    let nobody = browser.post("/incidents/bulk", &[("id", id), ("do", "assign"), ("assigned_to", " ")]).await;
    assert!(nobody.is(422).says("Nobody was named"));
    let many: Vec<String> = (0..201_u128).map(|n| uuid::Uuid::from_u128(n).to_string()).collect();
    let mut fields: Vec<(&str, &str)> = many.iter().map(|id| ("id", id.as_str())).collect();
    fields.push(("do", "zip"));
    assert!(browser.post("/incidents/bulk", &fields).await.is(422).says("At most 200"));
    // Nobody is led anywhere else.
    let page = browser.post("/incidents/bulk", &[("do", "close"), ("back", "https://evil.example/")]).await.is(422);
    assert!(!page.says("evil.example"));
    let bulk = |body: Value| {
        let (hub, mia) = (&hub, &mia);
        async move { hub.post(mia, "/api/v1/incidents/bulk", &body).await }
    };
    let done = bulk(json!({"ids": [id], "action": "close", "reason": "settled"})).await.expect(200);
    assert_eq!((&done["items"][0]["outcome"], &done["items"][0]["reason"]), (&json!("done"), &Value::Null));
    let again = bulk(json!({"ids": [id, id], "action": "close"})).await.expect(200);
    assert_eq!(again["items"].as_array().unwrap().len(), 1);
    assert_eq!(again["items"][0]["outcome"], "unchanged");
    for bad in [
        json!({"ids": [], "action": "close"}),
        json!({"ids": many, "action": "close"}),
        json!({"ids": [id], "action": "delete"}),
        json!({"ids": [id], "action": "assign"}),
        json!({"ids": [id], "action": "close", "assigned_to": "kim"}),
        json!({"ids": [id], "action": "unassign", "reason": "x"}),
        json!({"ids": ["x"], "action": "close"}),
    ] {
        assert_eq!(bulk(bad.clone()).await.status.as_u16(), 422, "{bad}");
    }
}
