//! From when until when a certificate is good: two moments in it (X.509, DER), and nothing else of it is read.

use std::ops::Range;

use jiff::civil;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which the first one leaves out.
const VERSION: u8 = 0xa0;

/// From when until when `certificate` is good, milliseconds since 1970; `None` where it cannot be read.
#[must_use]
pub(crate) fn good(certificate: &CertificateDer<'_>) -> Option<Range<i64>> {
    let (mut whole, _) = element(certificate, SEQUENCE)?;
    (whole, _) = element(whole, SEQUENCE)?;
    if let Some((_, rest)) = element(whole, VERSION) {
        whole = rest;
    }
    // Its number, how it is signed, by whom.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, whole) = element(whole, tag)?;
    }
    let (both, _) = element(whole, SEQUENCE)?;
    let (from_ms, rest) = time(both)?;
    Some(from_ms..time(rest)?.0)
}

/// The content of the element at the beginning of `bytes`, where it is such a one, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    // Up to 127 the length itself; else how many bytes of it follow.
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDhhmmssZ` (the years 1950 … 2049) or `YYYYMMDDhhmmssZ`, and what follows it.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let utc = element(bytes, UTC_TIME);
    let (text, rest) = utc.or_else(|| element(bytes, GENERALIZED_TIME))?;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) || digits.len() != if utc.is_some() { 12 } else { 14 } {
        return None;
    }
    let number = |at: Range<usize>| digits[at].iter().fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0'));
    let (year, begin) = match utc {
        Some(_) => (number(0..2) + if number(0..2) < 50 { 2000 } else { 1900 }, 2),
        None => (number(0..4), 4),
    };
    let pair = |at: usize| i8::try_from(number(begin + at..begin + at + 2)).ok();
    let moment = civil::DateTime::new(year, pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?, 0).ok()?;
    Some((moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond(), rest))
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
