use super::*;
use proptest::prelude::*;

#[test]
fn times_have_one_spelling() {
    for text in [
        "1900-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999Z",
        "2024-02-29T12:00:00Z",
        "2000-02-29T12:00:00.010Z",
        "2026-01-02T03:04:05Z",
    ] {
        assert_eq!(from_text(text).and_then(to_text).as_deref(), Some(text));
    }
    for text in [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02t03:04:05z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:05.5Z",
        "2026-01-02T03:04:05.123456Z",
        "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2100-02-29T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-12-31T23:59:60Z",
        "1899-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "2026-01-02T03:04:+5Z",
        "２026-01-02T03:04:05Z",
        "2026-01-02T03:04:0éZ",
    ] {
        assert_eq!(from_text(text), None, "{text}");
    }
}

#[test]
fn known_times_have_their_known_numbers() {
    assert_eq!(from_text("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(from_text("2001-09-09T01:46:40Z"), Some(1_000_000_000_000));
    assert_eq!(from_text("1969-12-31T23:59:59.999Z"), Some(-1));
    assert_eq!(from_text("1900-01-01T00:00:00Z"), Some(MIN_MS));
    assert_eq!(from_text("2199-12-31T23:59:59.999Z"), Some(MAX_MS));
    assert_eq!((to_text(MIN_MS - 1), to_text(MAX_MS + 1)), (None, None));
    assert_eq!((to_text(i64::MIN), to_text(i64::MAX)), (None, None));
}

#[test]
fn every_day_follows_the_one_before() {
    let (mut year, mut month, mut day) = (1900, 1, 1);
    let mut ms = MIN_MS;
    while ms <= MAX_MS {
        let text = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
        assert_eq!(from_text(&text), Some(ms));
        assert_eq!(to_text(ms), Some(text));
        day += 1;
        if day > days_in(year, month) {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
        ms += DAY_MS;
    }
    assert_eq!((year, month, day), (2200, 1, 1));
}

proptest! {
    #[test]
    fn any_time_survives_its_spelling(ms in MIN_MS..=MAX_MS) {
        prop_assert_eq!(to_text(ms).and_then(|text| from_text(&text)), Some(ms));
    }

    #[test]
    fn any_text_is_a_time_or_none_and_a_time_is_spelt_once(text in "\\PC{0,30}|[0-9:TZ.-]{20}|[0-9:TZ.-]{24}") {
        if let Some(ms) = from_text(&text) {
            prop_assert_eq!(to_text(ms), Some(text));
        }
    }
}
