//! One incident: everything about it, and what can be done with it.

use super::answer::{Oops, go, html, html_as, html_or_wrong, mendable_in};
use super::form::Form;
use super::guest::Person;
use crate::incident::{self, Comment, Incident};
use crate::moment::{self, Moment};
use crate::money;
use crate::own::Own;
use crate::page::{Page, Pages};
use crate::timeline::{self, Entry, Telling};
use askama::Template;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::response::Response;
use chassis::disk::Content;
use chassis::http::{Path, Problem, QueryPairs};
use desk::actor::Actor;
use desk::comments::{self, NewComment};
use desk::http::{multipart, photos as arriving};
use desk::incidents::{self, IfMatch, patch};
use desk::ledger::Review;
use desk::photos::NewPhoto;
use desk::rules::{self, Act};
use desk::{Desk, Error, Refusal, history, photos, reviews};
use http::StatusCode;
use serde_json::{Map, Value};
use std::sync::Arc;
use sync_protocol::record::step_allowed;
use sync_protocol::record::vocabulary::STATUSES;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    p: Page,
    i: Incident,
    said: Option<&'static str>,
    wrong: Option<String>,
    occurred: Moment,
    occurred_to: Option<Moment>,
    recorded: Moment,
    received: Option<Moment>,
    due: Option<Moment>,
    by: String,
    store: String,
    money: Money,
    /// None: it cannot be told now, because a change of it is damaged.
    timeline: Option<Vec<Entry>>,
    reviews: usize,
    can: Can,
    /// What the company adds.
    own: Arc<Own>,
    /// What a comment said that could not be taken.
    comment: String,
    /// Made for the comment, so that a form that is sent twice says it once.
    comment_id: Uuid,
}

/// Amounts in words.
struct Money {
    amount: Option<String>,
    recovered: Option<String>,
    items: Vec<Option<String>>,
}

/// What whoever looks may do.
struct Can {
    edit: bool,
    delete: bool,
    see_originals: bool,
    steps: Vec<Step>,
}

/// A step of the workflow.
struct Step {
    to: &'static str,
    text: String,
    needs_reason: bool,
}

#[derive(Template)]
#[template(path = "deleted.html")]
struct DeletedPage {
    p: Page,
    id: Uuid,
    /// None: it cannot be told now, because a change of it is damaged.
    timeline: Option<Vec<Entry>>,
}

/// 200; 404; 410, which managers see with a way back.
pub async fn page(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    query: QueryPairs,
) -> Result<Response, Oops> {
    let said = query.one("said")?.and_then(said);
    show(&pages, person, id, Shown { said, ..Shown::default() }).await
}

/// What is said on top of the page.
#[derive(Default)]
struct Shown {
    said: Option<&'static str>,
    wrong: Option<String>,
    comment: String,
}

/// What was done just now, by a word in the address that cannot say anything else.
fn said(word: &str) -> Option<&'static str> {
    Some(match word {
        "recorded" => "said.recorded",
        "saved" => "said.saved",
        "moved" => "said.moved",
        "commented" => "said.commented",
        "photos" => "said.photos",
        "restored" => "said.restored",
        "settled" => "said.settled",
        _ => return None,
    })
}

async fn show(pages: &Pages, person: Person, id: Uuid, shown: Shown) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let page = page.at(format!("/incidents/{}", id.hyphenated()));
    let desk = &pages.desk;
    let stores = pages.stores().await?;
    let whole = match incidents::get(desk, &actor, id).await {
        Err(Error::Refused(Refusal::Gone)) if rules::check(&actor, Act::Delete).is_ok() => {
            let (own, zone) = (Own::anywhere(desk).await?, jiff::tz::TimeZone::UTC);
            let telling = Telling { zone: &zone, currency: "", own: &own, words: page.words };
            let timeline = told(desk, &actor, id, &[], telling).await?;
            return html_as(StatusCode::GONE, &DeletedPage { p: page, id, timeline });
        }
        whole => whole?,
    };
    let i: Incident = incident::read(&whole.json)?;
    let zone = stores.zone(&i.store_code);
    let currency = i.loss.currency.clone().unwrap_or_default();
    let own = Own::at(desk, &i.store_code).await?;
    let telling = Telling { zone: &zone, currency: &currency, own: &own, words: page.words };
    let timeline = told(desk, &actor, id, &i.comments, telling).await?;
    let open = match rules::check(&actor, Act::SeeReviews) {
        Ok(()) => reviews::of(desk, &actor, id).await?,
        Err(_) => Vec::new(),
    };
    let at = |text: &str| moment::of(text, &zone, page.words);
    let view = IncidentPage {
        said: shown.said,
        wrong: shown.wrong,
        comment: shown.comment,
        comment_id: desk.ids().new_v7(desk.now_ms()),
        occurred: at(&i.occurred_at),
        occurred_to: i.occurred_to.as_deref().map(at),
        recorded: at(&i.recorded_at),
        received: i.received_at.as_deref().map(at),
        due: i.due_at.as_deref().map(at),
        by: i.reported_by_name.clone().unwrap_or_else(|| i.reported_by.clone()),
        store: stores.name(&i.store_code).to_owned(),
        money: amounts(&i, &page),
        timeline,
        reviews: open.iter().filter(|review: &&Review| !review.is_settled).count(),
        can: can(&actor, &i, &page),
        own,
        i,
        p: page,
    };
    html_or_wrong(view.wrong.is_some(), &view)
}

/// What was done to it. One damaged change takes its timeline, and nothing else: the scrub looks after it meanwhile.
async fn told(
    desk: &Desk,
    actor: &Actor,
    id: Uuid,
    comments: &[Comment],
    telling: Telling<'_>,
) -> Result<Option<Vec<Entry>>, Error> {
    match history::of(desk, actor, id).await {
        Ok(items) => Ok(Some(timeline::entries(items, comments, telling))),
        Err(Error::Damaged(cause)) => {
            tracing::warn!(incident = %id, cause, "an incident is shown without its timeline");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The currency of an incident's amounts; empty where there is none, or no such incident to be seen.
pub(super) async fn currency(desk: &Desk, actor: &Actor, id: Uuid) -> Result<String, Error> {
    match incidents::get(desk, actor, id).await {
        Ok(shown) => Ok(incident::read::<Incident>(&shown.json)?.loss.currency.unwrap_or_default()),
        Err(Error::Refused(_)) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn amounts(i: &Incident, page: &Page) -> Money {
    let currency = i.loss.currency.as_deref().unwrap_or_default();
    let shown = |minor: Option<u64>| minor.map(|minor| money::shown(minor, currency, page.words));
    Money {
        amount: shown(i.loss.amount_minor),
        recovered: shown(i.loss.recovered_minor),
        items: i.items.iter().map(|item| shown(item.value_minor)).collect(),
    }
}

fn can(actor: &Actor, i: &Incident, page: &Page) -> Can {
    let own = i.reported_by == actor.username;
    let may = |act: Act<'_>| rules::check(actor, act).is_ok();
    let steps = STATUSES
        .iter()
        .filter(|to| step_allowed(&i.status, to) && may(Act::Step { own, from: &i.status, to }))
        .map(|to| Step { to, text: page.of("step", to).into_owned(), needs_reason: *to == "void" })
        .collect();
    Can {
        edit: may(Act::Edit { own, status: &i.status }),
        delete: may(Act::Delete),
        see_originals: may(Act::SeeOriginal { own: false, shown: true }),
        steps,
    }
}

fn to(id: Uuid, said: &str) -> Response {
    go(&format!("/incidents/{}?said={said}", id.hyphenated()))
}

/// 303 to the incident with the comment; 422 with the page again.
pub async fn comment(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let kind = if form.one("kind") == "addendum" { "addendum" } else { "comment" };
    let body = form.one("body").trim().to_owned();
    let new = NewComment {
        id: Uuid::try_parse(form.one("id")).ok(),
        body: body.clone(),
        kind: kind.to_owned(),
    };
    match comments::add(&pages.desk, &person.actor, id, new).await {
        Ok(_) => Ok(to(id, "commented")),
        Err(error) => {
            let wrong = Some(mendable_in(error, person.page.words)?);
            show(&pages, person, id, Shown { wrong, comment: body, ..Shown::default() }).await
        }
    }
}

/// 303 to the incident in its next status; 422 with the page again.
pub async fn step(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let mut body = Map::from_iter([("status".to_owned(), Value::from(form.one("to")))]);
    if !form.one("reason").trim().is_empty() {
        body.insert("reason".to_owned(), Value::from(form.one("reason").trim()));
    }
    match patch::patch(&pages.desk, &person.actor, id, IfMatch::Absent, body).await {
        Ok(_) => Ok(to(id, "moved")),
        Err(error) => {
            let wrong = Some(mendable_in(error, person.page.words)?);
            show(&pages, person, id, Shown { wrong, ..Shown::default() }).await
        }
    }
}

/// 303 to the incident with its photos; 422 with the page again.
pub async fn photos(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Oops> {
    let desk = &pages.desk;
    photos::admit(desk, &person.actor, id).await?;
    // Before they are sent in vain, as far as a browser lets that be.
    if desk.blobs().guard().admit(Content::Photo).is_err() {
        let wrong = Some(person.page.t("disk.photos").to_owned());
        return show(&pages, person, id, Shown { wrong, ..Shown::default() }).await;
    }
    let _room = arriving::arriving(desk)?;
    let form = form.map_err(|_| Problem::unsupported_media("send a form with files"))?;
    let files = match multipart::receive(desk, form).await {
        Ok(files) => files,
        Err(problem) if problem.code == Problem::NO_ROOM => {
            let wrong = Some(person.page.t("disk.photos").to_owned());
            return show(&pages, person, id, Shown { wrong, ..Shown::default() }).await;
        }
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let wrong = Some(problem.detail);
            return show(&pages, person, id, Shown { wrong, ..Shown::default() }).await;
        }
        Err(problem) => return Err(problem.into()),
    };
    added(&pages, person, id, (files, Vec::new()), "photos").await
}

/// Adds files to an incident, each of them that can be, and says of those that were left out that there was no room: 303 to it, or 422 with its page and what is wrong with the others.
pub(super) async fn added(
    pages: &Pages,
    person: Person,
    id: Uuid,
    (files, left_out): (Vec<NewPhoto>, Vec<String>),
    done: &str,
) -> Result<Response, Oops> {
    let no_room = person.page.t("disk.photos");
    let name = |name: String| format!("{}: {no_room}", photos::tidy_name(&name));
    let mut wrong: Vec<String> = left_out.into_iter().map(name).collect();
    for file in files {
        let name = photos::tidy_name(&file.filename);
        if let Err(error) = photos::add(&pages.desk, &person.actor, id, file).await {
            let why = mendable_in(error, person.page.words).unwrap_or_else(|oops| oops.0.detail);
            wrong.push(format!("{name}: {why}"));
        }
    }
    if wrong.is_empty() {
        return Ok(to(id, done));
    }
    // What was recorded is, whatever became of its photos: a draft of it is done with.
    let said = said(done).filter(|_| done == "recorded");
    show(pages, person, id, Shown { said, wrong: Some(wrong.join("; ")), ..Shown::default() }).await
}

/// 303 to the incident, which is deleted and can be brought back.
pub async fn delete(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    incidents::delete(&pages.desk, &person.actor, id, IfMatch::Absent).await?;
    Ok(go(&format!("/incidents/{}", id.hyphenated())))
}

/// 303 to the incident, which is back.
pub async fn restore(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    incidents::restore(&pages.desk, &person.actor, id).await?;
    Ok(to(id, "restored"))
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    p: Page,
    i: Incident,
}

/// 200, a page that asks whether it shall really be deleted.
pub async fn ask_delete(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    rules::check(&person.actor, Act::Delete)?;
    let shown = incidents::get(&pages.desk, &person.actor, id).await?;
    html(&DeletePage { p: person.page, i: incident::read(&shown.json)? })
}
