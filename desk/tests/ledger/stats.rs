//! Counts by the stores' own clocks, and what was lost.

use crate::site::{T0, TestSite, fixed_id, set, store_042};
use desk::ledger::{Draft, Filter, Incidents as _, Replication as _};
use serde_json::json;
use sync_protocol::record::{self, INCIDENT};
use sync_protocol::scope::Scope;

const HOUR: i64 = 3_600_000;

async fn store(site: &TestSite, code: &str, timezone: &str) {
    let draft = Draft {
        kind: record::STORE,
        id: fixed_id(&format!("store/{code}")),
        scope: Scope::Store(code.to_owned()),
        new: true,
        set: set(json!({"code": code, "name": code, "timezone": timezone})),
        number_year: None,
    };
    site.record("system:cli", T0, draft).await;
}

async fn at(site: &TestSite, code: &str, name: &str, occurred_at: &str) {
    let draft = Draft {
        kind: INCIDENT,
        id: fixed_id(name),
        scope: Scope::Store(code.to_owned()),
        new: true,
        set: set(json!({"description": name, "occurred_at": occurred_at})),
        number_year: None,
    };
    site.record("kim", T0, draft).await;
}

#[tokio::test]
async fn an_hour_and_a_day_are_those_of_the_stores_clocks_also_on_the_days_when_those_change() {
    let site = TestSite::hub().await; // 042 is in Chicago
    store(&site, "007", "Asia/Kolkata").await;
    // Chicago's clocks went from 2 to 3 on Sunday, 8 March 2026 at 08:00 UTC, and back on 1 November at 07:00 UTC.
    at(&site, "042", "before", "2026-03-08T07:59:59.999Z").await;
    at(&site, "042", "after", "2026-03-08T08:00:00Z").await;
    at(&site, "042", "summer", "2026-11-01T06:30:00Z").await;
    at(&site, "042", "winter", "2026-11-01T07:30:00Z").await;
    // A Tuesday in Kolkata, half an hour off the full one, and still Monday in UTC.
    at(&site, "007", "half", "2026-11-02T18:45:00Z").await;
    let stats = site.ledger.stats(Filter::default()).await.unwrap();
    let hours: Vec<(usize, usize, u64)> = (0..7)
        .flat_map(|day| (0..24).map(move |hour| (day, hour)))
        .map(|(day, hour)| (day, hour, stats.by_hour[day][hour]))
        .filter(|(.., count)| *count > 0)
        .collect();
    // Sunday at 1 (three times: before, and twice on the day that has that hour twice), at 3, and Tuesday at 0.
    assert_eq!(hours, [(1, 0, 1), (6, 1, 3), (6, 3, 1)]);
    let days = |days: &[(&str, u64)]| days.iter().map(|(day, count)| ((*day).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(stats.by_local_day, days(&[("2026-03-08", 2), ("2026-11-01", 2), ("2026-11-03", 1)]));
    assert_eq!(stats.by_day, days(&[("2026-03-08", 2), ("2026-11-01", 2), ("2026-11-02", 1)]));
    let one = Filter { store: vec!["007".to_owned()], ..Filter::default() };
    assert_eq!(site.ledger.stats(one).await.unwrap().by_local_day, days(&[("2026-11-03", 1)]));
}

#[tokio::test]
async fn amounts_of_different_currencies_are_never_added_and_the_audit_reads_them_too() {
    let site = TestSite::hub().await;
    let loss = |amount, recovered, currency: &str| {
        let mut fields = json!({"description": "x", "loss/amount_minor": amount, "loss/currency": currency});
        if recovered > 0 {
            fields["loss/recovered_minor"] = json!(recovered);
        }
        fields
    };
    for (n, fields) in [(0, loss(1000, 400, "USD")), (1, loss(50, 0, "USD")), (2, loss(7, 0, "EUR"))] {
        site.incident("kim", T0 + n * 24 * HOUR, fields).await;
    }
    let largest = 9_007_199_254_740_991_i64;
    let id = site.incident("kim", T0, loss(largest, 0, "JPY")).await;
    site.incident("kim", T0, json!({"description": "nothing lost"})).await;
    let losses = site.ledger.stats(Filter::default()).await.unwrap().losses;
    let sums = |losses: &[desk::ledger::LossStats]| {
        let sum = |loss: &desk::ledger::LossStats| {
            (loss.currency.clone(), loss.count, loss.amount_minor, loss.recovered_minor)
        };
        losses.iter().map(sum).collect::<Vec<_>>()
    };
    let told = |currency: &str, count, amount, recovered| (currency.to_owned(), count, amount, recovered);
    assert_eq!(sums(&losses), [told("EUR", 1, 7, 0), told("JPY", 1, largest as u64, 0), told("USD", 2, 1050, 400)]);
    assert_eq!(losses[2].by_day, [("2026-11-20".to_owned(), 1000, 400), ("2026-11-21".to_owned(), 50, 0)]);
    // What is taken back is counted no more; a deleted incident's is not, either.
    let take = |fields| Draft {
        kind: INCIDENT,
        id,
        scope: store_042(),
        new: false,
        set: set(fields),
        number_year: None,
    };
    site.record("kim", T0 + 1, take(json!({"loss/amount_minor": null}))).await;
    let losses = site.ledger.stats(Filter::default()).await.unwrap().losses;
    assert_eq!(sums(&losses).len(), 2);
    assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
}
