//! Acknowledged creates, asked for over bare sockets: on a machine of two cores a full HTTP client would measure itself.

use aincident_tests::http::Client;
use aincident_tests::{Rng, load};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Different incidents each client sends in turn; without an id every one is a new one.
const BODIES: usize = 64;
/// How often one client and many take turns.
const TURNS: u32 = 3;

/// How many a second one client and `many` get acknowledged. They take turns, so that both meet ledgers of every size on the way.
///
/// # Panics
/// When an answer is anything but 201.
pub async fn rates(client: &Client, many: u32, time: Duration, rng: &mut Rng) -> (f64, f64) {
    let (mut one, mut all) = (0.0, 0.0);
    for _ in 0..TURNS {
        one += rate(client, 1, time / TURNS, rng).await;
        all += rate(client, many, time / TURNS, rng).await;
    }
    (one / f64::from(TURNS), all / f64::from(TURNS))
}

/// How many a second `lanes` clients get acknowledged, each waiting for its answer before it sends the next.
async fn rate(client: &Client, lanes: u32, time: Duration, rng: &mut Rng) -> f64 {
    let address = client.base().trim_start_matches("http://").to_owned();
    let token = client.token().expect("a logged-in client").to_owned();
    let clients: Vec<Vec<Vec<u8>>> =
        (0..lanes).map(|_| (0..BODIES).map(|_| request(&address, &token, rng)).collect()).collect();
    // One thread for all clients, as load generators have it: what is measured gets the other one.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(tokio::task::LocalSet::new().run_until(run(clients, address, time)))
    });
    measured.await.expect("the clients")
}

async fn run(clients: Vec<Vec<Vec<u8>>>, address: String, time: Duration) -> f64 {
    let started = Instant::now();
    let running: Vec<_> = clients
        .into_iter()
        .map(|requests| {
            let address = address.clone();
            tokio::task::spawn_local(async move {
                let mut stream = TcpStream::connect(&address).await.expect("the node listens");
                stream.set_nodelay(true).expect("a socket");
                let (mut acknowledged, mut answer) = (0_u64, Vec::new());
                for request in requests.iter().cycle() {
                    if started.elapsed() >= time {
                        break;
                    }
                    stream.write_all(request).await.expect("the node reads");
                    read_answer(&mut stream, &mut answer).await;
                    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = 0;
    for client in running {
        acknowledged += client.await.expect("a client");
    }
    acknowledged as f64 / started.elapsed().as_secs_f64()
}

fn request(address: &str, token: &str, rng: &mut Rng) -> Vec<u8> {
    // People report what happened today; an older ledger's pages are left alone.
    let mut body = load::incident(rng, 1);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("id");
    }
    let body = body.to_string();
    format!(
        "POST /api/v1/incidents HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer, which says how long it is.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        assert!(stream.read_buf(answer).await.expect("an answer") > 0, "the node closed the connection");
        if whole.is_none()
            && let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).expect("a content-length");
            whole = Some(end + 4 + length);
        }
    }
}
