//! One file for all commands, and what goes before it.

use super::*;
use chassis::outbound::Backoff;
use std::time::Duration;

fn parse(line: &str) -> Command {
    Cli::try_parse_from(line.split_whitespace()).unwrap().command
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn one_file_serves_every_command_and_the_command_line_goes_first() {
    let dir = std::env::temp_dir().join(format!("aincident-node-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("node.toml");
    std::fs::write(&file, "data_dir = '/d'\nlisten = '127.0.0.1:1'\nhub = 'https://h'\n[link]\nmax_backoff_ms = 500\n")
        .unwrap();
    let Command::Serve(args) = parse(&format!("x serve --config {} --listen 127.0.0.1:2", file.display())) else {
        panic!()
    };
    let serve = args.resolve().unwrap();
    assert_eq!((serve.listen.as_str(), serve.data_dir.to_str()), ("127.0.0.1:2", Some("/d")));
    assert_eq!(serve.tempo.pace, Backoff { floor: Duration::from_millis(500), cap: Duration::from_millis(500) });
    let Command::Enroll(args) = parse(&format!("x enroll --config {} --code A-B --replace", file.display())) else {
        panic!()
    };
    let enroll = args.resolve().unwrap();
    assert!(enroll.replace && !enroll.plain_http && enroll.hub == "https://h");
    assert!(!format!("{enroll:?}").contains("A-B"));
    std::fs::write(&file, "listen = 'x'\nhubb = 'y'\n").unwrap();
    let Command::Status(args) = parse(&format!("x status --data-dir /d --config {}", file.display())) else {
        panic!()
    };
    let error = args.resolve().unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("hubb"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_is_missing_or_out_of_range_is_named() {
    let Command::Status(args) = parse("x status --json --config /dev/null") else {
        panic!()
    };
    assert!(args.resolve().unwrap_err().to_string().contains("--data-dir"));
    let Command::Serve(args) = parse("x serve --data-dir /d --link-max-backoff-ms 7") else {
        panic!()
    };
    assert!(args.resolve().unwrap_err().to_string().contains("max_backoff_ms"));
}
