//! Recording an incident, and changing one, as forms.

use super::answer::{Oops, go, html, html_as, html_or_wrong};
use super::drafts;
use super::form::{Form, MAX_FIELDS};
use super::guest::Person;
use super::incident::added;
use crate::incident::{self, Incident};
use crate::own::Own;
use crate::page::{Page, Pages};
use crate::sheet::{self, NewSheet, Returned, Sheet};
use crate::words::Words;
use askama::Template;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{FieldError, JSON_LIMIT_BYTES, Json, Path, Problem, QueryPairs};
use desk::actor::Actor;
use desk::http::multipart::{Part, Parts, Texts};
use desk::http::photos as arriving;
use desk::incidents::{self, IfMatch, draft, patch};
use desk::ledger::Identity;
use desk::photos::NewPhoto;
use desk::photos::uploads::other_user;
use desk::rules::{self, Act};
use desk::{Error, Refusal};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// How often a change is tried again when others change the incident at the same moment.
const TRIES: usize = 4;
/// How long a report may have waited on a device for its age to be believed, in seconds: a year.
const OLDEST_S: i64 = 366 * 86_400;
/// What a form may say: its longest text is a description of 20,000 characters.
const TEXTS: Texts = Texts { number: MAX_FIELDS, bytes: 80_000, all_bytes: JSON_LIMIT_BYTES };

#[derive(Template)]
#[template(path = "edit.html")]
struct EditPage {
    p: Page,
    s: Sheet,
    i: Incident,
    can_assign: bool,
}

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    p: Page,
    n: NewSheet,
}

/// 200, the form; 403 where one may not change it.
pub async fn page(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    let shown = incidents::get(&pages.desk, &person.actor, id).await?;
    let (now, i): (Value, Incident) = (incident::read(&shown.json)?, incident::read(&shown.json)?);
    let own = i.reported_by == person.actor.username;
    rules::check(&person.actor, Act::Edit { own, status: &i.status })?;
    let zone = pages.stores().await?.zone(&i.store_code);
    let can_assign = rules::check(&person.actor, Act::Assign).is_ok();
    let own = Own::at(&pages.desk, &i.store_code).await?;
    html(&EditPage { p: person.page, s: Sheet::of(&now, &zone, &own), i, can_assign })
}

/// 303 to the incident; 422 with the form again; 409 where somebody else changed the same field.
pub async fn save(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let stores = pages.stores().await?;
    let can_assign = rules::check(&actor, Act::Assign).is_ok();
    for _ in 0..TRIES {
        let shown = incidents::get(&pages.desk, &actor, id).await?;
        let (now, i): (Value, Incident) = (incident::read(&shown.json)?, incident::read(&shown.json)?);
        let zone = stores.zone(&i.store_code);
        let own = Own::at(&pages.desk, &i.store_code).await?;
        let Returned { mut sheet, patch } = sheet::returned(&now, &form, &zone, page.words, &own);
        if sheet.is_wrong() {
            return html_as(StatusCode::CONFLICT, &EditPage { p: page, s: sheet, i, can_assign });
        }
        // What was compared is what is changed: another change in between is looked at first.
        let seen = IfMatch::Tags(vec![incidents::answer::without_place(&shown.etag)]);
        match patch::patch(&pages.desk, &actor, id, seen, patch).await {
            Ok(_) => return Ok(go(&format!("/incidents/{}?said=saved", id.hyphenated()))),
            Err(Error::Refused(Refusal::Stale)) => {}
            Err(Error::Refused(Refusal::Invalid(errors))) => {
                for error in errors {
                    sheet.complain(&error.field, &error.message, page.words);
                }
                return html_or_wrong(true, &EditPage { p: page, s: sheet, i, can_assign });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::Stale.into())
}

/// The stores in which the actor can record: none to choose from at a node, nor for a store's own people.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn stores_for(pages: &Pages, actor: &Actor) -> Result<Vec<(String, String)>, Error> {
    let at_hub = matches!(pages.desk.identity().await?, Identity::Hub { .. });
    if !at_hub || rules::sight(actor).is_some() {
        return Ok(Vec::new());
    }
    let stores = desk::stores::list(&pages.desk, actor).await?;
    Ok(stores.into_iter().map(|store| (store.code, store.name)).collect())
}

/// What the company adds to a report of `actor`, in `store` where they have chosen one.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn own_of(pages: &Pages, actor: &Actor, store: &str) -> Result<Arc<Own>, Error> {
    let own = pages.desk.own_store().await?.or_else(|| rules::sight(actor));
    Own::at(&pages.desk, own.as_deref().unwrap_or(store)).await
}

/// 200, an empty form; with `draft`, as far as it was filled in. 404 where there is no such draft any more.
pub async fn blank(State(pages): State<Pages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    rules::check(&person.actor, Act::Record)?;
    let own = own_of(&pages, &person.actor, "").await?;
    let blank = NewSheet::blank(&pages.desk, &person.actor, &own);
    let mut n = NewSheet { stores: stores_for(&pages, &person.actor).await?, ..blank };
    if let Some(id) = query.one("draft")? {
        let id = Uuid::try_parse(id).map_err(|_| Refusal::NotFound)?;
        drafts::fill(&pages, &person, id, &mut n).await?;
    }
    html(&NewPage { p: person.page, n })
}

/// 303 to what was recorded; 422 with the form again. A script gets JSON: the id and the reference, or a problem.
pub async fn record(
    State(pages): State<Pages>,
    headers: HeaderMap,
    person: Person,
    request: Request,
) -> Result<Response, Oops> {
    // Before anything is taken to the disk.
    rules::check(&person.actor, Act::Record)?;
    let desk = &pages.desk;
    let NewForm { form, files, left_out, _room } = NewForm::take(&pages, request).await?;
    let (actor, page) = (&person.actor, &person.page);
    // A report that waited on a device is its writer's, whoever is logged in there by now.
    let writer = form.one("username");
    if !writer.is_empty() && writer != actor.username {
        return Err(other_user().into());
    }
    let by_script = headers.get(ACCEPT).is_some_and(|accept| accept == "application/json");
    let stores = pages.stores().await?;
    let own = match desk.own_store().await? {
        Some(code) => code,
        None => rules::sight(actor).unwrap_or_else(|| form.one("store_code").trim().to_owned()),
    };
    let added_by = own_of(&pages, actor, &own).await?;
    let Returned { mut sheet, patch } = sheet::returned(&Value::Null, &form, &stores.zone(&own), page.words, &added_by);
    let id = Uuid::try_parse(form.one("id")).unwrap_or_else(|_| desk.ids().new_v7(desk.now_ms()));
    let mut wrong = None;
    if !sheet.is_wrong() {
        let mut body = patch;
        body.insert("id".to_owned(), Value::from(id.hyphenated().to_string()));
        if form.one("as") == "draft" {
            body.insert("status".to_owned(), Value::from("draft"));
        }
        if !own.is_empty() {
            body.insert("store_code".to_owned(), Value::from(own.as_str()));
        }
        let age_s = form.one("age_s").parse().unwrap_or(0);
        if form.one("occurred_at").trim().is_empty() && (1..=OLDEST_S).contains(&age_s) {
            let at = format_rfc3339(desk.now_ms() - age_s * 1000);
            body.insert("occurred_at".to_owned(), Value::from(at));
        }
        match draft::create(desk, actor, body, None).await {
            // It is recorded, whatever becomes of its draft and its photos.
            Ok(shown) => {
                drafts::end_of(&pages, actor, &form).await;
                if by_script {
                    return recorded(&shown.json);
                }
                return added(&pages, person, shown.id, (files, left_out), "recorded").await;
            }
            Err(Error::Refused(refusal)) if by_script => {
                // It was sent before, with another text: the first one stands.
                return match incidents::get(desk, actor, id).await {
                    Ok(shown) if matches!(refusal, Refusal::Conflict(_)) => recorded(&shown.json),
                    _ => Ok(Problem::from(in_words(refusal, page.words)).into_response()),
                };
            }
            Err(Error::Refused(Refusal::Invalid(errors))) => {
                for error in errors {
                    sheet.complain(&error.field, &error.message, page.words);
                }
            }
            // It was sent before, with another text: the first one stands, and can be changed.
            Err(Error::Refused(Refusal::Conflict(_))) if incidents::get(desk, actor, id).await.is_ok() => {
                return Ok(go(&format!("/incidents/{}/edit", id.hyphenated())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if by_script {
        let told = sheet.all_complaints().into_iter().map(|(field, message)| FieldError { field, message }).collect();
        return Ok(Problem::unprocessable(told).into_response());
    }
    if !files.is_empty() || !left_out.is_empty() {
        wrong = Some(page.t("new.photos_again").to_owned());
    }
    let n = NewSheet {
        stores: stores_for(&pages, actor).await?,
        store: form.one("store_code").to_owned(),
        s: sheet,
        id: id.hyphenated().to_string(),
        wrong,
        draft: drafts::id_of(&form).map_or_else(String::new, |id| id.hyphenated().to_string()),
        ..NewSheet::blank(desk, actor, &added_by)
    };
    html_or_wrong(true, &NewPage { p: person.page, n })
}

/// What rules say, in the reader's language.
fn in_words(refusal: Refusal, words: &Words) -> Refusal {
    match refusal {
        Refusal::Invalid(mut errors) => {
            errors.iter_mut().for_each(|error| error.message = words.rule(&error.message));
            Refusal::Invalid(errors)
        }
        refusal => refusal,
    }
}

/// What a script has to know of what was recorded.
fn recorded(json: &str) -> Result<Response, Oops> {
    let shown: Incident = incident::read(json)?;
    Ok((StatusCode::CREATED, Json(json!({"id": shown.id, "reference": shown.reference}))).into_response())
}

/// A form with texts, and files behind them.
struct NewForm {
    form: Form,
    files: Vec<NewPhoto>,
    /// Names of files for which there is no room.
    left_out: Vec<String>,
    _room: Option<OwnedSemaphorePermit>,
}

impl NewForm {
    /// Reads the form that a request brings, its files to the disk.
    async fn take(pages: &Pages, request: Request) -> Result<Self, Oops> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            let form = Form::from_request(request, pages).await?;
            return Ok(Self { form, files: Vec::new(), left_out: Vec::new(), _room: None });
        }
        let room = arriving::arriving(&pages.desk)?;
        let form: Result<Multipart, MultipartRejection> = Multipart::from_request(request, pages).await;
        let form = form.map_err(|_| Problem::unsupported_media("send a form"))?;
        let mut parts = Parts::new(&pages.desk, form, TEXTS).await?;
        let (mut pairs, mut files, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(part) = parts.next().await? {
            match part {
                Part::File(file) => files.push(file),
                // The report is not lost for that.
                Part::LeftOut(name) => left_out.push(name),
                Part::Text(name, text) => pairs.push((name, text)),
            }
        }
        Ok(Self { form: Form::sent(pairs), files, left_out, _room: Some(room) })
    }
}
