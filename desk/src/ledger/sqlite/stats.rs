//! Counts over a filter: one walk over the narrow table, counted in memory.
//!
//! A row is a few words of an index, and the loss where there is one; nothing is sorted. A store's own time needs its zone, in
//! which an offset holds for months: it is looked up when a row leaves the span of the last one, not for each row.

use super::fail::Done;
use super::filter::{self, Lookup};
use crate::ledger::{Filter, LossStats, Stats};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{Connection, params_from_iter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// The statement, whose rows are time, category, severity, store and loss.
pub(super) fn lookup(filter: &Filter) -> Option<Lookup> {
    let Lookup { sql, values } = filter::scan(filter, "LEFT JOIN losses l ON l.incident_no = i.incident_no")?;
    let columns =
        "i.occurred_at_ms, i.category, i.severity, i.store_code, l.currency, l.amount_minor, l.recovered_minor";
    Some(Lookup { sql: format!("SELECT {columns} {sql}"), values })
}

pub(super) fn stats(db: &Connection, filter: &Filter) -> Done<Stats> {
    let Some(Lookup { sql, values }) = lookup(filter) else {
        return Ok(Stats::default());
    };
    let mut stats = Stats::default();
    let (mut days, mut local_days, mut categories, mut severities) = (
        BTreeMap::<i64, u64>::new(),
        BTreeMap::<i64, u64>::new(),
        HashMap::<String, u64>::new(),
        BTreeMap::<u8, u64>::new(),
    );
    let mut stores = shops(db)?;
    let mut losses = BTreeMap::<String, Loss>::new();
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let at_ms: i64 = row.get(0)?;
        let day = at_ms.div_euclid(DAY_MS);
        let code = row.get_ref(3)?.as_str().unwrap_or("");
        let shop = match stores.get_mut(code) {
            Some(shop) => shop,
            // One that this site has not heard of yet.
            None => stores.entry(code.to_owned()).or_insert_with(|| Shop::new(TimeZone::UTC)),
        };
        let local_ms = at_ms.saturating_add(shop.offset_ms(at_ms));
        let local_day = local_ms.div_euclid(DAY_MS);
        shop.count += 1;
        stats.total += 1;
        *days.entry(day).or_default() += 1;
        *local_days.entry(local_day).or_default() += 1;
        *severities.entry(row.get(2)?).or_default() += 1;
        // The first of 1970 was a Thursday.
        let (weekday, hour) = ((local_day + 3).rem_euclid(7), local_ms.rem_euclid(DAY_MS) / HOUR_MS);
        stats.by_hour[weekday as usize][hour as usize] += 1;
        let category = row.get_ref(1)?.as_str().unwrap_or("");
        match categories.get_mut(category) {
            Some(count) => *count += 1,
            None => drop(categories.insert(category.to_owned(), 1)),
        }
        if let Ok(currency) = row.get_ref(4)?.as_str() {
            let (amount, recovered) = (row.get::<_, i64>(5)?.max(0) as u64, row.get::<_, i64>(6)?.max(0) as u64);
            let loss = losses.entry(currency.to_owned()).or_default();
            loss.count += 1;
            for sums in
                [&mut loss.sums, loss.days.entry(day).or_default(), loss.local_days.entry(local_day).or_default()]
            {
                *sums = (sums.0.saturating_add(amount), sums.1.saturating_add(recovered));
            }
        }
    }
    let counts = |days: BTreeMap<i64, u64>| days.into_iter().map(|(day, count)| (day_of(day), count)).collect();
    stats.by_day = counts(days);
    stats.by_local_day = counts(local_days);
    stats.by_category = categories.into_iter().collect();
    stats.by_category.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    stats.by_severity = severities.into_iter().collect();
    stats.by_store = stores
        .into_iter()
        .filter(|(_, shop)| shop.count > 0)
        .map(|(code, shop)| (code, shop.count))
        .collect();
    stats.by_store.sort_unstable();
    stats.losses = losses.into_iter().map(|(currency, loss)| loss.told(currency)).collect();
    Ok(stats)
}

/// A store's count, and what its clocks showed.
struct Shop {
    count: u64,
    zone: TimeZone,
    /// From when until when the offset holds.
    span: (i64, i64),
    offset_ms: i64,
}

impl Shop {
    const fn new(zone: TimeZone) -> Self {
        Self { count: 0, zone, span: (0, 0), offset_ms: 0 }
    }

    /// The zone's offset at a moment. It is the same until the clocks change.
    fn offset_ms(&mut self, at_ms: i64) -> i64 {
        if !(self.span.0..self.span.1).contains(&at_ms) {
            let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
            // Transitions strictly before the next millisecond: one at this very moment counts.
            let before = self.zone.preceding(at(at_ms + 1)).next();
            let after = self.zone.following(at(at_ms)).next();
            self.span = (
                before.map_or(i64::MIN, |change| change.timestamp().as_millisecond()),
                after.map_or(i64::MAX, |change| change.timestamp().as_millisecond()),
            );
            self.offset_ms = i64::from(self.zone.to_offset(at(at_ms)).seconds()) * 1000;
        }
        self.offset_ms
    }
}

/// Every store with its zone.
fn shops(db: &Connection) -> Done<HashMap<String, Shop>> {
    let mut statement = db.prepare_cached("SELECT store_code, timezone FROM stores")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut shops = HashMap::new();
    let mut zones = HashMap::<String, TimeZone>::new();
    for row in rows {
        let (code, zone) = row?;
        // Thousands of stores lie in a few zones, and finding one by its name is not for nothing.
        let zone = zones.entry(zone).or_insert_with_key(|name| TimeZone::get(name).unwrap_or(TimeZone::UTC)).clone();
        shops.insert(code, Shop::new(zone));
    }
    Ok(shops)
}

#[derive(Default)]
struct Loss {
    count: u64,
    sums: (u64, u64),
    days: BTreeMap<i64, (u64, u64)>,
    local_days: BTreeMap<i64, (u64, u64)>,
}

impl Loss {
    fn told(self, currency: String) -> LossStats {
        let days =
            |days: BTreeMap<i64, (u64, u64)>| days.into_iter().map(|(day, (a, b))| (day_of(day), a, b)).collect();
        LossStats {
            currency,
            count: self.count,
            amount_minor: self.sums.0,
            recovered_minor: self.sums.1,
            by_day: days(self.days),
            by_local_day: days(self.local_days),
        }
    }
}

fn day_of(day: i64) -> String {
    let mut text = format_rfc3339(day * DAY_MS);
    text.truncate(10);
    text
}
