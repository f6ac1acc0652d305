//! An SMTP server that keeps what it gets: as much of RFC 5321 as a client needs that has something to send.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A message as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Headers and text, without the dots that SMTP adds.
    pub text: String,
}

impl Letter {
    /// The header field `name`, unfolded; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let start = format!("{name}: ");
        head.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
    }
}

/// The server.
#[derive(Debug)]
pub struct Smtp {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Letter>>>,
    refuses: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Smtp {
    /// One on a free port.
    pub async fn start() -> Self {
        Self::at(0).await
    }

    /// One on `port`.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port for mail");
        let address = listener.local_addr().expect("its address");
        let (came, refuses) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let serving = tokio::spawn(serve(listener, Arc::clone(&came), Arc::clone(&refuses)));
        Self { address, came, refuses, serving }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whether it refuses every recipient for good; `gone@…` it always does.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// What came so far.
    ///
    /// # Panics
    /// When another thread did while it held it.
    #[must_use]
    pub fn came(&self) -> Vec<Letter> {
        self.came.lock().expect("what came").clone()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, came: Arc<Mutex<Vec<Letter>>>, refuses: Arc<AtomicBool>) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        open.spawn(talk(stream, Arc::clone(&came), Arc::clone(&refuses)));
    }
}

async fn talk(stream: TcpStream, came: Arc<Mutex<Vec<Letter>>>, refuses: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut letter = Letter::default();
    stream.write_all(b"220 mail.test\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let word = command.to_ascii_uppercase();
        let path = || command.split_once(['<']).and_then(|(_, rest)| rest.split('>').next()).unwrap_or("").to_owned();
        let answer = if word.starts_with("EHLO") {
            "250-mail.test\r\n250 8BITMIME"
        } else if word.starts_with("MAIL FROM:") {
            letter = Letter { from: path(), ..Letter::default() };
            "250 fine"
        } else if word.starts_with("RCPT TO:") {
            if refuses.load(Ordering::SeqCst) || path().starts_with("gone@") {
                "550 no such mailbox"
            } else {
                letter.to.push(path());
                "250 fine"
            }
        } else if word == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            letter.text = read_text(&mut stream).await?;
            came.lock().expect("what came").push(std::mem::take(&mut letter));
            "250 kept"
        } else if word == "QUIT" {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 fine"
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(b"\r\n").await?;
    }
}

/// Up to the line that is a dot.
async fn read_text(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
