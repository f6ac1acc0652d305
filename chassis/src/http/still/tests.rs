use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::http::{Limits, Rates, Server};
use crate::shutdown::Shutdown;

const SOON: Duration = Duration::from_secs(8);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// What HTTP/2 begins with: the preface and settings that say nothing.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The same, with settings that let nothing be sent, and a question for `/`.
const HTTP_2_WITHOUT_WINDOW: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";

async fn start(router: Router, server: Server) -> (SocketAddr, Shutdown, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, shutdown) = (listener.local_addr().unwrap(), Shutdown::manual());
    let served = server.serve(listener, router, shutdown.clone());
    (addr, shutdown, tokio::spawn(async move { served.await.unwrap() }))
}

async fn end(shutdown: Shutdown, served: JoinHandle<()>) {
    shutdown.begin();
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

/// Whether the other end closes the connection soon.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok()
}

/// An HTTP/2 connection over which nothing is asked has been closed.
async fn a_rest_passed(addr: SocketAddr) {
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(HTTP_2).await.unwrap();
    assert!(is_closed(&mut idle).await, "an idle connection stays open");
}

#[tokio::test]
async fn an_http_2_connection_that_nobody_uses_gives_its_place_to_others() {
    crate::outbound::install_crypto();
    let server = Server::up_to(1).patient_for(LONG).resting_for(Duration::from_millis(50));
    let (addr, shutdown, served) = start(Router::new().route("/", get(|| async { "x" })), server).await;
    let client = || reqwest::Client::builder().no_proxy().http2_prior_knowledge().timeout(SOON).build().unwrap();
    let (first, second) = (client(), client());
    for client in [&first, &second, &first] {
        // The connection of the one before is still in that one's pool.
        let answer = client.get(format!("http://{addr}/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "x");
    }
    end(shutdown, served).await;
}

#[tokio::test]
async fn an_answer_that_waits_for_something_to_say_is_not_cut() {
    crate::outbound::install_crypto();
    let (release, released) = watch::channel(false);
    let handler = move || {
        let mut released = released.clone();
        async move {
            let rest = async move {
                released.wait_for(|now| *now).await.unwrap();
                Ok::<_, std::io::Error>(Bytes::from_static(b"end"))
            };
            let begin = futures::stream::iter([Ok(Bytes::from_static(b"begin "))]);
            Body::from_stream(begin.chain(futures::stream::once(rest)))
        }
    };
    let rest = Duration::from_millis(50);
    let server = Server::default().patient_for(LONG).resting_for(rest);
    let (addr, shutdown, served) = start(Router::new().route("/", get(handler)), server).await;
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let http_2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{addr}/");
    let mut answers = Vec::new();
    for client in [&plain, &http_2] {
        answers.push(client.get(&url).send().await.unwrap());
    }
    for _ in 0..4 {
        a_rest_passed(addr).await;
    }
    release.send(true).unwrap();
    for answer in answers {
        assert_eq!(answer.text().await.unwrap(), "begin end");
    }
    end(shutdown, served).await;
}

/// Tells when it goes.
struct Tells(mpsc::UnboundedSender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let (tell, mut gone) = mpsc::unbounded_channel();
    let handler = move || async move {
        let endless = futures::stream::unfold(Tells(tell), |tells| async move {
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 * 1024])), tells))
        });
        Body::from_stream(endless)
    };
    let server = Server::default().patient_for(LONG).resting_for(Duration::from_millis(100));
    let (addr, shutdown, served) = start(Router::new().route("/", get(handler)), server).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(SOON, gone.recv()).await.is_ok(), "the answer still waits for its reader");
    drop(stream);
    end(shutdown, served).await;
}

#[tokio::test]
async fn a_reader_who_leaves_no_window_is_cut() {
    let server = Server::default().patient_for(LONG).resting_for(Duration::from_millis(50));
    let router = Router::new().route("/", get(|| async { "x".repeat(100) }));
    let (addr, shutdown, served) = start(router, server).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(HTTP_2_WITHOUT_WINDOW).await.unwrap();
    assert!(is_closed(&mut stream).await);
    end(shutdown, served).await;
}

/// A connection from `from`, over which something was asked and answered; none where it was closed instead.
async fn connected(from: &str, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let talk = async {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        stream.read_exact(&mut [0; 12]).await
    };
    let answered = tokio::time::timeout(SOON, talk).await.expect("neither answered nor closed").is_ok();
    answered.then_some(stream)
}

#[tokio::test]
async fn one_address_does_not_hold_the_places_of_all() {
    let limits = Limits { connections_per_address: 2, loopback: true, ..Limits::default() };
    let server = Server::default().patient_for(LONG).limited_by(Rates::new(limits));
    let (addr, shutdown, served) = start(Router::new().route("/", get(|| async { "x" })), server).await;
    let mut held = vec![connected("127.0.0.2", addr).await.unwrap(), connected("127.0.0.2", addr).await.unwrap()];
    assert!(connected("127.0.0.2", addr).await.is_none());
    held.push(connected("127.0.0.3", addr).await.unwrap());
    // One that goes makes room, as soon as that is noticed.
    held.remove(0);
    let begun = Instant::now();
    while connected("127.0.0.2", addr).await.is_none() {
        assert!(begun.elapsed() < SOON, "its place is not given back");
        tokio::task::yield_now().await;
    }
    drop(held);
    end(shutdown, served).await;
}

#[tokio::test]
async fn this_machine_may_have_as_many_connections_as_it_likes_unless_that_is_said() {
    let rates = Rates::new(Limits { connections_per_address: 1, ..Limits::default() });
    let server = Server::default().patient_for(LONG).limited_by(rates);
    let (addr, shutdown, served) = start(Router::new().route("/", get(|| async { "x" })), server).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(connected("127.0.0.1", addr).await.unwrap());
    }
    drop(held);
    end(shutdown, served).await;
}
