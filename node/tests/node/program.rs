//! `aincident-node` as a process: what it says, what it answers, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::hub::{CODE, FakeHub, Mood};
use crate::machine::{scratch, until};

pub fn program(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aincident-node"));
    command.args(args).arg("--data-dir").arg(folder).env_clear();
    command
}

/// Runs a command to its end, off the runtime that the hub lives on.
async fn run(args: &[&str], folder: &Path) -> (i32, String, String) {
    let mut command = program(args, folder);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct Serving {
    child: Child,
    address: String,
    _out: BufReader<ChildStdout>,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--link-max-backoff-ms", "200"];
        let mut child = program(&args, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("the first line says where").to_owned();
        Self { child, address, _out: out }
    }

    /// Status and body.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn end(mut self) -> Option<i32> {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_enrolled_while_it_serves() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    hub.add_account("ann");
    let serving = Serving::start(&folder);
    assert_eq!((serving.get("/healthz").0, serving.get("/readyz").0), (200, 200));
    let (status, body) = serving.get("/api/v1/sync");
    assert!(status == 503 && body.contains("not-enrolled"), "{body}");
    assert!(serving.get("/").1.contains("aincident-node enroll"));
    assert!(serving.get("/openapi.json").1.contains("/api/v1/sync"));

    let (code, said, progress) = run(&["enroll", "--hub", &hub.url, "--code", CODE], &folder).await;
    assert!(code == 0 && said.contains("store 042"), "{said}{progress}");
    until("the API asks who is there", async || serving.get("/api/v1/sync").0 == 401).await;
    let status = async || json(&run(&["status", "--json"], &folder).await.1);
    let is_in_step =
        |told: &Value| told["state"].as_str().is_some_and(|state| state.starts_with("in step with headquarters"));
    until("it syncs", async || is_in_step(&status().await)).await;
    assert!(serving.get("/login").1.contains("name=\"password\""));
    until("status tells", async || status().await["hub_reachable"] == true).await;
    let told = status().await;
    assert_eq!(
        (&told["store_code"], &told["pending_changes"], &told["hub_url"]),
        (&"042".into(), &0.into(), &hub.url.clone().into())
    );
    hub.everywhere(Mood::Portal);
    // What was under way may still be answered, and say otherwise for a moment.
    until("status tells of the loss, and why", async || {
        let told = status().await;
        told["hub_reachable"] == false && told["last_error"].is_string()
    })
    .await;
    until("the breaker to open", async || serving.get("/metrics").1.contains("aincident_link_breaker 2")).await;
    assert_eq!(serving.end(), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_asks_the_hub_itself_when_nothing_serves() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    let (code, out, _) = run(&["status", "--json"], &folder).await;
    assert_eq!((code, &json(&out)["node_id"]), (0, &Value::Null));
    assert_eq!(run(&["enroll", "--hub", &hub.url, "--code", CODE], &folder).await.0, 0);
    let (_, out, _) = run(&["status"], &folder).await;
    assert!(out.contains("no program serves this folder") && out.contains("in step with headquarters"), "{out}");
    hub.everywhere(Mood::Portal);
    let told = json(&run(&["status", "--json"], &folder).await.1);
    assert_eq!((&told["hub_reachable"], &told["next_try_at"]), (&false.into(), &Value::Null));
    for field in [
        "node_id",
        "store_code",
        "hub_url",
        "last_contact_at",
        "pending_changes",
        "pending_blobs",
        "pending_blob_bytes",
    ] {
        assert!(!told[field].is_null(), "{field}");
    }
    for field in ["pulled_changes", "quarantined", "clock_offset_ms", "origin", "state", "synced_up_to"] {
        assert!(!told[field].is_null(), "{field}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_one_line_and_have_their_exit_codes() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    let (code, _, said) = run(&["enroll", "--hub", &hub.url], &folder).await;
    assert!(code == 2 && said.contains("--code") && said.trim().lines().count() == 1, "{said}");
    let file = folder.join("node.toml");
    std::fs::write(&file, "listen = '127.0.0.1:0'\nlissten = 'x'\n").unwrap();
    let (code, _, said) = run(&["serve", "--config", file.to_str().unwrap()], &folder).await;
    assert!(code == 2 && said.contains("line 2") && said.contains("lissten"), "{said}");
    assert_eq!(run(&["serve", "--nonsense"], &folder).await.0, 2);
    let (code, _, said) = run(&["serve", "--tls-cert", "/nowhere"], &folder).await;
    assert!(code == 2 && said.contains("tls.key"), "{said}");
    let (code, _, said) =
        run(&["serve", "--tls-always", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"], &folder).await;
    assert!(code == 1 && said.contains("cannot read /nowhere"), "{said}");
    let (code, _, said) = run(&["status"], &PathBuf::from("/nowhere/at/all")).await;
    assert!(code == 1 && said.contains("--data-dir"), "{said}");
    assert_eq!(run(&["enroll", "--hub", &hub.url, "--code", CODE], &folder).await.0, 0);
    let (code, _, said) = run(&["enroll", "--hub", &hub.url, "--code", CODE], &folder).await;
    assert!(code == 1 && said.contains("--replace") && said.trim().lines().count() == 1, "{said}");
    let serving = Serving::start(&folder);
    let (code, _, said) = run(&["serve", "--listen", "127.0.0.1:0", "--log", "error"], &folder).await;
    assert!(code == 1 && said.contains("already serves"), "{said}");
    assert_eq!(serving.end(), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}
