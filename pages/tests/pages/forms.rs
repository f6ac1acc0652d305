//! Forms with files, from whoever may not mean well.

use crate::browser::{Browser, hub};
use crate::site::Site;
use axum::body::Body;
use desk::http::photos::arriving;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::ReaderStream;

const KIND: &str = "multipart/form-data; boundary=b";

/// A body that says one piece and then nothing any more, and tells when it was asked for more.
struct Stalled {
    piece: Option<&'static str>,
    asked: Arc<AtomicBool>,
}

impl AsyncRead for Stalled {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = self.piece.take() {
            into.put_slice(piece.as_bytes());
            return Poll::Ready(Ok(()));
        }
        self.asked.store(true, Ordering::SeqCst);
        Poll::Pending
    }
}

/// How many forms with files may arrive beside those that do.
fn room_left(hub: &Site) -> usize {
    std::iter::from_fn(|| arriving(&hub.desk).ok()).collect::<Vec<_>>().len()
}

#[tokio::test]
async fn a_form_that_stands_still_for_a_minute_ends_and_makes_room_for_others() {
    let hub = hub().await;
    let cookies = Browser::of(&hub, "kim").await.cookies();
    let all = room_left(&hub);
    for begun in [
        "--b\r\ncontent-dispo",
        "--b\r\ncontent-disposition: form-data; name=\"description\"\r\n\r\nhalf a sent",
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nhalf a pict",
    ] {
        let asked = Arc::new(AtomicBool::new(false));
        let stalled = Stalled { piece: Some(begun), asked: Arc::clone(&asked) };
        let body = Body::from_stream(ReaderStream::new(stalled));
        let ask = hub.ask("POST", "/incidents/new").header("cookie", &cookies).header("accept", "text/html");
        let sending = ask.header("sec-fetch-site", "same-origin").text(KIND, body).send();
        let turn = async {
            while !asked.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            assert_eq!(room_left(&hub), all - 1);
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(61)).await;
            tokio::time::resume();
        };
        let both = async { tokio::join!(sending, turn).0 };
        let answer = tokio::time::timeout(Duration::from_secs(300), both).await.expect("an end of the form");
        assert_eq!(answer.status.as_u16(), 408, "{begun}");
        assert_eq!(room_left(&hub), all);
    }
}

#[tokio::test]
async fn a_form_of_endless_empty_fields_is_refused() {
    let hub = hub().await;
    let mut kim = Browser::of(&hub, "kim").await;
    let part =
        |name: &str, body: &str| format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{body}\r\n");
    let endless = [part("description", "x"), part("", "").repeat(6000), "--b--\r\n".to_owned()].concat();
    kim.send("/incidents/new", KIND, endless.into_bytes()).await.is(413);
    let long = [part("description", &"x".repeat(80_001)), "--b--\r\n".to_owned()].concat();
    kim.send("/incidents/new", KIND, long.into_bytes()).await.is(422);
    let texts: String = (0..4).map(|_| part("description", &"x".repeat(80_000))).collect();
    kim.send("/incidents/new", KIND, [texts, "--b--\r\n".to_owned()].concat().into_bytes())
        .await
        .is(413);
    let listed = hub.get(&hub.login("kim").await, "/api/v1/incidents").await.expect(200);
    assert_eq!(listed["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_report_that_waited_on_a_device_is_refused_from_whoever_is_logged_in_there_by_now() {
    let hub = hub().await;
    let (kim, lee) = (Browser::of(&hub, "kim").await.cookies(), Browser::of(&hub, "lee").await.cookies());
    let id = hub.desk.ids().new_v7(hub.desk.now_ms()).to_string();
    let send = async |cookies: &str| {
        let body = format!("id={id}&username=kim&description=mine&age_s=7200&occurred_at=");
        let ask = hub.ask("POST", "/incidents/new").header("cookie", cookies).header("sec-fetch-site", "same-origin");
        ask.header("accept", "application/json")
            .text("application/x-www-form-urlencoded", body)
            .send()
            .await
    };
    let problem = send(&lee).await.problem(409);
    assert!(problem["type"].as_str().unwrap().ends_with("other-user"), "{problem}");
    let token = hub.login("kim").await;
    assert_eq!(hub.get(&token, "/api/v1/incidents").await.expect(200)["items"], serde_json::json!([]));
    send(&kim).await.expect(201);
    let listed = hub.get(&token, "/api/v1/incidents").await.expect(200);
    assert_eq!(listed["items"][0]["reported_by"], "kim");
    // Written two hours ago, whatever the device's clock says.
    assert_eq!(listed["items"][0]["occurred_at"], "2026-11-19T22:00:00Z");
    // The same of its photos.
    let begin = async |token: &str| {
        // "kim", in base64.
        let metadata = format!("incident_id {},username a2lt", base64(&id));
        let ask = hub.ask("POST", "/api/v1/uploads").token(token).header("tus-resumable", "1.0.0");
        ask.header("upload-length", "4").header("upload-metadata", &metadata).send().await
    };
    let problem = begin(&hub.login("lee").await).await.problem(409);
    assert!(problem["type"].as_str().unwrap().ends_with("other-user"), "{problem}");
    assert_eq!(begin(&token).await.status.as_u16(), 201);
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit = |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect::<String>()
    };
    text.as_bytes().chunks(3).map(of).collect()
}
