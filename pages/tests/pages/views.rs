use crate::browser::{Browser, hub};
use crate::site::Site;
use serde_json::json;

#[tokio::test]
async fn a_filter_with_a_name_is_its_owners_alone() {
    let hub = hub().await;
    let mut hana = Browser::of(&hub, "hana").await;
    let page = hana.get("/incidents?status=submitted&severity_min=4&cursor=&utm_source=mail").await.is(200);
    let fields = [("name", "Gravest <b>new</b>"), ("filters", "status=submitted&severity_min=4&utm_source=mail")];
    assert!(page.says("action=\"/views\""));
    let to = hana.post("/views", &fields).await.leads();
    assert_eq!(to, "/incidents?status=submitted&severity_min=4&view=kept");
    let page = hana.get(&to).await.is(200);
    assert!(page.says("Gravest &#60;b&#62;new&#60;/b&#62;") && !page.says("<b>new"), "{}", page.text);
    assert!(
        page.says("href=\"/incidents?status=submitted&#38;severity_min=4\" aria-current=\"true\""),
        "{}",
        page.text
    );
    assert!(page.says(">Kept.<"));
    assert_eq!(hana.post("/views", &fields).await.leads(), "/incidents?status=submitted&severity_min=4&view=taken");
    assert_eq!(
        hana.post("/views", &[("name", "x"), ("filters", "cursor=abc")]).await.leads(),
        "/incidents?view=empty"
    );
    let id = page.text.split("action=\"/views/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let mut ada = Browser::of(&hub, "ada").await;
    assert!(!ada.get("/incidents").await.is(200).says("Gravest"));
    ada.post(&format!("/views/{id}/delete"), &[]).await.is(404);
    assert!(hana.get("/incidents").await.is(200).says("Gravest"));
    assert_eq!(
        hana.post(&format!("/views/{id}/delete"), &[("filters", "q=x")]).await.leads(),
        "/incidents?q=x&view=deleted"
    );
    assert!(!hana.get("/incidents").await.is(200).says("Gravest"));
    assert!(Browser::of(&hub, "mia").await.speaks("es").get("/incidents").await.is(200).says("Mis vistas"));
}

#[tokio::test]
async fn views_have_an_end_and_name_what_the_list_filters_by() {
    let hub = hub().await;
    let token = hub.login("kim").await;
    let add = |name: String, filters: serde_json::Value| {
        hub.ask("POST", "/api/v1/views")
            .token(&token)
            .json(&json!({"name": name, "filters": filters}))
            .send()
    };
    let open = json!([{"name": "status", "value": "submitted"}]);
    for number in 0..30 {
        add(format!("view {number:02}"), open.clone()).await.expect(201);
    }
    add("one more".to_owned(), open.clone()).await.problem(409);
    assert_eq!(add("x".repeat(61), open.clone()).await.fields(), ["name"]);
    assert_eq!(add("x".to_owned(), json!([{"name": "cursor", "value": "x"}])).await.fields(), ["filters"]);
    assert_eq!(add("x".to_owned(), json!([])).await.fields(), ["filters"]);
    let listed = hub.get(&token, "/api/v1/views").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!((listed.len(), &listed[0]["name"], &listed[0]["filters"]), (30, &json!("view 00"), &open));
    let path = format!("/api/v1/views/{}", listed[0]["id"].as_str().unwrap());
    hub.ask("DELETE", &path).token(&token).send().await.expect(204);
    hub.ask("DELETE", &path).token(&token).send().await.problem(404);
    // None of it is a change: nothing is there to travel.
    let node = Site::node(&hub).await;
    let there = node.login("kim").await;
    assert_eq!(node.get(&there, "/api/v1/views").await.expect(200)["items"], json!([]));
}
