//! Counts.

use super::door::Door;
use super::kept;
use super::schema::FilterParams;
use crate::cache::Kind;
use crate::desk::Desk;
use crate::incidents::query;
use crate::{ledger, stats};
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Problem, QueryPairs};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// Counts over the incidents that the filters let through.
#[derive(Serialize, ToSchema)]
pub struct Stats {
    /// All of them.
    total: u64,
    /// By day, in order.
    by_day: Vec<DayCount>,
    /// By category, most first.
    by_category: Vec<CategoryCount>,
    /// By severity, least first.
    by_severity: Vec<SeverityCount>,
    /// By store.
    by_store: Vec<StoreCount>,
    /// By day in order, each incident on the day that it was in its store.
    by_local_day: Vec<DayCount>,
    /// By weekday and hour, by the clocks of each incident's store; only those with any.
    by_hour: Vec<HourCount>,
    /// What was lost, by currency; amounts of different ones are never added. Empty: the incidents do not say which.
    losses: Vec<LossSum>,
}

/// How many in an hour of a weekday.
#[derive(Serialize, ToSchema)]
struct HourCount {
    /// 1 (Monday) to 7.
    #[schema(minimum = 1, maximum = 7)]
    weekday: u8,
    /// 0 to 23.
    #[schema(minimum = 0, maximum = 23)]
    hour: u8,
    /// How many.
    count: u64,
}

/// What was lost in a currency.
#[derive(Serialize, ToSchema)]
struct LossSum {
    /// ISO 4217; empty where incidents do not say.
    currency: String,
    /// Incidents with a loss in it.
    count: u64,
    /// Lost, in minor units.
    amount_minor: u64,
    /// Of that, recovered.
    recovered_minor: u64,
    /// By UTC day, in order.
    by_day: Vec<DayLoss>,
}

/// What was lost on a day.
#[derive(Serialize, ToSchema)]
struct DayLoss {
    /// UTC.
    #[schema(format = "date")]
    day: String,
    /// Lost, in minor units.
    amount_minor: u64,
    /// Of that, recovered.
    recovered_minor: u64,
}

/// How many on a day.
#[derive(Serialize, ToSchema)]
struct DayCount {
    /// UTC.
    #[schema(format = "date")]
    day: String,
    /// How many.
    count: u64,
}

/// How many of a category.
#[derive(Serialize, ToSchema)]
struct CategoryCount {
    /// The category.
    category: String,
    /// How many.
    count: u64,
}

/// How many of a severity.
#[derive(Serialize, ToSchema)]
struct SeverityCount {
    /// 1 to 5.
    #[schema(minimum = 1, maximum = 5)]
    severity: u8,
    /// How many.
    count: u64,
}

/// How many of a store.
#[derive(Serialize, ToSchema)]
struct StoreCount {
    /// The store.
    store_code: String,
    /// How many.
    count: u64,
}

impl From<ledger::Stats> for Stats {
    fn from(stats: ledger::Stats) -> Self {
        Self {
            total: stats.total,
            by_day: stats.by_day.into_iter().map(|(day, count)| DayCount { day, count }).collect(),
            by_category: stats
                .by_category
                .into_iter()
                .map(|(category, count)| CategoryCount { category, count })
                .collect(),
            by_severity: stats
                .by_severity
                .into_iter()
                .map(|(severity, count)| SeverityCount { severity, count })
                .collect(),
            by_store: stats.by_store.into_iter().map(|(store_code, count)| StoreCount { store_code, count }).collect(),
            by_local_day: stats.by_local_day.into_iter().map(|(day, count)| DayCount { day, count }).collect(),
            by_hour: hours(&stats.by_hour),
            losses: stats.losses.into_iter().map(LossSum::from).collect(),
        }
    }
}

fn hours(week: &[[u64; 24]; 7]) -> Vec<HourCount> {
    let days = (1..).zip(week);
    let all = days.flat_map(|(weekday, hours)| (0..).zip(hours).map(move |(hour, count)| (weekday, hour, *count)));
    all.filter(|(.., count)| *count > 0)
        .map(|(weekday, hour, count)| HourCount { weekday, hour, count })
        .collect()
}

impl From<ledger::LossStats> for LossSum {
    fn from(loss: ledger::LossStats) -> Self {
        let day = |(day, amount_minor, recovered_minor)| DayLoss { day, amount_minor, recovered_minor };
        Self {
            currency: loss.currency,
            count: loss.count,
            amount_minor: loss.amount_minor,
            recovered_minor: loss.recovered_minor,
            by_day: loss.by_day.into_iter().map(day).collect(),
        }
    }
}

/// Count incidents
#[utoipa::path(
    get, path = "/api/v1/stats", tag = "incidents", operation_id = "stats", params(FilterParams),
    responses(
        (status = 200, description = "Counts over what the filters let through", body = Stats, headers(("ETag" = String, description = "Strong"))),
        (status = 304, description = "The client has it already"),
    )
)]
pub async fn stats(
    State(desk): State<Desk>,
    Door(actor): Door,
    QueryPairs(pairs): QueryPairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = query::filter(&pairs)?;
    let counted = || async {
        let counts: Stats = stats::over(&desk, &actor, filter).await?.into();
        serde_json::to_string(&counts).map_err(Problem::internal)
    };
    kept::json(&desk, &actor, Kind::Stats, &pairs, &headers, counted).await
}
