//! A site's own certificate authority: for stores whose PC no public authority would vouch for.
//!
//! The authority is made once and kept in the data folder: phones and PCs that were told to trust it go on doing so. It can
//! vouch for private addresses (all of them: 10/8 may be the company's), local names, what the machine is called and what a
//! person named, and for nothing else (name constraints): it vouches for no site of the internet. The certificates it signs live in memory only; a new
//! one is made at every start, and when names or addresses change, or half of its time is over.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, addresses};
use crate::clock::SharedClock;
use crate::folder::sync_folder;
use crate::outbound::Pin;

const DAY_MS: i64 = 24 * 3_600_000;
/// How long the authority is good.
const AUTHORITY_DAYS: i64 = 3650;
/// Another one is made so long before: whoever trusts it has to be asked again.
const AUTHORITY_RENEWED_DAYS: i64 = 90;
/// How long a certificate is good; telephones take no longer ones than 825 days.
const CERTIFICATE_DAYS: i64 = 180;
/// Both are good from so long before they were made: clocks in a store differ.
const BEFORE_DAYS: i64 = 30;
/// Names that anybody may have in a network of their own.
const LOCAL_NAMES: [&str; 4] = ["local", "localhost", "internal", "home.arpa"];
/// Most names that can be given.
const MOST_NAMES: usize = 32;

/// What is kept, in one file, so that key and certificate are always each other's.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    /// What its certificate calls it.
    called: String,
    made_ms: i64,
    cert_pem: String,
    key_pem: String,
    /// Names beyond the local ones that it can vouch for.
    names: Vec<String>,
    /// Addresses beyond the private ones that it can vouch for.
    addresses: Vec<IpAddr>,
}

/// The authority, and what it last vouched for.
pub struct Authority {
    folder: PathBuf,
    given: Vec<String>,
    clock: SharedClock,
    kept: Kept,
    last: Option<(i64, Wanted)>,
}

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Wanted {
    /// What is given, and what the machine is called and has now.
    fn now(given: &[String]) -> Self {
        Self::of(given, addresses::host_name(), addresses::local())
    }

    fn of(given: &[String], host: Option<String>, found: BTreeSet<IpAddr>) -> Self {
        let mut names = vec!["localhost".to_owned()];
        if let Some(host) = host {
            if !host.contains('.') {
                names.push(format!("{host}.local"));
            }
            names.push(host);
        }
        // A global address of the network's may be another one tomorrow, and an authority that has to vouch for it would be
        // another one, too: nobody would trust the site any more. Whoever is to reach it by one gives it.
        let mut found: BTreeSet<IpAddr> = found.into_iter().filter(is_private).collect();
        found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        for name in given {
            match name.parse() {
                Ok(address) => drop(found.insert(address)),
                Err(_) => names.push(name.clone()),
            }
        }
        names.sort();
        names.dedup();
        Self { names, addresses: found.into_iter().collect() }
    }

    /// What of it nobody may vouch for who can vouch for local names and private addresses only.
    fn beyond_local(&self) -> (Vec<String>, Vec<IpAddr>) {
        let local = |name: &String| {
            LOCAL_NAMES
                .iter()
                .any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
        };
        (
            self.names.iter().filter(|name| !local(name)).cloned().collect(),
            self.addresses.iter().filter(|address| !is_private(address)).copied().collect(),
        )
    }
}

fn is_private(address: &IpAddr) -> bool {
    private_networks().iter().any(|(net, bits)| is_in(*address, *net, *bits))
}

/// Checks names and addresses that a person gave.
///
/// # Errors
/// One line that says which is none.
pub fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > MOST_NAMES {
        return Err(format!("{} names; give at most {MOST_NAMES}", names.len()));
    }
    match names.iter().find(|name| name.parse::<IpAddr>().is_err() && !addresses::is_name(name)) {
        Some(name) => Err(format!("{name:?} is neither a name in lower case nor an address")),
        None => Ok(()),
    }
}

impl Authority {
    /// The authority in `folder`; made there where there is none, or where it cannot vouch for what it now has to.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn open(folder: PathBuf, given: Vec<String>, clock: SharedClock) -> Result<Self, TlsError> {
        let file = folder.join(FILE);
        let kept = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| TlsError::Content {
                path: file.clone(),
                what: "authority",
                why: error.to_string(),
            })?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(TlsError::Io { action: "read", path: file.clone(), cause }),
        };
        let kept = match kept {
            Some(kept) => kept,
            None => make(&folder, &Wanted::now(&given), &clock)?,
        };
        Ok(Self { folder, given, clock, kept, last: None })
    }

    /// The authority's certificate.
    pub(super) fn pem(&self) -> &str {
        &self.kept.cert_pem
    }

    /// Whether another certificate has to be made.
    pub(super) fn is_due(&self) -> bool {
        self.last.as_ref().is_none_or(|(made_ms, wanted)| {
            // A clock that was set back makes it look as if it came from the future.
            let age_ms = self.clock.now_ms() - made_ms;
            !(-DAY_MS..CERTIFICATE_DAYS / 2 * DAY_MS).contains(&age_ms) || *wanted != Wanted::now(&self.given)
        })
    }

    /// Another certificate for what the machine is called and has now.
    pub(super) fn certificate(&mut self) -> Result<CertifiedKey, TlsError> {
        let (now_ms, wanted) = (self.clock.now_ms(), Wanted::now(&self.given));
        let (names, addresses) = wanted.beyond_local();
        let covers = names.iter().all(|name| self.kept.names.contains(name))
            && addresses.iter().all(|address| self.kept.addresses.contains(address));
        let age_ms = now_ms - self.kept.made_ms;
        if !covers || age_ms > (AUTHORITY_DAYS - AUTHORITY_RENEWED_DAYS) * DAY_MS {
            tracing::warn!(
                "the site's own authority cannot vouch for it any more and is made anew: devices have to be told to trust it"
            );
            self.kept = make(&self.folder, &wanted, &self.clock)?;
        }
        let pair = sign(&self.kept, &wanted, now_ms)?;
        self.last = Some((now_ms, wanted));
        Ok(pair)
    }
}

/// The digest of the certificate of the authority that is kept in `folder`, where there is one, and until when it is good: milliseconds
/// since 1970.
#[must_use]
pub fn kept(folder: &Path) -> Option<(Pin, i64)> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()?;
    Some((Pin::of_pem(&kept.cert_pem)?, kept.made_ms.saturating_add(AUTHORITY_DAYS * DAY_MS)))
}

/// Where the authority is kept, key included.
const FILE: &str = "authority.json";
/// Its certificate, to be handed out.
const CERTIFICATE: &str = "ca.pem";

fn made<E: std::fmt::Display>(error: E) -> TlsError {
    TlsError::Made(error.to_string())
}

/// The authority's parameters: the same ones again make the same issuer.
fn authority(
    called: &str,
    made_ms: i64,
    names: &[String],
    addresses: &[IpAddr],
) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(called);
    good_for(&mut params, made_ms, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let dns = LOCAL_NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(names.iter().cloned())
        .map(GeneralSubtree::DnsName);
    let nets = private_networks().into_iter().chain(addresses.iter().map(|address| (*address, bits(*address))));
    let nets = nets.map(|(net, bits)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(net, bits)));
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: dns.chain(nets).collect(), excluded_subtrees: Vec::new() });
    Ok(params)
}

fn make(folder: &Path, wanted: &Wanted, clock: &SharedClock) -> Result<Kept, TlsError> {
    let made_ms = clock.now_ms();
    let (names, addresses) = wanted.beyond_local();
    let key = KeyPair::generate().map_err(made)?;
    let called = format!("A.I.ncident {}", addresses::host_name().unwrap_or_default());
    let cert_pem = authority(&called, made_ms, &names, &addresses)?.self_signed(&key).map_err(made)?.pem();
    let kept = Kept { called, made_ms, cert_pem, key_pem: key.serialize_pem(), names, addresses };
    let text = serde_json::to_vec_pretty(&kept).map_err(made)?;
    let written = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
        for (name, bytes, mode) in [(CERTIFICATE, kept.cert_pem.as_bytes(), 0o644), (FILE, &text, 0o600)] {
            let part = folder.join(format!("{name}.tmp"));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, folder.join(name))?;
        }
        sync_folder(folder)
    });
    written.map_err(|cause| TlsError::Io { action: "write", path: folder.to_owned(), cause })?;
    Ok(kept)
}

/// A certificate for `wanted`. The authority goes along, for those who know it by its digest.
fn sign(kept: &Kept, wanted: &Wanted, now_ms: i64) -> Result<CertifiedKey, TlsError> {
    let key = KeyPair::from_pem(&kept.key_pem).map_err(made)?;
    let issuer = Issuer::new(authority(&kept.called, kept.made_ms, &kept.names, &kept.addresses)?, key);
    let mut params = CertificateParams::default();
    params.distinguished_name = named(wanted.names.first().map_or("A.I.ncident", String::as_str));
    good_for(&mut params, now_ms, CERTIFICATE_DAYS)?;
    let names = wanted.names.iter().map(|name| Ok(SanType::DnsName(name.clone().try_into().map_err(made)?)));
    params.subject_alt_names = names
        .chain(wanted.addresses.iter().map(|address| Ok(SanType::IpAddress(*address))))
        .collect::<Result<_, TlsError>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let own = KeyPair::generate().map_err(made)?;
    let signed = params.signed_by(&own, &issuer).map_err(made)?;
    let authority = CertificateDer::from_pem_slice(kept.cert_pem.as_bytes()).map_err(made)?;
    let chain = vec![signed.der().clone(), authority];
    CertifiedKey::from_der(chain, PrivateKeyDer::from(own), &ring::default_provider()).map_err(made)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name.trim());
    named
}

/// From some days before `made_ms` to `days` after it.
fn good_for(params: &mut CertificateParams, made_ms: i64, days: i64) -> Result<(), TlsError> {
    let day = |ms: i64| -> Result<(i32, u8, u8), TlsError> {
        let date = Timestamp::from_millisecond(ms).map_err(made)?.to_zoned(TimeZone::UTC).date();
        Ok((date.year().into(), date.month().try_into().map_err(made)?, date.day().try_into().map_err(made)?))
    };
    let (from, to) = (day(made_ms - BEFORE_DAYS * DAY_MS)?, day(made_ms + days * DAY_MS)?);
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
    Ok(())
}

/// Networks that anybody may have, as address and number of bits.
fn private_networks() -> [(IpAddr, u8); 8] {
    let v4 = |a, b, c, d, bits| (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits);
    let v6 = |first: u128, bits| (IpAddr::V6(Ipv6Addr::from(first << 112)), bits);
    [
        v4(10, 0, 0, 0, 8),
        v4(172, 16, 0, 0, 12),
        v4(192, 168, 0, 0, 16),
        v4(169, 254, 0, 0, 16),
        v4(127, 0, 0, 0, 8),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        v6(0xfc00, 7),
        v6(0xfe80, 10),
    ]
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn is_in(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            address.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            address.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::folder::tests::scratch;

    #[test]
    fn a_certificate_is_made_anew_in_time_and_the_authority_before_its_end() {
        let folder = scratch("authority");
        let begin_ms = 1_900_000_000_000;
        let clock = ManualClock::new(begin_ms);
        let mut authority = Authority::open(folder.join("tls"), Vec::new(), clock.clone()).unwrap();
        let pem = authority.pem().to_owned();
        assert!(authority.is_due());
        for (days, due) in [(0, false), (89, false), (91, true), (-2, true)] {
            clock.set(begin_ms);
            authority.certificate().unwrap();
            clock.set(begin_ms + days * DAY_MS);
            assert_eq!(authority.is_due(), due, "after {days} days");
        }
        clock.set(begin_ms + (AUTHORITY_DAYS - AUTHORITY_RENEWED_DAYS - 1) * DAY_MS);
        authority.certificate().unwrap();
        assert_eq!(authority.pem(), pem);
        clock.set(begin_ms + (AUTHORITY_DAYS - AUTHORITY_RENEWED_DAYS + 1) * DAY_MS);
        authority.certificate().unwrap();
        assert_ne!(authority.pem(), pem);
        // A file that is none is told of, and not made anew: devices trust what it was.
        std::fs::write(folder.join("tls").join(FILE), "{").unwrap();
        let error = Authority::open(folder.join("tls"), Vec::new(), clock).err().unwrap().to_string();
        assert!(error.contains("authority.json"), "{error}");
    }

    #[test]
    fn an_address_that_the_internet_gave_and_may_give_anew_is_none_that_the_authority_has_to_vouch_for() {
        let found = |text: &[&str]| text.iter().map(|text| text.parse().unwrap()).collect();
        let wanted = |given: &[&str], addresses: &[&str]| {
            let given: Vec<_> = given.iter().map(|name| (*name).to_owned()).collect();
            Wanted::of(&given, Some("till-1".to_owned()), found(addresses))
        };
        let today = wanted(&[], &["192.168.7.2", "2001:db8::1"]);
        assert_eq!(today, wanted(&[], &["192.168.7.2", "2001:db8::ffff"]));
        assert_eq!(today.beyond_local(), (vec!["till-1".to_owned()], Vec::new()));
        // Unless somebody says that it is reached by it.
        let given = wanted(&["2001:db8::1"], &[]);
        assert_eq!(given.beyond_local().1, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_lies_beyond_a_network_of_ones_own_is_known() {
        let wanted = Wanted {
            names: ["localhost", "till.local", "local.example.com", "x.home.arpa", "mylocal"].map(str::to_owned).into(),
            addresses: [
                "10.1.1.1",
                "172.32.0.1",
                "172.31.9.9",
                "192.168.0.9",
                "8.8.8.8",
                "fd00::1",
                "2001:db8::1",
                "::1",
            ]
            .map(|text| text.parse().unwrap())
            .into(),
        };
        let (names, addresses) = wanted.beyond_local();
        assert_eq!(names, ["local.example.com", "mylocal"]);
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["172.32.0.1", "8.8.8.8", "2001:db8::1"]);
        assert!(check_names(&["a.b".to_owned(), "::1".to_owned()]).is_ok());
        assert!(check_names(&["A.b".to_owned()]).is_err());
        assert!(check_names(&vec!["a".to_owned(); MOST_NAMES + 1]).is_err());
    }
}
