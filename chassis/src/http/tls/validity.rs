//! From when until when a certificate is good.

use std::ops::Range;

use rustls::pki_types::CertificateDer;

/// From when until when `certificate` is good, milliseconds since 1970; `None` where it cannot be read.
#[must_use]
pub(crate) fn good(certificate: &CertificateDer<'_>) -> Option<Range<i64>> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = read.validity();
    Some(validity.not_before.timestamp() * 1000..validity.not_after.timestamp() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::clock::parse_rfc3339;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_two_moments_of_a_certificate_are_read_in_both_spellings() {
        for (from, to) in [((2026, 1, 2), (2036, 12, 31)), ((1999, 12, 31), (2051, 3, 4))] {
            let mut params = CertificateParams::new(vec!["till.local".to_owned()]).unwrap();
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(to.0, to.1, to.2);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let day = |(year, month, day): (i32, u8, u8)| {
                parse_rfc3339(&format!("{year}-{month:02}-{day:02}T00:00:00Z")).unwrap()
            };
            assert_eq!(good(made.der()), Some(day(from)..day(to)));
            // What is cut off anywhere before them is no certificate, and no reason to panic.
            for length in 0..60 {
                assert_eq!(good(&CertificateDer::from(made.der()[..length].to_vec())), None);
            }
        }
    }
}
