//! Orders of erasure: which data of whom shall be gone at every site, which sites have done it, and a new one.

use super::HubPages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::document::title_of;
use desk::erasures::{self, ErasureItem, NewErasure};
use desk::incidents;
use desk::incidents::query::ListQuery;
use desk::ledger::Filter;
use desk::rules::{self, Act};
use pages::choice::Choice;
use pages::http::answer::{html_or_wrong, mendable_line};
use pages::http::form::Form;
use pages::http::{Oops, Person, go, html};
use pages::incident::{self, Incident, Listed};
use pages::moment::{self, Moment};
use pages::own::Own;
use pages::page::Page;
use pages::timeline::{self, Telling};
use uuid::Uuid;

/// Most orders that are shown.
const MOST: u32 = 100;
/// Most incidents that a search for somebody shows.
const MOST_FOUND: u32 = 50;
/// Of a long text, so much is shown to tell it from others, in characters.
const EXCERPT: usize = 120;

#[derive(Template)]
#[template(path = "erasures.html")]
struct ErasuresPage {
    p: Page,
    orders: Vec<Order>,
    said: bool,
    /// In how many other texts of the incident the erased name still stands.
    still: u64,
    of_one: Option<Uuid>,
}

struct Order {
    item: ErasureItem,
    at: Moment,
    store: String,
    fields: u64,
    open: u64,
    sites: Vec<Site>,
}

/// A site's receipt.
struct Site {
    id: Uuid,
    site: String,
    name: String,
    state: String,
    at: Option<Moment>,
    by_hand: bool,
    changes: u64,
    contents: u64,
}

/// 200, for headquarters.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    rules::check(&actor, Act::Erase)?;
    let incident = query.one("incident")?.and_then(|id| Uuid::try_parse(id).ok());
    let said = query.one("said")?.is_some();
    let still = query.one("still")?.and_then(|number| number.parse().ok()).unwrap_or(0).min(1000);
    let names = state.pages.stores().await?;
    let order = |item: ErasureItem| {
        let zone = names.zone(&item.store_code);
        let sites = item.sites.iter().map(|site| Site {
            id: site.node_id,
            site: site.site.clone(),
            name: site.name.clone(),
            state: site.state.clone(),
            at: site.confirmed_at.as_deref().map(|at| moment::of(at, &zone, page.words)),
            by_hand: (site.revoked || site.retired) && site.state != "confirmed",
            changes: site.changes,
            contents: site.contents,
        });
        Order {
            at: moment::of(&item.ordered_at, &zone, page.words),
            store: names.name(&item.store_code).to_owned(),
            fields: item.what.iter().map(|record| record.fields.len() as u64).sum(),
            open: item.sites.iter().filter(|site| site.state != "confirmed").count() as u64,
            sites: sites.collect(),
            item,
        }
    };
    let found = erasures::list(&state.pages.desk, &actor, None, incident, MOST).await?;
    let orders = found.into_iter().map(order).collect();
    html(&ErasuresPage { orders, said, still, of_one: incident, p: page })
}

/// The search for somebody.
#[derive(Template)]
#[template(path = "erasure_search.html")]
struct SearchPage {
    p: Page,
    q: String,
    found: Vec<Found>,
    more: bool,
}

/// An incident with somebody of that name in it.
struct Found {
    incident: Incident,
    at: Moment,
    store: String,
    /// Their ids and names.
    people: Vec<(String, String)>,
}

/// What of an incident shall be erased.
#[derive(Template)]
#[template(path = "erasure_new.html")]
struct ChoosePage {
    p: Page,
    i: Incident,
    store: String,
    people: Vec<Choice>,
    fields: Vec<Choice>,
    comments: Vec<Choice>,
    photos: u64,
    all_photos: bool,
    reason: String,
    held: Option<(String, String, Moment)>,
    wrong: Option<String>,
}

/// 200: a search for somebody, or what of the incident that was chosen shall be erased.
pub async fn new(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    rules::check(&person.actor, Act::Erase)?;
    let Some(id) = query.one("incident")? else {
        let q = query.one("q")?.unwrap_or_default().trim().chars().take(200).collect();
        return search(&state, person, q).await;
    };
    let id = Uuid::try_parse(id).map_err(|_| desk::Refusal::NotFound)?;
    let chosen = Chosen { person: query.one("person")?.unwrap_or_default().to_owned(), ..Chosen::default() };
    choose(&state, person, id, chosen).await
}

async fn search(state: &HubPages, person: Person, q: String) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let (mut found, mut more) = (Vec::new(), false);
    if !q.is_empty() {
        let filter = Filter { person: vec![q.clone()], deleted: true, ..Filter::default() };
        let query = ListQuery { filter, limit: MOST_FOUND, cursor: None };
        let listed: Listed = incident::read(&incidents::list(&state.pages.desk, &actor, query).await?)?;
        more = listed.next_cursor.is_some();
        let names = state.pages.stores().await?;
        let wanted = desk::search::fold(&q);
        for incident in listed.items {
            let is_meant = |name: &str| desk::search::fold(name).contains(&wanted);
            let people = incident.people.iter().filter_map(|one| Some((one.id.clone(), one.name.clone()?)));
            found.push(Found {
                at: moment::of(&incident.occurred_at, &names.zone(&incident.store_code), page.words),
                store: names.name(&incident.store_code).to_owned(),
                people: people.filter(|(_, name)| is_meant(name)).collect(),
                incident,
            });
        }
    }
    html(&SearchPage { p: page, q, found, more })
}

/// What was chosen so far.
#[derive(Default)]
struct Chosen {
    person: String,
    fields: Vec<String>,
    comments: Vec<String>,
    all_photos: bool,
    reason: String,
    wrong: Option<String>,
}

async fn choose(state: &HubPages, person: Person, id: Uuid, chosen: Chosen) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let page = page.at(format!("/erasures/new?incident={}", id.hyphenated()));
    let i: Incident = incident::read(&erasures::subject(&state.pages.desk, &actor, id).await?.json)?;
    let names = state.pages.stores().await?;
    let zone = names.zone(&i.store_code);
    let own = Own::at(&state.pages.desk, &i.store_code).await?;
    let telling = Telling { zone: &zone, currency: "", own: &own, words: page.words };
    let people = i.people.iter().map(|one| {
        let roles = one.roles.iter().map(|role| page.of("person_role", role)).collect::<Vec<_>>().join(", ");
        let name = one.name.clone().unwrap_or_else(|| page.t("incident.nameless").to_owned());
        Choice {
            value: one.id.clone(),
            text: format!("{name} · {roles}"),
            on: chosen.person == one.id,
        }
    });
    let mut texts: Vec<(String, String)> = Vec::new();
    // A title that is made of the description is no field of its own.
    if i.title != title_of(&i.description) {
        texts.push(("title".to_owned(), i.title.clone()));
    }
    texts.push(("description".to_owned(), i.description.clone()));
    texts.extend(i.location.clone().map(|text| ("location".to_owned(), text)));
    let police = [("police.agency", &i.police.agency), ("police.officer", &i.police.officer)];
    texts.extend(police.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?))));
    texts.extend(i.custom.iter().map(|(name, value)| (format!("custom.{name}"), page.scalar(value))));
    let fields = texts.into_iter().map(|(name, text)| Choice {
        text: format!("{}: {}", timeline::label(&name, telling), excerpt(&text)),
        on: chosen.fields.contains(&name),
        value: name,
    });
    let comments = i.comments.iter().map(|one| Choice {
        value: one.id.clone(),
        text: format!("{}: {}", one.author, excerpt(&one.body)),
        on: chosen.comments.contains(&one.id),
    });
    let held = i
        .hold
        .as_ref()
        .map(|hold| (hold.by.clone(), hold.reason.clone(), moment::of(&hold.at, &zone, page.words)));
    let view = ChoosePage {
        store: names.name(&i.store_code).to_owned(),
        people: people.collect(),
        fields: fields.collect(),
        comments: comments.collect(),
        photos: i.photos.len() as u64,
        all_photos: chosen.all_photos,
        reason: chosen.reason,
        held,
        wrong: chosen.wrong,
        i,
        p: page,
    };
    html_or_wrong(view.wrong.is_some(), &view)
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// 303 to the order; 422 with what was chosen where it cannot be ordered: nothing is named, there is no reason, somebody holds the
/// incident.
pub async fn order(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    rules::check(&person.actor, Act::Erase)?;
    let id = Uuid::try_parse(form.one("incident")).map_err(|_| desk::Refusal::NotFound)?;
    let mut chosen = Chosen {
        person: form.one("person").to_owned(),
        fields: form.all("field").map(ToOwned::to_owned).collect(),
        comments: form.all("comment").map(ToOwned::to_owned).collect(),
        all_photos: form.one("all_photos") == "true",
        reason: form.one("reason").trim().to_owned(),
        wrong: None,
    };
    let missing = match (chosen.reason.is_empty(), form.one("sure") == "true") {
        (true, _) => Some("node.say_why"),
        (false, false) => Some("node.say_sure"),
        (false, true) => None,
    };
    if let Some(missing) = missing {
        chosen.wrong = Some(person.page.t(missing).to_owned());
        return choose(&state, person, id, chosen).await;
    }
    let ids = |texts: &[String]| texts.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
    let new = NewErasure {
        incident_id: id,
        person_id: Uuid::try_parse(&chosen.person).ok(),
        fields: chosen.fields.clone(),
        comments: ids(&chosen.comments),
        photos: Vec::new(),
        all_photos: chosen.all_photos,
        reason: chosen.reason.clone(),
    };
    match erasures::order(&state.pages.desk, &person.actor, new).await {
        Ok(item) => {
            let (still, id) = (item.still_named_in.len(), id.hyphenated());
            Ok(go(&format!("/erasures?said=ordered&still={still}&incident={id}")))
        }
        Err(error) => {
            chosen.wrong = Some(mendable_line(error)?);
            choose(&state, person, id, chosen).await
        }
    }
}
