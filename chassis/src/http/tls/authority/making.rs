//! Making certificates: an authority's, and those that it signs.

use std::net::IpAddr;

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

use super::super::{TlsError, addresses};
use super::kept::Kept;
use super::wanted::{LOCAL_NAMES, Wanted, private_networks};
use super::{AUTHORITY_DAYS, BEFORE_DAYS, CERTIFICATE_DAYS, DAY_MS};

/// Most names, and most addresses, that an authority is made for.
const MOST_KEPT: usize = 64;

pub(super) fn made<E: std::fmt::Display>(error: E) -> TlsError {
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

/// Another authority, for `wanted` and for all that those `before` it could vouch for: who goes back to an old name needs no other one.
pub(super) fn make<'a>(
    wanted: &Wanted,
    before: impl Iterator<Item = &'a Kept>,
    made_ms: i64,
) -> Result<Kept, TlsError> {
    let (mut names, mut addresses) = wanted.beyond_local();
    for kept in before {
        names.extend(kept.names.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        addresses.extend(kept.addresses.iter().filter(|one| !addresses.contains(one)).copied().collect::<Vec<_>>());
    }
    names.truncate(MOST_KEPT);
    addresses.truncate(MOST_KEPT);
    let key = KeyPair::generate().map_err(made)?;
    let called = format!("A.I.ncident {}", addresses::host_name().unwrap_or_default());
    let cert_pem = authority(&called, made_ms, &names, &addresses)?.self_signed(&key).map_err(made)?.pem();
    Ok(Kept { called, made_ms, cert_pem, key_pem: key.serialize_pem(), names, addresses })
}

/// A certificate for `wanted`. The authority goes along, for those who know it by its digest.
pub(super) fn sign(kept: &Kept, wanted: &Wanted, now_ms: i64) -> Result<CertifiedKey, TlsError> {
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

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
