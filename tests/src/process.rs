//! The real binaries as child processes: found beside the running test, started, watched, ended.

use crate::wait::wait_for;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;

/// How long a program may take from its start to its first line.
pub const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a program may take to end after SIGTERM; the contract says 10 s.
pub const STOP_DEADLINE: Duration = Duration::from_secs(12);
/// How long a command that does its work and ends may take.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(120);

/// The binary `name` of the same build as the running program: `target/PROFILE/name`.
///
/// # Panics
/// When it is not there; the message says what to do.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("the path of the running program");
    let mut folder = me.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") {
        folder = folder.parent().expect("deps lies in the profile's folder");
    }
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `make build` first (`make test` and `make demo` do)",
        path.display()
    );
    path
}

/// `program` as a command without any `AINCIDENT_…` variable of the caller's.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AINCIDENT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a command that ended said.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ran {
    /// Its stdout without white space around it.
    ///
    /// # Panics
    /// When it did not end with 0.
    pub fn ok(self, what: &str) -> String {
        assert_eq!(self.code, Some(0), "{what} failed\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim().to_owned()
    }

    /// The line that says why it failed.
    ///
    /// # Panics
    /// When the exit code is another one than `code`, or stderr is not one clear line.
    pub fn refused(self, code: i32, what: &str) -> String {
        assert_eq!(self.code, Some(code), "{what}\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        let line = self.stderr.trim();
        assert!(!line.is_empty() && !line.contains('\n'), "{what}: not one line: {line:?}");
        assert!(!line.contains("panicked") && !line.contains("RUST_BACKTRACE"), "{what}: {line}");
        line.to_owned()
    }
}

/// Runs `command` to its end with `stdin` as input.
///
/// # Panics
/// When it cannot be started or does not end within [`COMMAND_DEADLINE`].
pub async fn run(command: Command, stdin: &str) -> Ran {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {what}: {e}"));
    let mut input = child.stdin.take().expect("stdin is piped");
    // A command that reads nothing may be gone before this arrives.
    let _ = input.write_all(stdin.as_bytes()).await;
    drop(input);
    let output = tokio::time::timeout(COMMAND_DEADLINE, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{what} did not end")).expect("its output");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A serving program that said where it listens.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    url: String,
    ready_after: Duration,
}

impl Daemon {
    /// Starts `command` and waits for its `listening on …` line. Its output goes to files in `logs`, so that it
    /// outlives it.
    ///
    /// # Errors
    /// When it ends instead: what it said.
    ///
    /// # Panics
    /// When it cannot be started, or neither listens nor ends within `patience`.
    pub async fn start(
        name: &str,
        mut command: Command,
        logs: &Path,
        own_group: bool,
        patience: Duration,
    ) -> Result<Self, Ran> {
        std::fs::create_dir_all(logs).expect("a folder for logs");
        let run = (1..).find(|n| !logs.join(format!("{name}.{n}.log")).exists()).unwrap_or(0);
        let log = logs.join(format!("{name}.{run}.log"));
        let out = logs.join(format!("{name}.{run}.out"));
        command.stdout(File::create(&out).expect("a file for stdout"));
        command.stderr(File::create(&log).expect("a log file"));
        if own_group {
            // Ctrl-C at the terminal must not reach it: whoever started it ends it in order.
            command.process_group(0);
        }
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let mut daemon = Self {
            name: name.to_owned(),
            child,
            log,
            url: String::new(),
            ready_after: Duration::ZERO,
        };
        let first = wait_for(&format!("{name} to listen"), patience, async || {
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return Some(Ok(line.trim().to_owned()));
            }
            daemon.child.try_wait().expect("its state").map(Err)
        })
        .await;
        daemon.ready_after = started.elapsed();
        match first {
            Ok(line) => {
                let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{name} said {line:?} first"));
                url.clone_into(&mut daemon.url);
                Ok(daemon)
            }
            Err(status) => Err(Ran {
                code: status.code(),
                stdout: std::fs::read_to_string(&out).unwrap_or_default(),
                stderr: std::fs::read_to_string(&daemon.log).unwrap_or_default(),
            }),
        }
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on.
    ///
    /// # Panics
    /// When its URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().and_then(|text| text.trim_end_matches('/').parse().ok());
        port.unwrap_or_else(|| panic!("no port in {:?}", self.url))
    }

    /// How long it took from its start to its first line, looked at every few milliseconds.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory it holds, in KiB, as the kernel counts it.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        self.of_status("VmRSS:")
    }

    /// The most memory it ever held, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> Option<u64> {
        self.of_status("VmHWM:")
    }

    /// The processor time it has taken, all threads together.
    ///
    /// # Panics
    /// When the system does not say.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("its figures");
        // Behind the name, which may hold anything: fields 14 and 15, in hundredths of a second on every Linux.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    fn of_status(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    }

    /// How it ended, where it has.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state")
    }

    /// Ends it as an operator does: SIGTERM.
    ///
    /// # Panics
    /// When it does not end with 0 within [`STOP_DEADLINE`].
    pub async fn stop(mut self) {
        self.terminate();
        let name = self.name.clone();
        let status = wait_for(&format!("{name} to end after SIGTERM"), STOP_DEADLINE, async || self.ended()).await;
        assert_eq!(status.code(), Some(0), "{name} ended badly after SIGTERM\n{}", self.log_tail(20));
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        // The shell's own `kill`: it is there where procps is not.
        let _ = Command::new("sh").arg("-c").arg(format!("kill -TERM {} 2>/dev/null", self.pid())).status();
    }

    /// Has it read its configuration again: SIGHUP.
    pub fn hang_up(&self) {
        let _ = Command::new("sh").arg("-c").arg(format!("kill -HUP {} 2>/dev/null", self.pid())).status();
    }

    /// Ends it without warning: SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last `lines` of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        let tail = all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n");
        format!("--- {} (last {lines} lines)\n{tail}", self.log.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail(30));
        }
        self.end();
    }
}
