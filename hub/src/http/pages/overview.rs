//! Where headquarters begins: what is still to be set up, and the last thirty days in figures.

use super::HubPages;
use super::chart::{self, Bar, Row};
use crate::fleet;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::clock::format_rfc3339;
use desk::ledger::Filter;
use desk::rules::{self, Act};
use desk::{stats, stores};
use pages::http::{Oops, Person, go, html};
use pages::page::Page;
use std::collections::BTreeMap;

/// Days that are looked back on.
const DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// Stores that are shown.
const MOST_STORES: usize = 12;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    p: Page,
    total: u64,
    /// The day from which on it is counted.
    from: String,
    days: Vec<Bar>,
    categories: Vec<Row>,
    severities: Vec<Row>,
    by_store: Vec<Row>,
    more_stores: usize,
    stores: usize,
    nodes: usize,
    away: usize,
    waiting: u64,
    setting_up: bool,
}

/// 200; 303 to the list for a store's people.
pub async fn page(State(state): State<HubPages>, person: Person) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    if rules::check(&actor, Act::SeeCompany).is_err() {
        return Ok(go("/incidents"));
    }
    let desk = &state.pages.desk;
    let now_ms = desk.now_ms();
    let today = now_ms.div_euclid(DAY_MS);
    let from_ms = (today - DAYS + 1) * DAY_MS;
    let filter = Filter { from_ms: Some(from_ms), ..Filter::default() };
    let counts = stats::over(desk, &actor, filter).await?;
    let counted: BTreeMap<&str, u64> = counts.by_day.iter().map(|(day, count)| (day.as_str(), *count)).collect();
    let days: Vec<(String, u64)> = (0..DAYS)
        .map(|day| {
            let day = format_rfc3339(from_ms + day * DAY_MS)[..10].to_owned();
            let count = counted.get(day.as_str()).copied().unwrap_or(0);
            (day, count)
        })
        .collect();
    let from = format_rfc3339(from_ms)[..10].to_owned();
    let link =
        |name: &str, value: &str| format!("/incidents?{}&{}", page.query(name, value), page.query("from", &from));
    let categories = counts
        .by_category
        .iter()
        .map(|(word, count)| (page.of("category", word).into_owned(), link("category", word), *count));
    let link_to_one = |number: &str| format!("{}&{}", link("severity_min", number), page.query("severity_max", number));
    let severities = counts.by_severity.iter().rev().map(|(severity, count)| {
        let number = severity.to_string();
        (format!("{number} {}", page.of("severity", &number)), link_to_one(&number), *count)
    });
    let names = state.pages.stores().await?;
    let mut by_store = counts.by_store.clone();
    by_store.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown = by_store
        .iter()
        .take(MOST_STORES)
        .map(|(code, count)| (format!("{code} {}", names.name(code)), link("store", code), *count));
    let nodes = fleet::nodes(desk, &actor, None).await?;
    let nodes: Vec<_> =
        nodes.into_iter().filter(|node| node.revoked_at.is_none() && node.retired_at.is_none()).collect();
    let all = stores::list(desk, &actor).await?.len();
    html(&Overview {
        total: counts.total,
        from: from.clone(),
        days: chart::columns(&days),
        categories: chart::rows(categories.collect()),
        severities: chart::rows(severities.collect()),
        by_store: chart::rows(shown.collect()),
        more_stores: by_store.len().saturating_sub(MOST_STORES),
        stores: all,
        away: nodes.iter().filter(|node| !node.online).count(),
        waiting: nodes.iter().map(|node| node.lag).sum(),
        setting_up: all == 0 || nodes.is_empty(),
        nodes: nodes.len(),
        p: page,
    })
}
