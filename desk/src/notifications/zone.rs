//! By whose clock a rule's daily message goes out.

use super::rule::Rule;
use crate::desk::Desk;
use crate::error::Error;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where nothing says otherwise.
const UTC: &str = "UTC";

/// The name of the zone of `rule`: its own; else that of the only store that it is about; else that of the site's store; else UTC.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn name(desk: &Desk, rule: &Rule) -> Result<String, Error> {
    if let Some(own) = &rule.timezone {
        return Ok(own.clone());
    }
    let store = match rule.stores.as_slice() {
        [only] => Some(only.clone()),
        _ => desk.own_store().await?,
    };
    Ok(match store {
        Some(code) => desk.ledger().store(&code).await?.map_or_else(|| UTC.to_owned(), |store| store.timezone),
        None => UTC.to_owned(),
    })
}

/// The zone of `rule`.
///
/// # Errors
/// As [`name`].
pub(super) async fn of(desk: &Desk, rule: &Rule) -> Result<TimeZone, Error> {
    Ok(TimeZone::get(&name(desk, rule).await?).unwrap_or(TimeZone::UTC))
}

/// The first full `hour` (0 to 23) of that zone's clocks after `after_ms`; milliseconds since 1970. Each day has one: an hour that is left
/// out comes at the next one, of an hour that comes twice the first one counts. None for what is no moment.
#[must_use]
pub(super) fn next_hour(after_ms: i64, hour: u8, zone: &TimeZone) -> Option<i64> {
    let mut day = Timestamp::from_millisecond(after_ms).ok()?.to_zoned(zone.clone()).date();
    // Where a whole day is left out, it takes a third one.
    for _ in 0..3 {
        let at = day.at(i8::try_from(hour).ok()?, 0, 0, 0).to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        if at > after_ms {
            return Some(at);
        }
        day = day.tomorrow().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::clock::{format_rfc3339, parse_rfc3339};

    #[test]
    fn the_hour_is_that_of_the_clocks_on_the_wall_also_when_they_are_changed() {
        let zone = TimeZone::get("America/New_York").unwrap();
        for (after, hour, next) in [
            // Summer, winter, and the days between.
            ("2026-07-01T12:00:00Z", 6, "2026-07-02T10:00:00Z"),
            ("2026-10-31T12:00:00Z", 6, "2026-11-01T11:00:00Z"),
            ("2026-11-01T12:00:00Z", 6, "2026-11-02T11:00:00Z"),
            ("2026-03-07T12:00:00Z", 6, "2026-03-08T10:00:00Z"),
            // At the hour itself it is the next day's.
            ("2026-07-01T10:00:00Z", 6, "2026-07-02T10:00:00Z"),
            ("2026-07-01T09:59:59Z", 6, "2026-07-01T10:00:00Z"),
            // Two in the morning is left out on 8 March; one comes twice on 1 November.
            ("2026-03-07T12:00:00Z", 2, "2026-03-08T07:00:00Z"),
            ("2026-10-31T12:00:00Z", 1, "2026-11-01T05:00:00Z"),
            ("2026-11-01T05:30:00Z", 1, "2026-11-02T06:00:00Z"),
        ] {
            let found = next_hour(parse_rfc3339(after).unwrap(), hour, &zone).map(format_rfc3339);
            assert_eq!(found.as_deref(), Some(next), "{hour} after {after}");
        }
        assert_eq!(next_hour(i64::MAX, 6, &TimeZone::UTC), None);
    }
}
