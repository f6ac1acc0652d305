//! How it stands with headquarters: everything that waits, and why.

use super::NodePages;
use crate::status::{self, Status};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use desk::photos::size_in_words;
use pages::http::{Oops, Person, html};
use pages::moment::{self, Moment};
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
}

/// 200, for everybody who is logged in.
pub async fn page(State(state): State<NodePages>, person: Person) -> Result<Response, Oops> {
    let site = &state.site;
    let s = status::read(site.desk.ledger(), site.board.now().to_kept()).await?;
    let zone = state.pages.stores().await?.zone(s.store_code.as_deref().unwrap_or_default());
    let page = person.page;
    let at = |text: &Option<String>| text.as_deref().map(|text| moment::of(text, &zone, page.words));
    html(&SyncPage {
        bytes: size_in_words(s.pending_blob_bytes),
        contact: at(&s.last_contact_at),
        synced: at(&s.synced_up_to),
        next_try: at(&s.next_try_at),
        clock_off_min: s.clock_offset_ms.unsigned_abs() / 60_000,
        s,
        p: page,
    })
}
