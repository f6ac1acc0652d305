//! Pinned certificates: a service is believed only when it shows one of certain certificates, whoever vouches for it.
//!
//! A pin is the SHA-256 of a certificate: the service's own (then exactly that one is believed, whatever it says of names and time,
//! until the pin is changed), or that of an authority which the service shows along with its own (then what that authority vouches
//! for by the service's name is believed, so that the service may renew its own). No other authority counts.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// Most pins of a service: one in use, one to come, and some more.
pub const MAX_PINS: usize = 8;

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin([u8; 32]);

impl Pin {
    /// Of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// Of the first certificate of a PEM text.
    #[must_use]
    pub fn of_pem(pem: &str) -> Option<Self> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| Self::of(&der))
    }

    /// Of each certificate of a PEM text; what is none is left out.
    #[must_use]
    pub fn all_of_pem(pem: &str) -> Vec<Self> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().map(|der| Self::of(&der)).collect()
    }

    /// As 64 hexadecimal digits in lower case, for programs.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.to_string()
    }
}

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_char(':')?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pin {
    type Err = String;

    /// As devices and openssl show it: 64 hexadecimal digits, with or without colons and `SHA256:` before them.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no SHA-256 of a certificate: give 64 hexadecimal digits, colons between them or not")
        };
        let bare = text.trim();
        let bare = bare.get(..7).filter(|begin| begin.eq_ignore_ascii_case("sha256:")).map_or(bare, |_| &bare[7..]);
        let digits: Vec<u8> = bare
            .chars()
            .filter(|c| *c != ':' && !c.is_whitespace())
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit)).collect();
        if digits.len() != 64 {
            return Err(wrong());
        }
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

/// TLS that believes a service only by `pins`.
pub(super) fn tls(pins: Vec<Pin>, http1_only: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pins, provider }))
        .with_no_client_auth();
    config.alpn_protocols = if http1_only {
        vec![b"http/1.1".to_vec()]
    } else {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    };
    Ok(config)
}

/// Another certificate than a pinned one.
#[derive(Debug, thiserror::Error)]
#[error(
    "its certificate is not the pinned one, but SHA-256 {shown}; where it was changed on purpose, compare that with what is told there, and pin it"
)]
struct NotPinned {
    shown: Pin,
}

#[derive(Debug)]
struct Pinned {
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        along: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pins.contains(&Pin::of(own)) {
            return Ok(ServerCertVerified::assertion());
        }
        let mut roots = RootCertStore::empty();
        for certificate in along.iter().filter(|certificate| self.pins.contains(&Pin::of(certificate))) {
            roots.add(certificate.clone().into_owned())?;
        }
        if roots.is_empty() {
            // The last one shown is the one nearest to whoever vouches for it: what one would pin.
            let shown = Pin::of(along.last().unwrap_or(own));
            return Err(Error::Other(OtherError(Arc::new(NotPinned { shown }))));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(own, along, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    fn authority(name: &str) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.der().clone(), Issuer::new(params, key))
    }

    fn signed(name: &str, issuer: &Issuer<'static, KeyPair>) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, issuer)
            .unwrap()
            .der()
            .clone()
    }

    fn believes(
        pins: &[Pin],
        own: &CertificateDer<'static>,
        along: &[CertificateDer<'static>],
        name: &'static str,
    ) -> Result<(), String> {
        let pinned = Pinned { pins: pins.to_vec(), provider: Arc::new(ring::default_provider()) };
        // 2026-11-29.
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_795_900_000));
        let name = ServerName::try_from(name).unwrap();
        pinned
            .verify_server_cert(own, along, &name, &[], now)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_is_believed_by_its_own_certificate_or_by_its_pinned_authority_and_by_nothing_else() {
        let ((ca, issuer), (other_ca, other_issuer)) = (authority("one"), authority("other"));
        let own = signed("hub.example", &issuer);
        let renewed = signed("hub.example", &issuer);
        let foreign = signed("hub.example", &other_issuer);
        let (leaf, root) = (Pin::of(&own), Pin::of(&ca));
        assert_eq!(believes(&[leaf], &own, &[], "hub.example"), Ok(()));
        assert!(believes(&[leaf], &renewed, from_ref(&ca), "hub.example").is_err());
        for own in [&own, &renewed] {
            assert_eq!(believes(&[root], own, from_ref(&ca), "hub.example"), Ok(()));
        }
        // Another's certificate is not believed because the pinned one is shown beside it, nor for another name.
        assert!(believes(&[root], &foreign, from_ref(&ca), "hub.example").is_err());
        assert!(believes(&[root], &foreign, &[other_ca.clone(), ca.clone()], "hub.example").is_err());
        assert!(believes(&[root], &own, from_ref(&ca), "evil.example").is_err());
        let said = believes(&[root], &foreign, from_ref(&other_ca), "hub.example").unwrap_err();
        assert!(said.contains(&Pin::of(&other_ca).to_string()) && said.contains("not the pinned one"), "{said}");
        // Before a change both are pinned.
        assert_eq!(believes(&[root, Pin::of(&other_ca)], &foreign, &[other_ca], "hub.example"), Ok(()));
    }

    #[test]
    fn a_pin_is_read_as_devices_and_openssl_show_it() {
        let (ca, _) = authority("one");
        let pin = Pin::of(&ca);
        let shown = pin.to_string();
        assert_eq!(shown.len(), 95);
        for text in [
            shown.clone(),
            shown.replace(':', "").to_lowercase(),
            format!("SHA256:{shown}"),
            format!(" sha256:{}", shown.to_lowercase()),
        ] {
            assert_eq!(text.parse(), Ok(pin), "{text}");
        }
        assert_eq!(pin.to_hex(), shown.replace(':', "").to_lowercase());
        for wrong in ["", "AB:CD", &shown[..92], &format!("{shown}:00"), &shown.replace(':', "z"), "sha256:é"] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }
}
