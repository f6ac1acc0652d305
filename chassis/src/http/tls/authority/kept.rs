//! Authorities in their folder: the one in use, the one that is to come, the one that was in use before. Each is one file, so that key and
//! certificate are always each other's, and its certificate beside it, to be handed out.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::TlsError;
use super::making::made;
use super::wanted::{Wanted, is_below};
use super::{AUTHORITY_DAYS, BEFORE_DAYS, DAY_MS};
use crate::folder::replace;
use crate::outbound::Pin;

/// What is kept of an authority.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Kept {
    /// What its certificate calls it.
    pub(super) called: String,
    pub(super) made_ms: i64,
    pub(super) cert_pem: String,
    pub(super) key_pem: String,
    /// Names beyond the local ones that it can vouch for, and for those below them.
    pub(super) names: Vec<String>,
    /// Addresses beyond the private ones that it can vouch for.
    pub(super) addresses: Vec<IpAddr>,
}

impl Kept {
    pub(super) fn pin(&self) -> Option<Pin> {
        Pin::of_pem(&self.cert_pem)
    }

    /// From when it is good, milliseconds since 1970.
    pub(super) const fn since_ms(&self) -> i64 {
        self.made_ms.saturating_sub(BEFORE_DAYS * DAY_MS)
    }

    /// Until when it is good, milliseconds since 1970.
    pub(super) const fn until_ms(&self) -> i64 {
        self.made_ms.saturating_add(AUTHORITY_DAYS * DAY_MS)
    }

    /// Whether it can vouch for all of `wanted`.
    pub(super) fn covers(&self, wanted: &Wanted) -> bool {
        self.part_of(wanted) == *wanted
    }

    /// What of `wanted` it can vouch for.
    pub(super) fn part_of(&self, wanted: &Wanted) -> Wanted {
        let (names, addresses) = wanted.beyond_local();
        let no_name = |name: &String| names.contains(name) && !self.names.iter().any(|end| is_below(name, end));
        let no_address = |address: &IpAddr| addresses.contains(address) && !self.addresses.contains(address);
        Wanted {
            names: wanted.names.iter().filter(|name| !no_name(name)).cloned().collect(),
            addresses: wanted.addresses.iter().filter(|address| !no_address(address)).copied().collect(),
        }
    }

    /// Whether its key is its certificate's.
    fn is_whole(&self) -> Result<(), TlsError> {
        let certificate = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).map_err(made)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(made)?;
        CertifiedKey::from_der(vec![certificate], key, &ring::default_provider()).map_err(made)?;
        Ok(())
    }
}

/// Which authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In use.
    Now,
    /// To come.
    Next,
    /// In use before.
    Before,
}

impl Place {
    /// The file with the key.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Now => "authority.json",
            Self::Next => "next.json",
            Self::Before => "before.json",
        }
    }

    /// The certificate's.
    const fn certificate(self) -> &'static str {
        match self {
            Self::Now => "ca.pem",
            Self::Next => "next-ca.pem",
            Self::Before => "before-ca.pem",
        }
    }
}

/// The authority at `place`, where there is one.
pub(super) fn read(folder: &Path, place: Place) -> Result<Option<Kept>, TlsError> {
    read_file::<Kept>(&folder.join(place.file()), "authority")
}

fn read_file<T: serde::de::DeserializeOwned>(file: &Path, what: &'static str) -> Result<Option<T>, TlsError> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| TlsError::Content {
            path: file.to_owned(),
            what,
            why: error.to_string(),
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(TlsError::Io { action: "read", path: file.to_owned(), cause }),
    }
}

/// Keeps an authority at `place`, durably; `folder` is made where there is none.
pub(super) fn write(folder: &Path, place: Place, kept: &Kept) -> Result<(), TlsError> {
    let text = serde_json::to_vec_pretty(kept).map_err(made)?;
    let written = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
        // The certificate last: whoever opens the folder puts it right.
        for (name, bytes, mode) in
            [(place.file(), &text[..], 0o600), (place.certificate(), kept.cert_pem.as_bytes(), 0o644)]
        {
            replace(&folder.join(name), bytes, mode)?;
        }
        Ok(())
    });
    written.map_err(|cause| TlsError::Io { action: "write", path: folder.to_owned(), cause })
}

/// Makes sure that the certificate of the one in use is beside it: a power cut may have come between the two.
pub(super) fn put_right(folder: &Path, now: &Kept) -> Result<(), TlsError> {
    let beside = std::fs::read_to_string(folder.join(Place::Now.certificate())).unwrap_or_default();
    if beside == now.cert_pem { Ok(()) } else { write(folder, Place::Now, now) }
}

/// Removes the authority at `place`.
pub(super) fn remove(folder: &Path, place: Place) -> Result<(), TlsError> {
    for name in [place.file(), place.certificate()] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(TlsError::Io { action: "remove", path, cause });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts `other` in the place of `now`, which is kept beside it.
pub(super) fn change(folder: &Path, now: &Kept, other: &Kept) -> Result<(), TlsError> {
    write(folder, Place::Before, now)?;
    write(folder, Place::Now, other)?;
    if read(folder, Place::Next).is_ok_and(|next| next.as_ref() == Some(other)) {
        remove(folder, Place::Next)?;
    }
    Ok(())
}

/// What is carried to another machine.
#[derive(serde::Serialize, serde::Deserialize)]
struct Carried {
    authority: Kept,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Kept>,
}

/// Writes the authority in `folder`, and the one that is to come, keys included, into the new file `to`, which its owner alone can read.
///
/// # Errors
/// [`TlsError`]: there is none, or `to` is there already or cannot be written.
pub fn export(folder: &Path, to: &Path) -> Result<Pin, TlsError> {
    let authority = read(folder, Place::Now)?.ok_or_else(|| none_in(folder))?;
    let pin = authority.pin().ok_or_else(|| none_in(folder))?;
    let text = serde_json::to_vec_pretty(&Carried { authority, next: read(folder, Place::Next)? }).map_err(made)?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.map_err(|cause| TlsError::Io { action: "write", path: to.to_owned(), cause })?;
    Ok(pin)
}

/// Takes the authority that [`export`] wrote into `from`. One that is there already is set aside where `replace` says so: it is kept as the
/// one before.
///
/// # Errors
/// [`TlsError`]: `from` is no such file, or there is another authority.
pub fn import(folder: &Path, from: &Path, replace: bool) -> Result<Pin, TlsError> {
    let wrong = |why: String| TlsError::Given(format!("{} is no file that `tls export` wrote: {why}", from.display()));
    let carried = match read_file::<Carried>(from, "authority") {
        Ok(carried) => carried.ok_or_else(|| wrong("there is no such file".to_owned()))?,
        Err(TlsError::Content { why, .. }) => return Err(wrong(why)),
        Err(error) => return Err(error),
    };
    for kept in std::iter::once(&carried.authority).chain(&carried.next) {
        kept.is_whole().map_err(|error| wrong(error.to_string()))?;
    }
    let pin = carried.authority.pin().ok_or_else(|| wrong("its certificate cannot be read".to_owned()))?;
    match read(folder, Place::Now)? {
        Some(now) if now == carried.authority => {}
        Some(_) if !replace => {
            return Err(TlsError::Given(
                "this folder has an authority of its own already, which devices may trust; to set it aside add --replace"
                    .to_owned(),
            ));
        }
        Some(now) => change(folder, &now, &carried.authority)?,
        None => write(folder, Place::Now, &carried.authority)?,
    }
    match carried.next {
        Some(next) => write(folder, Place::Next, &next)?,
        None => remove(folder, Place::Next)?,
    }
    Ok(pin)
}

pub(super) fn none_in(folder: &Path) -> TlsError {
    TlsError::Given(format!(
        "there is no authority in {}: the site makes one when it first serves over TLS without a certificate of the company's",
        folder.display()
    ))
}
