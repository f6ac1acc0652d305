//! What headquarters sets for its nodes: for the company, and for single stores.

mod listed;
mod sent;

use super::HubPages;
use crate::fleet::{self, SettingsState};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::incidents::IfMatch;
use desk::incidents::body::Body;
use desk::settings;
use desk::{Error, rules};
use jiff::tz::TimeZone;
use listed::{CategoryLine, FieldLine, Line, lines};
use pages::choice::{Choice, choices};
use pages::http::answer::{html_or_wrong, mendable};
use pages::http::form::Form;
use pages::http::{Oops, Person, go};
use pages::moment::{self, Moment};
use pages::page::Page;
use sync_protocol::record::vocabulary::CATEGORIES;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    p: Page,
    /// The store's code and name; none: the company.
    store: Option<(String, String)>,
    stores: Vec<(String, String)>,
    version: String,
    changed: Option<Moment>,
    /// How many nodes there are in each state, and where they are listed.
    nodes: Vec<(&'static str, u64)>,
    groups: Vec<(&'static str, Vec<Line>)>,
    categories: Vec<CategoryLine>,
    fields: Vec<FieldLine>,
    built_in: Vec<Choice>,
    kinds: Vec<Choice>,
    /// What was sent and cannot be taken.
    sent: Form,
    wrong: Vec<(String, String)>,
    said: bool,
    can_edit: bool,
}

impl SettingsPage {
    /// What stands in the address and in hidden fields.
    fn code(&self) -> &str {
        self.store.as_ref().map_or("", |(code, _)| code)
    }

    /// The changes that were made of all this, as a list of acts is asked for them.
    fn acts(&self) -> String {
        let subject = self.store.as_ref().map_or_else(|| "company".to_owned(), |(code, _)| format!("store/{code}"));
        format!("/acts?act=settings_changed&{}", self.p.query("subject", &subject))
    }
}

/// 200, for headquarters; 404 where there is no such store.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let store = query.one("store")?.map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned);
    let said = query.one("said")?.is_some();
    show(&state, person, store, Shown { said, ..Shown::default() }).await
}

#[derive(Default)]
struct Shown {
    sent: Form,
    wrong: Vec<(String, String)>,
    said: bool,
}

async fn show(state: &HubPages, person: Person, store: Option<String>, shown: Shown) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let here = address(&page, store.as_deref(), false);
    let page = page.at(here);
    let desk = &state.pages.desk;
    rules::check(&actor, rules::Act::SeeCompany)?;
    let told = settings::show(desk, &actor, store.clone()).await?;
    let own = settings::own_of(desk, &actor, store.as_deref()).await?;
    let company = settings::own_of(desk, &actor, None).await?;
    let holding = settings::holding(desk, store.as_deref()).await?;
    let nodes = fleet::nodes(desk, &actor, store.clone()).await?;
    let in_service = nodes.iter().filter(|node| node.revoked_at.is_none() && node.retired_at.is_none());
    let states: Vec<SettingsState> = in_service.map(|node| node.settings.state).collect();
    let count = |state: SettingsState| states.iter().filter(|one| **one == state).count() as u64;
    let all = [SettingsState::Applied, SettingsState::InPart, SettingsState::Waiting, SettingsState::Unknown];
    let names = state.pages.stores().await?;
    let stores = desk::stores::list(desk, &actor).await?;
    let words = page.words;
    let view = SettingsPage {
        store: store.as_ref().map(|code| (code.clone(), names.name(code).to_owned())),
        stores: stores.into_iter().map(|store| (store.code, store.name)).collect(),
        version: told.version,
        changed: told.changed_at.as_deref().map(|at| moment::of(at, &TimeZone::UTC, words)),
        nodes: all
            .map(|state| (state.as_str(), count(state)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect(),
        groups: lines(&own, store.is_some().then_some(&company), &shown.sent),
        categories: listed::categories(&holding, &own, store.is_some(), words),
        fields: listed::fields(&holding, &own, store.is_some(), words),
        built_in: choices(words, "category", CATEGORIES, &[shown.sent.one("category")]),
        kinds: choices(
            words,
            "field_type",
            &settings::Kind::ALL.map(settings::Kind::as_str),
            &[shown.sent.one("type")],
        ),
        sent: shown.sent,
        wrong: shown.wrong,
        said: shown.said,
        can_edit: settings::may_edit(&actor),
        p: page,
    };
    html_or_wrong(!view.wrong.is_empty(), &view)
}

fn address(page: &Page, store: Option<&str>, said: bool) -> String {
    let mut pairs = Vec::new();
    pairs.extend(store.map(|code| page.query("store", code)));
    pairs.extend(said.then(|| page.query("said", "saved")));
    if pairs.is_empty() {
        "/settings".to_owned()
    } else {
        format!("/settings?{}", pairs.join("&"))
    }
}

/// 303 to the page; 422 with the page again.
async fn take(state: &HubPages, person: Person, form: Form, patch: Result<Body, Error>) -> Result<Response, Oops> {
    let store = Some(form.one("store").trim().to_owned()).filter(|code| !code.is_empty());
    let taken = match patch {
        Ok(patch) => settings::edit(&state.pages.desk, &person.actor, store.clone(), IfMatch::Absent, patch)
            .await
            .map(|_| ()),
        Err(error) => Err(error),
    };
    match taken {
        Ok(()) => Ok(go(&address(&person.page, store.as_deref(), true))),
        Err(error) => {
            let words = person.page.words;
            let wrong = mendable(error)?;
            let wrong =
                wrong.into_iter().map(|error| (listed::called(&error.field, words), words.rule(&error.message)));
            let shown = Shown { sent: form, wrong: wrong.collect(), said: false };
            show(state, person, store, shown).await
        }
    }
}

/// Values that a node has one of.
pub async fn values(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    let patch = Ok(sent::values(&form));
    take(&state, person, form, patch).await
}

/// A category of the company's: a new one, or what becomes of one.
pub async fn category(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    let patch = patch_of(&state, &person, &form, "categories", sent::category).await;
    take(&state, person, form, patch).await
}

/// A field of the company's: a new one, or what becomes of one.
pub async fn field(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    let patch = patch_of(&state, &person, &form, "custom_fields", sent::field).await;
    take(&state, person, form, patch).await
}

/// The patch of an element: `element` makes it of the form and what holds, under the key that the form names, or a new one.
async fn patch_of(
    state: &HubPages,
    person: &Person,
    form: &Form,
    collection: &str,
    element: fn(&Form, Option<&serde_json::Value>) -> serde_json::Value,
) -> Result<Body, Error> {
    let store = Some(form.one("store").trim()).filter(|code| !code.is_empty());
    rules::check(&person.actor, rules::Act::Administer)?;
    let holding = settings::holding(&state.pages.desk, store).await?;
    let key = match form.one("key") {
        "" => sent::key_for(form.one("label"), |key| holding.get(&format!("{collection}/{key}")).is_some()),
        key => key.to_owned(),
    };
    let element = element(form, holding.get(&format!("{collection}/{key}")));
    Ok(sent::nested(collection, &key, element))
}
