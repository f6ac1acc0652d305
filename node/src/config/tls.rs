//! Options of TLS.

use chassis::http::TlsLayer;
use clap::Args;
use std::path::PathBuf;

/// How the site proves who it is.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArgs {
    /// PEM file of a certificate and those between it and its authority; a newer one is shown within moments [default: the site is
    /// its own authority, for its names and addresses in the local network].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key [default: the systemd credential `tls-key`].
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Names and addresses by which the site is reached, besides those that it finds out, such as `incidents.store.example.com`.
    #[arg(long, value_name = "NAMES", env = "AINCIDENT_NODE_TLS_NAMES", value_delimiter = ',')]
    tls_names: Option<Vec<String>>,
    /// TLS on a loopback address, too.
    #[arg(long, env = "AINCIDENT_NODE_TLS_ALWAYS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
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
