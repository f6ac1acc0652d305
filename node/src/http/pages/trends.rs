//! A store's trends: what happened, by week, category, severity, weekday and hour, and what it cost.

use super::NodePages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Problem, QueryPairs};
use desk::rules::{self, Act};
use desk::stats;
use jiff::{Timestamp, ToSpan as _};
use pages::dashboard::{self, Dashboard, Span};
use pages::http::answer::html_or_wrong;
use pages::http::{Oops, Person};
use pages::moment;
use pages::page::Page;

/// Weeks that are looked back on where nobody says.
const WEEKS: i32 = 26;

#[derive(Template)]
#[template(path = "trends.html")]
struct TrendsPage {
    p: Page,
    board: Dashboard,
    show_stores: bool,
    /// What the form says: first and last day.
    asked: [String; 2],
    wrong: Option<String>,
}

/// 200, for managers; 422 where the days are none.
pub async fn page(State(state): State<NodePages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    rules::check(&actor, Act::SeeTrends)?;
    let desk = &state.pages.desk;
    let own = desk.own_store().await?;
    let names = state.pages.stores().await?;
    let zone = names.zone(own.as_deref().unwrap_or_default());
    let now = Timestamp::from_millisecond(desk.now_ms()).unwrap_or_default();
    let usual = now
        .to_zoned(zone)
        .date()
        .checked_sub(WEEKS.weeks())
        .map_or_else(|_| String::new(), |day| day.to_string());
    let text = |name: &str| Ok::<_, Oops>(query.one(name)?.unwrap_or_default().trim().to_owned());
    let (mut from, to) = (text("from")?, text("to")?);
    if from.is_empty() && to.is_empty() {
        from.clone_from(&usual);
    }
    let read = |from: &str, to: &str| Span::read(from, to, own.clone(), &names, desk.now_ms(), page.words);
    let (span, wrong) = match read(&from, &to) {
        Ok(span) => (span, None),
        // The charts of the usual weeks stand below the complaint.
        Err(wrong) => (read(&usual, "").map_err(Problem::internal)?, Some(wrong)),
    };
    let counts = stats::over(desk, &actor, span.filter()).await?;
    let asked = match &wrong {
        None => [span.from.to_string(), span.to.to_string()],
        Some(_) => [moment::day_field(&from), moment::day_field(&to)],
    };
    let board = dashboard::of(&counts, &span, &page, &names);
    html_or_wrong(wrong.is_some(), &TrendsPage { board, show_stores: false, asked, wrong, p: page })
}
