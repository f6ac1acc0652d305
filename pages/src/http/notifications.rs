//! Whom the site tells of what: rules, a test of each, and what could not be sent.

use super::answer::{Oops, go, html_or_wrong, mendable};
use super::form::Form;
use super::guest::Person;
use crate::choice::{Choice, choices};
use crate::moment::{self, Moment};
use crate::page::{Page, Pages};
use crate::words::Lang;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use desk::ledger::RuleRow;
use desk::notifications::rule::{About, Channel, Delivery, Language, Rule};
use desk::notifications::{self, Kept, Listing, zone};
use desk::{Refusal, jobs};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use sync_protocol::record::FieldError;
use sync_protocol::record::vocabulary::CATEGORIES;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "notifications.html")]
struct ListPage {
    p: Page,
    rules: Vec<Card>,
    dead: Vec<Dead>,
    dead_count: u64,
    forgotten: u64,
    older: Option<i64>,
    form: Sheet,
    wrong: Vec<FieldError>,
    said: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "notification.html")]
struct OnePage {
    p: Page,
    id: Uuid,
    name: String,
    form: Sheet,
    wrong: Vec<FieldError>,
    secret: Option<String>,
}

/// A rule in the list.
struct Card {
    id: Uuid,
    name: String,
    enabled: bool,
    about: String,
    to: String,
    last: Option<Moment>,
    error: Option<String>,
    waiting: u64,
    gathered: u64,
}

/// A message that was set aside.
struct Dead {
    no: i64,
    rule: String,
    about: String,
    incident: Option<Uuid>,
    error: String,
    at: Moment,
}

/// The form of a rule.
struct Sheet {
    name: String,
    enabled: bool,
    about: Vec<Choice>,
    severity: Vec<Choice>,
    categories: Vec<Choice>,
    stores: String,
    silent_minutes: String,
    delivery: Vec<Choice>,
    digest_hour: String,
    timezone: String,
    /// The time zone that goes for the hour.
    zone: String,
    channel: Vec<Choice>,
    url: String,
    addresses: String,
    language: Vec<Choice>,
    at_hub: bool,
    mail: bool,
}

/// How a word of the API is written.
fn word<T: serde::Serialize>(value: T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

impl Sheet {
    /// Whether categories are chosen, so that they are to be seen.
    fn is_narrowed(&self) -> bool {
        self.categories.iter().any(|category| category.on)
    }

    fn of(rule: &Rule, listing: &Listing, page: &Page, zone: String) -> Self {
        let kinds = if listing.at_hub { &About::ALL[..] } else { &About::ALL[..3] };
        let chosen: Vec<&str> = rule.categories.iter().map(String::as_str).collect();
        let words = page.words;
        Self {
            name: rule.name.clone(),
            enabled: rule.enabled,
            about: choices(words, "told", kinds, &[&word(rule.about)]),
            severity: choices(words, "severity", &["1", "2", "3", "4", "5"], &[&rule.severity_min.to_string()]),
            categories: choices(words, "category", CATEGORIES, &chosen),
            stores: rule.stores.join(" "),
            silent_minutes: rule.silent_minutes.to_string(),
            delivery: choices(words, "delivery", &["at_once", "daily"], &[&word(rule.delivery)]),
            digest_hour: rule.digest_hour.to_string(),
            timezone: rule.timezone.clone().unwrap_or_default(),
            zone,
            channel: choices(words, "channel", &["mail", "webhook"], &[&word(rule.channel)]),
            url: rule.url.clone().unwrap_or_default(),
            addresses: rule.addresses.join(" "),
            language: Lang::ALL.map(|lang| language(lang, rule.language)).to_vec(),
            at_hub: listing.at_hub,
            mail: listing.mail,
        }
    }
}

/// A language under the name that its speakers have for it.
fn language(lang: Lang, chosen: Language) -> Choice {
    Choice {
        value: lang.tag().to_owned(),
        text: lang.name().to_owned(),
        on: word(chosen) == lang.tag(),
    }
}

/// What a form says, as the API has it. What cannot be read as a number goes on as text, and is refused by its name.
fn sent(form: &Form) -> Map<String, Value> {
    let text = |name: &str| form.one(name).trim().to_owned();
    let number = |name: &str| text(name).parse::<u64>().map_or_else(|_| json!(text(name)), |number| json!(number));
    let list = |name: &str| -> Vec<String> {
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        form.one(name).split(separates).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let is_mail = text("channel") != "webhook";
    let url = Some(text("url")).filter(|url| !url.is_empty() && !is_mail);
    let members = [
        ("name", json!(text("name"))),
        ("enabled", json!(form.one("enabled") == "true")),
        ("about", json!(text("about"))),
        ("severity_min", number("severity_min")),
        ("categories", json!(form.all("categories").collect::<Vec<_>>())),
        ("stores", json!(list("stores"))),
        ("silent_minutes", number("silent_minutes")),
        ("delivery", json!(text("delivery"))),
        ("digest_hour", number("digest_hour")),
        ("timezone", json!(Some(text("timezone")).filter(|name| !name.is_empty()))),
        ("channel", json!(text("channel"))),
        ("url", json!(url)),
        ("addresses", json!(if is_mail { list("addresses") } else { Vec::new() })),
        (
            "language",
            json!(Some(text("language")).filter(|tag| !tag.is_empty()).unwrap_or_else(|| word(Language::default()))),
        ),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The rule that a form amounts to, or what in it cannot be read.
fn read(form: &Form) -> Result<Rule, Vec<FieldError>> {
    let mut rule = Map::new();
    let mut wrong = Vec::new();
    for (name, value) in sent(form) {
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        match serde_json::from_value::<Rule>(alone) {
            Ok(_) => drop(rule.insert(name, value)),
            Err(error) => wrong.push(FieldError { field: name, message: error.to_string() }),
        }
    }
    match serde_json::from_value(Value::Object(rule)) {
        Ok(rule) if wrong.is_empty() => Ok(rule),
        _ => Err(wrong),
    }
}

/// What the form shows again: what can be read of it.
fn shown(form: &Form) -> Rule {
    let mut rule = Rule::default();
    for (name, value) in sent(form) {
        let Ok(Value::Object(mut members)) = serde_json::to_value(&rule) else {
            continue;
        };
        members.insert(name, value);
        rule = serde_json::from_value(Value::Object(members)).unwrap_or(rule);
    }
    rule
}

/// 200; 403 for whoever keeps no rules here.
pub async fn page(State(pages): State<Pages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let said = match query.one("said")? {
        Some("tested") => Some("notifications.tested"),
        Some("retried") => Some("notifications.retried"),
        Some("retried_all") => Some("notifications.retried_all"),
        Some(_) => Some("said.saved"),
        None => None,
    };
    // Whoever reads these pages in a language probably wants mail in it.
    let spoken = serde_json::from_value(json!(person.page.words.lang().tag())).unwrap_or_default();
    let blank = Rule { language: spoken, ..Rule::default() };
    // A number that is none is the first page.
    let before = query.one("before")?.and_then(|no| no.parse().ok());
    list(&pages, person, (&blank, Vec::new()), said, before).await
}

async fn list(
    pages: &Pages,
    person: Person,
    (blank, wrong): (&Rule, Vec<FieldError>),
    said: Option<&'static str>,
    before: Option<i64>,
) -> Result<Response, Oops> {
    let page = person.page.at("/notifications");
    let listing = notifications::list(&pages.desk, &person.actor, before).await?;
    let zone = match pages.desk.own_store().await? {
        Some(code) => pages.stores().await?.zone(&code),
        None => TimeZone::UTC,
    };
    let name = |id: Uuid| listing.rules.iter().find(|row| row.id == id).map(|row| row.rule.name.clone());
    let dead = listing.dead.iter().map(|dead| Dead {
        no: dead.no,
        rule: name(dead.rule_id).unwrap_or_default(),
        about: page.of("told", dead.what.about()).into_owned(),
        incident: dead.what.incident(),
        error: dead.error.clone(),
        at: moment::at(dead.made_ms, &zone, page.words),
    });
    let dead = dead.collect();
    let mut rules = Vec::with_capacity(listing.rules.len());
    for row in &listing.rules {
        rules.push(card(row, &zone, &zone::name(&pages.desk, &row.rule).await?, &page));
    }
    let form = Sheet::of(blank, &listing, &page, zone::name(&pages.desk, blank).await?);
    let view = ListPage {
        rules,
        dead,
        dead_count: listing.dead_count.count,
        forgotten: listing.dead_count.forgotten,
        older: listing.dead_before,
        form,
        wrong,
        said,
        p: page,
    };
    html_or_wrong(!view.wrong.is_empty(), &view)
}

fn card(row: &RuleRow, zone: &TimeZone, clocks: &str, page: &Page) -> Card {
    let rule = &row.rule;
    let to = match rule.channel {
        Channel::Mail => rule.addresses.join(", "),
        Channel::Webhook => rule.url.clone().unwrap_or_default(),
    };
    let mut about = page.of("told", &word(rule.about)).into_owned();
    if rule.delivery == Delivery::Daily {
        about = format!("{about} · {}, {:02}:00 {clocks}", page.t("delivery.daily"), rule.digest_hour);
    }
    Card {
        id: row.id,
        name: rule.name.clone(),
        enabled: rule.enabled,
        about,
        to,
        last: row.last_ms.map(|at_ms| moment::at(at_ms, zone, page.words)),
        error: row.last_error.clone(),
        waiting: row.waiting,
        gathered: row.gathered,
    }
}

/// 200 with the secret of a new webhook, else 303; 422 with the page again.
pub async fn add(State(pages): State<Pages>, person: Person, form: Form) -> Result<Response, Oops> {
    let rule = match read(&form) {
        Ok(rule) => rule,
        Err(wrong) => return list(&pages, person, (&shown(&form), wrong), None, None).await,
    };
    match notifications::create(&pages.desk, &person.actor, rule).await {
        Ok(kept) => after(&pages, person, kept).await,
        Err(error) => list(&pages, person, (&shown(&form), mendable(error)?), None, None).await,
    }
}

/// A secret is shown once; without one there is nothing to show.
async fn after(pages: &Pages, person: Person, kept: Kept) -> Result<Response, Oops> {
    match kept.secret {
        Some(secret) => one_page(pages, person, kept.row, None, Vec::new(), Some(secret.spell())).await,
        None => Ok(go("/notifications?said=saved")),
    }
}

async fn found(pages: &Pages, person: &Person, id: Uuid) -> Result<RuleRow, Oops> {
    let listing = notifications::list(&pages.desk, &person.actor, None).await?;
    listing.rules.into_iter().find(|row| row.id == id).ok_or_else(|| Refusal::NotFound.into())
}

async fn one_page(
    pages: &Pages,
    person: Person,
    row: RuleRow,
    typed: Option<Rule>,
    wrong: Vec<FieldError>,
    secret: Option<String>,
) -> Result<Response, Oops> {
    let page = person.page.at(format!("/notifications/{}", row.id.hyphenated()));
    let listing = notifications::list(&pages.desk, &person.actor, None).await?;
    let rule = typed.as_ref().unwrap_or(&row.rule);
    let form = Sheet::of(rule, &listing, &page, zone::name(&pages.desk, rule).await?);
    let is_wrong = !wrong.is_empty();
    html_or_wrong(is_wrong, &OnePage { id: row.id, name: row.rule.name, form, wrong, secret, p: page })
}

/// 200.
pub async fn one(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    let row = found(&pages, &person, id).await?;
    one_page(&pages, person, row, None, Vec::new(), None).await
}

/// 303 to the list; 422 with the page again.
pub async fn edit(
    State(pages): State<Pages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let row = found(&pages, &person, id).await?;
    if let Err(wrong) = read(&form) {
        return one_page(&pages, person, row, Some(shown(&form)), wrong, None).await;
    }
    match notifications::change(&pages.desk, &person.actor, id, sent(&form)).await {
        Ok(kept) => after(&pages, person, kept).await,
        Err(error) => one_page(&pages, person, row, Some(shown(&form)), mendable(error)?, None).await,
    }
}

/// 303: a test is on its way.
pub async fn test(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    notifications::test(&pages.desk, &person.actor, id).await?;
    Ok(go("/notifications?said=tested"))
}

/// 200 with another secret.
pub async fn secret(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    let kept = notifications::renew_secret(&pages.desk, &person.actor, id).await?;
    after(&pages, person, kept).await
}

/// 303: it is gone.
pub async fn remove(State(pages): State<Pages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    notifications::remove(&pages.desk, &person.actor, id).await?;
    Ok(go("/notifications?said=saved"))
}

/// 303: a message that was set aside is sent again, or given up.
pub async fn settle(
    State(pages): State<Pages>,
    person: Person,
    Path(no): Path<i64>,
    form: Form,
) -> Result<Response, Oops> {
    if form.one("do") == "discard" {
        jobs::discard(&pages.desk, &person.actor, no).await?;
        return Ok(go("/notifications?said=saved"));
    }
    jobs::retry(&pages.desk, &person.actor, no).await?;
    Ok(go("/notifications?said=retried"))
}

/// 303: every message that was set aside is sent again.
pub async fn settle_all(State(pages): State<Pages>, person: Person) -> Result<Response, Oops> {
    notifications::retry_all(&pages.desk, &person.actor).await?;
    Ok(go("/notifications?said=retried_all"))
}
