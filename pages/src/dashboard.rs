//! Counts as charts: over a span of days, for a company or for one store.
//!
//! Days are UTC days where several stores are looked at and the store's own where it is one, as in the list of incidents: a
//! bar leads to the list of just those that it counts.

use crate::chart::{self, Column, Heat, Label, MAX_COLUMNS, Pair, Row};
use crate::moment;
use crate::money;
use crate::page::{Page, Stores};
use crate::words::{Words, grouped};
use desk::ledger::{Filter, Stats};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeMap;

/// Days that are looked back on where nobody says.
pub const DAYS: i32 = 30;
/// Longest span, in days: more than twenty years of months are more than a chart has room for.
pub const MAX_DAYS: i32 = 6000;
/// From how many days on they are put together into weeks, and from how many on into months.
const WEEKS_FROM: usize = 93;
const MONTHS_FROM: usize = 733;
/// Stores that are shown.
const MOST_STORES: usize = 12;

/// Which days of which store are looked at.
#[derive(Clone, Debug)]
pub struct Span {
    /// The first day.
    pub from: Date,
    /// The last day, itself included.
    pub to: Date,
    /// The only store; none: all that the person may see.
    pub store: Option<String>,
    zone: TimeZone,
}

impl Span {
    /// Reads the days that a person asked for. `store`: the only one in question; `own`: it is the person's own and is not named in
    /// addresses.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(
        from: &str,
        to: &str,
        store: Option<String>,
        stores: &Stores,
        now_ms: i64,
        words: &Words,
    ) -> Result<Self, String> {
        let zone = store.as_deref().map_or(TimeZone::UTC, |code| stores.zone(code));
        let today = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(zone.clone()).date();
        let day = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse::<Date>().map(Some).map_err(|_| words.with("list.no_day", &[text])),
        };
        let to = day(to)?.unwrap_or(today);
        let from = match day(from)? {
            Some(from) => from,
            None => to.checked_sub((DAYS - 1).days()).unwrap_or(to),
        };
        let days = (to - from).get_days();
        if !(0..MAX_DAYS).contains(&days) {
            return Err(words.with("overview.span", &[&MAX_DAYS.to_string()]));
        }
        Ok(Self { from, to, store, zone })
    }

    /// The filter that lets just these through.
    #[must_use]
    pub fn filter(&self) -> Filter {
        let begins = |day: Date| {
            let at = self.zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).compatible();
            at.ok().map(Timestamp::as_millisecond)
        };
        Filter {
            store: self.store.clone().into_iter().collect(),
            from_ms: begins(self.from),
            to_ms: self.to.tomorrow().ok().and_then(begins),
            ..Filter::default()
        }
    }

    /// The list of incidents of these days, and of `more`.
    fn list(&self, from: Date, to: Date, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("from", from.to_string()), ("to", to.to_string())];
        let is_asked = more.iter().any(|(name, _)| *name == "store");
        pairs.extend(self.store.clone().filter(|_| !is_asked).map(|code| ("store", code)));
        pairs.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        format!("/incidents?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    /// The days put together as the chart has room for them: first and last day of each part.
    fn parts(&self) -> Vec<(Date, Date)> {
        let days: Vec<Date> = self.from.series(1.day()).take_while(|day| *day <= self.to).collect();
        let key = |day: Date| match days.len() {
            n if n >= MONTHS_FROM => (i32::from(day.year()), i32::from(day.month())),
            n if n >= WEEKS_FROM => {
                let week = day.iso_week_date();
                (i32::from(week.year()), i32::from(week.week()))
            }
            _ => (i32::from(day.year()), i32::from(day.day_of_year())),
        };
        let parts = days.chunk_by(|a, b| key(*a) == key(*b));
        parts.filter_map(|part| Some((*part.first()?, *part.last()?))).take(MAX_COLUMNS).collect()
    }
}

/// Everything that a dashboard shows.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// How many incidents.
    pub total: u64,
    /// The same, grouped.
    pub total_text: String,
    /// The list of them.
    pub href: String,
    /// By day, week or month.
    pub days: Vec<Column>,
    /// By category, most first.
    pub categories: Vec<Row>,
    /// By severity, greatest first.
    pub severities: Vec<Row>,
    /// By store, most first.
    pub stores: Vec<Row>,
    /// Stores that are not shown.
    pub more_stores: u64,
    /// By weekday and hour, in the stores' own time.
    pub week: Heat,
    /// What was lost, a currency each.
    pub losses: Vec<Losses>,
}

/// What was lost in one currency.
#[derive(Clone, Debug)]
pub struct Losses {
    /// What it is called.
    pub currency: String,
    /// Lost, in words.
    pub amount: String,
    /// Recovered, in words.
    pub recovered: String,
    /// How much of it, of a hundred.
    pub percent: u64,
    /// How many incidents say so.
    pub count: u64,
    /// By day, week or month.
    pub days: Vec<Pair>,
}

/// The charts of what was counted over `span`.
#[must_use]
pub fn of(stats: &Stats, span: &Span, page: &Page, stores: &Stores) -> Dashboard {
    let words = page.words;
    let parts = span.parts();
    let is_local = span.store.is_some();
    let by_day = if is_local { &stats.by_local_day } else { &stats.by_day };
    let counted: BTreeMap<&str, u64> = by_day.iter().map(|(day, count)| (day.as_str(), *count)).collect();
    let days = parts.iter().map(|(first, last)| (label(span, *first, *last, words), sum(&counted, *first, *last)));
    let days = chart::columns(days.collect());
    let list = |name: &str, value: &str| span.list(span.from, span.to, &[(name, value)]);
    let categories = stats
        .by_category
        .iter()
        .map(|(word, count)| (words.of("category", word).into_owned(), list("category", word), *count));
    let severities = stats.by_severity.iter().rev().map(|(severity, count)| {
        let number = severity.to_string();
        let href = span.list(span.from, span.to, &[("severity_min", &number), ("severity_max", &number)]);
        (format!("{number} {}", words.of("severity", &number)), href, *count)
    });
    let mut by_store = stats.by_store.clone();
    by_store.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown = by_store
        .iter()
        .take(MOST_STORES)
        .map(|(code, count)| (format!("{code} {}", stores.name(code)), list("store", code), *count));
    let losses = stats.losses.iter().map(|loss| {
        let by_day = if is_local { &loss.by_local_day } else { &loss.by_day };
        let lost: BTreeMap<&str, u64> = by_day.iter().map(|(day, amount, _)| (day.as_str(), *amount)).collect();
        let back: BTreeMap<&str, u64> = by_day.iter().map(|(day, _, back)| (day.as_str(), *back)).collect();
        let values = parts.iter().map(|(first, last)| {
            (label(span, *first, *last, words), sum(&lost, *first, *last), sum(&back, *first, *last))
        });
        let show = |minor| money::shown(minor, &loss.currency, words);
        Losses {
            currency: match loss.currency.as_str() {
                "" => words.t("overview.no_currency").to_owned(),
                currency => currency.to_owned(),
            },
            amount: show(loss.amount_minor),
            recovered: show(loss.recovered_minor),
            percent: (u128::from(loss.recovered_minor) * 100 / u128::from(loss.amount_minor.max(1))).min(999) as u64,
            count: loss.count,
            days: chart::pairs(values.collect(), show),
        }
    });
    Dashboard {
        total: stats.total,
        total_text: grouped(stats.total, words.lang()),
        href: span.list(span.from, span.to, &[]),
        days,
        categories: chart::rows(categories.collect()),
        severities: chart::rows(severities.collect()),
        stores: chart::rows(shown.collect()),
        more_stores: by_store.len().saturating_sub(MOST_STORES) as u64,
        week: chart::heat(&stats.by_hour, words),
        losses: losses.collect(),
    }
}

/// What happened from `first` to `last`, by days as texts, whose order is that of time.
fn sum(days: &BTreeMap<&str, u64>, first: Date, last: Date) -> u64 {
    let (first, last) = (first.to_string(), last.to_string());
    days.range(first.as_str()..=last.as_str()).fold(0, |sum, (_, value)| sum.saturating_add(*value))
}

fn label(span: &Span, first: Date, last: Date, words: &Words) -> Label {
    let day = |date: Date| moment::day_text(date, words);
    let text = if first == last {
        day(first)
    } else {
        format!("{} – {}", day(first), day(last))
    };
    Label { text, short: moment::day_short(first, words), href: span.list(first, last, &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Lang;

    const NOW_MS: i64 = 1_795_953_600_000; // 2026-11-29T12:00:00Z

    fn span(from: &str, to: &str) -> Result<Span, String> {
        Span::read(from, to, None, &Stores::default(), NOW_MS, Lang::En.words())
    }

    #[test]
    fn nobody_has_to_say_which_days_and_nonsense_is_told() {
        let read = span("", "").unwrap();
        assert_eq!((read.from.to_string(), read.to.to_string()), ("2026-10-31".to_owned(), "2026-11-29".to_owned()));
        assert_eq!(read.parts().len(), 30);
        assert!(span("2026-12-01", "2026-11-01").is_err() && span("soon", "").is_err());
        assert!(span("1000-01-01", "").is_err());
    }

    #[test]
    fn many_days_are_put_together_and_none_is_left_out_or_counted_twice() {
        for (from, most) in
            [("2026-11-01", 31), ("2026-09-01", 92), ("2026-01-01", 54), ("2024-01-01", 36), ("2012-01-01", 240)]
        {
            let span = span(from, "").unwrap();
            let parts = span.parts();
            assert!(parts.len() <= most, "{from}: {}", parts.len());
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), (span.from, span.to), "{from}");
            assert!(parts.windows(2).all(|two| two[0].1.tomorrow().unwrap() == two[1].0), "{from}");
        }
    }

    #[test]
    fn a_part_counts_its_days_and_leads_to_them() {
        let counted = BTreeMap::from([("2026-11-01", 1), ("2026-11-02", 2), ("2026-11-30", 4)]);
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(sum(&counted, day("2026-11-01"), day("2026-11-29")), 3);
        let span = span("2026-11-01", "2026-11-29").unwrap();
        let href = span.list(span.from, span.to, &[("category", "theft")]);
        assert_eq!(href, "/incidents?from=2026-11-01&to=2026-11-29&category=theft");
    }
}
