//! `doctor` of the programs as they are delivered: what is wrong around a site is found, and each line says what to do.

use aincident_tests::smtp::Smtp;
use aincident_tests::{Hub, Node, Scratch, process};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// State and words of one check.
fn finding(told: &str, check: &str) -> (String, String) {
    let told: Value = serde_json::from_str(told.lines().next().unwrap_or_default()).unwrap();
    let found = told["checks"].as_array().unwrap().iter().find(|one| one["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {told}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("state"), text("detail"))
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_finds_a_wrong_clock_open_files_and_a_mail_server_that_is_gone_and_says_what_to_do() {
    let scratch = Scratch::new("doctor");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    node.drained(&manager, Duration::from_secs(60)).await;
    let smtp = Smtp::start().await;
    let config = scratch.join("node.toml");
    let mail = format!("host = '127.0.0.1'\nport = {}\ntls = 'none'\nfrom = 'incidents@example.com'\n", smtp.port());
    std::fs::write(&config, format!("code = 'USED-UP'\n[mail]\n{mail}")).unwrap();
    set_mode(&config, 0o600);
    let words = ["doctor", "--json", "--config", config.to_str().unwrap()];

    let told = node.run(&words).await.ok("doctor where all is well");
    for (check, word) in [("clock", "from headquarters'"), ("access", "alone"), ("mail", "nothing was sent")] {
        let (state, detail) = finding(&told, check);
        assert!(state == "ok" && detail.contains(word), "{check}: {state} {detail}");
    }
    assert!(smtp.came().is_empty());

    // Somebody has set the clock ten minutes back, and opened folder and file.
    set_mode(node.folder(), 0o755);
    set_mode(&config, 0o644);
    let mut command = node.command(&words);
    command.env("AINCIDENT_TEST_CLOCK_OFFSET_MS", "-600000");
    let told = process::run(command, "").await.ok("doctor with a wrong clock");
    let (state, detail) = finding(&told, "clock");
    assert!(
        state == "warn" && detail.contains("behind headquarters'") && detail.contains("timedatectl"),
        "{detail}"
    );
    let (state, detail) = finding(&told, "access");
    let (folder, file) = (format!("chmod 700 {}", node.folder().display()), format!("chmod o= {}", config.display()));
    assert!(state == "warn" && detail.contains(&folder) && detail.contains(&file), "{detail}");

    // The mail server is gone: that is broken, and the exit code says so.
    drop(smtp);
    let ran = node.run(&words).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let (state, detail) = finding(&ran.stdout, "mail");
    assert!(state == "fail" && detail.contains("127.0.0.1"), "{detail}");
}
