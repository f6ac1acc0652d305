//! Strings that break naive programs are stored, sent, found and shown as they came.

use aincident_tests::agree::same;
use aincident_tests::http::escaped;
use aincident_tests::{Hub, Node, Scratch};
use serde_json::json;
use std::time::Duration;

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "'; DROP TABLE incidents; --",
        "\" OR 1=1 --",
        "<script>alert(document.cookie)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}} ${7*7} #{7*7} %{7*7} <%= 7*7 %>",
        "%s%n%x%d {} {0} \\u0000 \\x00",
        "../../../../etc/passwd",
        "=HYPERLINK(\"http://example.org\")",
        "+1-2@3|cmd",
        "$(reboot) `reboot` ; reboot && reboot",
        "line one\nline two\r\nline three\ttabbed",
        "Łukasz, Ngọc, Ελένη, Дмитрий, 美咲, אֵיתָן, عَلِيّ, ไพลิน, 김하늘",
        "👩🏽‍🚒 🏳️‍🌈 🇮🇸 e\u{301} \u{1F9D1}\u{200D}\u{1F91D}\u{200D}\u{1F9D1}",
        "\u{202e}desrever\u{202c} \u{200b}zero\u{200b}width\u{feff}",
        "Z̸̡̛a̶͇͝l̵̰̈g̷̜͘o̴̢͐",
        "ﬁ ﬃ Å Å ẞ ß ı İ ǆ",
        "null",
        "true",
        "NaN",
        "-0",
        "1e309",
        "[]",
        "{}",
        "undefined",
        "AND OR NOT NEAR(\"a\" *) col:val ^x",
        "\\\\server\\share \\\" \\' \\",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("é".repeat(20_000));
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_strings_come_back_as_they_were_at_both_sites() {
    let scratch = Scratch::new("hostile");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let mut made = Vec::new();
    for text in hostile() {
        let short: String = text.chars().take(200).collect();
        let tag: String = text.chars().take(50).collect();
        let body = json!({
            "description": text, "title": short, "location": short, "tags": [tag], "subcategory": text.chars().take(100).collect::<String>(),
            "people": [{ "name": short, "roles": ["witness"], "statement": text.chars().take(10_000).collect::<String>() }],
            "custom": { "note": short },
        });
        let incident = manager.post("/api/v1/incidents", &body).await.expect(201);
        let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
        let remark: String = text.chars().take(10_000).collect();
        let _ = manager.post(&format!("{path}/comments"), &json!({ "body": remark })).await.expect(201);
        made.push((path, body, remark));
    }
    node.drained(&manager, Duration::from_secs(60)).await;
    for (path, body, remark) in made {
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await.expect(200));
        for field in ["description", "title", "location", "tags", "subcategory", "custom"] {
            assert_eq!(here[field], body[field], "{path} {field}");
        }
        assert_eq!(here["people"][0]["name"], body["people"][0]["name"]);
        assert_eq!(here["people"][0]["statement"], body["people"][0]["statement"]);
        assert_eq!(here["comments"][0]["body"], json!(remark));
        same(&path, &here, &there);
    }
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_that_would_garble_a_screen_are_refused_by_name() {
    let scratch = Scratch::new("controls");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    for text in ["\u{1b}[31mred", "a\u{0}b", "a\u{8}b"] {
        let problem = manager.post("/api/v1/incidents", &json!({ "description": text })).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "description", "{problem}");
    }
    assert_eq!(manager.total().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_for_anything_answers_and_finds_by_words_without_accents() {
    let scratch = Scratch::new("search");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let body = json!({ "description": "Ελένη saw Łukasz Wrona fall", "people": [{ "name": "Ngọc Trần", "roles": ["witness"] }] });
    let _ = manager.post("/api/v1/incidents", &body).await.expect(201);
    let found = async |name: &str, value: &str| {
        let page = manager.get(&format!("/api/v1/incidents?{name}={}", escaped(value))).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    for text in hostile() {
        let short: String = text.chars().take(150).collect();
        let word = escaped(&short);
        let answer = manager.get(&format!("/api/v1/incidents?q={word}&person={word}&tag={word}")).await;
        assert!(answer.status == 200 || answer.status == 422, "{short:?}: {}", answer.status);
    }
    for (name, value) in [("q", "ελενη"), ("q", "WRONA fal"), ("q", "ngoc"), ("person", "tran"), ("person", "goc tr")]
    {
        assert_eq!(found(name, value).await, 1, "{name}={value}");
    }
    assert_eq!(found("q", "wrona nobody").await, 0);
}
