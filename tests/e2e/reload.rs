//! Reading the configuration again while the programs run.

use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::site::Site;
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts `site` with a configuration file.
pub async fn start(site: &mut Site, file: &Path) {
    let words = ["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()];
    let command = site.command(&words);
    site.start_as(command).await.unwrap();
}

/// Writes the file, has it read, and waits until the log says `said`.
pub async fn reload(site: &Site, file: &Path, text: &str, said: &str) {
    std::fs::write(file, text).unwrap();
    let before = site.daemon().log_tail(usize::MAX).matches(said).count();
    site.daemon().hang_up();
    wait_until(said, PATIENCE, async || site.daemon().log_tail(usize::MAX).matches(said).count() > before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_caps_and_log_level_while_it_runs_and_names_what_it_cannot_take() {
    let mut rng = Rng::announced("reload-node");
    let scratch = Scratch::new("reload-node");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    node.stop().await;
    let file = scratch.join("node.toml");
    // A thousand bytes a second: the photo would take minutes.
    let narrow = "log = 'info'\n[photos]\nmax_kbit_s = 8\n";
    std::fs::write(&file, narrow).unwrap();
    start(&mut node, &file).await;
    let pid = node.daemon().pid();
    let manager = node.manager().await;
    let made = manager.post("/api/v1/incidents", &json!({ "description": "with a photo" })).await.expect(201);
    let photo = noisy_jpeg(&mut rng, 1600, 1200);
    assert!(photo.len() > 300_000, "{}", photo.len());
    let _ = add_photo(&manager, made["id"].as_str().unwrap(), "a.jpg", photo).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let verified = async || manager.get(&path).await.expect(200)["photos"][0]["at_hub"] == "verified";

    // What is wrong changes nothing, whatever else is right.
    reload(&node, &file, "log = 'debug'\ncache_mib = 'x'\n", "all settings stay as they are").await;
    reload(&node, &file, "log = 'loud=loud=loud'\n", "all settings stay as they are").await;
    std::fs::remove_file(&file).unwrap();
    node.daemon().hang_up();
    wait_until("the third refusal", PATIENCE, async || {
        node.daemon().log_tail(usize::MAX).matches("all settings stay as they are").count() == 3
    })
    .await;
    let _ = manager.get(&path).await.expect(200);
    assert!(!node.daemon().log_tail(usize::MAX).contains("DEBUG"), "a level was taken from a wrong file");
    assert!(!verified().await);

    let wide = "log = 'debug'\ncache_mib = 65\ncompany = 'Another'\n[scrub]\npaused = true\n";
    reload(&node, &file, wide, "the configuration was read again").await;
    let log = node.daemon().log_tail(usize::MAX);
    for waits in ["cache_mib", "company"] {
        assert!(log.contains(&format!("{waits} was changed in the configuration: it needs a restart")), "{log}");
    }
    for taken in ["log", "photos.max_kbit_s", "scrub.paused"] {
        let line = log.lines().rfind(|line| line.contains("the configuration was read again")).unwrap();
        assert!(line.contains(taken), "{line}");
    }
    wait_until("the photo over the free line", PATIENCE, verified).await;
    wait_until("lines of the new level", PATIENCE, async || {
        let _ = manager.get(&path).await.expect(200);
        node.daemon().log_tail(usize::MAX).contains("DEBUG")
    })
    .await;
    assert_eq!(node.daemon().pid(), pid);
    // A login costs some milliseconds on purpose.
    reload(&node, &file, &format!("{wide}[slow]\nrequest_ms = 1\n"), "the configuration was read again").await;
    let _ = node.manager().await;
    let slow =
        |log: &str| log.lines().any(|line| line.contains("an operation was slow") && line.contains("/api/v1/login"));
    wait_until("the slow login in the log", PATIENCE, async || slow(&node.daemon().log_tail(usize::MAX))).await;
    let metrics = manager.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body);
    assert!(metrics.contains("configuration_reloads_total{outcome=\"refused\"} 3"), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_takes_limits_of_photos_while_it_runs() {
    let mut rng = Rng::announced("reload-hub");
    let scratch = Scratch::new("reload-hub");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    let file = scratch.join("hub.toml");
    std::fs::write(&file, "log = 'info'\n").unwrap();
    start(&mut hub, &file).await;
    let harriet = hub.harriet().await;
    let made = harriet
        .post("/api/v1/incidents", &json!({ "description": "x", "store_code": "042" }))
        .await
        .expect(201);
    let id = made["id"].as_str().unwrap();
    let _ = add_photo(&harriet, id, "a.jpg", noisy_jpeg(&mut rng, 64, 48)).await.expect(201);
    reload(&hub, &file, "photos_per_incident = 1\nlisten = '127.0.0.1:1'\n", "the configuration was read again").await;
    // The command line says where it listens, and goes first.
    assert!(!hub.daemon().log_tail(usize::MAX).contains("needs a restart"));
    let _ = add_photo(&harriet, id, "b.jpg", noisy_jpeg(&mut rng, 64, 48)).await.expect(422);
    reload(
        &hub,
        &file,
        "log_format = 'json'\n",
        "log_format was changed in the configuration: it needs a restart",
    )
    .await;
    let _ = add_photo(&harriet, id, "b.jpg", noisy_jpeg(&mut rng, 64, 48)).await.expect(201);
    // What lies beside the file goes over it.
    std::fs::create_dir(scratch.join("hub.d")).unwrap();
    std::fs::write(scratch.join("hub.d/50-own.toml"), "photos_per_incident = 2\n").unwrap();
    let text = "log_format = 'json'\nphotos_per_incident = 9\n";
    reload(&hub, &file, text, "the configuration was read again").await;
    let _ = add_photo(&harriet, id, "c.jpg", noisy_jpeg(&mut rng, 64, 48)).await.expect(422);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_a_node_has_one_id_in_both_logs() {
    let scratch = Scratch::new("request-ids");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_LOG", "debug");
    hub.start().await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LOG", "debug");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "x" })).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let id =
        |line: &str| line.split_once("id=").and_then(|(_, rest)| rest.split([' ', '}', ',']).next().map(str::to_owned));
    let pushed = |log: &str| log.lines().filter(|line| line.contains("/sync/v1/push")).filter_map(id).next();
    let at_node = node.daemon().log_tail(usize::MAX);
    let id = pushed(&at_node).unwrap_or_else(|| panic!("no push in the node's log: {at_node}"));
    let id = id.trim_matches('"').to_owned();
    assert_eq!(id.len(), 16, "{id}");
    wait_until("the same id in the hub's log", PATIENCE, async || {
        hub.daemon()
            .log_tail(usize::MAX)
            .lines()
            .any(|line| line.contains(&id) && line.contains("/sync/v1/push"))
    })
    .await;
}
