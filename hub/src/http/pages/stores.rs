//! Stores, and codes for their nodes.

use super::HubPages;
use crate::fleet::{self, Code};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use chassis::outbound::Pin;
use chassis::qr;
use desk::http::reports::base_url;
use desk::ledger::Store;
use desk::rules::{self, Act};
use desk::stores::{self, NewStore, StoreEdit};
use http::{HeaderMap, Uri};
use pages::http::answer::{html_or_wrong, mendable};
use pages::http::form::Form;
use pages::http::{Oops, Person, go, html};
use pages::moment::{self, Moment};
use pages::page::Page;
use sync_protocol::record::FieldError;

/// Most stores that are shown at once.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "stores.html")]
struct StoresPage {
    p: Page,
    stores: Vec<Store>,
    q: String,
    found: u64,
    /// What was sent and cannot be taken: code, name, time zone.
    sent: [String; 3],
    wrong: Vec<FieldError>,
    /// The store whose row the complaint is about; none: the new one's.
    about: Option<String>,
    said: bool,
    can_edit: bool,
    zones: Vec<String>,
}

/// 200, for headquarters.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let q = query.one("q")?.unwrap_or_default().to_owned();
    let said = query.one("said")?.is_some();
    show(&state, person, Shown { q, said, ..Shown::default() }).await
}

#[derive(Default)]
struct Shown {
    q: String,
    sent: [String; 3],
    wrong: Vec<FieldError>,
    about: Option<String>,
    said: bool,
}

async fn show(state: &HubPages, person: Person, shown: Shown) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let page = page.at("/stores");
    rules::check(&actor, Act::SeeCompany)?;
    let mut all = stores::list(&state.pages.desk, &actor).await?;
    let wanted = shown.q.trim().to_lowercase();
    all.retain(|store| store.code.to_lowercase().starts_with(&wanted) || store.name.to_lowercase().contains(&wanted));
    let found = all.len() as u64;
    all.truncate(MOST);
    let is_wrong = !shown.wrong.is_empty();
    let view = StoresPage {
        stores: all,
        q: shown.q,
        found,
        sent: shown.sent,
        wrong: shown.wrong,
        about: shown.about,
        said: shown.said,
        can_edit: rules::check(&actor, Act::Administer).is_ok(),
        zones: moment::zones(),
        p: page,
    };
    html_or_wrong(is_wrong, &view)
}

/// 303 to the list with the store; 422 with the page again.
pub async fn add(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    let sent = ["code", "name", "timezone"].map(|name| form.one(name).trim().to_owned());
    let [code, name, timezone] = sent.clone();
    let new = NewStore { code, name, timezone: Some(timezone).filter(|zone| !zone.is_empty()) };
    match stores::add(&state.pages.desk, &person.actor, new).await {
        Ok(store) => Ok(go(&format!("/stores?said=saved&{}", person.page.query("q", &store.code)))),
        Err(error) => {
            let wrong = mendable(error)?;
            show(&state, person, Shown { sent, wrong, ..Shown::default() }).await
        }
    }
}

/// 303 to the list; 422 with the page again.
pub async fn edit(
    State(state): State<HubPages>,
    person: Person,
    Path(code): Path<String>,
    form: Form,
) -> Result<Response, Oops> {
    let text = |name: &str| Some(form.one(name).trim().to_owned());
    let edit = StoreEdit { name: text("name"), timezone: text("timezone") };
    match stores::edit(&state.pages.desk, &person.actor, &code, edit).await {
        Ok(store) => Ok(go(&format!("/stores?said=saved&{}", person.page.query("q", &store.code)))),
        Err(error) => {
            let wrong = mendable(error)?;
            show(&state, person, Shown { q: code.clone(), wrong, about: Some(code), ..Shown::default() }).await
        }
    }
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    p: Page,
    code: Code,
    store: String,
    until: Moment,
    command: String,
    own_authority: bool,
    qr: Option<qr::Code>,
}

/// 200, a new code for the store's node, this once.
pub async fn enrol(
    State(state): State<HubPages>,
    person: Person,
    Path(code): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let code = fleet::make_code(&state.pages.desk, &actor, &code).await?;
    // A form is sent here, and nobody can go to it.
    show_code(&state, page.at("/stores"), code, &headers, &uri).await
}

/// A page with a code, and what to do with it.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn show_code(
    state: &HubPages,
    page: Page,
    code: Code,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Oops> {
    let desk = &state.pages.desk;
    let names = state.pages.stores().await?;
    let pin = (state.authority)();
    let command = command(&base_url(desk, headers, uri), &code.code, pin.as_ref());
    html(&EnrolPage {
        store: names.name(&code.store_code).to_owned(),
        until: moment::of(&code.expires_at, &names.zone(&code.store_code), page.words),
        qr: qr::Code::of(&command),
        command,
        own_authority: pin.is_some(),
        code,
        p: page,
    })
}

/// What to run on the store's PC; with the authority's fingerprint, where the hub is its own authority, so that nothing has to be
/// copied there first.
fn command(hub: &str, code: &str, authority: Option<&Pin>) -> String {
    let trusting = authority.map_or_else(String::new, |pin| format!(" --fingerprint {pin}"));
    format!("aincident-node enroll --hub {hub} --code {code}{trusting}")
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_command_names_the_authority_where_the_hub_is_its_own() {
        assert_eq!(command("https://hub", "A-B", None), "aincident-node enroll --hub https://hub --code A-B");
        let pin = "0f".repeat(32).parse().unwrap();
        let told = command("https://hub", "A-B", Some(&pin));
        assert!(told.ends_with(&format!(" --code A-B --fingerprint {}", ["0F"; 32].join(":"))), "{told}");
    }
}
