//! One node: how it is, what was wrong with it, and its end, by revocation or by another PC that takes its place.

use super::HubPages;
use super::acts::{ActLine, line};
use super::fleet::{alarm_words, state_of};
use super::stores::show_code;
use crate::fleet::{self, NodeItem};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use desk::photos::size_in_words;
use desk::rules::{self, Act};
use http::{HeaderMap, Uri};
use jiff::tz::TimeZone;
use pages::http::answer::{html_or_wrong, mendable_line};
use pages::http::form::Form;
use pages::http::{Oops, Person, go};
use pages::moment::{self, Moment};
use pages::page::Page;
use pages::words::Words;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    p: Page,
    item: NodeItem,
    store: String,
    state: &'static str,
    facts: Vec<(&'static str, Fact)>,
    alarms: Vec<String>,
    past: Vec<Past>,
    acts: Vec<ActLine>,
    can_edit: bool,
    /// What was typed and cannot be taken.
    reason: String,
    wrong: Option<String>,
    said: bool,
}

/// What is told of a node.
enum Fact {
    Text(String),
    At(Moment),
    /// Another node.
    Node(Uuid),
}

/// Something that was wrong with it.
struct Past {
    text: String,
    since: Moment,
    until: Option<Moment>,
}

/// 200, for headquarters; 404 where there is no such node.
pub async fn page(
    State(state): State<HubPages>,
    person: Person,
    Path(id): Path<Uuid>,
    query: QueryPairs,
) -> Result<Response, Oops> {
    let said = query.one("said")?.is_some();
    show(&state, person, id, Shown { said, ..Shown::default() }).await
}

#[derive(Default)]
struct Shown {
    reason: String,
    wrong: Option<String>,
    said: bool,
}

async fn show(state: &HubPages, person: Person, id: Uuid, shown: Shown) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let page = page.at(format!("/fleet/{}", id.hyphenated()));
    let desk = &state.pages.desk;
    let found = fleet::node(desk, &actor, id).await?;
    let names = state.pages.stores().await?;
    let words = page.words;
    let at = |text: &str| moment::of(text, &TimeZone::UTC, words);
    let past = found
        .past_alarms
        .iter()
        .map(|alarm| Past {
            // How many there were at each time is not kept: the words of one.
            text: alarm_words(&alarm.alarm, 1, words),
            since: at(&alarm.since),
            until: alarm.until.as_deref().map(at),
        })
        .collect();
    let item = found.node;
    let view = NodePage {
        store: names.name(&item.store_code).to_owned(),
        state: state_of(&item, desk.now_ms()),
        facts: facts(&item, words),
        alarms: item.alarms.iter().map(|alarm| alarm_words(&alarm.alarm, alarm.number, words)).collect(),
        past,
        acts: found.acts.into_iter().map(|act| line(act, &names, words)).collect(),
        can_edit: rules::check(&actor, Act::Administer).is_ok(),
        reason: shown.reason,
        wrong: shown.wrong,
        said: shown.said,
        item,
        p: page,
    };
    html_or_wrong(view.wrong.is_some(), &view)
}

/// What is known of a node, under the names of messages; what does not apply is left out.
fn facts(item: &NodeItem, words: &Words) -> Vec<(&'static str, Fact)> {
    let at = |text: &str| Fact::At(moment::of(text, &TimeZone::UTC, words));
    let number = |number: u64| Fact::Text(pages::words::grouped(number, words.lang()));
    let proof = item.proof.as_ref();
    let waiting = match item.backlog.blobs {
        0 => words.n("node.files", 0),
        files => format!("{} · {}", words.n("node.files", files), size_in_words(item.backlog.blob_bytes)),
    };
    let all = [
        ("node.contact", item.last_contact_at.as_deref().map(at)),
        ("node.lag", Some(number(item.lag))),
        ("node.photos", Some(Fact::Text(waiting))),
        ("node.applied", Some(number(item.applied_changes))),
        ("node.quarantined", (item.quarantined > 0).then(|| number(item.quarantined))),
        ("node.forks", (item.forks > 0).then(|| number(item.forks))),
        ("node.clock", Some(Fact::Text(format!("{} s", item.clock_offset_ms / 1000)))),
        ("node.version", Some(Fact::Text(item.version.clone()))),
        ("node.proof", proof.map(|proof| Fact::Text(words.of("proof", &proof.state).into_owned()))),
        ("node.equal", proof.and_then(|proof| proof.equal_at.as_deref()).map(at)),
        ("node.enrolled", Some(at(&item.enrolled_at))),
        ("node.restored", item.restored_at.as_deref().map(at)),
        ("node.revoked", item.revoked_at.as_deref().map(at)),
        ("node.retired", item.retired_at.as_deref().map(at)),
        ("node.successor", item.replaced_by.map(Fact::Node)),
        ("node.drained", (item.drained_changes > 0).then(|| number(item.drained_changes))),
        ("node.id", Some(Fact::Text(item.node_id.hyphenated().to_string()))),
    ];
    all.into_iter().filter_map(|(key, fact)| Some((key, fact?))).collect()
}

/// 200, a code for the PC that takes this one's place, this once; 422 with the page where it cannot be replaced.
pub async fn replace(
    State(state): State<HubPages>,
    person: Person,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Oops> {
    match fleet::replace(&state.pages.desk, &person.actor, id).await {
        Ok(code) => {
            show_code(&state, person.page.at(format!("/fleet/{}", id.hyphenated())), code, &headers, &uri).await
        }
        Err(error) => {
            let wrong = Some(mendable_line(error)?);
            show(&state, person, id, Shown { wrong, ..Shown::default() }).await
        }
    }
}

/// 303 to the node, which is revoked; 422 with the page where there is no reason, or it was not meant.
pub async fn revoke(
    State(state): State<HubPages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    rules::check(&person.actor, Act::Administer)?;
    let reason = form.one("reason").trim().to_owned();
    let missing = match (reason.is_empty(), form.one("sure") == "true") {
        (true, _) => Some("node.say_why"),
        (false, false) => Some("node.say_sure"),
        (false, true) => None,
    };
    if let Some(missing) = missing {
        let wrong = Some(person.page.t(missing).to_owned());
        return show(&state, person, id, Shown { reason, wrong, said: false }).await;
    }
    match fleet::revoke(&state.pages.desk, &person.actor, id, Some(reason.clone())).await {
        Ok(()) => Ok(go(&format!("/fleet/{}?said=saved", id.hyphenated()))),
        Err(error) => {
            let wrong = Some(mendable_line(error)?);
            show(&state, person, id, Shown { reason, wrong, said: false }).await
        }
    }
}
