//! When something happened, as people write it: "4/27/26 to 4/30/26 times unknown", "11/5/25 12:00 pm to 2:30 PM".
//!
//! Whatever cannot be read is still a report: it happened, at a time unknown, and was reported when it was.

/// When, as a report says it.
#[derive(Debug, PartialEq, Eq)]
pub struct Occurred {
    /// RFC 3339.
    pub at: String,
    /// The end of a range.
    pub to: Option<String>,
    /// `exact`, `range` or `unknown`.
    pub precision: &'static str,
}

type Date = (u32, u32, u32);
type Time = (u32, u32);

/// Reads `text`; `reported` (RFC 3339) gives the offset, and the time where there is none in `text`.
pub fn occurred(text: &str, reported: &str) -> Occurred {
    let unknown = || Occurred { at: reported.to_owned(), to: None, precision: "unknown" };
    let (dates, times) = parts(text);
    let offset = reported.get(19..).unwrap_or("Z");
    let moment = |(year, month, day): Date, (hour, minute): Time| {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00{offset}");
        chassis::clock::parse_rfc3339(&text).map(|ms| (ms, text))
    };
    let Some(&first) = dates.first() else { return unknown() };
    let last = *dates.last().unwrap_or(&first);
    match (dates.len(), times.as_slice()) {
        (1, [at]) => moment(first, *at).map_or_else(unknown, |(_, at)| Occurred { at, to: None, precision: "exact" }),
        (_, [at, .., to]) => match (moment(first, *at), moment(last, *to)) {
            (Some((from_ms, at)), Some((to_ms, to))) if from_ms <= to_ms => {
                Occurred { at, to: Some(to), precision: "range" }
            }
            // "11:00 PM to 4:00 AM" of one day, and slips of the pen: the beginning is what is known.
            (Some((_, at)), _) => Occurred { at, to: None, precision: "unknown" },
            _ => unknown(),
        },
        (_, _) => moment(first, (0, 0)).map_or_else(unknown, |(_, at)| Occurred { at, to: None, precision: "unknown" }),
    }
}

/// The dates (`4/27/26`, `11/25/2024`) and times of day (`6:30 PM`, `12:00pm`) in a text, in order.
fn parts(text: &str) -> (Vec<Date>, Vec<Time>) {
    let (mut dates, mut times) = (Vec::new(), Vec::new());
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == '-').filter(|word| !word.is_empty()).collect();
    for (n, word) in words.iter().enumerate() {
        let word = word.trim_start_matches("to");
        if let Some(date) = date(word) {
            dates.push(date);
        } else if let Some((hour, minute)) = word.split_once(':') {
            let digits = minute.find(|c: char| !c.is_ascii_digit()).unwrap_or(minute.len());
            let (minute, attached) = minute.split_at(digits);
            let half = if attached.is_empty() {
                words.get(n + 1).copied().unwrap_or_default()
            } else {
                attached
            };
            if let Some(time) = time(hour, minute, half) {
                times.push(time);
            }
        }
    }
    (dates, times)
}

fn date(word: &str) -> Option<Date> {
    let mut parts = word.trim_end_matches('/').split('/').map(|part| part.parse::<u32>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    let year = if year < 100 { 2000 + year } else { year };
    let fits =
        parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day) && (2000..2100).contains(&year);
    fits.then_some((year, month, day))
}

fn time(hour: &str, minute: &str, half: &str) -> Option<Time> {
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    if !(1..=12).contains(&hour) || minute > 59 {
        return None;
    }
    match half.to_ascii_lowercase().replace('.', "").as_str() {
        "am" => Some((hour % 12, minute)),
        "pm" => Some((hour % 12 + 12, minute)),
        _ => None,
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    let reported = "2026-04-30T11:18:00-05:00";
    let read = |text| {
        let when = occurred(text, reported);
        (when.at, when.to, when.precision)
    };
    let at = |text: &str| text.to_owned();
    assert_eq!(read("4/30/26 9:45 PM"), (at("2026-04-30T21:45:00-05:00"), None, "exact"));
    assert_eq!(read("4/30/26 12:05AM"), (at("2026-04-30T00:05:00-05:00"), None, "exact"));
    assert_eq!(
        read("4/29/26 to 4/30/26 5:00 PM to 5:45 a.m."),
        (at("2026-04-29T17:00:00-05:00"), Some(at("2026-04-30T05:45:00-05:00")), "range")
    );
    assert_eq!(read("4/27/26 to 4/30/26 times unknown"), (at("2026-04-27T00:00:00-05:00"), None, "unknown"));
    assert_eq!(read("4/30/26 11:00 PM to 4:00 AM"), (at("2026-04-30T23:00:00-05:00"), None, "unknown"));
    assert_eq!(read("Date & time unknown"), (at(reported), None, "unknown"));
    assert_eq!(read("2/31/26 9:45 PM"), (at(reported), None, "unknown"));
}
