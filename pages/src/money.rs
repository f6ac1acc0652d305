//! Amounts: minor units inside, what people write outside.

use crate::words::{Lang, Words, grouped};
use desk::money::decimals;

fn digits(currency: &str) -> u32 {
    decimals(currency) as u32
}

/// An amount as a form shows it: `1234.50`; without a currency as minor units.
#[must_use]
pub fn plain(minor: u64, currency: &str) -> String {
    let digits = digits(currency);
    let unit = 10_u64.pow(digits);
    if digits == 0 {
        return minor.to_string();
    }
    format!("{}.{:0width$}", minor / unit, minor % unit, width = digits as usize)
}

/// An amount as people read it: `1,234.50 USD`; without a currency `123,450 minor units`.
#[must_use]
pub fn shown(minor: u64, currency: &str, words: &Words) -> String {
    let digits = digits(currency);
    let unit = 10_u64.pow(digits);
    let whole = grouped(minor / unit, words.lang());
    if currency.is_empty() {
        return words.with("format.minor_units", &[&whole]);
    }
    let point = match words.lang() {
        Lang::En => '.',
        Lang::Es => ',',
    };
    match digits {
        0 => format!("{whole} {currency}"),
        _ => format!("{whole}{point}{:0width$} {currency}", minor % unit, width = digits as usize),
    }
}

/// The minor units that somebody wrote, with a point or a comma before the cents; `None` where that is no amount.
#[must_use]
pub fn read(text: &str, currency: &str) -> Option<u64> {
    let digits = decimals(currency);
    let text: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '$' | '€' | '£'))
        .collect();
    // The last separator is the point where no more than the currency's digits follow it; all others part thousands.
    let (whole, cents) = match text.rfind(['.', ',']) {
        Some(at) if text.len() - at - 1 <= digits && digits > 0 => (&text[..at], &text[at + 1..]),
        _ => (text.as_str(), ""),
    };
    let groups: Vec<&str> = whole.split(['.', ',']).collect();
    let grouped = groups.len() > 1;
    let fits = |(at, group): (usize, &&str)| {
        group.bytes().all(|b| b.is_ascii_digit())
            && !group.is_empty()
            && (!grouped || if at == 0 { group.len() <= 3 } else { group.len() == 3 })
    };
    if !groups.iter().enumerate().all(fits) || !cents.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = groups.concat().parse().ok()?;
    let padded = format!("{cents:0<digits$}");
    let cents: u64 = if digits == 0 { 0 } else { padded.parse().ok()? };
    whole.checked_mul(10_u64.pow(digits as u32))?.checked_add(cents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, minor) in [
            ("12", 1200),
            ("12.5", 1250),
            ("12,50", 1250),
            ("1,234.50", 123_450),
            ("1.234,50", 123_450),
            ("1,234", 123_400),
            ("$ 1 234.50", 123_450),
            ("0", 0),
        ] {
            assert_eq!(read(text, "USD"), Some(minor), "{text}");
        }
        for bad in ["", "-1", "1.2.3", "12,34,567", "abc", "1e3", "99999999999999999999", "."] {
            assert_eq!(read(bad, "USD"), None, "{bad}");
        }
        assert_eq!(read("1500", "JPY"), Some(1500));
        assert_eq!(read("1.500", "KWD"), Some(1500));
    }

    #[test]
    fn amounts_are_shown_in_the_readers_way() {
        let (en, es) = (Lang::En.words(), Lang::Es.words());
        assert_eq!(shown(123_450, "USD", en), "1,234.50 USD");
        assert_eq!(shown(1_234_550, "EUR", es), "12.345,50 EUR");
        assert_eq!(shown(1500, "JPY", en), "1,500 JPY");
        // Reports say the same: which currency has which decimals is known in one place.
        assert_eq!((shown(1500, "BIF", en).as_str(), plain(1500, "BIF").as_str()), ("1,500 BIF", "1500"));
        assert_eq!((read("1500", "BIF"), read("0.15", "CLF")), (Some(1500), Some(1500)));
        assert_eq!((shown(1250, "", en).as_str(), plain(1250, "").as_str()), ("1,250 minor units", "1250"));
        assert_eq!(plain(123_450, "USD"), "1234.50");
        assert_eq!(read(&plain(7, "USD"), "USD"), Some(7));
    }
}
