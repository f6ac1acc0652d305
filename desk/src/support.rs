//! What a site tells of itself to whoever is to help: how it stands, in numbers and words of the program, and nobody's data.

use crate::backup::Failed;
use crate::desk::Desk;
use crate::doctor::{Finding, Surroundings};
use chassis::bundle::{Bundle, MAX_TEXT_BYTES, Redactor, settings};
use chassis::config;
use chassis::folder::DataFolder;
use chassis::outbound::{Method, Outbound, OutboundConfig, Url};
use serde_json::json;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Lines of the journal that are looked at.
const LINES: &str = "4000";
/// How long the journal, or the running program, may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The texts of a configuration file that are shown: none of them is a secret, or names anybody.
const SHOWN: [&str; 6] = ["data_dir", "listen", "log", "log_format", "originals", "photo_types"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The archive.
    pub to: PathBuf,
    /// A log; `-`: standard input; none: the journal, where it can be read.
    pub log: Option<PathBuf>,
    /// What the configuration file names.
    pub around: Surroundings,
}

/// Begins an archive with what every site has; whoever asked adds its own and ends it.
///
/// # Errors
/// When it cannot be written, or the ledger cannot be read.
pub async fn begin(
    desk: &Desk,
    folder: &DataFolder,
    (program, version): (&'static str, &'static str),
    ask: &Ask,
    found: &[Finding],
) -> Result<Bundle, Failed> {
    let ledger = |error: &dyn std::fmt::Display| Failed::Ledger(error.to_string());
    let accounts = desk.ledger().accounts(None).await.map_err(|error| ledger(&error))?;
    let names = accounts.into_iter().flat_map(|account| [account.username, account.display_name]);
    let now_ms = desk.now_ms();
    let host = chassis::machine::host_name().unwrap_or_default();
    let mut bundle = Bundle::begin(&ask.to, program, Redactor::new(names).on_host(&host), now_ms)?;
    let about = json!({
        "program": program,
        "version": version,
        "made_at": chassis::clock::format_rfc3339(now_ms),
        "protocols": [sync_protocol::OLDEST_VERSION, sync_protocol::VERSION],
        "served": folder.is_served(),
        "system": system(),
        "left_out": "names (the machine's, too), passwords, tokens, keys, and all that people wrote; of the configuration, texts",
    });
    bundle.add("about.json", &pretty(&about))?;
    bundle.add("doctor.json", &pretty(&json!({ "checks": found })))?;
    let database = folder.database();
    let survey = tokio::task::spawn_blocking(move || chassis::sqlite::survey(&database)).await;
    let survey = survey.map_err(|error| ledger(&error))?.map_err(|error| ledger(&error))?;
    bundle.add("database.json", &pretty(&json!(survey)))?;
    bundle.add("files.json", &pretty(&files(&folder.blobs())))?;
    bundle.add("configuration.toml", &configuration(ask.around.config.as_deref()))?;
    bundle.add("environment.txt", &environment())?;
    bundle.add("metrics.txt", &metrics(folder).await)?;
    bundle.add("log.txt", &log(program, ask.log.clone()).await)?;
    Ok(bundle)
}

/// For people and machines.
#[must_use]
pub fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn system() -> serde_json::Value {
    let line = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let release = line("/etc/os-release");
    let release = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let memory = line("/proc/meminfo");
    json!({
        "release": release.trim_matches('"'),
        "kernel": line("/proc/sys/kernel/osrelease"),
        "processor": std::env::consts::ARCH,
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": memory.lines().next().unwrap_or_default(),
        "load": line("/proc/loadavg"),
    })
}

/// How many contents there are, and their size.
fn files(blobs: &Path) -> serde_json::Value {
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for folder in std::fs::read_dir(blobs).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if let Ok(found) = file.metadata()
                && found.is_file()
            {
                count += 1;
                bytes += found.len();
            }
        }
    }
    json!({ "count": count, "size_bytes": bytes })
}

/// The file and those of its folder, in the order in which they are read.
fn configuration(file: Option<&Path>) -> String {
    let Some(file) = file else {
        return "# no configuration file\n".to_owned();
    };
    let files = match config::paths(file) {
        Ok(files) => files,
        Err(error) => return format!("# {error}\n"),
    };
    let one = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().display();
        match std::fs::read_to_string(file) {
            Ok(text) => format!("# {name}\n{}", settings(&text, &SHOWN)),
            Err(error) => format!("# {name} cannot be read: {error}\n"),
        }
    };
    files.iter().map(one).collect()
}

/// Which variables are set for the programs: their names.
fn environment() -> String {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("AINCIDENT_")).collect();
    names.sort();
    names.iter().map(|name| format!("{name} is set\n")).collect()
}

/// What the running program measures, or why that is not known.
async fn metrics(folder: &DataFolder) -> String {
    let Some(base) = folder.served_at() else {
        return "# the program does not run\n".to_owned();
    };
    let asked = tokio::time::timeout(PATIENCE, measured(folder, &base)).await;
    asked
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .unwrap_or_else(|why| format!("# {base}/metrics could not be read: {why}\n"))
}

async fn measured(folder: &DataFolder, base: &str) -> Result<String, String> {
    let config = OutboundConfig {
        extra_ca_pem: std::fs::read(folder.join("tls/ca.pem")).ok(),
        total_timeout: Some(PATIENCE),
        ..OutboundConfig::default()
    };
    let outbound = Outbound::new("self", config).map_err(|error| error.to_string())?;
    let url = Url::parse(&format!("{base}/metrics")).map_err(|error| error.to_string())?;
    let request = outbound.build(Method::GET, url).build().map_err(|error| error.to_string())?;
    let mut response = outbound.request(request).await.map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| error.to_string())? {
        text.extend_from_slice(&piece);
        if text.len() > MAX_TEXT_BYTES {
            return Err("it is too long".to_owned());
        }
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// The end of the log, or how to add it.
async fn log(program: &str, from: Option<PathBuf>) -> String {
    let unreadable = |why: &str| {
        format!(
            "the log could not be read ({why}); as root: journalctl --no-hostname -u {program} -n {LINES} | {program} support-bundle --log - ...\n"
        )
    };
    if let Some(from) = from {
        let read = tokio::task::spawn_blocking(move || tail(&from)).await;
        return match read {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => unreadable(&error.to_string()),
            Err(gone) => unreadable(&gone.to_string()),
        };
    }
    let mut journal = tokio::process::Command::new("journalctl");
    // What the machine is called stands in every line else.
    journal.args(["--no-pager", "--quiet", "--no-hostname", "-o", "short-iso", "-n", LINES, "-u", program]);
    let ran = journal.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, ran).await {
        Ok(Ok(output)) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        Ok(Ok(_)) => unreadable("the journal shows nothing to this account"),
        Ok(Err(error)) => unreadable(&format!("journalctl: {error}")),
        Err(_) => unreadable("journalctl does not answer"),
    }
}

/// The last part of a file, or of standard input.
fn tail(from: &Path) -> std::io::Result<String> {
    let mut source: Box<dyn std::io::Read> = if from == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(from)?)
    };
    let mut text = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match source.read(&mut piece)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            read => text.extend_from_slice(&piece[..read]),
        }
        if text.len() > 2 * MAX_TEXT_BYTES {
            text.drain(..text.len() - MAX_TEXT_BYTES);
        }
    }
}
