//! What the program is told: command line over environment (`AINCIDENT_HUB_…`) over a TOML file (`--config`).
//!
//! One file serves all commands, so that `/etc` needs one; each command takes from it what it knows. Unknown keys are
//! refused with their line.

mod check;
mod disk;
mod erasure;
mod keep;
mod limits;
mod quarantine;
mod scrub;
mod serve;
mod settings;
mod slow;
mod task;
mod tls;
mod traces;

use chassis::backup::series::ScheduleLayer;
use chassis::config::{Layered, load_file, needed};
use chassis::disk::DiskLayer;
use chassis::http::{LimitsLayer, TlsLayer};
use chassis::mail::MailLayer;
use chassis::overlay;
use chassis::slow::SlowLayer;
use chassis::telemetry::{LogFormat, TracesLayer};
use chassis::webhooks::WebhookLayer;
use clap::{Args, Parser, Subcommand};
use desk::actor::Role;
use serde::Deserialize;
use std::path::PathBuf;
use uuid::Uuid;

pub use chassis::config::UsageError;
pub use check::CheckArgs;
pub use erasure::{EraseArgs, HoldArgs, NodeReplaceArgs, ReleaseArgs};
pub use keep::{BackupArgs, DoctorArgs, RestoreArgs, SupportArgs};
use limits::NodesLayer;
pub use quarantine::QuarantineCommand;
use scrub::ScrubLayer;
pub use scrub::VerifyArgs;
pub use serve::{ServeArgs, ServeConfig};
pub use settings::SettingsCommand;
pub use task::Task;
pub use tls::{AuthorityTask, TlsCommand};

/// The A.I.ncident program at headquarters.
#[derive(Debug, Parser)]
#[command(name = "aincident-hub", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve headquarters' people and the stores' nodes.
    Serve(Box<ServeArgs>),
    /// Stores.
    #[command(subcommand)]
    Store(StoreCommand),
    /// People's accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// The stores' nodes.
    #[command(subcommand)]
    Node(NodeCommand),
    /// The integrity of what is kept.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Say of each node whether it holds what the hub holds.
    Verify(VerifyArgs),
    /// Have a person's data erased at every site, for good; headquarters' part is done once the hub serves.
    Erase(EraseArgs),
    /// Hold an incident, so that nothing of it can be erased until it is released.
    Hold(HoldArgs),
    /// End the hold of an incident.
    Release(ReleaseArgs),
    /// List what was erased, and which site has done it.
    Erasures(PlainArgs),
    /// Write everything that is kept into one file, while the hub serves or not, and check it.
    Backup(BackupArgs),
    /// Put a backup back into an empty folder; the stores then send again what it lacks.
    Restore(RestoreArgs),
    /// Look the folder over: what is well, what is not, and what to do about it.
    Doctor(DoctorArgs),
    /// Write an archive for whoever is to help: how it stands, in numbers and words of the program, without anybody's data.
    SupportBundle(SupportArgs),
    /// Changes that could not be put into their records.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// The hub's own certificate authority.
    #[command(subcommand)]
    Tls(TlsCommand),
    /// What headquarters sets for its nodes.
    #[command(subcommand)]
    Settings(SettingsCommand),
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
const INSTALLED: &str = "/etc/aincident/hub.toml";

/// Stores.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Add a store.
    Add(StoreAddArgs),
}

/// People's accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; the password is read from standard input.
    Add(UserAddArgs),
}

/// The stores' nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Print a one-time code that enrols one node of a store within the next 24 hours.
    Code(NodeCodeArgs),
    /// List the nodes and how far each one is behind.
    List(PlainArgs),
    /// End a node's right to talk to this hub, at once.
    Revoke(NodeRevokeArgs),
    /// List whom the hub refused: copies, revoked nodes, nodes of another hub, wrong secrets.
    Refused(PlainArgs),
    /// Print a one-time code for new hardware; the node that enrols with it takes this one's place.
    Replace(NodeReplaceArgs),
}

/// The integrity of what is kept.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk every change stream's hash chain and compare the records with what their changes say.
    Verify(PlainArgs),
}

/// Where things are; every command has these.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// A TOML file of settings (the package's hub.toml has all of them; `--scrub-kib-s` is `kib_s` in `[scrub]`), and over it, in the
    /// order of their names, those of the folder beside it (hub.d/*.toml); the command line and the environment go first [default:
    /// /etc/aincident/hub.toml, where it is there and no --data-dir is given].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_HUB_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder; made where there is none.
    #[arg(long, value_name = "DIR", env = "AINCIDENT_HUB_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// How a command answers.
#[derive(Debug, Default, Args)]
pub struct OutputArgs {
    /// For machines: one JSON value on standard output.
    #[arg(long, env = "AINCIDENT_HUB_JSON", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    json: Option<bool>,
}

/// Options of a command that needs nothing else.
#[derive(Debug, Args)]
pub struct PlainArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `store add`.
#[derive(Debug, Args)]
pub struct StoreAddArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The store's code, zeros included: 1 to 16 letters, digits, `-` or `_`.
    #[arg(long, value_name = "CODE", env = "AINCIDENT_HUB_CODE")]
    code: Option<String>,
    /// The store's name.
    #[arg(long, value_name = "NAME", env = "AINCIDENT_HUB_NAME")]
    name: Option<String>,
    /// The store's IANA time zone, such as America/Chicago [default: UTC].
    #[arg(long, value_name = "ZONE", env = "AINCIDENT_HUB_TIMEZONE")]
    timezone: Option<String>,
}

/// Options of `user add`.
#[derive(Debug, Args)]
pub struct UserAddArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The name to log in with.
    #[arg(long, value_name = "NAME", env = "AINCIDENT_HUB_USERNAME")]
    username: Option<String>,
    /// What people see [default: the username].
    #[arg(long, value_name = "NAME", env = "AINCIDENT_HUB_DISPLAY_NAME")]
    display_name: Option<String>,
    /// `employee`, `manager` (both with --store), `hq` or `admin`.
    #[arg(long, value_name = "ROLE", env = "AINCIDENT_HUB_ROLE", value_parser = role)]
    role: Option<Role>,
    /// The code of the store that an employee or manager belongs to.
    #[arg(long, value_name = "CODE", env = "AINCIDENT_HUB_STORE")]
    store: Option<String>,
    /// Read the password from standard input: its first line.
    #[arg(long, env = "AINCIDENT_HUB_PASSWORD_STDIN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    password_stdin: Option<bool>,
}

/// Options of `node code`.
#[derive(Debug, Args)]
pub struct NodeCodeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The code of the store that the node will belong to.
    #[arg(long, value_name = "CODE", env = "AINCIDENT_HUB_STORE")]
    store: Option<String>,
}

/// Options of `node revoke`.
#[derive(Debug, Args)]
pub struct NodeRevokeArgs {
    /// The node's id, as `node list` shows it.
    #[arg(value_name = "NODE")]
    node: Uuid,
    /// Why, for those who read it later.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// One layer of options, as a file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Layer {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    plain_http: Option<bool>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    json: Option<bool>,
    code: Option<String>,
    name: Option<String>,
    timezone: Option<String>,
    username: Option<String>,
    display_name: Option<String>,
    role: Option<Role>,
    store: Option<String>,
    password_stdin: Option<bool>,
    company: Option<String>,
    public_url: Option<String>,
    images_url: Option<String>,
    photo_max_mib: Option<u64>,
    photos_per_incident: Option<u64>,
    photo_types: Option<Vec<String>>,
    to: Option<PathBuf>,
    from: Option<PathBuf>,
    replace: Option<bool>,
    full: Option<bool>,
    settled: Option<bool>,
    reason: Option<String>,
    scrub: Option<ScrubLayer>,
    tls: Option<TlsLayer>,
    backup: Option<ScheduleLayer>,
    slow: Option<SlowLayer>,
    disk: Option<DiskLayer>,
    traces: Option<TracesLayer>,
    mail: Option<MailLayer>,
    webhooks: Option<WebhookLayer>,
    limits: Option<LimitsLayer>,
    nodes: Option<NodesLayer>,
}

overlay!(Layer {
    data_dir,
    listen,
    plain_http,
    log,
    log_format,
    json,
    code,
    name,
    timezone,
    username,
    display_name,
    role,
    store,
    password_stdin,
    company,
    public_url,
    images_url,
    photo_max_mib,
    photos_per_incident,
    photo_types,
    to,
    from,
    replace,
    full,
    settled,
    reason,
    scrub,
    tls,
    backup,
    slow,
    disk,
    traces,
    mail,
    webhooks,
    limits,
    nodes,
});

/// What every administration command has, ready to go.
#[derive(Debug)]
pub struct AdminConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether a machine reads the answer.
    pub json: bool,
    /// What to do.
    pub task: Task,
}

/// A command, ready to go.
#[derive(Debug)]
pub enum Config {
    /// Serve until told to stop.
    Serve(Box<ServeConfig>),
    /// Do one thing and end.
    Admin(Box<AdminConfig>),
    /// Say what is wrong with a file.
    Check(CheckArgs),
    /// Write what goes along with the program.
    Manual {
        /// The folder.
        to: PathBuf,
    },
}

impl Config {
    fn admin(config: AdminConfig) -> Self {
        Self::Admin(Box::new(config))
    }
}

impl Command {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<Config, UsageError> {
        match self {
            Self::Serve(args) => args.resolve().map(Box::new).map(Config::Serve),
            Self::Store(StoreCommand::Add(args)) => args.resolve().map(Config::admin),
            Self::User(UserCommand::Add(args)) => args.resolve().map(Config::admin),
            Self::Node(NodeCommand::Code(args)) => args.resolve().map(Config::admin),
            Self::Node(NodeCommand::List(args)) => args.resolve(Task::ListNodes).map(Config::admin),
            Self::Node(NodeCommand::Refused(args)) => args.resolve(Task::ListRefused).map(Config::admin),
            Self::Node(NodeCommand::Revoke(args)) => args.resolve().map(Config::admin),
            Self::Node(NodeCommand::Replace(args)) => args.resolve().map(Config::admin),
            Self::Erase(args) => args.resolve().map(Config::admin),
            Self::Hold(args) => args.resolve().map(Config::admin),
            Self::Release(args) => args.resolve().map(Config::admin),
            Self::Erasures(args) => args.resolve(Task::ListErasures).map(Config::admin),
            Self::Audit(AuditCommand::Verify(args)) => args.resolve(Task::VerifyAudit).map(Config::admin),
            Self::Verify(args) => args.resolve().map(Config::admin),
            Self::Backup(args) => args.resolve().map(Config::admin),
            Self::Restore(args) => args.resolve().map(Config::admin),
            Self::Doctor(args) => args.resolve().map(Config::admin),
            Self::SupportBundle(args) => args.resolve().map(Config::admin),
            Self::Quarantine(command) => command.resolve().map(Config::admin),
            Self::Settings(command) => command.resolve().map(Config::admin),
            Self::Tls(command) => command.resolve().map(Config::admin),
            Self::CheckConfig(args) => Ok(Config::Check(args)),
            Self::Manual { to } => Ok(Config::Manual { to }),
        }
    }
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
        let data_dir = needed(layer.data_dir.take(), "--data-dir", "AINCIDENT_HUB_DATA_DIR")?;
        Ok((data_dir, layer))
    }
}

impl PlainArgs {
    fn resolve(self, task: Task) -> Result<AdminConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.output.json, ..Layer::default() })?;
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl StoreAddArgs {
    fn resolve(self) -> Result<AdminConfig, UsageError> {
        let given = Layer {
            json: self.output.json,
            code: self.code,
            name: self.name,
            timezone: self.timezone,
            ..Layer::default()
        };
        let (data_dir, layer) = self.place.layered(given)?;
        let task = Task::AddStore {
            code: needed(layer.code, "--code", "AINCIDENT_HUB_CODE")?,
            name: needed(layer.name, "--name", "AINCIDENT_HUB_NAME")?,
            timezone: layer.timezone,
        };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl UserAddArgs {
    fn resolve(self) -> Result<AdminConfig, UsageError> {
        let given = Layer {
            json: self.output.json,
            username: self.username,
            display_name: self.display_name,
            role: self.role,
            store: self.store,
            password_stdin: self.password_stdin,
            ..Layer::default()
        };
        let (data_dir, layer) = self.place.layered(given)?;
        // Passwords come one way only; the flag is there so that nobody wonders why the command waits.
        needed(layer.password_stdin.filter(|given| *given), "--password-stdin", "AINCIDENT_HUB_PASSWORD_STDIN=true")?;
        let task = Task::AddUser {
            username: needed(layer.username, "--username", "AINCIDENT_HUB_USERNAME")?,
            display_name: layer.display_name,
            role: needed(layer.role, "--role", "AINCIDENT_HUB_ROLE")?,
            store: layer.store,
        };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl NodeCodeArgs {
    fn resolve(self) -> Result<AdminConfig, UsageError> {
        let given = Layer { json: self.output.json, store: self.store, ..Layer::default() };
        let (data_dir, layer) = self.place.layered(given)?;
        let task = Task::MakeCode { store: needed(layer.store, "--store", "AINCIDENT_HUB_STORE")? };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl NodeRevokeArgs {
    fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (data_dir, _) = self.place.layered(Layer::default())?;
        Ok(AdminConfig {
            data_dir,
            json: false,
            task: Task::RevokeNode { node: self.node, reason: self.reason },
        })
    }
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| "give employee, manager, hq or admin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(line: &str) -> Result<Config, UsageError> {
        Cli::try_parse_from(line.split_whitespace()).unwrap().command.resolve()
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn one_file_serves_every_command_and_the_command_line_goes_first() {
        let file = std::env::temp_dir().join(format!("aincident-hub-config-{}.toml", std::process::id()));
        std::fs::write(&file, "data_dir = '/d'\nlisten = '127.0.0.1:1'\nrole = 'hq'\njson = true\n").unwrap();
        let path = file.display();
        let Config::Serve(serve) = resolve(&format!("x serve --config {path} --listen 127.0.0.1:2")).unwrap() else {
            panic!()
        };
        assert_eq!(
            (serve.listen.as_str(), serve.data_dir.to_str(), serve.plain_http),
            ("127.0.0.1:2", Some("/d"), false)
        );
        let Config::Admin(add) =
            resolve(&format!("x user add --config {path} --username kim --password-stdin")).unwrap()
        else {
            panic!()
        };
        assert!(add.json && matches!(add.task, Task::AddUser { role: Role::Hq, .. }));
        std::fs::write(&file, "listen = 'x'\nlisten_port = 7\n").unwrap();
        let error = resolve(&format!("x node list --data-dir /d --config {path}")).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("listen_port"), "{error}");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        for (line, option) in [
            ("x serve --config /dev/null", "--data-dir"),
            ("x store add --data-dir /d --code 042", "--name"),
            ("x user add --data-dir /d --username kim --role hq", "--password-stdin"),
            ("x node code --data-dir /d", "--store"),
        ] {
            let error = resolve(line).unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
        assert!(Cli::try_parse_from(["x", "user", "add", "--role", "boss"]).is_err());
        assert!(Cli::try_parse_from(["x", "node", "revoke", "not-an-id"]).is_err());
    }
}
