//! The program itself: what its commands print, how they end, and that they work beside a hub that serves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder of its own, removed when it goes out of scope.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aincident-hub-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn hub(data: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aincident-hub"));
    command.args(line.split_whitespace()).arg("--data-dir").arg(data).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AINCIDENT_HUB_")) {
        command.env_remove(name);
    }
    command
}

fn run(data: &Path, line: &str) -> Output {
    hub(data, line).output().unwrap()
}

fn with_password(data: &Path, line: &str, password: &str) -> Output {
    let mut child =
        hub(data, line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a successful command printed.
fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{} {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line of a command that failed with `code`.
fn complaint(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty() && error.lines().count() == 1, "{error}");
    error
}

/// A hub that serves; ended when it goes out of scope.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(data: &Path) -> Self {
        Self::start_as(data, "serve --listen 127.0.0.1:0", "http")
    }

    fn start_as(data: &Path, line: &str, scheme: &str) -> Self {
        let mut child = hub(data, line).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first
            .trim_end()
            .strip_prefix(&format!("listening on {scheme}://"))
            .unwrap_or_else(|| panic!("{first}"))
            .to_owned();
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap()
    }

    /// What a JSON request is answered with.
    fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let (mut stream, body) = (std::net::TcpStream::connect(&self.address).unwrap(), body.to_string());
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_store_an_account_and_a_code_are_made_in_a_folder_that_was_not_there() {
    let scratch = Scratch::new("make");
    let data = scratch.0.join("below/data");
    let store: Value = serde_json::from_str(&said(&run(
        &data,
        "store add --code 042 --name Downtown --timezone America/Chicago --json",
    )))
    .unwrap();
    assert_eq!((store["code"].as_str(), store["timezone"].as_str()), (Some("042"), Some("America/Chicago")));
    assert!(said(&run(&data, "store add --code 7 --name Harbour")).contains("store 7"));
    assert!(complaint(&run(&data, "store add --code 042 --name Again"), 1).contains("042"));
    assert!(complaint(&run(&data, "store add --code 9 --name X --timezone Nowhere/Here"), 1).contains("timezone"));

    let add = "user add --username kim --role employee --store 042 --password-stdin";
    assert!(said(&with_password(&data, add, "correct horse\n")).contains("kim"));
    assert!(complaint(&with_password(&data, add, "correct horse\n"), 1).contains("kim"));
    assert!(
        complaint(&with_password(&data, "user add --username lee --role hq --password-stdin", ""), 1)
            .contains("password")
    );
    assert!(
        complaint(
            &with_password(&data, "user add --username lee --role employee --password-stdin", "correct horse"),
            1
        )
        .contains("store")
    );
    let boss = said(&with_password(
        &data,
        "user add --username boss --role admin --password-stdin --json",
        "correct horse",
    ));
    assert!(boss.contains("\"role\":\"admin\"") && !boss.contains("horse") && !boss.contains("argon2"), "{boss}");

    let code = said(&run(&data, "node code --store 042"));
    let groups: Vec<usize> = code.trim_end().split('-').map(str::len).collect();
    assert_eq!((groups, code.lines().count()), (vec![4, 4, 4], 1));
    assert!(complaint(&run(&data, "node code --store 999"), 1).contains("999"));
    let nodes: Value = serde_json::from_str(&said(&run(&data, "node list --json"))).unwrap();
    assert_eq!(nodes["items"].as_array().unwrap().len(), 0);
    let nobody = "node revoke 01970000-0000-7000-8000-000000000001";
    assert!(complaint(&run(&data, nobody), 1).contains("node list"));
    let audit: Value = serde_json::from_str(&said(&run(&data, "audit verify --json"))).unwrap();
    assert_eq!((audit["faults"].as_array().unwrap().len(), audit["changes"].as_u64()), (0, Some(4)));
}

#[test]
fn wrong_usage_ends_with_2_and_says_how_it_is_done() {
    let scratch = Scratch::new("usage");
    assert!(complaint(&run(&scratch.0, "store add --code 042"), 2).contains("--name"));
    let config = std::env::temp_dir().join(format!("aincident-hub-usage-{}.toml", std::process::id()));
    std::fs::write(&config, "listen = '127.0.0.1:0'\nlissten = 1\n").unwrap();
    let error = complaint(&run(&scratch.0, &format!("serve --config {}", config.display())), 2);
    assert!(error.contains("line 2") && error.contains("lissten"), "{error}");
    std::fs::remove_file(config).unwrap();
    assert_eq!(run(&scratch.0, "fly").status.code(), Some(2));
    assert_eq!(run(&scratch.0, "node revoke not-an-id").status.code(), Some(2));
    // Nothing of that made a folder.
    assert!(!scratch.0.exists());
}

#[test]
fn other_machines_are_not_served_in_the_clear_unless_asked_for() {
    let scratch = Scratch::new("clear");
    for (line, scheme) in [("serve --listen 0.0.0.0:0", "https"), ("serve --listen 0.0.0.0:0 --plain-http", "http")] {
        let serving = Serving::start_as(&scratch.0, line, scheme);
        assert!(serving.address.starts_with("0.0.0.0:"), "{}", serving.address);
    }
}

#[test]
fn commands_work_beside_a_hub_that_serves_and_a_second_hub_does_not() {
    let scratch = Scratch::new("serve");
    let mut serving = Serving::start(&scratch.0);
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"));
    // Nobody has an account yet: the pages say how the first one is made.
    assert!(serving.get("/login").contains("location: /setup"));
    assert!(serving.get("/setup").contains("setup-code") && scratch.0.join("setup-code").exists());
    said(&run(&scratch.0, "store add --code 042 --name Downtown"));
    assert_eq!(said(&run(&scratch.0, "node code --store 042")).trim_end().len(), 14);
    let output = run(&scratch.0, "serve --listen 127.0.0.1:0");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("already serves this folder") && output.stdout.is_empty(), "{error}");

    let begun = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &serving.child.id().to_string()]).status().unwrap().success());
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(said(&run(&scratch.0, "audit verify")).contains("1 changes"));
}

#[test]
fn an_incident_that_is_held_cannot_be_erased_by_command_until_it_is_released() {
    let scratch = Scratch::new("hold");
    let serving = Serving::start(&scratch.0);
    said(&run(&scratch.0, "store add --code 042 --name Downtown"));
    let add = "user add --username harriet --role hq --password-stdin";
    said(&with_password(&scratch.0, add, "correct horse"));
    let credentials = json!({ "username": "harriet", "password": "correct horse" });
    let token = serving.post("/api/v1/login", "", &credentials)["token"].as_str().unwrap().to_owned();
    let body = json!({ "description": "x", "store_code": "042", "people": [{ "name": "Zebulon" }] });
    let made = serving.post("/api/v1/incidents", &token, &body);
    let (id, person) = (made["id"].as_str().unwrap(), made["people"][0]["id"].as_str().unwrap());

    assert!(complaint(&run(&scratch.0, &format!("hold --incident {id}")), 2).contains("--reason"));
    assert!(complaint(&run(&scratch.0, "hold --reason case-17"), 2).contains("--incident"));
    let nobody = "hold --reason x --incident 01970000-0000-7000-8000-000000000001";
    assert!(complaint(&run(&scratch.0, nobody), 1).contains("no such thing"));
    assert!(said(&run(&scratch.0, &format!("hold --incident {id} --reason case-17"))).contains("is held: case-17"));
    let again = complaint(&run(&scratch.0, &format!("hold --incident {id} --reason case-18")), 1);
    assert!(again.contains("already"), "{again}");

    let erase = format!("erase --incident {id} --person {person} --reason asked");
    let refused = complaint(&run(&scratch.0, &erase), 1);
    assert!(refused.contains("cli holds") && refused.contains("case-17"), "{refused}");
    let released = said(&run(&scratch.0, &format!("release --incident {id} --json")));
    let released: Value = serde_json::from_str(&released).unwrap();
    assert_eq!((released["incident_id"].as_str(), &released["hold"]), (Some(id), &Value::Null));
    assert!(said(&run(&scratch.0, &format!("release --incident {id}"))).contains("nobody holds"));
    assert!(said(&run(&scratch.0, &erase)).starts_with("ordered "));
}
