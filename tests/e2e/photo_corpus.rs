//! Photographs with the quirks that break image code, through a node's API: what can be shown stands upright and tells nothing
//! of place and camera, what cannot is kept for managers, what would explode is refused at once; each within a few seconds of a
//! processor's time, all within bounded memory.
//!
//! `AINCIDENT_REAL_DATA` names the folder with `photos/MANIFEST.csv`. Nothing of it is part of the project.

mod made;

use aincident_tests::http::Client;
use aincident_tests::pictures::add_photo;
use aincident_tests::{Hub, Node, Scratch, tell, wait_for};
use image::RgbImage;
use image::imageops::{FilterType, resize, rotate180};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor time that one file may take, decoding and all: whatever it holds. Unoptimised, the loops over pixels take four times as
/// long.
const MOST_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 5 });
/// How long one may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that all of them may take, in MiB.
const MOST_MEMORY_MIB: u64 = 300;
/// How far colours may be off on average between two ways of storing one picture, of 255.
const MOST_OFF: u64 = 8;

/// What must become of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Shown, and the same picture as all others of that name.
    Upright(String),
    /// Shown.
    Shown,
    /// Kept, and not shown.
    Kept,
    /// Kept; shown where enough of it is there.
    Damaged,
    /// Damaged, or refused for its dimensions.
    Mad,
    /// Refused.
    Refused,
}

/// One file.
struct Row {
    name: String,
    bytes: Vec<u8>,
    kind: Kind,
}

/// Every row of the manifest.
fn real(folder: &Path) -> Vec<Row> {
    let mut rows = csv::Reader::from_path(folder.join("MANIFEST.csv")).expect("photos/MANIFEST.csv");
    let columns = rows.headers().expect("a header").clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name}"));
    let (file, decodes) = (column("file"), column("pillow_decode"));
    let row = |row: csv::StringRecord| {
        let name = row[file].to_owned();
        let bytes = std::fs::read(folder.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let kind = match name.split('/').next().unwrap_or_default() {
            "orientation" => Kind::Upright(name.rsplit_once('_').expect("a number").0.to_owned()),
            "bomb" => Kind::Refused,
            "heic" if row[decodes].starts_with("FAIL") => Kind::Kept,
            "corrupt" if name.contains("fuzz") => Kind::Mad,
            "corrupt" if row[decodes].starts_with("FAIL open") => Kind::Kept,
            "corrupt" if row[decodes].starts_with("FAIL") => Kind::Damaged,
            _ => Kind::Shown,
        };
        Row { name, bytes, kind }
    };
    rows.records().map(|record| row(record.expect("a row"))).collect()
}

/// How far two pictures of one size are apart, on average.
fn off(one: &RgbImage, other: &RgbImage) -> u64 {
    let sum: u64 = one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum / one.as_raw().len() as u64
}

/// No segment of a JPEG that could hold more than pixels.
fn assert_bare(jpeg: &[u8], what: &str) {
    let mut at = 2;
    while jpeg[at] == 0xff && jpeg[at + 1] != 0xda {
        let marker = jpeg[at + 1];
        assert!(matches!(marker, 0xe0 | 0xdb | 0xc0..=0xc4 | 0xdd), "{what}: segment {marker:02x}");
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg[at + 1] == 0xda, "{what}: no JPEG");
}

/// The site, and an incident on it.
struct Place {
    manager: Client,
    employee: Client,
    incident: String,
}

impl Place {
    /// The photo, once what is shown of it is made.
    async fn settled(&self, id: &str, what: &str) -> Value {
        wait_for(what, PATIENCE, async || {
            let incident = self.manager.get(&format!("/api/v1/incidents/{}", self.incident)).await.expect(200);
            let photo = incident["photos"].as_array()?.iter().find(|photo| photo["id"] == id)?.clone();
            (photo["state"] != "processing").then_some(photo)
        })
        .await
    }

    /// Whatever it holds, it is there byte for byte for managers; only they have what cannot be shown.
    async fn assert_kept(&self, photo: &Value, row: &Row) {
        let path = |variant: &str| format!("/api/v1/photos/{}/{variant}", photo["id"].as_str().unwrap());
        let name = &row.name;
        let original = self.manager.get(&path("original")).await;
        assert!(original.status == 200 && original.body == row.bytes, "{name}: {}", original.status);
        if photo["state"] == "undecodable" {
            let _ = self.employee.get(&path("original")).await.problem(403);
            for variant in ["display", "thumbnail"] {
                let _ = self.manager.get(&path(variant)).await.problem(404);
            }
        }
    }

    /// The display image, after a look at that and at the thumbnail.
    async fn shown(&self, photo: &Value, name: &str) -> RgbImage {
        let mut pictures = Vec::new();
        for (variant, width, height) in [("thumbnail", 320, 240), ("display", 1600, 1200)] {
            let answer =
                self.employee.get(&format!("/api/v1/photos/{}/{variant}", photo["id"].as_str().unwrap())).await;
            assert_eq!(answer.status, 200, "{name}: {variant}");
            assert_bare(&answer.body, &format!("{name}: {variant}"));
            let picture = image::load_from_memory(&answer.body).unwrap_or_else(|e| panic!("{name}: {e}")).into_rgb8();
            assert!(picture.width() <= width && picture.height() <= height, "{name}: {variant} is too large");
            let upright = (photo["width"].as_u64().unwrap(), photo["height"].as_u64().unwrap());
            let wide = |(width, height): (u64, u64)| width > height + height / 20;
            let is = (u64::from(picture.width()), u64::from(picture.height()));
            assert!(
                !wide(upright) || wide(is) || is.1 == 1,
                "{name}: {variant} lies on its side: {is:?} of {upright:?}"
            );
            pictures.push(picture);
        }
        pictures.pop().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_shown_upright_and_bare_or_kept_or_refused() {
    let folder = std::env::var_os("AINCIDENT_REAL_DATA").map(|path| PathBuf::from(path).join("photos"));
    let rows = match folder.filter(|folder| folder.is_dir()) {
        Some(folder) => real(&folder),
        None => {
            tell(
                "left out: real photos (AINCIDENT_REAL_DATA is not set, or has none); those made here take their place",
            );
            made::rows()
        }
    };
    let scratch = Scratch::new("photo-corpus");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, employee) = (node.manager().await, node.employee().await);
    let made = manager.post("/api/v1/incidents", &json!({ "description": "many photos" })).await.expect(201);
    let place = Place { manager, employee, incident: made["id"].as_str().unwrap().to_owned() };
    let before = node.daemon().peak_kib().expect("its memory");
    let mut references: HashMap<String, RgbImage> = HashMap::new();
    let (mut slowest, mut counts) = ((Duration::ZERO, String::new()), HashMap::<String, u32>::new());
    for row in &rows {
        let name = &row.name;
        let file = name.rsplit('/').next().unwrap();
        let cpu = node.daemon().cpu_time();
        let added = add_photo(&place.manager, &place.incident, file, row.bytes.clone()).await;
        let state = if added.status == 422 {
            assert!(matches!(row.kind, Kind::Refused | Kind::Mad), "{name} was refused: {}", added.json());
            assert!(added.problem(422)["errors"][0]["message"].is_string(), "{name} was refused without a reason");
            "refused".to_owned()
        } else {
            assert_ne!(row.kind, Kind::Refused, "{name} was taken");
            let id = added.expect(201)["items"][0]["id"].as_str().unwrap().to_owned();
            let photo = place.settled(&id, name).await;
            place.assert_kept(&photo, row).await;
            let state = photo["state"].as_str().unwrap().to_owned();
            if state == "ready" {
                let shown = place.shown(&photo, name).await;
                if let Kind::Upright(series) = &row.kind {
                    let reference = references.entry(series.clone()).or_insert_with(|| reference(&row.bytes, &shown));
                    assert_eq!(reference.dimensions(), shown.dimensions(), "{name}");
                    let off = off(reference, &shown);
                    assert!(off < MOST_OFF, "{name} is not upright: {off} off");
                }
            }
            let wanted: &[&str] = match row.kind {
                Kind::Upright(_) | Kind::Shown => &["ready"],
                Kind::Kept => &["undecodable"],
                _ => &["ready", "undecodable"],
            };
            assert!(wanted.contains(&state.as_str()), "{name} is {state} and not {wanted:?}");
            state
        };
        let took = node.daemon().cpu_time() - cpu;
        assert!(took < MOST_TIME, "{name} took {took:?} of a processor's time");
        slowest = slowest.max((took, name.clone()));
        *counts.entry(state).or_default() += 1;
    }
    let grown_mib = (node.daemon().peak_kib().expect("its memory") - before) / 1024;
    tell(&format!(
        "photo corpus: {} files: {counts:?}; the longest took {:?} of a processor ({}); {grown_mib} MiB more at the most",
        rows.len(),
        slowest.0,
        slowest.1
    ));
    assert!(grown_mib < MOST_MEMORY_MIB, "{grown_mib} MiB more than before");
    for kind in ["ready", "undecodable", "refused"] {
        assert!(counts.contains_key(kind), "no file is {kind}");
    }
    // As good as on a new morning.
    assert_eq!(place.manager.get("/readyz").await.status, 200);
}

/// The picture that all of a series must come out as: the first of it, which stands upright as it is stored, made small by
/// another hand than the node's.
fn reference(bytes: &[u8], shown: &RgbImage) -> RgbImage {
    let stored = image::load_from_memory(bytes).expect("a picture").into_rgb8();
    let upright = resize(&stored, shown.width(), shown.height(), FilterType::Triangle);
    // The comparison means something: the picture on its head is another one.
    assert!(off(&upright, &rotate180(&upright)) > MOST_OFF * 2);
    upright
}
