//! Starting, stopping and being told off: exit codes, one clear line, nothing touched.

use aincident_tests::process::run;
use aincident_tests::{Hub, Node, Scratch};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_folder_is_refused_and_the_first_one_does_not_notice() {
    let scratch = Scratch::new("second");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    for site in [&*hub, &*node] {
        let line = site.run(&["serve", "--listen", "127.0.0.1:0"]).await.refused(1, "a second serve");
        assert!(line.contains("another process") || line.contains("already"), "{line}");
    }
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "still here" })).await.expect(201);
    // Administration works beside a running hub.
    hub.store_add("300", "Airport", "Europe/Oslo").await;
    assert!(!hub.node_code("300").await.contains(char::is_whitespace));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new("newer");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "kept" })).await.expect(201);
    node.drained(&manager, std::time::Duration::from_secs(60)).await;
    node.stop().await;
    hub.stop().await;

    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (9999, 'later', '2099-01-01T00:00:00Z', '1')";
    for site in [&mut *hub, &mut *node] {
        let database = site.folder().join("ledger.sqlite");
        let change = |sql: &str| rusqlite::Connection::open(&database).unwrap().execute(sql, []).unwrap();
        change(later);
        let before = std::fs::read(&database).unwrap();
        let ran = site.try_start().await.expect_err("a newer database was opened");
        let line = ran.refused(1, "a newer database");
        assert!(line.contains("9999") && line.contains("install the newer version again"), "{line}");
        let line = site.run(&["doctor"]).await.refused(1, "a command on a newer database");
        assert!(line.contains("9999"), "{line}");
        assert_eq!(std::fs::read(&database).unwrap(), before, "the newer database was touched");
        change("DELETE FROM refinery_schema_history WHERE version = 9999");
    }
    hub.start().await;
    node.follow(&hub);
    node.start().await;
    assert_eq!(node.manager().await.total().await, 1);
    assert_eq!(hub.harriet().await.total().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_used_is_said_so_in_one_line() {
    let scratch = Scratch::new("folder");
    let hub = Hub::new(&scratch);
    let file = scratch.join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let below = file.join("below");
    for program in ["aincident-hub", "aincident-node"] {
        for folder in [&file, &below, &"/proc/nowhere".into()] {
            let mut command = aincident_tests::process::command(aincident_tests::process::binary(program));
            command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder);
            let line = run(command, "").await.refused(1, "an unusable folder");
            assert!(line.contains(folder.to_str().unwrap()), "{line}");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a folder");
    // Wrong usage is another exit code.
    assert_eq!(hub.run(&["serve", "--listem", "x"]).await.code, Some(2));
    assert_eq!(hub.run(&["make", "coffee"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_never_deleted() {
    let scratch = Scratch::new("damaged");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "kept" })).await.expect(201);
    node.stop().await;
    let database = node.folder().join("ledger.sqlite");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[..64].fill(b'x');
    std::fs::write(&database, &bytes).unwrap();

    let ran = node.try_start().await.expect_err("a damaged database was opened");
    ran.refused(1, "a damaged database");
    // Wherever it lies now, it is there byte for byte.
    let kept = std::fs::read_dir(node.folder())
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok());
    assert!(kept.into_iter().any(|found| found == bytes), "the damaged database is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_in_the_middle_of_a_request_finishes_it_before_it_ends() {
    let scratch = Scratch::new("drain");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let posts: Vec<_> = (0..32)
        .map(|n| {
            let client = manager.another();
            tokio::spawn(async move {
                client.try_post("/api/v1/incidents", &json!({ "description": format!("{n}") })).await
            })
        })
        .collect();
    // `stop` sends SIGTERM and wants exit code 0 in time.
    node.stop().await;
    let mut acknowledged = 0;
    for post in posts {
        if let Ok(answer) = post.await.unwrap() {
            assert!(answer.status == 201 || answer.status == 503, "{}", answer.status);
            acknowledged += u64::from(answer.status == 201);
        }
    }
    node.start().await;
    assert!(node.manager().await.total().await >= acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_no_node_has_called_yet_ends_as_soon_as_it_is_asked_to() {
    let scratch = Scratch::new("uncalled");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    node.link().go_down();
    hub.stop().await;
    hub.start().await;
    // `stop` wants the end within the time that a request in flight may take, which is less than what it waits for a node.
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_enrolled_serves_and_says_what_to_do() {
    let scratch = Scratch::new("unenrolled");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.start().await;
    let client = node.client();
    assert_eq!(client.get("/healthz").await.status, 200);
    let problem = client
        .post("/api/v1/login", &json!({ "username": "manager-042", "password": "x" }))
        .await
        .problem(503);
    assert!(problem["type"].as_str().unwrap().ends_with("not-enrolled"), "{problem}");
    node.stop().await;
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    // From the first minute on, with headquarters gone.
    node.link().go_down();
    node.start().await;
    let manager = node.manager().await;
    let me = manager.get("/api/v1/me").await.expect(200);
    assert_eq!(me["user"]["store_code"], "042");
}
