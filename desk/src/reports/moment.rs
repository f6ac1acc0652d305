//! Moments as a reader of the store's own town writes them, with what they are elsewhere.

use chassis::clock::{format_rfc3339, parse_rfc3339};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// A store's time zone.
pub(super) struct Zone {
    zone: TimeZone,
    /// What to say where the zone's name is unknown here.
    pub(super) note: Option<String>,
}

impl Zone {
    /// The zone of an IANA name; UTC, with a note, where there is none of that name.
    pub(super) fn named(name: &str) -> Self {
        TimeZone::get(name).map_or_else(
            |_| Self {
                zone: TimeZone::UTC,
                note: Some(format!("the store's time zone \"{name}\" is unknown: times are UTC")),
            },
            |zone| Self { zone, note: None },
        )
    }

    /// `Sun 22 Nov 2026, 14:03 (UTC-06:00) · 20:03 UTC`; a text that is no time as it is.
    pub(super) fn long(&self, text: &str) -> String {
        let Some((local, utc)) = self.read(text) else {
            return text.to_owned();
        };
        let here = format!("{} {}, {} ({})", weekday(&local), date(&local), clock(&local), offset(local.offset()));
        if local.offset() == Offset::UTC {
            return here;
        }
        if local.date() == utc.date() {
            format!("{here} · {} UTC", clock(&utc))
        } else {
            format!("{here} · {}, {} UTC", date(&utc), clock(&utc))
        }
    }

    /// `22 Nov 2026, 14:03 UTC-06:00`; a text that is no time as it is.
    pub(super) fn short(&self, text: &str) -> String {
        let Some((local, _)) = self.read(text) else {
            return text.to_owned();
        };
        format!("{}, {} {}", date(&local), clock(&local), offset(local.offset()))
    }

    /// The same for milliseconds since 1970.
    pub(super) fn long_ms(&self, ms: i64) -> String {
        self.long(&format_rfc3339(ms))
    }

    fn read(&self, text: &str) -> Option<(Zoned, Zoned)> {
        let moment = Timestamp::from_millisecond(parse_rfc3339(text)?).ok()?;
        Some((moment.to_zoned(self.zone.clone()), moment.to_zoned(TimeZone::UTC)))
    }
}

fn date(moment: &Zoned) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = usize::try_from(moment.month() - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"");
    format!("{} {month} {}", moment.day(), moment.year())
}

/// Seconds only where there are some: most times are typed without.
fn clock(moment: &Zoned) -> String {
    let (hour, minute, second) = (moment.hour(), moment.minute(), moment.second());
    if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

fn weekday(moment: &Zoned) -> &'static str {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let at = usize::try_from(moment.weekday().to_monday_zero_offset()).unwrap_or(0);
    DAYS.get(at).copied().unwrap_or("")
}

/// `UTC-06:00`.
fn offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    if seconds == 0 {
        return "UTC".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::Zone;

    #[test]
    fn times_are_the_stores_own_with_their_offset_and_utc() {
        let chicago = Zone::named("America/Chicago");
        assert_eq!(chicago.long("2026-11-22T20:03:00Z"), "Sun 22 Nov 2026, 14:03 (UTC-06:00) · 20:03 UTC");
        assert_eq!(
            chicago.long("2026-07-02T03:03:05Z"),
            "Wed 1 Jul 2026, 22:03:05 (UTC-05:00) · 2 Jul 2026, 03:03:05 UTC"
        );
        assert_eq!(chicago.short("2026-11-22T20:03:00Z"), "22 Nov 2026, 14:03 UTC-06:00");
        assert_eq!(Zone::named("Asia/Kathmandu").short("2026-11-22T20:03:00Z"), "23 Nov 2026, 01:48 UTC+05:45");
        assert_eq!(Zone::named("UTC").long("2026-11-22T20:03:00Z"), "Sun 22 Nov 2026, 20:03 (UTC)");
        assert!(Zone::named("Mars/Olympus").note.is_some());
        assert_eq!(chicago.long("yesterday"), "yesterday");
    }

    #[test]
    fn an_hour_that_comes_twice_and_one_that_does_not_come_are_told_by_their_offset() {
        let chicago = Zone::named("America/Chicago");
        // The clocks go back: half past one comes twice.
        assert_eq!(chicago.short("2026-11-01T06:30:00Z"), "1 Nov 2026, 01:30 UTC-05:00");
        assert_eq!(chicago.short("2026-11-01T07:30:00Z"), "1 Nov 2026, 01:30 UTC-06:00");
        // The clocks go forward: two o'clock does not come.
        assert_eq!(chicago.short("2026-03-08T07:59:59Z"), "8 Mar 2026, 01:59:59 UTC-06:00");
        assert_eq!(chicago.short("2026-03-08T08:00:00Z"), "8 Mar 2026, 03:00 UTC-05:00");
        // A leap day, on both sides of midnight UTC.
        assert_eq!(chicago.short("2028-03-01T05:00:00Z"), "29 Feb 2028, 23:00 UTC-06:00");
        // Lord Howe moves by half an hour.
        let howe = Zone::named("Australia/Lord_Howe");
        assert_eq!(howe.short("2026-04-04T14:59:00Z"), "5 Apr 2026, 01:59 UTC+11:00");
        assert_eq!(howe.short("2026-04-04T15:00:00Z"), "5 Apr 2026, 01:30 UTC+10:30");
    }
}
