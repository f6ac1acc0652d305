//! Amounts: minor units inside, what people write outside.

use crate::words::{Lang, grouped};

/// How many digits a currency has behind its point.
#[must_use]
pub fn digits(currency: &str) -> u32 {
    match currency {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "XAF" | "XOF" | "XPF" | "PYG" | "UGX" | "RWF" => 0,
        "KWD" | "BHD" | "OMR" | "JOD" | "TND" | "IQD" | "LYD" => 3,
        _ => 2,
    }
}

/// An amount as a form shows it: `1234.50`.
#[must_use]
pub fn plain(minor: u64, currency: &str) -> String {
    let digits = digits(currency);
    let unit = 10_u64.pow(digits);
    if digits == 0 {
        return minor.to_string();
    }
    format!("{}.{:0width$}", minor / unit, minor % unit, width = digits as usize)
}

/// An amount as people read it: `1,234.50 USD`.
#[must_use]
pub fn shown(minor: u64, currency: &str, lang: Lang) -> String {
    let digits = digits(currency);
    let unit = 10_u64.pow(digits);
    let whole = grouped(minor / unit, lang);
    let point = match lang {
        Lang::En => '.',
        Lang::Es => ',',
    };
    let number = match digits {
        0 => whole,
        _ => format!("{whole}{point}{:0width$}", minor % unit, width = digits as usize),
    };
    if currency.is_empty() { number } else { format!("{number} {currency}") }
}

/// The minor units that somebody wrote, with a point or a comma before the cents; `None` where that is no amount.
#[must_use]
pub fn read(text: &str, currency: &str) -> Option<u64> {
    let digits = digits(currency) as usize;
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
        assert_eq!(shown(123_450, "USD", Lang::En), "1,234.50 USD");
        assert_eq!(shown(1_234_550, "EUR", Lang::Es), "12.345,50 EUR");
        assert_eq!(shown(1500, "JPY", Lang::En), "1,500 JPY");
        assert_eq!(plain(123_450, "USD"), "1234.50");
        assert_eq!(read(&plain(7, "USD"), "USD"), Some(7));
    }
}
