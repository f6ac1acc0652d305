//! The incident list under many connections, and the least that a web server could do for the same rows: an axum handler
//! that runs the same query on the same database, without accounts, rights, cursors or limits. What is between the two is
//! ours to answer for.

use crate::Figure;
use aincident_tests::figures::percentile;
use aincident_tests::http::Client;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use rusqlite::{Connection, OpenFlags};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAGE: &str = "/api/v1/incidents?limit=50";
/// The page's rows as the ledger reads them.
const SQL: &str = "SELECT d.doc, i.received_ms, a.display_name, i.photo_count, i.comment_count FROM incidents i \
    JOIN documents d ON d.incident_no = i.incident_no LEFT JOIN accounts a ON a.username = i.reported_by \
    WHERE i.store_code = '042' AND i.deleted = 0 ORDER BY i.occurred_at_ms DESC, i.incident_id DESC LIMIT 51";

/// Page times at the node and at the bare handler, and their ratio.
pub async fn measure(manager: &Client, database: &Path, connections: usize, time: Duration) -> Vec<Figure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let database: Arc<Path> = database.into();
    let handler = get(async move || bare(database).await);
    let server =
        tokio::spawn(
            async move { axum::serve(listener, axum::Router::new().route("/api/v1/incidents", handler)).await },
        );
    let bare = Client::new(&format!("http://{address}"));

    let (mut ours, our_rate) = ask(manager, connections, time).await;
    let (mut least, least_rate) = ask(&bare, connections, time).await;
    server.abort();
    let ms = |times: &mut Vec<Duration>, share| percentile(times, share).as_secs_f64() * 1e3;
    let (p50, p99) = (ms(&mut ours, 0.5), ms(&mut ours, 0.99));
    let (bare50, bare99) = (ms(&mut least, 0.5), ms(&mut least, 0.99));
    vec![
        Figure::new("list page of 50, 100 connections, p50", p50, "ms"),
        Figure::new("list page of 50, 100 connections, p99", p99, "ms"),
        Figure::new("list pages", our_rate, "/s"),
        Figure::new("the same query in a bare handler, p50", bare50, "ms"),
        Figure::new("the same query in a bare handler, p99", bare99, "ms"),
        Figure::new("the same query in a bare handler, pages", least_rate, "/s"),
        Figure::new("ours to bare, p50", p50 / bare50, "x"),
        Figure::new("ours to bare, p99", p99 / bare99, "x"),
    ]
}

/// Median times of the page `/incidents` and of the list behind it, in milliseconds, one request after the other: how much slower a page
/// is where there is more.
pub async fn paced(client: &Client, times: usize) -> (f64, f64) {
    let mut pages = Vec::new();
    let mut lists = Vec::new();
    for _ in 0..times {
        let asked = Instant::now();
        let page = client.send(client.request("GET", "/incidents").header("accept", "text/html")).await;
        pages.push(asked.elapsed());
        assert!(page.status == 200 && page.body.len() > 10_000, "{}", page.status);
        let asked = Instant::now();
        let list = client.get(PAGE).await;
        lists.push(asked.elapsed());
        assert_eq!(list.status, 200);
    }
    let ms = |times: &mut Vec<Duration>| percentile(times, 0.5).as_secs_f64() * 1e3;
    (ms(&mut pages), ms(&mut lists))
}

/// Every connection asks again as soon as it has its answer; answers all times and pages a second.
async fn ask(client: &Client, connections: usize, time: Duration) -> (Vec<Duration>, f64) {
    let end = Instant::now() + time;
    let started = Instant::now();
    let lanes = (0..connections).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                let page = client.get(PAGE).await;
                times.push(asked.elapsed());
                assert!(page.status == 200 && page.body.len() > 1000, "{}", page.status);
            }
            times
        })
    });
    let mut all = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        all.append(&mut lane.await.expect("a connection"));
    }
    let rate = all.len() as f64 / started.elapsed().as_secs_f64();
    (all, rate)
}

async fn bare(database: Arc<Path>) -> impl IntoResponse {
    thread_local! {
        static OPEN: RefCell<Option<(PathBuf, Connection)>> = const { RefCell::new(None) };
    }
    let page = tokio::task::spawn_blocking(move || {
        OPEN.with_borrow_mut(|open| {
            if open.as_ref().is_none_or(|(path, _)| **path != *database) {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                *open = Some((database.to_path_buf(), Connection::open_with_flags(&database, flags)?));
            }
            match open {
                Some((_, connection)) => page(connection),
                None => Ok(String::new()),
            }
        })
    });
    let text = page.await.expect("the query ran").expect("the query succeeded");
    ([(CONTENT_TYPE, "application/json")], text)
}

fn page(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut text = String::from("{\"items\":[");
    while let Some(row) = rows.next()? {
        let doc: String = row.get(0)?;
        let (received, name): (Option<i64>, Option<String>) = (row.get(1)?, row.get(2)?);
        let (photos, comments): (i64, i64) = (row.get(3)?, row.get(4)?);
        text.push_str(doc.strip_suffix('}').unwrap_or(&doc));
        text.push_str(&format!(
            ",\"received_ms\":{received:?},\"name\":{name:?},\"photos\":{photos},\"comments\":{comments}}},"
        ));
    }
    text.pop();
    text.push_str("]}");
    Ok(text)
}
