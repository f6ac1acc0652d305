//! How it stands with headquarters: everything that waits, and why.

use super::NodePages;
use crate::status::{self, Status};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use desk::photos::size_in_words;
use pages::http::{Oops, Person, html};
use pages::moment::{self, Moment};
use pages::own::plain;
use pages::page::Page;

#[derive(Template)]
#[template(path = "sync.html")]
struct SyncPage {
    p: Page,
    s: Status,
    bytes: String,
    contact: Option<Moment>,
    synced: Option<Moment>,
    next_try: Option<Moment>,
    clock_off_min: u64,
    /// What headquarters sets: the names of messages, the values, and what becomes of each.
    settings: Vec<(String, String, &'static str)>,
    refused: Vec<(String, String)>,
}

/// 200, for everybody who is logged in.
pub async fn page(State(state): State<NodePages>, person: Person) -> Result<Response, Oops> {
    let site = &state.site;
    let s = status::read(site.desk.ledger(), site.board.now().to_kept(), site.desk.blobs().guard().report()).await?;
    let zone = state.pages.stores().await?.zone(s.store_code.as_deref().unwrap_or_default());
    let page = person.page;
    let at = |text: &Option<String>| text.as_deref().map(|text| moment::of(text, &zone, page.words));
    let told = desk::settings::show(&site.desk, &person.actor, None).await?;
    let settings = told.values().filter_map(|(name, value, source)| {
        // What incidents are described with is seen in their forms.
        let is_own = name.starts_with("categories.") || name.starts_with("custom_fields.");
        (!is_own).then(|| (name.replace('.', "_"), plain(value), source.as_str()))
    });
    html(&SyncPage {
        settings: settings.collect(),
        refused: told.refused.clone().into_iter().collect(),
        bytes: size_in_words(s.pending_blob_bytes),
        contact: at(&s.last_contact_at),
        synced: at(&s.synced_up_to),
        next_try: at(&s.next_try_at),
        clock_off_min: s.clock_offset_ms.unsigned_abs() / 60_000,
        s,
        p: page,
    })
}
