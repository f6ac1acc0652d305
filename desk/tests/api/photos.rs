//! Photos over the API: taken in whole, shown upright, kept as evidence.

use super::site::{Site, T0};
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

const BOUNDARY: &str = "----form";

fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, content) in parts {
        body.extend(format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"").bytes());
        if let Some(filename) = filename {
            body.extend(format!("; filename=\"{filename}\"\r\ncontent-type: image/jpeg").bytes());
        }
        body.extend(b"\r\n\r\n");
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

pub struct Got {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn send(site: &Site, request: Request<Body>) -> Got {
    let answer = site.app.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Got { status: head.status, headers: head.headers, body }
}

pub async fn post(site: &Site, token: &str, incident: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Got {
    let request = Request::post(format!("{incident}/photos"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Body::from(form(parts)))
        .unwrap();
    send(site, request).await
}

async fn get(site: &Site, token: &str, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = Request::get(path).header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(site, request.body(Body::empty()).unwrap()).await
}

pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> =
        (0..usize::from(width) * usize::from(height)).flat_map(|n| [(n % 251) as u8, 90, 140]).collect();
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, 85)
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    out
}

pub async fn until(mut what: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !what().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_photo_is_taken_in_whole_and_shown_small() {
    let site = Site::hub().await;
    let running = tokio::spawn(site.desk.runner().run(site.stop.clone()));
    let (kim, mia, max) = (site.login("kim").await, site.login("mia").await, site.login("max").await);
    let (incident, _) = site.incident(&kim, json!({"description": "a broken window"})).await;
    let original = jpeg(2000, 1500);
    let answer = post(
        &site,
        &kim,
        &incident,
        &[
            ("caption", None, "the window".as_bytes()),
            ("file", Some("C:\\dir\\../win\u{202e}dow.jpg"), &original),
        ],
    )
    .await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    let photo = answer.json()["items"][0].clone();
    let id = photo["id"].as_str().unwrap().to_owned();
    assert_eq!(photo["filename"], "window.jpg");
    assert_eq!(photo["caption"], "the window");
    assert_eq!((photo["width"].as_u64(), photo["height"].as_u64()), (Some(2000), Some(1500)));
    assert_eq!(photo["size_bytes"], original.len());
    assert_eq!(photo["sha256"], chassis::blobs::Sha256::of(&original).to_string());
    assert_eq!(photo["uploaded_by"], "kim");
    assert_eq!(photo["uploaded_at"], chassis::clock::format_rfc3339(T0));
    assert_eq!(photo["media_type"], "image/jpeg");

    let path = |variant: &str| format!("/api/v1/photos/{id}/{variant}");
    until(async || get(&site, &kim, &path("thumbnail"), &[]).await.status == 200).await;
    for (variant, size) in [("display", (1600, 1200)), ("thumbnail", (320, 240))] {
        let shown = get(&site, &kim, &path(variant), &[]).await;
        assert_eq!(shown.headers["content-type"], "image/jpeg");
        assert!(shown.headers["cache-control"].to_str().unwrap().contains("immutable"));
        let image = image::load_from_memory(&shown.body).unwrap();
        assert_eq!((image.width(), image.height()), size);
        let again =
            get(&site, &kim, &path(variant), &[("if-none-match", shown.headers["etag"].to_str().unwrap())]).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    }
    let whole = get(&site, &kim, &path("original"), &[]).await;
    assert!(whole.body == original && whole.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let part = get(&site, &mia, &path("original"), &[("range", "bytes=100-199")]).await;
    assert_eq!((part.status, part.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &original[100..200]));
    let beyond = get(&site, &mia, &path("original"), &[("range", "bytes=99999999-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);

    // Another store's manager does not learn that it exists; another employee has no original.
    assert_eq!(get(&site, &max, &path("thumbnail"), &[]).await.status, 404);
    assert_eq!(get(&site, &site.login("lee").await, &path("original"), &[]).await.status, 403);
    assert_eq!(get(&site, &site.login("lee").await, &path("display"), &[]).await.status, 200);

    let shown = get(&site, &kim, &incident, &[]).await;
    assert_eq!(shown.json()["photos"][0]["state"], "ready");
    assert_eq!(shown.json()["photos"][0]["at_hub"], "verified");
    assert_eq!(shown.json()["thumbnail_url"], path("thumbnail"));
    // The same file again is the same photo, and the answer's tag does not move.
    let again = post(&site, &kim, &incident, &[("file", Some("again.jpg"), &original)]).await;
    assert_eq!((again.status, again.json()["items"][0]["id"].as_str()), (StatusCode::CREATED, Some(id.as_str())));
    let same = get(&site, &kim, &incident, &[("if-none-match", shown.headers["etag"].to_str().unwrap())]).await;
    assert_eq!(same.status, 304);
    let list = get(&site, &kim, "/api/v1/incidents", &[]).await.json();
    assert_eq!(
        (&list["items"][0]["photo_count"], &list["items"][0]["thumbnail_url"]),
        (&json!(1), &json!(path("thumbnail")))
    );
    let history = get(&site, &kim, &format!("{incident}/history"), &[]).await.json();
    assert!(history["items"].as_array().unwrap().iter().any(|item| item["kind"] == "photo"));
    assert_eq!(site.desk.ledger().audit().await.unwrap().faults, Vec::<String>::new());
    site.stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_shown_is_evidence_and_what_would_explode_is_refused() {
    let site = Site::hub().await;
    let (kim, mia) = (site.login("kim").await, site.login("mia").await);
    let (incident, _) = site.incident(&kim, json!({"description": "x"})).await;
    let kept = post(&site, &kim, &incident, &[("file", Some("receipt.pdf"), b"%PDF-1.7 not a picture")]).await;
    assert_eq!(kept.status, 201);
    let photo = &kept.json()["items"][0];
    assert_eq!(
        (&photo["state"], &photo["media_type"], &photo["width"]),
        (&json!("undecodable"), &json!("application/pdf"), &Value::Null)
    );
    let path = |variant: &str| format!("/api/v1/photos/{}/{variant}", photo["id"].as_str().unwrap());
    assert_eq!(get(&site, &mia, &path("original"), &[]).await.body, b"%PDF-1.7 not a picture");
    assert_eq!(get(&site, &kim, &path("original"), &[]).await.status, 403);
    for variant in ["display", "thumbnail"] {
        assert_eq!(get(&site, &mia, &path(variant), &[]).await.status, 404);
    }
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\0\0\0\x01\0\0\x08\x03\0\0\0".to_vec();
    bomb.extend([0; 64]);
    let refused = post(&site, &kim, &incident, &[("file", Some("a.png"), &bomb)]).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (422, &json!("file")));
    assert!(!site.desk.blobs().contains(chassis::blobs::Sha256::of(&bomb)).await);
    for (parts, status) in [
        (&[("file", Some("a.jpg"), b"".as_slice())][..], 422),
        (&[("photo", Some("a.jpg"), b"x".as_slice())][..], 422),
        (&[("caption", None, b"x".as_slice())][..], 422),
    ] {
        assert_eq!(post(&site, &kim, &incident, parts).await.status.as_u16(), status);
    }
    let large = vec![7; 50 * 1024 * 1024 + 1];
    assert_eq!(post(&site, &kim, &incident, &[("file", Some("a.jpg"), &large)]).await.status, 413);
    let nowhere = "/api/v1/incidents/01975a3e-0000-7000-8000-000000000000";
    assert_eq!(post(&site, &kim, nowhere, &[("file", Some("a.jpg"), b"x")]).await.status, 404);
    let all = get(&site, &mia, &incident, &[]).await.json();
    assert_eq!((all["photos"].as_array().unwrap().len(), &all["thumbnail_url"]), (1, &Value::Null));
}

async fn tus(site: &Site, token: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("tus-resumable", "1.0.0");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(site, request.body(Body::from(body.to_vec())).unwrap()).await
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    use base64::Engine as _;
    let encode = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    pairs.iter().map(|(name, value)| format!("{name} {}", encode(value))).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn a_photo_arrives_in_pieces() {
    let site = Site::hub().await;
    let (kim, lee, max) = (site.login("kim").await, site.login("lee").await, site.login("max").await);
    let (incident, body) = site.incident(&kim, json!({"description": "x"})).await;
    let id = body["id"].as_str().unwrap();
    let original = jpeg(640, 480);
    let length = original.len().to_string();
    let about = metadata(&[("incident_id", id), ("filename", "a.jpg"), ("filetype", "image/jpeg"), ("caption", "c")]);
    let (half, patch) = (original.len() / 2, ("content-type", "application/offset+octet-stream"));
    let create = [("upload-length", length.as_str()), ("upload-metadata", about.as_str())];

    // Nobody begins one for an incident that they may not see, or without knowing how long it is.
    assert_eq!(tus(&site, &max, "POST", "/api/v1/uploads", &create, b"").await.status, 404);
    assert_eq!(tus(&site, &kim, "POST", "/api/v1/uploads", &create[1..], b"").await.status, 400);
    let large = [("upload-length", "52428801"), create[1]];
    assert_eq!(tus(&site, &kim, "POST", "/api/v1/uploads", &large, b"").await.status, 413);
    let old = send(
        &site,
        Request::post("/api/v1/uploads")
            .header("authorization", format!("Bearer {kim}"))
            .body(Body::empty())
            .unwrap(),
    )
    .await;
    assert_eq!((old.status.as_u16(), old.header("tus-version")), (412, "1.0.0"));

    let begun = tus(&site, &kim, "POST", "/api/v1/uploads", &create, b"").await;
    assert_eq!((begun.status.as_u16(), begun.header("tus-resumable")), (201, "1.0.0"));
    assert!(begun.headers.contains_key("upload-expires"));
    let place = begun.header("location").to_owned();
    assert_eq!(tus(&site, &lee, "HEAD", &place, &[], b"").await.status, 404);
    let part = tus(&site, &kim, "PATCH", &place, &[patch, ("upload-offset", "0")], &original[..half]).await;
    assert_eq!((part.status.as_u16(), part.header("upload-offset")), (204, half.to_string().as_str()));
    let look = tus(&site, &kim, "HEAD", &place, &[], b"").await;
    assert_eq!((look.status.as_u16(), look.header("upload-offset")), (200, half.to_string().as_str()));
    assert_eq!((look.header("upload-length"), look.header("cache-control")), (length.as_str(), "no-store"));
    let elsewhere = tus(&site, &kim, "PATCH", &place, &[patch, ("upload-offset", "1")], &original[1..]).await;
    assert_eq!(elsewhere.status, 409);
    let plain = tus(&site, &kim, "PATCH", &place, &[("upload-offset", "0")], b"x").await;
    assert_eq!(plain.status, 415);
    let at = half.to_string();
    let rest = [patch, ("upload-offset", at.as_str()), ("upload-checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=")];
    assert_eq!(tus(&site, &kim, "PATCH", &place, &rest, &original[half..]).await.status.as_u16(), 460);
    let done = tus(&site, &kim, "PATCH", &place, &rest[..2], &original[half..]).await;
    assert_eq!(done.status, 204);
    let photo = done.header("content-location").to_owned();
    assert_eq!(get(&site, &kim, &photo, &[]).await.body, original);
    let shown = get(&site, &kim, &incident, &[]).await.json();
    assert_eq!((&shown["photos"][0]["caption"], &shown["photos"][0]["filename"]), (&json!("c"), &json!("a.jpg")));

    // All at once, and given up.
    let other = jpeg(64, 48);
    let length = other.len().to_string();
    let create = [("upload-length", length.as_str()), ("upload-metadata", about.as_str()), patch];
    let whole = tus(&site, &kim, "POST", "/api/v1/uploads", &create, &other).await;
    assert_eq!((whole.status.as_u16(), whole.header("upload-offset")), (201, length.as_str()));
    let begun = tus(&site, &kim, "POST", "/api/v1/uploads", &create[..2], b"").await;
    let place = begun.header("location").to_owned();
    assert_eq!(tus(&site, &kim, "DELETE", &place, &[], b"").await.status, 204);
    assert_eq!(tus(&site, &kim, "HEAD", &place, &[], b"").await.status, 404);
    let spoken = tus(&site, &kim, "OPTIONS", "/api/v1/uploads", &[], b"").await;
    assert!(spoken.header("tus-extension").contains("creation-with-upload"));
    assert_eq!(get(&site, &kim, &incident, &[]).await.json()["photos"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_headquarters_does_not_take_is_refused_where_it_is_captured() {
    let hub = Site::hub().await;
    let node = Site::node(&hub).await;
    let kim = node.login("kim").await;
    let (incident, body) = node.incident(&kim, json!({"description": "a broken window"})).await;
    let limits =
        desk::photos::PhotoLimits { max_bytes: 20_000, per_incident: 1, media_types: vec!["image/*".to_owned()] };
    node.desk.take_photo_limits(limits.clone()).await.unwrap();
    assert_eq!(node.desk.ledger().photo_limits().await.unwrap(), Some(limits));

    let file = |bytes: &[u8]| bytes.to_vec();
    let large = file(&[7; 20_001]);
    assert_eq!(post(&node, &kim, &incident, &[("file", Some("a.jpg"), &large)]).await.status, 413);
    // By its content, whatever it is called.
    let refused = post(&node, &kim, &incident, &[("file", Some("a.jpg"), b"%PDF-1.7 a bill")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.json()["errors"][0]["message"].as_str().unwrap().contains("image/*"), "{}", refused.json());
    let begin = node
        .ask("POST", "/api/v1/uploads")
        .token(&kim)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", "20001")
        .header("upload-metadata", "filename YS5qcGc=")
        .send()
        .await;
    assert_eq!(begin.status.as_u16(), 413);
    assert_eq!(node.ask("OPTIONS", "/api/v1/uploads").token(&kim).send().await.header("tus-max-size"), "20000");

    assert_eq!(post(&node, &kim, &incident, &[("file", Some("a.jpg"), &jpeg(80, 60))]).await.status, 201);
    assert_eq!(post(&node, &kim, &incident, &[("file", Some("b.jpg"), &jpeg(60, 80))]).await.status, 422);
    assert_eq!(
        node.get(&kim, &format!("/api/v1/incidents/{}", body["id"].as_str().unwrap())).await.expect(200)["photo_count"],
        1
    );
}
