use crate::site::{PASSWORD, Site};
use serde_json::{Value, json};

#[tokio::test]
async fn administrators_make_accounts_and_nobody_else_does() {
    let hub = Site::hub().await;
    let ada = hub.login("ada").await;
    let new = json!({"username": "Pat", "role": "manager", "store_code": "007", "password": PASSWORD});
    for other in ["kim", "mia", "hana"] {
        let token = hub.login(other).await;
        hub.post(&token, "/api/v1/users", &new).await.problem(403);
        hub.post(&token, "/api/v1/stores", &json!({"code": "1", "name": "x"})).await.problem(403);
    }
    let made = hub.post(&ada, "/api/v1/users", &new).await.expect(201);
    let expected = json!({"id": made["id"], "username": "pat", "display_name": "pat", "role": "manager", "store_code": "007", "active": true});
    assert_eq!(made, expected);
    hub.post(&ada, "/api/v1/users", &new).await.problem(409);
    let pat = hub.login("pat").await;
    let seen = hub.get(&pat, "/api/v1/users").await.expect(200);
    assert_eq!(
        seen["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["username"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["max", "pat"]
    );
}

#[tokio::test]
async fn an_account_that_cannot_be_is_refused_by_name() {
    let hub = Site::hub().await;
    let ada = hub.login("ada").await;
    let fields = |body: Value| {
        let (hub, ada) = (&hub, &ada);
        async move { hub.post(ada, "/api/v1/users", &body).await.fields() }
    };
    assert_eq!(fields(json!({"username": "p t", "role": "hq", "password": PASSWORD})).await, ["username"]);
    assert_eq!(fields(json!({"username": "p", "role": "hq", "password": "short"})).await, ["password"]);
    assert_eq!(fields(json!({"username": "p", "role": "boss", "password": PASSWORD})).await, ["role"]);
    assert_eq!(fields(json!({"username": "p", "role": "employee", "password": PASSWORD})).await, ["store_code"]);
    assert_eq!(
        fields(json!({"username": "p", "role": "employee", "store_code": "999", "password": PASSWORD})).await,
        ["store_code"]
    );
    assert_eq!(
        fields(json!({"username": "p", "role": "hq", "store_code": "042", "password": PASSWORD})).await,
        ["store_code"]
    );
    assert_eq!(fields(json!({"username": "p", "role": "hq", "password": PASSWORD, "admin": true})).await, ["admin"]);
}

#[tokio::test]
async fn a_new_password_or_a_closed_account_ends_its_sessions() {
    let hub = Site::hub().await;
    let ada = hub.login("ada").await;
    let kim = hub.login("kim").await;
    let id = hub.get(&kim, "/api/v1/me").await.expect(200)["user"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}");
    let renamed = hub
        .patch(&ada, &path, &json!({"display_name": "Kim K.", "role": "manager", "store_code": "042"}))
        .await;
    assert_eq!(renamed.expect(200)["role"], "manager");
    assert_eq!(hub.get(&kim, "/api/v1/me").await.expect(200)["user"]["display_name"], "Kim K.");
    hub.patch(&ada, &path, &json!({"password": "another horse"})).await.expect(200);
    hub.get(&kim, "/api/v1/me").await.problem(401);
    let login = |password: &'static str| {
        hub.ask("POST", "/api/v1/login").json(&json!({"username": "kim", "password": password})).send()
    };
    login(PASSWORD).await.problem(401);
    let again = login("another horse").await.expect(200)["token"].as_str().unwrap().to_owned();
    hub.patch(&ada, &path, &json!({"active": false})).await.expect(200);
    hub.get(&again, "/api/v1/me").await.problem(401);
    login("another horse").await.problem(401);
    hub.patch(&ada, &path, &json!({"active": true})).await.expect(200);
    login("another horse").await.expect(200);
}

#[tokio::test]
async fn accounts_do_not_move_and_administrators_do_not_shut_themselves_out() {
    let hub = Site::hub().await;
    let ada = hub.login("ada").await;
    let users = hub.get(&ada, "/api/v1/users").await.expect(200);
    let path = |username: &str| {
        let user = users["items"].as_array().unwrap().iter().find(|user| user["username"] == username).unwrap();
        format!("/api/v1/users/{}", user["id"].as_str().unwrap())
    };
    assert_eq!(hub.patch(&ada, &path("kim"), &json!({"store_code": "007"})).await.fields(), ["store_code"]);
    assert_eq!(hub.patch(&ada, &path("kim"), &json!({"store_code": null})).await.fields(), ["store_code"]);
    assert_eq!(hub.patch(&ada, &path("kim"), &json!({"role": "hq"})).await.fields(), ["role"]);
    assert_eq!(hub.patch(&ada, &path("hana"), &json!({"role": "employee"})).await.fields(), ["role"]);
    hub.patch(&ada, &path("hana"), &json!({"role": "admin"})).await.expect(200);
    hub.patch(&ada, &path("ada"), &json!({"active": false})).await.problem(409);
    hub.patch(&ada, &path("ada"), &json!({"role": "hq"})).await.problem(409);
    hub.patch(&ada, "/api/v1/users/0198b4c0-0000-7000-8000-0000000000ff", &json!({"active": false}))
        .await
        .problem(404);
}

#[tokio::test]
async fn stores_are_made_and_changed_at_headquarters() {
    let hub = Site::hub().await;
    let ada = hub.login("ada").await;
    let made = hub.post(&ada, "/api/v1/stores", &json!({"code": "0100", "name": "Airport"})).await.expect(201);
    assert_eq!((&made["code"], &made["timezone"]), (&json!("0100"), &json!("UTC")));
    hub.post(&ada, "/api/v1/stores", &json!({"code": "0100", "name": "Airport"})).await.problem(409);
    assert_eq!(
        hub.post(&ada, "/api/v1/stores", &json!({"code": "a b", "name": " ", "timezone": "Mars"}))
            .await
            .fields(),
        ["code", "name", "timezone"]
    );
    let changed = hub
        .patch(&ada, "/api/v1/stores/0100", &json!({"name": "Airport South", "timezone": "Asia/Tokyo"}))
        .await
        .expect(200);
    assert_eq!(
        (&changed["id"], &changed["name"], &changed["timezone"]),
        (&made["id"], &json!("Airport South"), &json!("Asia/Tokyo"))
    );
    assert_eq!(hub.patch(&ada, "/api/v1/stores/0100", &json!({"code": "1"})).await.fields(), ["code"]);
    hub.patch(&ada, "/api/v1/stores/100", &json!({"name": "x"})).await.problem(404);
    let codes = |list: Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|store| store["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(hub.get(&ada, "/api/v1/stores").await.expect(200)), ["007", "0100", "042"]);
    let kim = hub.login("kim").await;
    assert_eq!(codes(hub.get(&kim, "/api/v1/stores").await.expect(200)), ["042"]);
    hub.get(&kim, "/api/v1/users").await.problem(403);
}

#[tokio::test]
async fn a_node_makes_no_accounts() {
    let hub = Site::hub().await;
    let node = Site::node(&hub).await;
    let mia = node.login("mia").await;
    node.post(&mia, "/api/v1/users", &json!({"username": "p", "role": "hq", "password": PASSWORD}))
        .await
        .problem(403);
    let seen = node.get(&mia, "/api/v1/users").await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 3);
    assert!(!seen.to_string().contains("argon2"));
}
