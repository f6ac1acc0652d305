//! What an operator's machinery has of the program: systemd's notifications, the check of a configuration file, man pages.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::machine::scratch;
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
