//! Where headquarters begins: what is still to be set up, how the fleet is, and what happened, in charts.

use super::HubPages;
use crate::fleet;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::rules::{self, Act};
use desk::{stats, stores};
use pages::dashboard::{self, Dashboard, Span};
use pages::http::answer::html_or_wrong;
use pages::http::{Oops, Person, go};
use pages::moment;
use pages::page::Page;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    p: Page,
    board: Dashboard,
    show_stores: bool,
    /// What the form says: first and last day, store.
    asked: [String; 3],
    wrong: Option<String>,
    stores: usize,
    nodes: usize,
    away: usize,
    waiting: u64,
    setting_up: bool,
}

/// 200; 422 where the days are none; 303 to the list for a store's people.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    if rules::check(&actor, Act::SeeCompany).is_err() {
        return Ok(go("/incidents"));
    }
    let desk = &state.pages.desk;
    let names = state.pages.stores().await?;
    let text = |name: &str| Ok::<_, Oops>(query.one(name)?.unwrap_or_default().trim().to_owned());
    let (from, to, store) = (text("from")?, text("to")?, text("store")?);
    let only = Some(store.clone()).filter(|code| !code.is_empty());
    let read = |from: &str, to: &str| Span::read(from, to, only.clone(), &names, desk.now_ms(), page.words);
    let (span, wrong) = match read(&from, &to) {
        Ok(span) => (span, None),
        // The charts of the usual days stand below the complaint.
        Err(wrong) => (read("", "").map_err(chassis::http::Problem::internal)?, Some(wrong)),
    };
    let counts = stats::over(desk, &actor, span.filter()).await?;
    let asked = match &wrong {
        None => [span.from.to_string(), span.to.to_string(), store],
        Some(_) => [moment::day_field(&from), moment::day_field(&to), store],
    };
    let nodes = fleet::nodes(desk, &actor, None).await?;
    let nodes: Vec<_> =
        nodes.into_iter().filter(|node| node.revoked_at.is_none() && node.retired_at.is_none()).collect();
    let all = stores::list(desk, &actor).await?.len();
    let view = Overview {
        board: dashboard::of(&counts, &span, &page, &names),
        show_stores: span.store.is_none(),
        asked,
        stores: all,
        away: nodes.iter().filter(|node| !node.online).count(),
        waiting: nodes.iter().map(|node| node.lag).sum(),
        setting_up: all == 0 || nodes.is_empty(),
        nodes: nodes.len(),
        p: page,
        wrong,
    };
    html_or_wrong(view.wrong.is_some(), &view)
}
