//! Orders of erasure: which data of whom shall be gone at every site, and which sites have done it.

use super::HubPages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::erasures::{self, ErasureItem};
use desk::rules::{self, Act};
use pages::http::{Oops, Person, html};
use pages::moment::{self, Moment};
use pages::page::Page;
use uuid::Uuid;

/// Most orders that are shown.
const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "erasures.html")]
struct ErasuresPage {
    p: Page,
    orders: Vec<Order>,
}

struct Order {
    item: ErasureItem,
    at: Moment,
    store: String,
    fields: u64,
    open: u64,
}

/// 200, for headquarters.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    rules::check(&actor, Act::Erase)?;
    let incident = query.one("incident")?.and_then(|id| Uuid::try_parse(id).ok());
    let names = state.pages.stores().await?;
    let order = |item: ErasureItem| Order {
        at: moment::of(&item.ordered_at, &names.zone(&item.store_code), page.words),
        store: names.name(&item.store_code).to_owned(),
        fields: item.what.iter().map(|record| record.fields.len() as u64).sum(),
        open: item.sites.iter().filter(|site| site.state != "confirmed").count() as u64,
        item,
    };
    let found = erasures::list(&state.pages.desk, &actor, None, incident, MOST).await?;
    let orders = found.into_iter().map(order).collect();
    html(&ErasuresPage { orders, p: page })
}
