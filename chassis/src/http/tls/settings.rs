//! `[tls]` of a configuration file, and what options and file together come to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Origin;
use super::authority::check_names;
use crate::config::credential_file;

/// `[tls]` of the file, or what options say of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsLayer {
    /// PEM file of a certificate and those between it and its authority.
    pub cert: Option<PathBuf>,
    /// PEM file of its key; else the systemd credential `tls-key`.
    pub key: Option<PathBuf>,
    /// Names and addresses besides those that the site finds out.
    pub names: Option<Vec<String>>,
    /// Whether there is TLS on a loopback address.
    pub always: Option<bool>,
}

/// How the site proves who it is, and whether it has to where nobody can listen in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where the certificate comes from.
    pub origin: Origin,
    /// Whether there is TLS on a loopback address.
    pub always: bool,
}

impl TlsLayer {
    /// Who only checks a file is handed no key by systemd: where the file names a certificate alone, its key counts as given.
    pub fn expect_key(&mut self) {
        if self.cert.is_some() && self.key.is_none() {
            self.key = Some("tls-key".into());
        }
    }

    /// What this layer says, and where it says nothing the one `below`. An authority of the site's own is kept in `data_dir`.
    ///
    /// # Errors
    /// A certificate without its key, and names that are none; one line.
    pub fn over(self, below: Option<Self>, data_dir: &Path) -> Result<TlsConfig, String> {
        let below = below.unwrap_or_default();
        let (cert, key) = (self.cert.or(below.cert), self.key.or(below.key));
        if cert.is_none() && key.is_some() {
            return Err("tls.key is given without its certificate; give tls.cert too".to_owned());
        }
        let key = key.or_else(|| credential_file("tls-key"));
        let names = self.names.or(below.names).unwrap_or_default();
        check_names(&names).map_err(|why| format!("tls.names: {why}"))?;
        let origin = match (cert, key) {
            (Some(cert), Some(key)) => Origin::Files { cert, key },
            (Some(_), None) => return Err("tls.cert is given without its key; give tls.key too".to_owned()),
            (None, _) => Origin::Own { folder: data_dir.join("tls"), names },
        };
        Ok(TlsConfig { origin, always: self.always.or(below.always).unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Result<TlsConfig, String> {
        TlsLayer::default().over(Some(crate::config::parse(text).unwrap()), Path::new("/d"))
    }

    #[test]
    fn a_certificate_needs_its_key_and_names_have_to_be_names() {
        let own = Origin::Own { folder: "/d/tls".into(), names: Vec::new() };
        assert_eq!(over("").unwrap(), TlsConfig { origin: own, always: false });
        let files = Origin::Files { cert: "/c".into(), key: "/k".into() };
        assert_eq!(over("cert = '/c'\nkey = '/k'\nalways = true").unwrap(), TlsConfig { origin: files, always: true });
        assert!(over("cert = '/c'").unwrap_err().contains("tls.key"));
        let mut checked: TlsLayer = crate::config::parse("cert = '/c'").unwrap();
        checked.expect_key();
        assert!(checked.over(None, Path::new("/d")).is_ok());
        assert!(over("key = '/k'").unwrap_err().contains("tls.cert"));
        assert!(over("names = ['a b']").unwrap_err().contains("a b"));
        assert!(over("names = ['till.example.com', '192.168.1.7']").is_ok());
    }

    #[test]
    fn options_stand_above_the_file() {
        let file = crate::config::parse("cert = '/c'\nkey = '/k'\nalways = true").unwrap();
        let options = TlsLayer { key: Some("/other".into()), always: Some(false), ..TlsLayer::default() };
        let files = Origin::Files { cert: "/c".into(), key: "/other".into() };
        assert_eq!(options.over(Some(file), Path::new("/d")), Ok(TlsConfig { origin: files, always: false }));
    }
}
