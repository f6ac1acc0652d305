//! What a store's PC does with photos and paper: from a 12 megapixel photo on the wire to its thumbnail, a report with ten
//! photos, and lists with and without their cache. Beside the upload: hashing and flushing the same bytes to the same disk.

use crate::Figure;
use aincident_tests::figures::percentile;
use aincident_tests::http::Client;
use aincident_tests::pictures::{add_photo, camera_jpeg, distinct};
use aincident_tests::{Node, Rng, wait_until};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Photos one after the other, and again as many at once, eight by eight.
const PHOTOS: u64 = 24;
const AT_ONCE: usize = 8;
/// Photos in the report.
const PRINTED: u64 = 10;
/// How often each report and list is asked for.
const TIMES: usize = 200;
const PATIENCE: Duration = Duration::from_secs(120);

/// Times of one upload.
struct Times {
    /// Until it was acknowledged.
    acknowledged: Duration,
    /// Until its thumbnail could be had.
    shown: Duration,
}

/// Uploads, the floor beside them, and what they took of memory and processor.
pub async fn uploads(node: &Node, client: &Client, rng: &mut Rng) -> Vec<Figure> {
    let photo = camera_jpeg(rng, 4000, 3000);
    let before = node.daemon().cpu_time();
    let (mut acknowledged, mut shown, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..PHOTOS {
        let bytes = distinct(&photo, n);
        floor.push(hash_and_flush(node.folder(), &bytes));
        let times = upload(client.clone(), bytes).await;
        acknowledged.push(times.acknowledged);
        shown.push(times.shown);
    }
    let each = (node.daemon().cpu_time() - before) / PHOTOS as u32;
    let mut together = Vec::new();
    for round in 0..PHOTOS / AT_ONCE as u64 {
        let all = (0..AT_ONCE as u64).map(|n| {
            let bytes = distinct(&photo, 1000 + round * 100 + n);
            upload(client.another(), bytes)
        });
        together.extend(futures::future::join_all(all).await.into_iter().map(|times| times.shown));
    }
    let ms = |times: &mut Vec<Duration>, share| percentile(times, share).as_secs_f64() * 1e3;
    let (taken, least) = (ms(&mut acknowledged, 0.5), ms(&mut floor, 0.5));
    let peak = node.daemon().peak_kib().unwrap_or_default() as f64 / 1024.0;
    vec![
        Figure::new("photo of 12 megapixels", photo.len() as f64 / 1e6, "MB"),
        Figure::new("its upload to acknowledged, p50", taken, "ms"),
        Figure::new("hashing and flushing the same bytes, p50", least, "ms"),
        Figure::new("upload to hashing and flushing", taken / least, "x"),
        Figure::new("upload to thumbnail, p50", ms(&mut shown, 0.5), "ms"),
        Figure::new("upload to thumbnail, p99", ms(&mut shown, 0.99), "ms"),
        Figure::new("upload to thumbnail, 8 at once, p50", ms(&mut together, 0.5), "ms"),
        Figure::new("upload to thumbnail, 8 at once, p99", ms(&mut together, 0.99), "ms"),
        Figure::new("processor time for each photo, all in all", each.as_secs_f64() * 1e3, "ms"),
        Figure::new("node memory, peak after the photos", peak, "MiB"),
    ]
}

async fn new_incident(client: &Client) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": "a broken window" })).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn upload(client: Client, bytes: Vec<u8>) -> Times {
    let incident = new_incident(&client).await;
    let begun = Instant::now();
    let answer = add_photo(&client, &incident, "window.jpg", bytes).await.expect(201);
    let acknowledged = begun.elapsed();
    let thumbnail = format!("/api/v1/photos/{}/thumbnail", answer["items"][0]["id"].as_str().expect("an id"));
    wait_until("the thumbnail", PATIENCE, async || client.get(&thumbnail).await.status == 200).await;
    Times { acknowledged, shown: begun.elapsed() }
}

/// The least that keeping bytes takes: their digest, a file, a flush.
fn hash_and_flush(folder: &Path, bytes: &[u8]) -> Duration {
    let path = folder.join("floor.tmp");
    let begun = Instant::now();
    let digest = Sha256::digest(bytes);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(bytes).and_then(|()| file.sync_all()).expect("a disk");
    let took = begun.elapsed();
    assert!(digest.iter().any(|byte| *byte != 0));
    std::fs::remove_file(&path).expect("the file");
    took
}

/// A report with ten photos: made anew after each edit, and asked for again.
pub async fn report(client: &Client, rng: &mut Rng) -> Vec<Figure> {
    let incident = new_incident(client).await;
    let photo = camera_jpeg(rng, 1600, 1200);
    for n in 0..PRINTED {
        let _ = add_photo(client, &incident, "aisle.jpg", distinct(&photo, n)).await.expect(201);
    }
    let path = format!("/api/v1/incidents/{incident}");
    wait_until("the photos", PATIENCE, async || {
        let photos = client.get(&path).await.expect(200)["photos"].clone();
        photos.as_array().is_some_and(|photos| photos.iter().all(|photo| photo["state"] == "ready"))
    })
    .await;
    let pdf = format!("{path}/report.pdf");
    let (mut cold, mut warm, mut begins) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..TIMES / 10 {
        let _ = client.patch(&path, &json!({ "location": format!("aisle {n}") })).await.expect(200);
        let begun = Instant::now();
        let answer = client.get(&pdf).await;
        cold.push(begun.elapsed());
        assert!(answer.status == 200 && answer.body.starts_with(b"%PDF"), "{}", answer.status);
    }
    for _ in 0..TIMES {
        let begun = Instant::now();
        assert_eq!(client.get(&pdf).await.status, 200);
        warm.push(begun.elapsed());
        begins.push(client.begins_after(&pdf).await);
    }
    let ms = |times: &mut Vec<Duration>, share| percentile(times, share).as_secs_f64() * 1e3;
    vec![
        Figure::new("report with 10 photos, made anew, p50", ms(&mut cold, 0.5), "ms"),
        Figure::new("report with 10 photos, made anew, p99", ms(&mut cold, 0.99), "ms"),
        Figure::new("report with 10 photos, again, p50", ms(&mut warm, 0.5), "ms"),
        Figure::new("report with 10 photos, again, until it begins, p50", ms(&mut begins, 0.5), "ms"),
    ]
}

/// Lists and counts right after a change, when nothing kept can be of use, and when asked for again.
pub async fn cache(client: &Client) -> Vec<Figure> {
    const ASKED: [&str; 2] = ["/api/v1/incidents?limit=50", "/api/v1/stats"];
    let incident = new_incident(client).await;
    let (hits, all) = requests(client).await;
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    for n in 0..TIMES {
        if n % 2 == 0 {
            let body = json!({ "location": format!("shelf {n}") });
            let _ = client.patch(&format!("/api/v1/incidents/{incident}"), &body).await.expect(200);
        }
        for (path, times) in ASKED.iter().zip(&mut times) {
            let begun = Instant::now();
            assert_eq!(client.get(path).await.status, 200);
            times[n % 2].push(begun.elapsed());
        }
    }
    let (now, asked) = requests(client).await;
    let [[list_cold, list_warm], [stats_cold, stats_warm]] = &mut times;
    let ms = |times: &mut Vec<Duration>| percentile(times, 0.5).as_secs_f64() * 1e3;
    vec![
        Figure::new("list page, right after a change, p50", ms(list_cold), "ms"),
        Figure::new("list page, kept, p50", ms(list_warm), "ms"),
        Figure::new("counts, right after a change, p50", ms(stats_cold), "ms"),
        Figure::new("counts, kept, p50", ms(stats_warm), "ms"),
        Figure::new("answers from the cache, a change for every other", 100.0 * (now - hits) / (asked - all), "%"),
    ]
}

/// How often the cache was asked, and how often it had the answer.
async fn requests(client: &Client) -> (f64, f64) {
    let answer = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let mut found = (0.0, 0.0);
    for line in text.lines().filter(|line| line.contains("cache_requests_total{")) {
        let count: f64 = line.rsplit(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let (hit, disk) = (line.contains("\"hit\""), line.contains("\"disk\""));
        found.0 += if hit { count } else { 0.0 };
        // What is not in memory is asked of the disk as well.
        found.1 += if hit || disk { count } else { 0.0 };
    }
    found
}
