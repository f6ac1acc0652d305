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
