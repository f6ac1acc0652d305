//! Options of TLS, and of the commands that look after the hub's own authority.

use super::{AdminConfig, Layer, OutputArgs, PlaceArgs, PlainArgs, Task, UsageError, needed};
use chassis::http::{Origin, TlsLayer};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// How the site proves who it is.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArgs {
    /// PEM file of a certificate and those between it and its authority; a newer one is shown within moments [default: the site is
    /// its own authority, for its names and addresses in the local network].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_HUB_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key [default: the systemd credential `tls-key`].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_HUB_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Names and addresses by which the site is reached, besides those that it finds out, such as `incidents.store.example.com`.
    #[arg(long, value_name = "NAMES", env = "AINCIDENT_HUB_TLS_NAMES", value_delimiter = ',')]
    tls_names: Option<Vec<String>>,
    /// TLS on a loopback address, too.
    #[arg(long, env = "AINCIDENT_HUB_TLS_ALWAYS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tls_always: Option<bool>,
}

impl TlsArgs {
    /// These as the layer that stands above the file's.
    pub(super) fn layer(self) -> TlsLayer {
        TlsLayer {
            cert: self.tls_cert,
            key: self.tls_key,
            names: self.tls_names,
            always: self.tls_always,
        }
    }
}

/// The hub's own certificate authority.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Make the authority that is to come after the present one, tell the nodes of it, and print its fingerprint.
    Prepare(PrepareArgs),
    /// Use the authority that is prepared, at once, and say which nodes have not heard of it.
    Switch(PlainArgs),
    /// Write the authority, its key included, into a file that its owner alone can read: for the hub's next machine.
    Export(ExportArgs),
    /// Take the authority that `export` wrote.
    Import(ImportArgs),
}

/// Options of `tls prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Names and addresses that it is to vouch for, besides those of the present one.
    #[arg(long, value_name = "NAMES", env = "AINCIDENT_HUB_TLS_NAMES", value_delimiter = ',')]
    tls_names: Option<Vec<String>>,
}

/// Options of `tls export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The file to write; never one that is there already.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_HUB_TO")]
    to: Option<PathBuf>,
}

/// Options of `tls import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The file that `export` wrote.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_HUB_FROM")]
    from: Option<PathBuf>,
    /// Set aside the authority that the folder has.
    #[arg(long, env = "AINCIDENT_HUB_REPLACE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replace: Option<bool>,
}

/// What is done with the hub's own authority.
#[derive(Debug)]
pub enum AuthorityTask {
    /// `tls prepare`.
    Prepare {
        /// Names and addresses besides those that the hub finds out.
        names: Vec<String>,
    },
    /// `tls switch`.
    Switch,
    /// `tls export`.
    Export {
        /// The file.
        to: PathBuf,
    },
    /// `tls import`.
    Import {
        /// The file.
        from: PathBuf,
        /// Whether to set aside what is there.
        replace: bool,
    },
}

impl TlsCommand {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let admin = |(data_dir, layer): (PathBuf, Layer), task| AdminConfig {
            data_dir,
            json: layer.json.unwrap_or(false),
            task: Task::Authority(task),
        };
        let given = |output: OutputArgs| Layer { json: output.json, ..Layer::default() };
        match self {
            Self::Prepare(args) => {
                let (data_dir, mut layer) = args.place.layered(given(args.output))?;
                let options = TlsLayer { names: args.tls_names, ..TlsLayer::default() };
                let config = options.over(layer.tls.take(), &data_dir).map_err(UsageError::Range)?;
                let Origin::Own { names, .. } = config.origin else {
                    return Err(UsageError::Range(
                        "tls.cert is given: the hub shows a certificate of the company's, and has no authority of its own"
                            .to_owned(),
                    ));
                };
                Ok(admin((data_dir, layer), AuthorityTask::Prepare { names }))
            }
            Self::Switch(args) => args.resolve(Task::Authority(AuthorityTask::Switch)),
            Self::Export(args) => {
                let (data_dir, mut layer) = args.place.layered(Layer { to: args.to, ..given(args.output) })?;
                let to = needed(layer.to.take(), "--to", "AINCIDENT_HUB_TO")?;
                Ok(admin((data_dir, layer), AuthorityTask::Export { to }))
            }
            Self::Import(args) => {
                let options = Layer { from: args.from, replace: args.replace, ..given(args.output) };
                let (data_dir, mut layer) = args.place.layered(options)?;
                let from = needed(layer.from.take(), "--from", "AINCIDENT_HUB_FROM")?;
                let replace = layer.replace.unwrap_or(false);
                Ok(admin((data_dir, layer), AuthorityTask::Import { from, replace }))
            }
        }
    }
}
