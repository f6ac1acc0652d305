//! Counts over a filter: one walk over the narrow table, counted in memory.

use super::fail::Done;
use super::filter::{self, Lookup};
use crate::ledger::{Filter, Stats};
use chassis::clock::format_rfc3339;
use chassis::sqlite::rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;

pub(super) fn stats(db: &Connection, filter: &Filter) -> Done<Stats> {
    let Some(Lookup { sql, values }) = filter::scan(filter) else {
        return Ok(Stats::default());
    };
    let sql = format!(
        "SELECT i.occurred_at_ms / {DAY_MS} - (i.occurred_at_ms % {DAY_MS} < 0) AS day, i.category, i.severity, i.store_code, count(*) \
         {sql} GROUP BY 1, 2, 3, 4"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut stats = Stats::default();
    let (mut days, mut categories, mut severities, mut stores) = (
        BTreeMap::<i64, u64>::new(),
        BTreeMap::<String, u64>::new(),
        BTreeMap::<u8, u64>::new(),
        BTreeMap::<String, u64>::new(),
    );
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(4)? as u64;
        stats.total += count;
        *days.entry(row.get(0)?).or_default() += count;
        *severities.entry(row.get(2)?).or_default() += count;
        add(&mut categories, row.get_ref(1)?.as_str().unwrap_or(""), count);
        add(&mut stores, row.get_ref(3)?.as_str().unwrap_or(""), count);
    }
    stats.by_day = days.into_iter().map(|(day, count)| (day_of(day), count)).collect();
    stats.by_category = categories.into_iter().collect();
    stats.by_category.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    stats.by_severity = severities.into_iter().collect();
    stats.by_store = stores.into_iter().collect();
    Ok(stats)
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    match counts.get_mut(name) {
        Some(sum) => *sum += count,
        None => {
            counts.insert(name.to_owned(), count);
        }
    }
}

fn day_of(day: i64) -> String {
    let mut text = format_rfc3339(day * DAY_MS);
    text.truncate(10);
    text
}
