//! How it stands with headquarters: everything that waits, and why.

use super::NodePages;
use crate::status::{self, Status};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use desk::photos::size_in_words;
use desk::settings::Source;
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

/// What becomes of a setting here, as messages name it.
const fn of(source: Source) -> &'static str {
    match source {
        Source::Company => "company",
        Source::Store => "store",
        Source::Here => "here",
        Source::Default => "default",
    }
}

/// 200, for everybody who is logged in.
pub async fn page(State(state): State<NodePages>, person: Person) -> Result<Response, Oops> {
    let site = &state.site;
    let s = status::read(site.desk.ledger(), site.board.now().to_kept()).await?;
    let zone = state.pages.stores().await?.zone(s.store_code.as_deref().unwrap_or_default());
    let page = person.page;
    let at = |text: &Option<String>| text.as_deref().map(|text| moment::of(text, &zone, page.words));
    let told = desk::settings::show(&site.desk, &person.actor, None).await?;
    let settings = told.sources.iter().filter_map(|(name, source)| {
        // What incidents are described with is seen in their forms.
        let is_own = name.starts_with("categories.") || name.starts_with("custom_fields.");
        let value = told.settings.pointer(&format!("/{}", name.replacen('.', "/", 1)))?;
        (!is_own).then(|| (name.replace('.', "_"), plain(value), of(*source)))
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
