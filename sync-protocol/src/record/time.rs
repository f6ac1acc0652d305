//! The one spelling of a time in a change: RFC 3339, UTC, `2026-01-02T03:04:05Z`, with `.mmm` before the `Z` only where
//! the milliseconds are not zero; years 1900 to 2199. One time, one spelling: equal times are equal bytes.
//!
//! Spelling only: this module knows no clock.

/// What a value that is no time is told.
pub(super) const FORM: &str = "must be a UTC time such as 2026-01-02T03:04:05Z between the years 1900 and 2199";

const FIRST_YEAR: i64 = 1900;
const LAST_YEAR: i64 = 2199;
const DAY_MS: i64 = 86_400_000;
/// Milliseconds since 1970 of 1900-01-01T00:00:00Z.
pub const MIN_MS: i64 = -2_208_988_800_000;
/// Milliseconds since 1970 of 2199-12-31T23:59:59.999Z.
pub const MAX_MS: i64 = 7_258_118_399_999;

/// Whether `text` is a time in its one spelling.
#[must_use]
pub fn is_time(text: &str) -> bool {
    from_text(text).is_some()
}

/// Milliseconds since 1970 of a time in its one spelling.
#[must_use]
pub fn from_text(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let form: &[u8] = match bytes.len() {
        20 => b"dddd-dd-ddTdd:dd:ddZ",
        24 => b"dddd-dd-ddTdd:dd:dd.dddZ",
        _ => return None,
    };
    let fits = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    if !bytes.iter().zip(form).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let ms = if bytes.len() == 24 { number(20, 23)? } else { 0 };
    let date_fits = (FIRST_YEAR..=LAST_YEAR).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day);
    // A leap second has no millisecond of its own, and ".000" is not how a full second is spelt.
    if !date_fits || hour > 23 || minute > 59 || second > 59 || (bytes.len() == 24 && ms == 0) {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days_before(year, month, day) * DAY_MS + seconds * 1000 + ms)
}

/// The spelling of `ms` milliseconds since 1970; `None` outside the years 1900 to 2199.
#[must_use]
pub fn to_text(ms: i64) -> Option<String> {
    if !(MIN_MS..=MAX_MS).contains(&ms) {
        return None;
    }
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date, by counting 400-year cycles from a year that starts in March, so that the leap day
/// comes last (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let of_cycle = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * 146_097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - 719_468
}

/// The reverse of [`days_before`].
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let cycle = days.div_euclid(146_097);
    let of_cycle = days.rem_euclid(146_097);
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests;
