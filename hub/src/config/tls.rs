//! Options of TLS.

use super::UsageError;
use chassis::http::tls::{Origin, authority::check_names};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How the site proves who it is.
#[derive(Debug, Default, Args)]
pub struct TlsArgs {
    /// PEM file of a certificate and those between it and its authority; a newer one is taken within a minute [default: the site is
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

/// `[tls]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsLayer {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    names: Option<Vec<String>>,
    always: Option<bool>,
}

/// How the site proves who it is, and whether it has to where nobody can listen in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where the certificate comes from.
    pub origin: Origin,
    /// Whether there is TLS on a loopback address.
    pub always: bool,
}

impl TlsArgs {
    pub(super) fn over(self, file: Option<TlsLayer>, data_dir: &Path) -> Result<TlsConfig, UsageError> {
        let file = file.unwrap_or_default();
        let (cert, key) = (self.tls_cert.or(file.cert), self.tls_key.or(file.key));
        let key = key.or_else(|| chassis::config::credential_file("tls-key"));
        let names = self.tls_names.or(file.names).unwrap_or_default();
        check_names(&names).map_err(|why| UsageError::Range(format!("tls.names: {why}")))?;
        let origin = match (cert, key) {
            (Some(cert), Some(key)) => Origin::Files { cert, key },
            (Some(_), None) => {
                return Err(UsageError::Range("tls.cert is given without its key; give tls.key too".to_owned()));
            }
            (None, _) => Origin::Own { folder: data_dir.join("tls"), names },
        };
        Ok(TlsConfig { origin, always: self.tls_always.or(file.always).unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Result<TlsConfig, String> {
        let file = toml_of(text);
        TlsArgs::default().over(Some(file), Path::new("/d")).map_err(|error| error.to_string())
    }

    fn toml_of(text: &str) -> TlsLayer {
        chassis::config::parse(text).unwrap()
    }

    #[test]
    fn a_certificate_needs_its_key_and_names_have_to_be_names() {
        let own = Origin::Own { folder: "/d/tls".into(), names: Vec::new() };
        assert_eq!(over("").unwrap(), TlsConfig { origin: own, always: false });
        let files = Origin::Files { cert: "/c".into(), key: "/k".into() };
        assert_eq!(over("cert = '/c'\nkey = '/k'\nalways = true").unwrap(), TlsConfig { origin: files, always: true });
        assert!(over("cert = '/c'").unwrap_err().contains("tls.key"));
        assert!(over("names = ['a b']").unwrap_err().contains("a b"));
        assert!(over("names = ['till.example.com', '192.168.1.7']").is_ok());
    }
}
