//! What administrators and headquarters did: by whom, when, and about what.

use super::HubPages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::acts::{self, ActItem, DEFAULT_LIMIT};
use desk::ledger::ActQuery;
use desk::ledger::acts::name;
use jiff::tz::TimeZone;
use pages::choice::{Choice, choices};
use pages::http::answer::html_or_wrong;
use pages::http::{Oops, Person};
use pages::moment::{self, Moment};
use pages::page::{Page, Stores, query};
use pages::words::Words;
use serde_json::Value;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "acts.html")]
struct ActsPage {
    p: Page,
    acts: Vec<ActLine>,
    kinds: Vec<Choice>,
    by: String,
    subject: String,
    from: String,
    to: String,
    wrong: Option<String>,
    next: Option<String>,
    first: Option<String>,
    export: String,
}

/// An act as a line.
pub(super) struct ActLine {
    pub(super) at: Moment,
    pub(super) by: String,
    pub(super) what: String,
    pub(super) subject: String,
    /// Where there is more about it; empty: nowhere.
    pub(super) href: String,
    pub(super) store: String,
    /// What else is known, each under its name.
    pub(super) details: Vec<(String, String)>,
}

pub(super) fn line(item: ActItem, stores: &Stores, words: &Words) -> ActLine {
    let is_id = Uuid::try_parse(&item.subject).is_ok();
    let href = match item.act.as_str() {
        name::NODE_REVOKED | name::REPLACEMENT_CODE_MADE if is_id => format!("/fleet/{}", item.subject),
        name::HELD | name::RELEASED if is_id => format!("/incidents/{}", item.subject),
        name::ERASURE_ORDERED if is_id => format!("/erasures?incident={}", item.subject),
        name::STORE_ADDED | name::STORE_CHANGED | name::CODE_MADE => format!("/stores?{}", query("q", &item.subject)),
        name::SETTINGS_CHANGED => match item.subject.strip_prefix("store/") {
            Some(code) => format!("/settings?{}", query("store", code)),
            None => "/settings".to_owned(),
        },
        name::ACCOUNT_ADDED | name::ACCOUNT_CHANGED => format!("/users?{}", query("q", &item.subject)),
        name::NOTIFICATION_ADDED
        | name::NOTIFICATION_CHANGED
        | name::NOTIFICATION_SECRET_RENEWED
        | name::NOTIFICATION_TESTED
            if is_id =>
        {
            format!("/notifications/{}", item.subject)
        }
        _ => String::new(),
    };
    let store = match item.store_code.as_str() {
        "" => String::new(),
        code => format!("{code} {}", stores.name(code)),
    };
    let details = item.details.as_object().into_iter().flatten();
    ActLine {
        at: moment::of(&item.at, &TimeZone::UTC, words),
        what: words.of("act", &item.act).into_owned(),
        details: details
            .map(|(name, value)| (words.of("act_detail", name).into_owned(), told(value, words)))
            .collect(),
        by: item.by,
        subject: item.subject,
        href,
        store,
    }
}

/// A detail as people read it.
fn told(value: &Value, words: &Words) -> String {
    match value {
        // A moment, such as until when a code is good.
        Value::String(text) if text.ends_with('Z') && chassis::clock::parse_rfc3339(text).is_some() => {
            format!("{} UTC", moment::of(text, &TimeZone::UTC, words).text)
        }
        Value::String(text) => text.clone(),
        // What a setting was, and what it is now.
        Value::Object(members)
            if members.len() == 2 && members.contains_key("before") && members.contains_key("after") =>
        {
            let side = |name: &str| match members.get(name) {
                None | Some(Value::Null) => "—".to_owned(),
                Some(value) => told(value, words),
            };
            format!("{} → {}", side("before"), side("after"))
        }
        Value::Array(values) => values.iter().map(|value| told(value, words)).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let told = members.iter().map(|(name, value)| format!("{name} {}", told(value, words)));
            told.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

/// 200, for headquarters; 422 where a day is none.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let text = |name: &str| Ok::<_, Oops>(query.one(name)?.unwrap_or_default().trim().to_owned());
    let (act, by, subject, from, to) = (text("act")?, text("by")?, text("subject")?, text("from")?, text("to")?);
    let before: Option<i64> = text("before")?.parse().ok();
    let mut wrong = None;
    let mut day = |text: &str, later: i8| {
        let at = moment::day_begins(text, later, &TimeZone::UTC);
        if at.is_none() && !text.is_empty() {
            wrong = Some(page.with("list.no_day", text));
        }
        at
    };
    let (begins, ends) = (day(&from, 0), day(&to, 1));
    let ms = |at: &Option<String>| at.as_deref().and_then(chassis::clock::parse_rfc3339);
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let asked = ActQuery {
        act: filled(&act),
        by: filled(&by),
        subject: filled(&subject),
        from_ms: ms(&begins),
        to_ms: ms(&ends),
        before,
    };
    let (items, more) = acts::list(&state.pages.desk, &actor, asked, DEFAULT_LIMIT).await?;
    let set = |from: &str, to: &str| {
        let all = [("act", act.as_str()), ("by", &by), ("subject", &subject), ("from", from), ("to", to)];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| page.query(name, value))
            .collect()
    };
    let here: Vec<String> = set(&from, &to);
    let next = items.last().filter(|_| more).map(|item| {
        let mut pairs = here.clone();
        pairs.push(page.query("before", &item.no.to_string()));
        format!("/acts?{}", pairs.join("&"))
    });
    let names = state.pages.stores().await?;
    let exported: Vec<String> = set(begins.as_deref().unwrap_or(""), ends.as_deref().unwrap_or(""));
    let view = ActsPage {
        acts: items.into_iter().map(|item| line(item, &names, page.words)).collect(),
        kinds: choices(page.words, "act", &name::ALL, &[&act]),
        next,
        first: before.map(|_| format!("/acts?{}", here.join("&"))),
        export: format!("/api/v1/acts/export?{}", exported.join("&")),
        by,
        subject,
        from: moment::day_field(&from),
        to: moment::day_field(&to),
        wrong,
        p: page,
    };
    html_or_wrong(view.wrong.is_some(), &view)
}
