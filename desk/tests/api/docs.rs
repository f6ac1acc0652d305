use crate::site::Site;
use serde_json::Value;

#[tokio::test]
async fn the_document_names_every_call_with_its_schemas() {
    let site = Site::open();
    let answer = site.ask("GET", "/openapi.json").send().await;
    let etag = answer.header("etag").to_owned();
    let api = answer.expect(200);
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, methods) in [
        ("/api/v1/login", "post"),
        ("/api/v1/logout", "post"),
        ("/api/v1/me", "get"),
        ("/api/v1/incidents", "get post"),
        ("/api/v1/incidents/{id}", "get patch delete"),
        ("/api/v1/incidents/{id}/restore", "post"),
        ("/api/v1/incidents/{id}/history", "get"),
        ("/api/v1/incidents/{id}/comments", "post"),
        ("/api/v1/incidents/export", "get"),
        ("/api/v1/stats", "get"),
        ("/api/v1/reviews", "get"),
        ("/api/v1/stores", "get post"),
        ("/api/v1/stores/{code}", "patch"),
        ("/api/v1/users", "get post"),
        ("/api/v1/users/{id}", "patch"),
        ("/api/v1/events", "get"),
        ("/api/v1/notifications", "get post"),
        ("/api/v1/notifications/{id}", "patch delete"),
        ("/api/v1/notifications/{id}/test", "post"),
    ] {
        for method in methods.split(' ') {
            let operation = &api["paths"][path][method];
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert_eq!(
                operation["responses"]["401"]["content"]["application/problem+json"]["schema"]["$ref"],
                "#/components/schemas/Problem"
            );
        }
    }
    for name in [
        "NewIncident",
        "IncidentPatch",
        "Credentials",
        "CommentRequest",
        "AccountRequest",
        "AccountPatch",
        "StoreRequest",
        "StorePatch",
        "Person",
    ] {
        assert_eq!(api["components"]["schemas"][name]["additionalProperties"], false, "{name}");
    }
    let mut missing = Vec::new();
    references(&api, &mut |reference| {
        if api.pointer(&reference[1..]).is_none() {
            missing.push(reference.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
    site.ask("GET", "/openapi.json").header("if-none-match", &etag).send().await.expect(304);
}

fn references(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                each(reference);
            }
            members.values().for_each(|value| references(value, each));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, each)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_anywhere_else() {
    let site = Site::open();
    let mut all = String::new();
    for (path, kind) in [("/docs", "text/html"), ("/docs/page.css", "text/css"), ("/docs/page.js", "text/javascript")] {
        let answer = site.ask("GET", path).send().await;
        assert!(answer.header("content-type").starts_with(kind));
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        all.push_str(std::str::from_utf8(&answer.bytes).unwrap());
    }
    assert!(
        !all.contains("http://") && !all.contains("https://") && !all.contains("innerHTML") && !all.contains("style=")
    );
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let site = Site::open();
    site.ask("GET", "/api/v1/nothing").send().await.problem(404);
    let answer = site.ask("DELETE", "/api/v1/me").send().await;
    assert!(answer.header("allow").contains("GET"));
    answer.problem(405);
}

#[tokio::test]
async fn every_refusal_is_a_problem_and_says_when_to_come_back() {
    let api = Site::open().ask("GET", "/openapi.json").send().await.expect(200);
    let mut seen = 0;
    for (path, item) in api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api/v1/")) {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(_, operation)| operation.is_object()) {
            let refusals =
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status[..] >= *"400");
            for (status, response) in refusals {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}: {status}");
                let says_when = response["headers"]["Retry-After"].is_object();
                assert_eq!(says_when, matches!(&status[..], "429" | "503" | "507"), "{method} {path}: {status}");
                seen += 1;
            }
            assert!(operation["responses"]["429"]["headers"]["RateLimit"].is_object(), "{method} {path}");
        }
    }
    assert!(seen > 300, "{seen}");
    let answers = |path: &str, method: &str| api["paths"][path][method]["responses"].clone();
    assert!(answers("/api/v1/settings", "patch")["412"].is_object());
    assert!(answers("/api/v1/incidents/{id}", "delete")["409"].is_object());
    assert!(answers("/api/v1/notifications/dead/retry", "post")["409"].is_null());
    assert!(answers("/api/v1/uploads", "post")["413"].is_object());
    assert!(answers("/api/v1/uploads", "options")["401"].is_null());
    let begins = &api["paths"]["/api/v1/uploads"]["post"]["requestBody"];
    let bytes = &begins["content"]["application/offset+octet-stream"]["schema"];
    assert!(begins["required"] == false && bytes["type"] == "string" && bytes["format"] == "binary", "{begins}");
    let two = answers("/api/v1/notifications/{id}/test", "post")["429"]["description"].to_string();
    assert!(two.contains("20 within an hour") && two.contains("asks too often"), "{two}");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(answers(path, "get")["200"]["content"].is_object(), "{path}");
    }
}
