//! What a program tells of itself to whoever is to help: all that helps, and nobody's data.

use aincident_tests::hub::PASSWORD;
use aincident_tests::{Hub, Node, Scratch, process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The texts of an archive, unpacked by the system's own tar.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let into = archive.with_extension("unpacked");
    std::fs::create_dir(&into).unwrap();
    let done = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&into).status().unwrap();
    assert!(done.success(), "tar cannot read it");
    let folder = std::fs::read_dir(&into).unwrap().next().unwrap().unwrap().path();
    let texts = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
    });
    texts.collect()
}

/// As much of `journalctl` as is asked for: it puts the machine's name in front of each message unless it is told not to.
const JOURNALCTL: &str = "#!/bin/sh\n\
    host=$(cat /proc/sys/kernel/hostname)\n\
    case \" $* \" in *' --no-hostname '*) named= ;; *) named=\"$host \" ;; esac\n\
    case \" $* \" in *' -u aincident-node '*) ;; *) exit 1 ;; esac\n\
    echo \"2026-11-29T00:00:00+0000 ${named}aincident-node[7]: it serves at ${host%%.*}.local:7710\"\n";

fn secret_of(folder: &Path) -> String {
    let database = rusqlite::Connection::open(folder.join("ledger.sqlite")).unwrap();
    database
        .query_row("SELECT value FROM site WHERE name = 'credential'", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_support_bundle_has_what_helps_and_no_name_password_or_token() {
    let scratch = Scratch::new("support");
    let mut hub = Hub::new(&scratch);
    hub.store_add("042", "Downtown", "UTC").await;
    hub.user_add("zquackenbush", "admin", None, PASSWORD).await;
    hub.user_add("wilhelmina.ott", "manager", Some("042"), PASSWORD).await;
    hub.start().await;
    let code = hub.node_code("042").await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_NAME", "ottilies-till");
    node.enroll(&code).await.ok("enroll");
    let file = scratch.join("node.toml");
    std::fs::write(
        &file,
        "code = \"CODE-IN-A-FILE\"\ncache_mib = 65\ncompany = \"Ott and Daughters\"\nlog = \"debug\"\n",
    )
    .unwrap();
    let serve = node.command(&["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()]);
    node.start_as(serve).await.unwrap();
    let manager = node.login("wilhelmina.ott", PASSWORD).await;
    let admin = hub.login("zquackenbush", PASSWORD).await;
    let report = json!({
        "description": "Ingeborg slipped on a puddle",
        "people": [{ "name": "Ingeborg Xylander", "roles": ["victim"], "contact": "555-0199" }],
    });
    let made = manager.post("/api/v1/incidents", &report).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;
    let token = |answer: Value| answer["token"].as_str().unwrap().to_owned();
    let logged_in = json!({ "username": "wilhelmina.ott", "password": PASSWORD });
    let session = token(node.client().post("/api/v1/login", &logged_in).await.expect(200));
    let log = scratch.join("log");
    let lines = format!(
        "2026-11-29T00:00:00Z  WARN aincident_node::inbox: a file was not taken file=/in/Xylander at the door.jpg why=\"too large\"\n\
         2026-11-29T00:00:01Z  INFO desk: wilhelmina.ott logged in with {session}; write to ingeborg@example.com\n{}",
        node.daemon().log_tail(usize::MAX)
    );
    std::fs::write(&log, lines).unwrap();

    let (of_node, of_hub) = (scratch.join("node.tar.gz"), scratch.join("hub.tar.gz"));
    let words = ["support-bundle", "--to", of_node.to_str().unwrap(), "--log", log.to_str().unwrap()];
    let with = [&words[..], &["--config", file.to_str().unwrap()]].concat();
    node.run(&with).await.ok("node's bundle");
    assert!(node.run(&words).await.refused(1, "twice").contains("there already"));
    hub.run(&["support-bundle", "--to", of_hub.to_str().unwrap()]).await.ok("hub's bundle");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&of_node).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "others may read it");
    let (at_node, at_hub) = (unpacked(&of_node), unpacked(&of_hub));

    let secret = secret_of(node.folder());
    let secret = secret.rsplit('.').next().unwrap();
    assert!(secret.len() >= 20);
    let forbidden = [
        "quackenbush",
        "wilhelmina",
        "ottilie",
        "ingeborg",
        "xylander",
        "puddle",
        "555-0199",
        "daughters",
        "code-in-a-file",
        "correct horse",
        "argon2",
        &code.to_lowercase(),
        &session.to_lowercase(),
        &secret.to_lowercase(),
        "example.com",
    ];
    for (site, texts) in [("node", &at_node), ("hub", &at_hub)] {
        for (name, text) in texts {
            let lower = text.to_lowercase();
            for word in forbidden {
                assert!(!lower.contains(word), "{site}: {name} holds {word}");
            }
        }
    }
    let parsed = |texts: &BTreeMap<String, String>, name: &str| serde_json::from_str::<Value>(&texts[name]).unwrap();
    for (texts, program) in [(&at_node, "aincident-node"), (&at_hub, "aincident-hub")] {
        assert_eq!(parsed(texts, "about.json")["program"], program);
        let database = parsed(texts, "database.json");
        assert!(database["schema"].as_u64().unwrap() >= 17 && database["rows"]["incidents"] == 1, "{database}");
        assert!(parsed(texts, "doctor.json")["checks"].as_array().unwrap().len() > 8);
        assert!(texts["metrics.txt"].contains("http_requests_total"), "{}", texts["metrics.txt"]);
    }
    assert_eq!(parsed(&at_node, "status.json")["store_code"], "042");
    assert_eq!(parsed(&at_hub, "fleet.json")["items"][0]["store_code"], "042");
    let configuration = &at_node["configuration.toml"];
    assert!(
        configuration.contains("cache_mib = 65") && configuration.contains("code = \"(set)\""),
        "{configuration}"
    );
    assert!(at_node["environment.txt"].contains("AINCIDENT_NODE_NAME is set"));
    let log = &at_node["log.txt"];
    assert!(log.contains("file=(hidden) why=\"too large\"") && log.contains("the node serves"), "{log}");
    assert!(made["id"].is_string());
    let _ = admin.get("/api/v1/nodes").await.expect(200);

    // The journal, where it can be read: without what the machine is called, at the head of each line and within.
    let bin = scratch.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = bin.join("journalctl");
    std::fs::write(&script, JOURNALCTL).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let journal = scratch.join("journal.tar.gz");
    let mut command = node.command(&["support-bundle", "--to", journal.to_str().unwrap()]);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    process::run(command, "").await.ok("a bundle with the journal");
    let log = unpacked(&journal).remove("log.txt").unwrap();
    assert!(log.contains("+0000 aincident-node[7]: it serves at (host):7710"), "{log}");

    // One that does not run says so, and has the rest.
    node.stop().await;
    let asleep = scratch.join("asleep.tar.gz");
    node.run(&["support-bundle", "--to", asleep.to_str().unwrap()]).await.ok("asleep");
    let texts = unpacked(&asleep);
    assert!(texts["metrics.txt"].contains("does not run") && texts["log.txt"].contains("could not be read"));
}
