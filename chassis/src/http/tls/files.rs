//! Files that hold certificates and keys, as PEM.

use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;

/// The largest PEM file that is read, in bytes.
const MOST_PEM_BYTES: u64 = 1024 * 1024;

/// The certificates in the file `path`, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    parsed(path, &read(path)?)
}

/// The private key in the file `path`.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    parsed_key(path, &read(path)?)
}

/// A certificate with those between it and its authority, and its key; and a digest of both files.
pub(crate) fn pair(cert: &Path, key: &Path) -> Result<(CertifiedKey, blake3::Hash), TlsError> {
    let (cert_pem, key_pem) = (read(cert)?, read(key)?);
    let (chain, private) = (parsed(cert, &cert_pem)?, parsed_key(key, &key_pem)?);
    // Says so when the key is another certificate's.
    let pair = CertifiedKey::from_der(chain, private, &ring::default_provider())
        .map_err(|error| wrong(key, "key for that certificate", error.to_string()))?;
    let digest = blake3::Hasher::new().update(&cert_pem).update(b"\0").update(&key_pem).finalize();
    Ok((pair, digest))
}

fn parsed(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(path, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(path, "certificate", "there is none in it".to_owned()));
    }
    Ok(chain)
}

fn parsed_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| wrong(path, "key", error.to_string()))
}

fn wrong(path: &Path, what: &'static str, why: String) -> TlsError {
    TlsError::Content { path: path.to_owned(), what, why }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_PEM_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|cause| TlsError::Io { action: "read", path: path.to_owned(), cause })?;
    if bytes.len() as u64 > MOST_PEM_BYTES {
        return Err(wrong(path, "PEM", format!("it is larger than {MOST_PEM_BYTES} bytes")));
    }
    Ok(bytes)
}
