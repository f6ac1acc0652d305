//! What an operator's machinery has of the program: systemd's notifications, the check of a configuration file, man pages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use aincident_node::app;
use chassis::http::Server;
use chassis::systemd::Vital;

use crate::machine::{Node, scratch};
use crate::program::program;

/// Words that systemd heard, up to and including `last`.
fn heard_until(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let mut bytes = [0; 300];
        let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{error} after {heard:?}, before {last}"));
        let word = String::from_utf8(bytes[..length].to_vec()).unwrap();
        let is_last = word.starts_with(last);
        heard.push(word);
        if is_last {
            return heard;
        }
    }
}

#[test]
fn systemd_hears_that_the_node_serves_that_it_turns_and_that_it_ends() {
    let folder = scratch();
    let path = folder.join("notify");
    std::fs::create_dir_all(&folder).unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = program(&["serve", "--listen", "127.0.0.1:0"], &folder);
    // A watchdog of two seconds is fed every half.
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();
    assert_eq!(heard_until(&socket, "READY=1"), [format!("READY=1\nSTATUS=serves on {address}")]);
    assert_eq!(heard_until(&socket, "WATCHDOG=1").len(), 1);
    assert_eq!(heard_until(&socket, "WATCHDOG=1").len(), 1);
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(heard_until(&socket, "STOPPING=1").pop().unwrap(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn beyond_this_machine_a_node_serves_with_tls_without_being_asked() {
    let folder = scratch();
    for (more, scheme) in [(&[][..], "https"), (&["--plain-http"], "http")] {
        let mut command = program(&[&["serve", "--listen", "0.0.0.0:0"], more].concat(), &folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with(&format!("listening on {scheme}://0.0.0.0:")), "{line}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

fn said(args: &[&str], credentials: Option<&Path>) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aincident-node"));
    command.args(args).env_clear();
    if let Some(folder) = credentials {
        command.env("CREDENTIALS_DIRECTORY", folder);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_configuration_file_is_judged_line_by_line() {
    let folder = scratch();
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("node.toml");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "data_dir = '/d'\n").unwrap();
    assert_eq!(
        said(&["check-config", "--config", name], None),
        (0, format!("{name}: nothing is wrong\n"), String::new())
    );
    std::fs::write(&file, "# one\ncache_mib = 1\n[link]\nmax_backof_ms = 5\n").unwrap();
    let (code, out, err) = said(&["check-config", "--config", name], None);
    assert_eq!((code, err.trim()), (1, format!("aincident-node: 2 mistakes in {name}").as_str()));
    assert!(out.contains("line 2: cache_mib is 1; give 16 to 65536") && out.contains("line 4: "), "{out}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_code_of_an_enrolment_may_be_a_credential_of_systemds() {
    let folder = scratch();
    std::fs::create_dir_all(&folder).unwrap();
    let data = folder.join("data");
    let args = ["enroll", "--hub", "http://127.0.0.1:9", "--data-dir", data.to_str().unwrap()];
    let (code, _, err) = said(&args, Some(&folder));
    assert!(code == 2 && err.contains("--code is missing"), "{err}");
    std::fs::write(folder.join("code"), "ABCD-EFGH-JKMN\n").unwrap();
    let (code, _, err) = said(&args, Some(&folder));
    assert!(code == 1 && err.contains("the code is still good") && !err.contains("ABCD"), "{err}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn man_pages_and_completions_come_from_the_command_line_itself() {
    let folder = scratch();
    let (code, _, err) = said(&["manual", "--to", folder.to_str().unwrap()], None);
    assert_eq!(code, 0, "{err}");
    let page = std::fs::read_to_string(folder.join("man/aincident-node-serve.1")).unwrap();
    assert!(page.contains("AINCIDENT_NODE_LISTEN") && page.contains("cache"), "{page}");
    assert!(folder.join("man/aincident-node-quarantine-discard.1").exists());
    let bash = std::fs::read_to_string(folder.join("completions/aincident-node.bash")).unwrap();
    assert!(bash.contains("check-config"), "{bash}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_lies_beside_a_configuration_file_goes_over_it_and_is_judged_with_it() {
    let folder = scratch();
    let beside = folder.join("node.d");
    std::fs::create_dir_all(&beside).unwrap();
    let (file, own) = (folder.join("node.toml"), beside.join("50-own.toml"));
    std::fs::write(&file, "data_dir = '/d'\nlisten = 'nowhere'\n").unwrap();
    let check = || said(&["check-config", "--json", "--config", file.to_str().unwrap()], None);
    let told = |out: &str| serde_json::from_str::<serde_json::Value>(out).unwrap();
    std::fs::write(&own, "cache_mib = 64\n\ncache_mb = 1\n").unwrap();
    let (code, out, err) = check();
    let told = told(&out);
    assert!(code == 1 && err.contains("2 mistakes in"), "{err}");
    assert_eq!(told["mistakes"][0]["file"], file.to_str().unwrap(), "{told}");
    assert_eq!(told["mistakes"][1]["file"], own.to_str().unwrap(), "{told}");
    assert_eq!(told["mistakes"][1]["line"], 3, "{told}");

    // What is beside it goes first, and so does the command line before both.
    std::fs::write(&own, "data_dir = ''\nlisten = 'beside'\n").unwrap();
    let (code, _, err) = said(&["serve", "--config", file.to_str().unwrap()], None);
    assert!(code == 2 && err.contains("listen is \"beside\""), "{code} {err}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_now_ends_the_program_otherwise_than_one_that_is_wrong() {
    let folder = scratch();
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("node.toml");
    let serve = || said(&["serve", "--config", file.to_str().unwrap()], None);
    // A folder in its place: it is there and cannot be read, whoever asks.
    std::fs::create_dir(&file).unwrap();
    let (code, _, err) = serve();
    assert!(code == 1 && err.contains("cannot read"), "{code} {err}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, "hubb = 1\n").unwrap();
    let (code, _, err) = serve();
    assert!(code == 2 && err.contains("line 1"), "{code} {err}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn who_connects_while_nobody_serves_is_answered_by_whoever_serves_next() {
    let folder = scratch();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let serve = program(&["serve", "--listen", "127.0.0.1:1"], &folder);
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        // As systemd does it: the socket is file 3, and it is said for whom.
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("exec /usr/bin/env -i LISTEN_PID=$$ LISTEN_FDS=1 \"$@\" 3<&0 </dev/null")
            .arg("sh");
        command.arg(serve.get_program()).args(serve.get_args());
        command.stdin(OwnedFd::from(held.try_clone().unwrap()));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), format!("listening on http://{address}"));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let ended = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
        assert!(ended.success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watchdog_asks_for_writer_replicator_and_listener_and_believes_none_that_is_not_there() {
    let node = Node::unenrolled().await;
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let vitals = app::vitals(&node.desk, &node.replicator, &Server::default().door(), nowhere);
    assert_eq!(vitals.iter().map(Vital::name).collect::<Vec<_>>(), ["writer", "replicator", "listener"]);
    let answers = async |vital: &Vital, within| tokio::time::timeout(within, vital.answers()).await;
    let (soon, patience) = (Duration::from_millis(50), Duration::from_secs(20));
    assert_eq!(answers(&vitals[0], patience).await, Ok(Ok(())));
    // Neither turns yet.
    assert!(answers(&vitals[1], soon).await.is_err() && answers(&vitals[2], soon).await.is_err());
    node.start();
    assert_eq!(answers(&vitals[1], patience).await, Ok(Ok(())));
    node.end().await;
    assert!(answers(&vitals[1], soon).await.is_err(), "one that has ended is believed");
}
