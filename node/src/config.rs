//! What the program is told: command line over environment (`AINCIDENT_NODE_…`) over a TOML file (`--config`).
//!
//! One file serves all commands, so that `/etc` needs one; each command takes from it what it knows. Unknown keys are
//! refused with their line.

mod check;
mod disk;
mod headquarters;
mod keep;
mod limits;
mod line;
mod pin;
mod quarantine;
mod scrub;
mod slow;
mod tls;
mod traces;
mod trust;

#[cfg(test)]
mod tests;

pub use check::CheckArgs;
pub use headquarters::{ALSO_HERE, Headquarters};
pub use keep::{BackupArgs, DoctorArgs, KeepConfig, KeepTask, RestoreArgs, SupportArgs};
pub use quarantine::{QuarantineCommand, QuarantineConfig};

use chassis::backup::series::ScheduleLayer;
pub use chassis::config::UsageError;
use chassis::config::{Layered, credential, listen_address, load_file, needed};
use chassis::disk::{Bounds, DiskLayer};
use chassis::http::{Limits, LimitsLayer, TlsConfig, TlsLayer};
use chassis::mail::{MailConfig, MailLayer};
use chassis::outbound::{MAX_PINS, Pin};
use chassis::overlay;
use chassis::secret::Redacted;
use chassis::slow::{SlowLayer, Thresholds};
use chassis::telemetry::{LogFormat, TelemetryConfig, TracesLayer};
use chassis::webhooks::{WebhookConfig, WebhookLayer};
use clap::{Args, Parser, Subcommand};
use desk::House;
use desk::accounts::pins::Pins;
use desk::scrub::Scrub;
use disk::DiskArgs;
use headquarters::Overridden;
use limits::LimitsArgs;
use line::{LinkLayer, PhotosLayer, policy, tempo};
use pin::PinArgs;
use scrub::{ScrubArgs, ScrubLayer};
use serde::Deserialize;
use slow::SlowArgs;
use std::path::PathBuf;
use tls::TlsArgs;
use traces::TracesArgs;
pub use trust::{TrustArgs, TrustConfig};

use crate::replicator::Tempo;

/// The A.I.ncident program on the store's PC.
#[derive(Debug, Parser)]
#[command(name = "aincident-node", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this folder a store's node, with a one-time code from headquarters, and bring the store's accounts.
    Enroll(EnrollArgs),
    /// Serve the store and keep it in step with headquarters.
    Serve(Box<ServeArgs>),
    /// Change by which certificates the hub is believed, without enrolling anew.
    Trust(TrustArgs),
    /// Say how far this node is in step with headquarters.
    Status(StatusArgs),
    /// Ask headquarters, and say whether both sides hold the same; where not, which records.
    Verify(StatusArgs),
    /// Write everything that is kept into one file, while the node serves or not, and check it.
    Backup(BackupArgs),
    /// Put a backup back into an empty folder; what the node recorded since comes back from headquarters.
    Restore(RestoreArgs),
    /// Look the folder over: what is well, what is not, and what to do about it.
    Doctor(DoctorArgs),
    /// Write an archive for whoever is to help: how it stands, in numbers and words of the program, without anybody's data.
    SupportBundle(SupportArgs),
    /// Changes that could not be put into their records, here or at headquarters.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Read a configuration file and tell everything that is wrong with it, line by line.
    CheckConfig(CheckArgs),
    /// Write the man pages and shell completions of this program into a folder.
    Manual {
        /// The folder; made where there is none.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

/// The file that the Debian package brings: read where neither a file nor a data folder was named.
const INSTALLED: &str = "/etc/aincident/node.toml";

/// Where things are; every command has these.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// A TOML file of settings (the package's node.toml has all of them; `--scrub-kib-s` is `kib_s` in `[scrub]`), and over it, in the
    /// order of their names, those of the folder beside it (node.d/*.toml); the command line and the environment go first [default:
    /// /etc/aincident/node.toml, where it is there and no --data-dir is given].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder; made where there is none.
    #[arg(long, value_name = "DIR", env = "AINCIDENT_NODE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// Options of `enroll`.
#[derive(Debug, Args)]
pub struct EnrollArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Where headquarters is, such as <https://hub.example.com>.
    #[arg(long, value_name = "URL", env = "AINCIDENT_NODE_HUB")]
    hub: Option<String>,
    /// The one-time enrolment code [default: the systemd credential `code`].
    #[arg(long, value_name = "CODE", env = "AINCIDENT_NODE_CODE", hide_env_values = true)]
    code: Option<Redacted<String>>,
    /// PEM file of the certificate authority that vouches for the hub, where it is not a public one.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_CA")]
    ca: Option<PathBuf>,
    /// SHA-256 of the hub's certificate, or of the authority's that it shows along with it: the hub is believed by this alone, and
    /// `--ca` and public authorities do not count; several with commas. `aincident-hub doctor` tells it.
    #[arg(long, value_name = "SHA256", env = "AINCIDENT_NODE_FINGERPRINT", value_delimiter = ',')]
    fingerprint: Option<Vec<Pin>>,
    /// What headquarters' list calls this node [default: the PC's host name].
    #[arg(long, value_name = "NAME", env = "AINCIDENT_NODE_NAME")]
    name: Option<String>,
    /// Enrol a folder anew that is enrolled already; its records stay.
    #[arg(long, env = "AINCIDENT_NODE_REPLACE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replace: Option<bool>,
    /// Talk to a hub on another machine without TLS.
    #[arg(long, env = "AINCIDENT_NODE_PLAIN_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    plain_http: Option<bool>,
}

/// Options of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:7710].
    #[arg(long, value_name = "ADDRESS", env = "AINCIDENT_NODE_LISTEN")]
    listen: Option<String>,
    /// Serve other machines without TLS.
    #[arg(long, env = "AINCIDENT_NODE_PLAIN_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    plain_http: Option<bool>,
    /// What to log, such as `info` or `warn,aincident_node=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "AINCIDENT_NODE_LOG")]
    log: Option<String>,
    /// How log lines look: `text` or `json` [default: text].
    #[arg(long, value_name = "FORMAT", env = "AINCIDENT_NODE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Longest pause between two tries to reach the hub, in milliseconds, 100 to 300000 [default: 30000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_NODE_LINK_MAX_BACKOFF_MS")]
    link_max_backoff_ms: Option<u64>,
    /// When originals of photos go to headquarters: `always`, `on-demand` (when somebody there asks) or a time of the day
    /// such as `22:00-06:00` [default: always].
    #[arg(long, value_name = "WHEN", env = "AINCIDENT_NODE_PHOTOS_ORIGINALS")]
    photos_originals: Option<String>,
    /// Most of the line that photos take, in kilobits per second; 0: all of it [default: 0].
    #[arg(long, value_name = "KBIT", env = "AINCIDENT_NODE_PHOTOS_MAX_KBIT_S")]
    photos_max_kbit_s: Option<u64>,
    /// Most of that which originals take on their way to headquarters, in kilobits per second; 0: all of it [default: 0].
    #[arg(long, value_name = "KBIT", env = "AINCIDENT_NODE_PHOTOS_ORIGINALS_MAX_KBIT_S")]
    photos_originals_max_kbit_s: Option<u64>,
    /// Most room on the disk for answers and reports that can be made again, in MiB, 16 to 65536 [default: 64].
    #[arg(long, value_name = "MIB", env = "AINCIDENT_NODE_CACHE_MIB")]
    cache_mib: Option<u64>,
    /// The drop folder: what is put there becomes a file of an incident [default: inbox in the data folder].
    #[arg(long, value_name = "DIR", env = "AINCIDENT_NODE_INBOX")]
    inbox: Option<PathBuf>,
    /// What stands on letterheads [default: A.I.ncident].
    #[arg(long, value_name = "NAME", env = "AINCIDENT_NODE_COMPANY")]
    company: Option<String>,
    /// Where people reach this site, such as <https://incidents.example.com>: for links in reports [default: as each client
    /// reaches it].
    #[arg(long, value_name = "URL", env = "AINCIDENT_NODE_PUBLIC_URL")]
    public_url: Option<String>,
    /// Where browsers fetch thumbnails from, where a cache of your own stands in front of this site; it has to pass cookies on
    /// [default: this site].
    #[arg(long, value_name = "URL", env = "AINCIDENT_NODE_IMAGES_URL")]
    images_url: Option<String>,
    /// Tell the network by multicast DNS that the node is here (`_aincident._tcp`), where it listens for other machines [default: true].
    #[arg(long, env = "AINCIDENT_NODE_MDNS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    mdns: Option<bool>,
    #[command(flatten)]
    scrub: ScrubArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    slow: SlowArgs,
    #[command(flatten)]
    disk: DiskArgs,
    #[command(flatten)]
    traces: TracesArgs,
    #[command(flatten)]
    pin: PinArgs,
    #[command(flatten)]
    limits: LimitsArgs,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// For machines: one JSON object on standard output.
    #[arg(long, env = "AINCIDENT_NODE_JSON", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    json: Option<bool>,
}

/// One layer of options, as a file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Layer {
    data_dir: Option<PathBuf>,
    hub: Option<String>,
    code: Option<Redacted<String>>,
    ca: Option<PathBuf>,
    fingerprint: Option<Vec<Pin>>,
    name: Option<String>,
    replace: Option<bool>,
    plain_http: Option<bool>,
    listen: Option<String>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    json: Option<bool>,
    link: Option<LinkLayer>,
    photos: Option<PhotosLayer>,
    cache_mib: Option<u64>,
    inbox: Option<PathBuf>,
    company: Option<String>,
    public_url: Option<String>,
    images_url: Option<String>,
    to: Option<PathBuf>,
    from: Option<PathBuf>,
    full: Option<bool>,
    settled: Option<bool>,
    reason: Option<String>,
    scrub: Option<ScrubLayer>,
    verify_interval_s: Option<u64>,
    tls: Option<TlsLayer>,
    backup: Option<ScheduleLayer>,
    slow: Option<SlowLayer>,
    disk: Option<DiskLayer>,
    traces: Option<TracesLayer>,
    mdns: Option<bool>,
    mail: Option<MailLayer>,
    webhooks: Option<WebhookLayer>,
    pin_days: Option<i64>,
    limits: Option<LimitsLayer>,
}

overlay!(Layer {
    data_dir,
    hub,
    code,
    ca,
    fingerprint,
    name,
    replace,
    plain_http,
    listen,
    log,
    log_format,
    json,
    link,
    photos,
    cache_mib,
    inbox,
    company,
    public_url,
    images_url,
    to,
    from,
    full,
    settled,
    reason,
    scrub,
    verify_interval_s,
    tls,
    backup,
    slow,
    disk,
    traces,
    mdns,
    mail,
    webhooks,
    pin_days,
    limits,
});

/// `enroll`, ready to go.
#[derive(Debug)]
pub struct EnrollConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The hub's address as given.
    pub hub: String,
    /// The code as given.
    pub code: Redacted<String>,
    /// The authority's file.
    pub ca: Option<PathBuf>,
    /// Certificates by which alone the hub is believed.
    pub pins: Vec<Pin>,
    /// What to call the node.
    pub name: Option<String>,
    /// Whether an enrolled folder may be enrolled anew.
    pub replace: bool,
    /// Whether a hub elsewhere may be called without TLS.
    pub plain_http: bool,
}

/// `serve`, ready to go.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: String,
    /// Whether other machines may be served without TLS.
    pub plain_http: bool,
    /// Logging.
    pub telemetry: TelemetryConfig,
    /// What the company says of itself.
    pub house: House,
    /// How patient the replicator is.
    pub tempo: Tempo,
    /// The drop folder, where it is not in the data folder.
    pub inbox: Option<PathBuf>,
    /// Room for what can be made again.
    pub cache_bytes: u64,
    /// How what is kept is looked through.
    pub scrub: Scrub,
    /// How the site proves who it is.
    pub tls: TlsConfig,
    /// What counts as slow.
    pub slow: Thresholds,
    /// Whether a folder for backups is set.
    pub backups: bool,
    /// From when on the disk has too little room.
    pub disk: Bounds,
    /// Whether the network is told that the node is here.
    pub mdns: bool,
    /// Where mail goes out.
    pub mail: Option<MailConfig>,
    /// Where webhooks may go.
    pub webhooks: WebhookConfig,
    /// Whether people come back to a shared device by a PIN.
    pub pins: Option<Pins>,
    /// How much one of those who ask may ask.
    pub limits: Limits,
    /// Settings of headquarters for which something else is said here.
    pub overridden: Vec<&'static str>,
}

/// `status`, ready to go.
#[derive(Debug)]
pub struct StatusConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether a machine reads it.
    pub json: bool,
    /// From when on the disk has too little room.
    pub disk: Bounds,
}

impl PlaceArgs {
    /// The file that is read.
    fn file(&self) -> Option<PathBuf> {
        let installed = || Some(PathBuf::from(INSTALLED)).filter(|file| self.data_dir.is_none() && file.is_file());
        self.config.clone().or_else(installed)
    }

    fn layered(self, mut given: Layer) -> Result<(PathBuf, Layer), UsageError> {
        let file = self.file();
        given.data_dir = self.data_dir;
        let mut layer = given.over(load_file(file.as_deref())?);
        let data_dir = needed(layer.data_dir.take(), "--data-dir", "AINCIDENT_NODE_DATA_DIR")?;
        Ok((data_dir, layer))
    }
}

impl EnrollArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<EnrollConfig, UsageError> {
        let given = Layer {
            hub: self.hub,
            code: self.code,
            ca: self.ca,
            fingerprint: self.fingerprint,
            name: self.name,
            replace: self.replace,
            plain_http: self.plain_http,
            ..Layer::default()
        };
        let (data_dir, layer) = self.place.layered(given)?;
        Ok(EnrollConfig {
            data_dir,
            hub: needed(layer.hub, "--hub", "AINCIDENT_NODE_HUB")?,
            code: needed(layer.code.or(credential("code")?), "--code", "AINCIDENT_NODE_CODE")?,
            ca: layer.ca,
            pins: pins(layer.fingerprint)?,
            name: layer.name,
            replace: layer.replace.unwrap_or(false),
            plain_http: layer.plain_http.unwrap_or(false),
        })
    }
}

impl ServeArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing or out of range.
    pub fn resolve(self) -> Result<ServeConfig, UsageError> {
        self.resolve_over(&Headquarters::default())
    }

    /// All layers together, and beneath them what headquarters sets.
    ///
    /// # Errors
    /// As [`ServeArgs::resolve`].
    pub fn resolve_over(mut self, theirs: &Headquarters) -> Result<ServeConfig, UsageError> {
        let given = Layer {
            plain_http: self.plain_http,
            mdns: self.mdns,
            listen: self.listen.take(),
            log: self.log.take(),
            log_format: self.log_format.take(),
            cache_mib: self.cache_mib.take(),
            inbox: self.inbox.take(),
            company: self.company.take(),
            public_url: self.public_url.take(),
            images_url: self.images_url.take(),
            link: self.link_max_backoff_ms.map(|ms| LinkLayer { max_backoff_ms: Some(ms) }),
            ..Layer::default()
        };
        let (data_dir, layer) = std::mem::take(&mut self.place).layered(given)?;
        self.settle(data_dir, layer, theirs)
    }

    /// What `layer` says, where these options do not say it, else what headquarters sets.
    fn settle(self, data_dir: PathBuf, layer: Layer, theirs: &Headquarters) -> Result<ServeConfig, UsageError> {
        let mut told = Overridden::default();
        let photos = layer.photos.unwrap_or_default();
        let photos = PhotosLayer {
            originals: told.first("photos/originals", self.photos_originals.or(photos.originals), &theirs.originals),
            max_kbit_s: told.first(
                "photos/max_kbit_s",
                self.photos_max_kbit_s.or(photos.max_kbit_s),
                &theirs.max_kbit_s,
            ),
            originals_max_kbit_s: told.first(
                "photos/originals_max_kbit_s",
                self.photos_originals_max_kbit_s.or(photos.originals_max_kbit_s),
                &theirs.originals_max_kbit_s,
            ),
        };
        let backoff = layer.link.unwrap_or_default().max_backoff_ms;
        let link = LinkLayer {
            max_backoff_ms: told.first("link/max_backoff_ms", backoff, &theirs.max_backoff_ms),
        };
        let log = told.first("log_level", layer.log, &theirs.log);
        let backup = layer.backup.unwrap_or_default();
        let _ = told.first("backup/keep_daily", backup.keep_daily, &theirs.keep_daily);
        let _ = told.first("backup/keep_weekly", backup.keep_weekly, &theirs.keep_weekly);
        let defaults = TelemetryConfig::default();
        Ok(ServeConfig {
            listen: listen_address(layer.listen.unwrap_or_else(|| "127.0.0.1:7710".to_owned()))
                .map_err(UsageError::Range)?,
            plain_http: layer.plain_http.unwrap_or(false),
            telemetry: TelemetryConfig {
                log: log.unwrap_or(defaults.log),
                format: layer.log_format.unwrap_or(defaults.format),
                traces: self.traces.layer().over(layer.traces).map_err(UsageError::Range)?,
            },
            cache_bytes: cache_bytes(layer.cache_mib)?,
            inbox: layer.inbox,
            backups: backup.folder.is_some(),
            mdns: layer.mdns.unwrap_or(true),
            house: House::new(layer.company, layer.public_url, layer.images_url).map_err(UsageError::Range)?,
            scrub: self.scrub.over(layer.scrub)?,
            slow: self.slow.layer().over(layer.slow).map_err(UsageError::Range)?,
            disk: self.disk.layer().over(layer.disk).map_err(UsageError::Range)?,
            pins: self.pin.over(layer.pin_days)?,
            tls: self.tls.layer().over(layer.tls, &data_dir).map_err(UsageError::Range)?,
            mail: layer.mail.unwrap_or_default().settle().map_err(UsageError::Range)?,
            webhooks: layer.webhooks.unwrap_or_default().settle().map_err(UsageError::Range)?,
            limits: self.limits.over(layer.limits).map_err(UsageError::Range)?,
            overridden: told.0,
            data_dir,
            tempo: Tempo {
                contents: policy(photos)?,
                proof: self.scrub.verify_every(layer.verify_interval_s)?,
                ..tempo(link)?
            },
        })
    }
}

impl StatusArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<StatusConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.json, ..Layer::default() })?;
        let disk = DiskLayer::default().over(layer.disk).map_err(UsageError::Range)?;
        Ok(StatusConfig { data_dir, json: layer.json.unwrap_or(false), disk })
    }
}

fn pins(given: Option<Vec<Pin>>) -> Result<Vec<Pin>, UsageError> {
    let pins = given.unwrap_or_default();
    if pins.len() > MAX_PINS {
        return Err(UsageError::Range(format!("{} fingerprints; give at most {MAX_PINS}", pins.len())));
    }
    Ok(pins)
}

fn cache_bytes(mib: Option<u64>) -> Result<u64, UsageError> {
    let mib = mib.unwrap_or(64);
    if !(16..=65_536).contains(&mib) {
        return Err(UsageError::Range(format!("cache_mib is {mib}; give 16 to 65536")));
    }
    Ok(mib * 1024 * 1024)
}
