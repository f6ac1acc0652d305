//! Times as people in a store read them.

use crate::words::Words;
use chassis::clock::{format_rfc3339, parse_rfc3339};
use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

/// A moment, ready to be shown in a `<time>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339, UTC.
    pub iso: String,
    /// `20 Nov 2026, 14:05`.
    pub text: String,
}

/// The zone of that name; UTC where there is none.
#[must_use]
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The zones to choose from.
#[must_use]
pub fn zones() -> Vec<String> {
    let lands = ["Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/"];
    let all = jiff::tz::db().available().map(|name| name.as_str().to_owned());
    all.filter(|name| lands.iter().any(|land| name.starts_with(land))).collect()
}

fn zoned(ms: i64, zone: &TimeZone) -> Zoned {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone.clone())
}

fn day_of(at: &Zoned, words: &Words) -> String {
    day_text(at.date(), words)
}

/// `20 Nov 2026`.
#[must_use]
pub fn day_text(date: civil::Date, words: &Words) -> String {
    let month = words.of("month", MONTHS[(date.month() - 1).clamp(0, 11) as usize]).into_owned();
    words.with("format.day", &[&date.day().to_string(), &month, &date.year().to_string()])
}

/// `20 Nov`, where there is little room.
#[must_use]
pub fn day_short(date: civil::Date, words: &Words) -> String {
    let month = words.of("month", MONTHS[(date.month() - 1).clamp(0, 11) as usize]).into_owned();
    words.with("format.day_short", &[&date.day().to_string(), &month])
}

const MONTHS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

/// A moment in a store's time.
#[must_use]
pub fn at(ms: i64, zone: &TimeZone, words: &Words) -> Moment {
    let at = zoned(ms, zone);
    let text = format!("{}, {:02}:{:02}", day_of(&at, words), at.hour(), at.minute());
    Moment { iso: format_rfc3339(ms), text }
}

/// Like [`at`], from RFC 3339. What is no time is shown as it is.
#[must_use]
pub fn of(text: &str, zone: &TimeZone, words: &Words) -> Moment {
    match parse_rfc3339(text) {
        Some(ms) => at(ms, zone, words),
        None => Moment { iso: String::new(), text: text.to_owned() },
    }
}

/// The day, for a list's headings.
#[must_use]
pub fn day(text: &str, zone: &TimeZone, words: &Words) -> String {
    parse_rfc3339(text).map_or_else(|| text.to_owned(), |ms| day_of(&zoned(ms, zone), words))
}

/// `14:05`.
#[must_use]
pub fn clock(text: &str, zone: &TimeZone) -> String {
    parse_rfc3339(text).map_or_else(String::new, |ms| {
        let at = zoned(ms, zone);
        format!("{:02}:{:02}", at.hour(), at.minute())
    })
}

/// What a `datetime-local` input shows for a moment: `2026-11-20T14:05`.
#[must_use]
pub fn local(text: &str, zone: &TimeZone) -> String {
    parse_rfc3339(text).map_or_else(String::new, |ms| {
        let at = zoned(ms, zone);
        format!("{:04}-{:02}-{:02}T{:02}:{:02}", at.year(), at.month(), at.day(), at.hour(), at.minute())
    })
}

/// The moment that a `datetime-local` input names, as RFC 3339; `None` where it names none. A time that the store's clocks
/// skip is the one that they show instead, one that they show twice is the first.
#[must_use]
pub fn from_local(text: &str, zone: &TimeZone) -> Option<String> {
    let text = text.trim();
    if !(16..=23).contains(&text.len()) {
        return None;
    }
    let local: civil::DateTime = text.parse().ok()?;
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(format_rfc3339(at.as_millisecond()))
}

/// The moment at which a day (`2026-11-20`) begins in `zone`, `later` days on, as RFC 3339.
#[must_use]
pub fn day_begins(text: &str, later: i8, zone: &TimeZone) -> Option<String> {
    let day: civil::Date = text.trim().parse().ok()?;
    let day = day.checked_add(i64::from(later).days()).ok()?;
    let at = zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).compatible().ok()?;
    Some(format_rfc3339(at.as_millisecond()))
}

/// What a field of days shows of what an address says: a day, and nothing of what is none. A browser would not show it either, and complain.
#[must_use]
pub fn day_field(text: &str) -> String {
    let day: Result<civil::Date, _> = text.trim().parse();
    day.map_or_else(|_| String::new(), |day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Lang;

    #[test]
    fn a_field_of_days_shows_days_alone() {
        assert_eq!(
            (day_field(" 2026-11-20 ").as_str(), day_field("soon"), day_field("")),
            ("2026-11-20", String::new(), String::new())
        );
    }

    #[test]
    fn a_moment_is_told_in_the_stores_time_and_the_readers_words() {
        let chicago = zone("America/Chicago");
        let text = "2026-11-20T20:05:00Z";
        assert_eq!(of(text, &chicago, Lang::En.words()).text, "20 Nov 2026, 14:05");
        assert_eq!(of(text, &chicago, Lang::Es.words()).text, "20 nov 2026, 14:05");
        assert_eq!(of(text, &chicago, Lang::En.words()).iso, "2026-11-20T20:05:00Z");
        assert_eq!(of("yesterday", &chicago, Lang::En.words()).text, "yesterday");
    }

    #[test]
    fn what_a_form_shows_comes_back_as_the_same_moment() {
        let chicago = zone("America/Chicago");
        let text = "2026-07-04T17:30:00Z";
        assert_eq!(local(text, &chicago), "2026-07-04T12:30");
        assert_eq!(from_local("2026-07-04T12:30", &chicago).as_deref(), Some(text));
        // The hour that is skipped in spring, and the one that comes twice in autumn.
        assert_eq!(from_local("2026-03-08T02:30", &chicago).as_deref(), Some("2026-03-08T08:30:00Z"));
        assert_eq!(from_local("2026-11-01T01:30", &chicago).as_deref(), Some("2026-11-01T06:30:00Z"));
        for bad in ["", "2026-07-04", "2026-13-04T12:30", "now", "2026-07-04T12:30:00+02:00[x]"] {
            assert_eq!(from_local(bad, &chicago), None, "{bad}");
        }
    }

    #[test]
    fn a_day_begins_when_it_does_in_the_store() {
        let chicago = zone("America/Chicago");
        assert_eq!(day_begins("2026-11-20", 0, &chicago).as_deref(), Some("2026-11-20T06:00:00Z"));
        assert_eq!(day_begins("2026-11-20", 1, &chicago).as_deref(), Some("2026-11-21T06:00:00Z"));
        assert_eq!(day_begins("20 November", 0, &chicago), None);
    }
}
