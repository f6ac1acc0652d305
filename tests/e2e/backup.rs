//! Everything in one file, made while the site serves, and back: at a store and at headquarters.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::load::{Patience, Pressure, Promised, new_id};
use aincident_tests::old::OldNode;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_brings_back_everything_that_was_acknowledged_before_it() {
    let mut rng = Rng::announced("backup");
    let scratch = Scratch::new("backup");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let made = manager.post("/api/v1/incidents", &json!({ "description": "with a photo" })).await.expect(201);
    let photo = noisy_jpeg(&mut rng, 800, 600);
    let added = add_photo(&manager, made["id"].as_str().unwrap(), "a.jpg", photo.clone()).await.expect(201);
    let original = format!("/api/v1/photos/{}/original", added["items"][0]["id"].as_str().unwrap());
    node.link().go_down();

    let pressure = Pressure::start(&manager, 8, Patience::Unavailable, &mut rng);
    wait_until("some load", PATIENCE, async || pressure.acknowledged() > 50).await;
    let promised = pressure.promised();
    let file = scratch.join("node.backup");
    let file = file.to_str().unwrap();
    let told = json_of(&node.run(&["backup", "--to", file, "--json"]).await.ok("backup"));
    assert!(told["files"].as_u64().unwrap() >= 2 && told["size_bytes"].as_u64().unwrap() > photo.len() as u64);
    let after = pressure.finish().await;
    assert!(after.len() > promised.len(), "the load did not go on");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "others may read the backup");
    assert!(node.run(&["backup", "--to", file]).await.refused(1, "twice").contains("there already"));
    assert!(node.run(&["restore", "--from", file]).await.refused(1, "served").contains("serves"));
    let looked = json_of(&node.run(&["doctor", "--full", "--json"]).await.ok("doctor"));
    assert!(looked["checks"].as_array().unwrap().iter().all(|check| check["state"] != "fail"), "{looked}");

    // The disk dies while the line is down; the backup goes to an empty folder in its place.
    node.stop().await;
    assert!(node.run(&["restore", "--from", file]).await.refused(1, "not empty").contains("--replace"));
    std::fs::remove_dir_all(node.folder()).unwrap();
    let whole = std::fs::read(file).unwrap();
    let short = scratch.join("short.backup");
    std::fs::write(&short, &whole[..whole.len() / 2]).unwrap();
    let refused = node.run(&["restore", "--from", short.to_str().unwrap()]).await;
    assert!(refused.refused(1, "half a backup").contains("no whole backup"));
    assert!(hub.run(&["restore", "--from", file, "--replace"]).await.refused(1, "a hub").contains("serves"));
    node.run(&["restore", "--from", file]).await.ok("restore");
    node.start().await;
    let manager = manager.at(node.url());
    for id in promised.keys() {
        let _ = manager.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
    }
    assert!(manager.get(&original).await.body == photo);
    // It records at once, and nothing gets in the way of what headquarters holds.
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "after the restore" })).await.expect(201);
    node.link().heal();
    node.drained(&manager, PATIENCE).await;
    let harriet = hub.harriet().await;
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the same at both, the photo included", PATIENCE, async || {
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await);
        let verified = |incident: &Value| incident["photos"][0]["at_hub"] == "verified";
        manager.total().await == harriet.total().await && verified(&here) && verified(&there.json())
    })
    .await;
    store_and_headquarters("042", &manager, &harriet, &promised, &[]).await;
    hub.audit().await;
    assert!(node.status().await["notice"].as_str().is_some_and(|notice| notice.contains("backup")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_told_what_of_it_is_in_headquarters_backup_and_what_only_on_its_disk() {
    let scratch = Scratch::new("durable");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut old = OldNode::enrol(hub.url(), &hub.node_code("042").await).await;
    old.hello().await;
    let report = |n: u32| {
        let (id, at) = (new_id(), 1_795_132_800_000_u64);
        format!(
            r#"{{"at":{at},"by":"employee-042","id":"{id}","kind":"incident","new":true,"set":{{"description":"report {n}","reference":"042-2026-00090{n}-K7"}}}}"#
        )
    };
    let levels = |answer: &Value| (answer["applied_seq"].as_u64().unwrap(), answer["durable_seq"].as_u64().unwrap());
    assert_eq!(levels(&old.push(&[report(1), report(2)]).await), (2, 0));
    hub.run(&["backup", "--to", scratch.join("hub.backup").to_str().unwrap()]).await.ok("backup");
    assert_eq!(levels(&old.push(&[]).await), (2, 2));
    assert_eq!(levels(&old.push(&[report(3)]).await), (3, 2));
    // A backup that did not come about makes nothing durable.
    let nowhere = scratch.join("missing").join("hub.backup");
    assert_ne!(hub.run(&["backup", "--to", nowhere.to_str().unwrap()]).await.code, Some(0));
    assert_eq!(levels(&old.push(&[]).await), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_restored_from_its_backup_gets_from_its_stores_what_it_lacks() {
    let mut rng = Rng::announced("backup-hub");
    let scratch = Scratch::new("backup-hub");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let first = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
    let photo = noisy_jpeg(&mut rng, 640, 480);
    let _ = add_photo(&manager, first["id"].as_str().unwrap(), "a.jpg", photo.clone()).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let file = scratch.join("hub.backup");
    let file = file.to_str().unwrap();
    hub.run(&["backup", "--to", file]).await.ok("backup");
    for n in 0..5 {
        let _ = manager.post("/api/v1/incidents", &json!({ "description": format!("after {n}") })).await.expect(201);
    }
    node.drained(&manager, PATIENCE).await;
    let harriet = hub.harriet().await;
    let path = format!("/api/v1/incidents/{}", first["id"].as_str().unwrap());
    let _ = harriet.patch(&path, &json!({ "title": "edited after the backup" })).await.expect(200);
    wait_until("the edit at the store", PATIENCE, async || {
        manager.get(&path).await.expect(200)["title"] == "edited after the backup"
    })
    .await;

    hub.stop().await;
    assert!(node.run(&["restore", "--from", file]).await.refused(1, "a node").contains("serves"));
    hub.run(&["restore", "--from", file, "--replace"]).await.ok("restore");
    hub.start().await;
    node.follow(&hub);
    // Whoever logged in after the backup logs in again.
    let harriet = hub.harriet().await;
    wait_until("everything at headquarters again", PATIENCE, async || {
        let answer = harriet.get(&path).await;
        harriet.total().await == 6 && answer.json()["title"] == "edited after the backup"
    })
    .await;
    // The photo's contents may have come after the backup, and are sent again then.
    wait_until("the photo verified at both", PATIENCE * 3, async || {
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await.expect(200));
        let verified = |incident: &Value| incident["photos"][0]["at_hub"] == "verified";
        verified(&here) && verified(&there) && here["version"] == there["version"]
    })
    .await;
    let original = format!(
        "/api/v1/photos/{}/original",
        harriet.get(&path).await.expect(200)["photos"][0]["id"].as_str().unwrap()
    );
    assert!(harriet.get(&original).await.body == photo);
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
    // Headquarters' people see which history stands, since when and why.
    let fleet = harriet.get("/api/v1/nodes").await.expect(200);
    let epoch = &fleet["hub"]["epoch"];
    assert_eq!(epoch["number"], 2, "{fleet}");
    assert!(
        epoch["since"].is_string() && epoch["reason"].as_str().is_some_and(|why| why.contains("backup")),
        "{fleet}"
    );
    let table = hub.run(&["node", "list"]).await.ok("node list");
    assert!(table.contains("epoch 2, since"), "{table}");
    // A flipped byte in a file is found.
    let blobs = walk(&hub.folder().join("blobs"));
    let victim = blobs
        .iter()
        .find(|file| std::fs::read(file).is_ok_and(|bytes| bytes == photo))
        .expect("the photo's file");
    let mut bytes = std::fs::read(victim).unwrap();
    bytes[0] ^= 1;
    std::fs::write(victim, bytes).unwrap();
    hub.run(&["doctor"]).await.ok("doctor without --full");
    let refused = hub.run(&["doctor", "--full"]).await;
    assert!(refused.refused(1, "doctor").contains("failed"));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(walk(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_s_backups_are_whole_and_make_room_only_for_each_other() {
    let scratch = Scratch::new("backup-schedule");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let made = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
    let told = node.run(&["backup", "--scheduled"]).await.ok("without a folder");
    assert!(told.contains("no backup.folder is set"), "{told}");
    let into = scratch.join("backups");
    let folder = into.to_str().unwrap();
    let once = ["backup", "--scheduled", "--folder", folder, "--keep-daily", "1", "--keep-weekly", "0"];
    assert!(node.run(&once).await.refused(1, "no folder").contains("there is no folder"));
    std::fs::create_dir(&into).unwrap();
    std::fs::write(into.join("a person's.backup"), "stays").unwrap();
    let names = || {
        let all = std::fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut all: Vec<String> = all.filter(|name| name.ends_with(".backup")).collect();
        all.sort();
        all
    };
    let first = json_of(&node.run(&[&once[..], &["--json"]].concat()).await.ok("first"));
    assert!(first["files"].as_u64().unwrap() >= 1);
    let before = names();
    assert_eq!(before.len(), 2, "{before:?}");
    // The next one has another second in its name.
    wait_until("the second backup", PATIENCE, async || {
        let ran = node.run(&once).await;
        assert!(ran.code == Some(0) || ran.stderr.contains("is there already"), "{}", ran.stderr);
        ran.code == Some(0)
    })
    .await;
    let after = names();
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.contains(&"a person's.backup".to_owned()) && after != before);
    let looked = json_of(&node.run(&["doctor", "--json"]).await.ok("doctor"));
    let backups = looked["checks"].as_array().unwrap().iter().find(|check| check["check"] == "backups").unwrap();
    assert!(backups["state"] == "ok" && backups["detail"].as_str().unwrap().contains(folder), "{backups}");

    // It is a backup like any other.
    let file = after.iter().find(|name| name.starts_with("aincident-node-")).map(|name| into.join(name)).unwrap();
    let anew = Node::over(scratch.join("anew"), &scratch, &hub, "042", "anew").await;
    anew.run(&["restore", "--from", file.to_str().unwrap()]).await.ok("restore");
    assert!(made["id"].is_string());

    let hub_folder = scratch.join("hub-backups");
    std::fs::create_dir(&hub_folder).unwrap();
    let looked = json_of(&hub.run(&["doctor", "--json"]).await.ok("doctor"));
    assert!(looked.to_string().contains("none is made by itself"), "{looked}");
    let told = hub.run(&["backup", "--scheduled", "--folder", hub_folder.to_str().unwrap()]).await.ok("hub");
    assert!(told.contains("read back, 0 older ones removed"), "{told}");
    let both = ["backup", "--scheduled", "--to", "x"];
    assert_eq!(hub.run(&both).await.code, Some(2));
}

/// How large all files below `folder` are together, and the newest backup in it.
fn weigh(folder: &std::path::Path) -> (u64, std::path::PathBuf) {
    let files = walk(folder);
    let bytes = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    let newest = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "backup")).max().unwrap();
    (bytes, newest)
}

/// A file with a passphrase that its owner alone may read.
fn passphrase_file(scratch: &Scratch) -> String {
    let file = scratch.join("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nightly_backup_writes_only_what_is_new_and_each_of_them_brings_its_own_day_back() {
    let mut rng = Rng::announced("backup-nightly");
    let scratch = Scratch::new("backup-nightly");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let passphrase = passphrase_file(&scratch);
    let into = scratch.join("nightly");
    std::fs::create_dir(&into).unwrap();
    let folder = into.to_str().unwrap();
    let nightly = ["backup", "--scheduled", "--folder", folder, "--passphrase-file", &passphrase];

    let made = manager.post("/api/v1/incidents", &json!({ "description": "with photos" })).await.expect(201);
    let incident = made["id"].as_str().unwrap();
    let first = noisy_jpeg(&mut rng, 1600, 1200);
    let added = add_photo(&manager, incident, "a.jpg", first.clone()).await.expect(201);
    let of_first = format!("/api/v1/photos/{}/original", added["items"][0]["id"].as_str().unwrap());
    // Its smaller pictures are contents, too.
    let thumbnail = of_first.replace("original", "thumbnail");
    wait_until("its thumbnail", PATIENCE, async || manager.get(&thumbnail).await.status == 200).await;
    node.run(&nightly).await.ok("the first one");
    let once_more = async || {
        wait_until("a backup with another second in its name", PATIENCE, async || {
            let ran = node.run(&nightly).await;
            assert!(ran.code == Some(0) || ran.stderr.contains("is there already"), "{}", ran.stderr);
            ran.code == Some(0)
        })
        .await;
    };
    let (before, older) = weigh(&into);
    assert!(before > first.len() as u64);
    let second = noisy_jpeg(&mut rng, 320, 240);
    let added = add_photo(&manager, incident, "b.jpg", second.clone()).await.expect(201);
    let of_second = format!("/api/v1/photos/{}/original", added["items"][0]["id"].as_str().unwrap());
    once_more().await;
    let (after, newer) = weigh(&into);
    assert_ne!(older, newer);
    assert!(after < before + first.len() as u64, "{before} became {after}: the first photo is there twice");
    for file in walk(&into) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            bytes.is_empty() || bytes.starts_with(b"age-encryption.org/v1"),
            "{} is not encrypted",
            file.display()
        );
    }
    // Of one day only the last one stays, but for what a person keeps.
    let kept = into.join("a kept one.backup");
    std::fs::copy(&newer, &kept).unwrap();
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "of the day after" })).await.expect(201);
    once_more().await;
    let (_, newest) = weigh(&into);
    assert_ne!(newest, kept);

    // What does not open it says what to do, and changes nothing.
    let file = newest.to_str().unwrap();
    let looked = node.run(&["backup", "--verify", file, "--passphrase-file", &passphrase]).await.ok("verify");
    assert!(looked.contains("is a whole backup of aincident-node"), "{looked}");
    assert!(
        node.run(&["backup", "--verify", file])
            .await
            .refused(1, "no passphrase")
            .contains("--passphrase-file")
    );
    let wrong = scratch.join("wrong");
    std::fs::write(&wrong, "another one").unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let wrong = ["backup", "--verify", file, "--passphrase-file", wrong.to_str().unwrap()];
    assert!(node.run(&wrong).await.refused(1, "another passphrase").contains("the passphrase does not open"));

    for (from, name, total) in [(&kept, "older", 1), (&newest, "newer", 2)] {
        let mut anew = Node::over(scratch.join(name), &scratch, &hub, "042", name).await;
        let from = ["restore", "--from", from.to_str().unwrap(), "--passphrase-file", &passphrase];
        anew.run(&from).await.ok(name);
        // Headquarters would take it for a copy of a disk, which it is.
        anew.link().go_down();
        anew.start().await;
        let manager = manager.at(anew.url());
        assert_eq!(manager.total().await, total, "{name}");
        assert!(manager.get(&of_first).await.body == first && manager.get(&of_second).await.body == second, "{name}");
        anew.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headquarters_comes_back_from_an_encrypted_nightly_backup_and_its_stores_bring_the_rest() {
    let mut rng = Rng::announced("backup-drill");
    let scratch = Scratch::new("backup-drill");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let first = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
    let photo = noisy_jpeg(&mut rng, 640, 480);
    let _ = add_photo(&manager, first["id"].as_str().unwrap(), "a.jpg", photo.clone()).await.expect(201);
    node.drained(&manager, PATIENCE).await;
    let passphrase = passphrase_file(&scratch);
    let into = scratch.join("nightly");
    std::fs::create_dir(&into).unwrap();
    let folder = into.to_str().unwrap();
    hub.run(&["backup", "--scheduled", "--folder", folder, "--passphrase-file", &passphrase])
        .await
        .ok("nightly");
    let second = manager.post("/api/v1/incidents", &json!({ "description": "after" })).await.expect(201);
    node.drained(&manager, PATIENCE).await;

    hub.stop().await;
    let (_, file) = weigh(&into);
    let restore = ["restore", "--replace", "--from", file.to_str().unwrap(), "--passphrase-file", &passphrase];
    let told = hub.run(&restore).await.ok("restore");
    assert!(told.contains("replaced-") && told.contains("no erasure reaches it"), "{told}");
    hub.start().await;
    node.follow(&hub);
    let harriet = hub.harriet().await;
    let path = format!("/api/v1/incidents/{}", second["id"].as_str().unwrap());
    wait_until("what came after the backup", PATIENCE, async || harriet.get(&path).await.status == 200).await;
    let path = format!("/api/v1/incidents/{}", first["id"].as_str().unwrap());
    for (who, site) in [("headquarters", &harriet), ("the store", &manager)] {
        wait_until(&format!("the photo verified, to {who}"), PATIENCE * 3, async || {
            site.get(&path).await.expect(200)["photos"][0]["at_hub"] == "verified"
        })
        .await;
    }
    let photo_id = harriet.get(&path).await.expect(200)["photos"][0]["id"].as_str().unwrap().to_owned();
    assert!(harriet.get(&format!("/api/v1/photos/{photo_id}/original")).await.body == photo);
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
    let looked = json_of(&hub.run(&["doctor", "--json"]).await.ok("doctor"));
    let replaced = looked["checks"].as_array().unwrap().iter().find(|check| check["check"] == "replaced").unwrap();
    assert!(
        replaced["state"] == "warn" && replaced["detail"].as_str().unwrap().contains("replaced-"),
        "{replaced}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_with_a_passphrase_from_standard_input_is_encrypted_and_comes_back() {
    let scratch = Scratch::new("backup-sealed");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let passphrase = passphrase_file(&scratch);
    let file = scratch.join("sealed.backup");
    let file = file.to_str().unwrap();
    node.run(&["backup", "--to", file, "--passphrase-file", &passphrase]).await.ok("backup");
    assert!(std::fs::read(file).unwrap().starts_with(b"age-encryption.org/v1"));
    let anew = Node::over(scratch.join("anew"), &scratch, &hub, "042", "anew").await;
    let refused = anew.run(&["restore", "--from", file]).await.refused(1, "no passphrase");
    assert!(refused.contains("--passphrase-file"), "{refused}");
    let command = anew.command(&["restore", "--from", file, "--passphrase-stdin"]);
    aincident_tests::process::run(command, "correct horse battery staple\n").await.ok("restore");
    std::fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let other = scratch.join("other.backup");
    let open = ["backup", "--to", other.to_str().unwrap(), "--passphrase-file", &passphrase];
    assert!(node.run(&open).await.refused(1, "others may read it").contains("everybody may read"));
    assert!(!other.exists());
}
