//! Until when certificates are good.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::{TlsError, files, validity};

/// The figure that says it; seconds since 1970.
const FIGURE: &str = "tls_certificate_not_after_seconds";

/// Until when `certificate` is good: seconds since 1970. None where it cannot be read.
fn not_after_s(certificate: &CertificateDer<'_>) -> Option<i64> {
    validity::good(certificate).map(|good| good.end / 1000)
}

/// Until when all certificates of `chain` are good: seconds since 1970.
fn all_until_s(chain: &[CertificateDer<'_>]) -> Option<i64> {
    chain.iter().filter_map(not_after_s).min()
}

/// Tells the figures until when what is shown is good; see [`told`].
#[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
pub(super) fn measure(chain: &[CertificateDer<'_>], is_own: bool) {
    for (which, until_s) in told(chain, is_own) {
        if let Some(until_s) = until_s {
            metrics::gauge!(FIGURE, "certificate" => which).set(until_s as f64);
        }
    }
}

/// Until when what is shown is good, by what it is: a company's is `given`, up to the first of its chain that ends; what the site made is
/// its `own`, and the `authority` behind it.
fn told(chain: &[CertificateDer<'_>], is_own: bool) -> Vec<(&'static str, Option<i64>)> {
    if is_own {
        let at = |place: usize| chain.get(place).and_then(not_after_s);
        vec![("own", at(0)), ("authority", at(1))]
    } else {
        vec![("given", all_until_s(chain))]
    }
}

/// Until when all certificates in the PEM file at `path` are good: milliseconds since 1970. Blocks.
///
/// # Errors
/// [`TlsError`] where it cannot be read, or holds none.
pub fn file_until_ms(path: &Path) -> Result<i64, TlsError> {
    let chain = files::certificates(path)?;
    let none = || TlsError::Content {
        path: path.to_owned(),
        what: "certificate",
        why: "there is none in it that can be read".to_owned(),
    };
    let until_s = all_until_s(&chain).ok_or_else(none)?;
    Ok(until_s.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;
    use rustls::pki_types::pem::PemObject as _;

    /// A certificate that is good until `year` begins, PEM.
    fn until(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["site.example.com".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_chain_is_good_until_the_first_of_it_ends() {
        let folder = scratch("ends");
        let file = folder.join("chain.pem");
        std::fs::write(&file, until(2031) + &until(2030)).unwrap();
        // 2030-01-01T00:00:00Z.
        assert_eq!(file_until_ms(&file).unwrap(), 1_893_456_000_000);
        std::fs::write(&file, "nothing").unwrap();
        assert!(file_until_ms(&file).unwrap_err().to_string().contains("there is none"));
        assert!(file_until_ms(&file.with_extension("gone")).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn what_is_shown_is_told_by_whose_it_is() {
        let der = |year| CertificateDer::from_pem_slice(until(year).as_bytes()).unwrap();
        let chain = [der(2031), der(2030)];
        assert_eq!(told(&chain, false), [("given", Some(1_893_456_000))]);
        assert_eq!(told(&chain, true), [("own", Some(1_924_992_000)), ("authority", Some(1_893_456_000))]);
    }
}
