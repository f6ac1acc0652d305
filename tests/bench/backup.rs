//! A whole store in one file and back, and into folders of nightly ones, open and encrypted: the ledger and every photo, while
//! the node serves. Beside it the least that can be done
//! with so many bytes: reading them, hashing them, writing them once and flushing.

use crate::{Figure, Plan, steps};
use aincident_tests::http::Client;
use aincident_tests::pictures::{add_photo, camera_jpeg, distinct};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// One photo for every ten incidents.
const INCIDENTS_PER_PHOTO: u64 = 10;
/// Pixels of a photo: some 300 KB, as phones send them through a messenger.
const PIXELS: (u16, u16) = (1024, 768);
/// Photos that are on their way at the same time.
const LANES: usize = 4;
/// Until all their pictures are made.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How long a backup and a restore take, and how large the file is.
///
/// # Panics
/// When a program does not do what it has to.
pub async fn measure(plan: &Plan) -> Vec<Figure> {
    let mut rng = Rng::new(20_261_129);
    let scratch = Scratch::new("bench-backup");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    hub.stop().await;
    let manager = node.manager().await;
    steps::say("filling the ledger");
    steps::fill(&manager, plan.incidents, &mut rng).await;
    steps::say("photos");
    let photos = plan.incidents / INCIDENTS_PER_PHOTO;
    add_photos(&manager, photos, &mut rng).await;

    steps::say("backup");
    let file = scratch.path().join("store.backup");
    let backup = command(&node, &["backup", "--to", &file.to_string_lossy()]).await;
    let size = std::fs::metadata(&file).expect("a backup").len();
    let floor = read_hash_and_write(&file, &scratch.path().join("floor.tmp"));
    let mut nights = Vec::new();
    for (name, figures, is_sealed) in [
        ("open", ["the first of the nightly ones, open", "the next of the nightly ones, open"], false),
        (
            "encrypted",
            ["the first of the nightly ones, encrypted", "the next of the nightly ones, encrypted"],
            true,
        ),
    ] {
        steps::say(&format!("nightly backups, {name}"));
        let into = scratch.path().join(name);
        std::fs::create_dir(&into).expect("a folder");
        let passphrase = scratch.path().join("passphrase");
        std::fs::write(&passphrase, "seven words that nobody would guess here\n").expect("a file");
        std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
        let (folder, passphrase) = (into.to_string_lossy(), passphrase.to_string_lossy());
        let mut night = vec!["backup", "--scheduled", "--folder", &folder];
        if is_sealed {
            night.extend(["--passphrase-file", &passphrase]);
        }
        for figure in figures {
            nights.push((figure, command(&node, &night).await));
        }
    }
    steps::say("restore");
    let listed = manager.total().await;
    node.stop().await;
    std::fs::remove_dir_all(node.folder()).expect("the store's folder");
    let restore = command(&node, &["restore", "--from", &file.to_string_lossy()]).await;
    node.start_within(PATIENCE);
    node.start().await;
    let again = node.daemon().ready_after();
    let manager = node.manager().await;
    assert_eq!((manager.total().await, listed), (plan.incidents, plan.incidents), "incidents after the restore");
    node.stop().await;
    let seconds = |name: &'static str, time: Duration| Figure::new(name, time.as_secs_f64(), "s");
    let mut figures = vec![
        Figure::new("incidents", plan.incidents as f64, ""),
        Figure::new("photos", photos as f64, ""),
        Figure::new("size of the backup", size as f64 / 1e6, "MB"),
        seconds("backup, made while the node serves and read back", backup),
        seconds("restore", restore),
        seconds("the first start after it, where headquarters has none of it yet", again),
        seconds("reading, hashing and writing the same bytes once", floor),
    ];
    figures.extend(nights.iter().map(|(name, time)| seconds(name, *time)));
    figures
}

async fn add_photos(client: &Client, photos: u64, rng: &mut Rng) {
    let picture = camera_jpeg(rng, PIXELS.0, PIXELS.1);
    let incidents: Vec<String> = client
        .list("store=042")
        .await
        .iter()
        .filter_map(|incident| Some(incident["id"].as_str()?.to_owned()))
        .take(usize::try_from(photos).unwrap_or(usize::MAX))
        .collect();
    assert!(!incidents.is_empty(), "there are incidents");
    let uploads = (0..photos).map(|n| {
        let (client, picture) = (client.clone(), distinct(&picture, n));
        let incident = incidents[n as usize % incidents.len()].clone();
        async move {
            let answer = add_photo(&client, &incident, "phone.jpg", picture).await.expect(201);
            answer["items"][0]["id"].as_str().expect("an id").to_owned()
        }
    });
    let ids: Vec<String> = futures::stream::iter(uploads).buffer_unordered(LANES).collect().await;
    for id in ids.iter().rev().take(100) {
        let thumbnail = format!("/api/v1/photos/{id}/thumbnail");
        wait_until("a thumbnail", PATIENCE, async || client.get(&thumbnail).await.status == 200).await;
    }
}

/// How long a command of the node takes.
async fn command(node: &Node, words: &[&str]) -> Duration {
    let mut command = node.command(words);
    command.stdout(Stdio::null());
    let begun = Instant::now();
    let ended = tokio::task::spawn_blocking(move || command.status()).await.expect("the command ran");
    assert!(ended.as_ref().is_ok_and(std::process::ExitStatus::success), "{words:?}: {ended:?}");
    begun.elapsed()
}

fn read_hash_and_write(from: &Path, to: &Path) -> Duration {
    let begun = Instant::now();
    let mut from = std::fs::File::open(from).expect("the backup");
    let mut out = std::fs::File::create(to).expect("a file");
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = from.read(&mut piece).expect("a disk");
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        out.write_all(&piece[..read]).expect("a disk");
    }
    out.sync_all().expect("a disk");
    let took = begun.elapsed();
    assert!(hash.finalize().iter().any(|byte| *byte != 0));
    std::fs::remove_file(to).expect("the file");
    took
}
