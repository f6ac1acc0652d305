//! Every node of the company in a table: which one is behind, and why.

use super::HubPages;
use crate::fleet::alarms::silent_ms;
use crate::fleet::{self, NodeItem, SILENT_MS, SettingsState};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::QueryPairs;
use desk::photos::size_in_words;
use pages::http::{Oops, Person, html};
use pages::moment::{self, Moment};
use pages::page::Page;
use pages::words::Words;

/// Rows of a page.
const ROWS: usize = 100;

/// The columns, as the address and the messages name them.
const COLUMNS: [&str; 9] = ["store", "state", "contact", "lag", "photos", "clock", "version", "settings", "alarms"];

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    p: Page,
    heads: Vec<Head>,
    nodes: Vec<Node>,
    q: String,
    only_alarms: bool,
    sort: String,
    found: u64,
    all: u64,
    alarmed: u64,
    previous: Option<String>,
    next: Option<String>,
}

/// A column's head.
struct Head {
    name: &'static str,
    href: String,
    /// `ascending`, `descending` or `none`.
    order: &'static str,
    number: bool,
}

/// A row.
struct Node {
    item: NodeItem,
    store: String,
    state: &'static str,
    contact: Option<Moment>,
    bytes: String,
    clock_s: i64,
    alarms: Vec<String>,
}

/// 200, for headquarters.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let desk = &state.pages.desk;
    let now_ms = desk.now_ms();
    let names = state.pages.stores().await?;
    let words = page.words;
    let mut nodes: Vec<Node> = fleet::nodes(desk, &actor, None)
        .await?
        .into_iter()
        .map(|item| Node {
            store: names.name(&item.store_code).to_owned(),
            state: state_of(&item, now_ms),
            contact: None,
            bytes: String::new(),
            clock_s: item.clock_offset_ms / 1000,
            alarms: item.alarms.iter().map(|alarm| alarm_words(&alarm.alarm, alarm.number, words)).collect(),
            item,
        })
        .collect();
    let (all, alarmed) = (nodes.len() as u64, nodes.iter().filter(|node| !node.alarms.is_empty()).count() as u64);
    let q: String = query.one("q")?.unwrap_or_default().trim().chars().take(100).collect();
    let only_alarms = query.one("alarms")? == Some("true");
    let wanted = q.to_lowercase();
    nodes.retain(|node| {
        let named = [&node.item.store_code, &node.item.name, &node.store, &node.item.version];
        (wanted.is_empty() || named.iter().any(|text| text.to_lowercase().contains(&wanted)))
            && (!only_alarms || !node.alarms.is_empty())
    });
    let sort = query.one("sort")?.unwrap_or("-alarms").to_owned();
    sort_by(&mut nodes, &sort);
    let found = nodes.len();
    let number: usize = query.one("page")?.and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, found / ROWS + 1);
    let address = |sort: &str, number: usize| {
        let mut pairs = vec![page.query("sort", sort)];
        if !q.is_empty() {
            pairs.push(page.query("q", &q));
        }
        if only_alarms {
            pairs.push(page.query("alarms", "true"));
        }
        if number > 1 {
            pairs.push(page.query("page", &number.to_string()));
        }
        format!("/fleet?{}", pairs.join("&"))
    };
    let heads = COLUMNS
        .iter()
        .map(|name| {
            let (up, down) = (sort == *name, sort.strip_prefix('-') == Some(name));
            let next = if down { (*name).to_owned() } else { format!("-{name}") };
            let next = if *name == "store" && !up { "store".to_owned() } else { next };
            Head {
                name,
                href: address(&next, 1),
                order: if up {
                    "ascending"
                } else if down {
                    "descending"
                } else {
                    "none"
                },
                number: matches!(*name, "lag" | "photos" | "clock"),
            }
        })
        .collect();
    let previous = (number > 1).then(|| address(&sort, number - 1));
    let next = (number * ROWS < found).then(|| address(&sort, number + 1));
    let zone = jiff::tz::TimeZone::UTC;
    let mut shown: Vec<Node> = nodes.into_iter().skip((number - 1) * ROWS).take(ROWS).collect();
    for node in &mut shown {
        node.contact = node.item.last_contact_at.as_deref().map(|at| moment::of(at, &zone, words));
        node.bytes = size_in_words(node.item.backlog.blob_bytes);
    }
    html(&FleetPage {
        heads,
        nodes: shown,
        q,
        only_alarms,
        sort,
        found: found as u64,
        all,
        alarmed,
        previous,
        next,
        p: page,
    })
}

/// How a node is, as messages name it.
pub(super) fn state_of(item: &NodeItem, now_ms: i64) -> &'static str {
    match item {
        _ if item.revoked_at.is_some() => "revoked",
        _ if item.retired_at.is_some() => "retired",
        _ if item.online => "online",
        _ if silent_ms(item, now_ms) > SILENT_MS.cast_signed() => "silent",
        _ => "away",
    }
}

/// An alarm in words.
pub(super) fn alarm_words(alarm: &str, number: u64, words: &Words) -> String {
    match alarm {
        "silent" => words.t("fleet.alarm_silent").to_owned(),
        "quarantined" => words.n("fleet.alarm_quarantined", number),
        "clock" => words.t("fleet.alarm_clock").to_owned(),
        "different" => words.t("fleet.alarm_different").to_owned(),
        "damaged" => words.n("fleet.alarm_damaged", number),
        "version" => words.t("fleet.alarm_version").to_owned(),
        "settings" => words.n("fleet.alarm_settings", number),
        "forked" => words.t("fleet.alarm_forked").to_owned(),
        "disk" => words.t("fleet.alarm_disk").to_owned(),
        // One of a later version.
        other => other.replace('_', " "),
    }
}

/// Puts nodes in order; those that are equal stay by store and name. `-NAME` turns it round.
fn sort_by(nodes: &mut [Node], sort: &str) {
    let (name, down) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
    let rank =
        |state: &str| ["online", "away", "silent", "retired", "revoked"].iter().position(|known| *known == state);
    // What needs a look comes last, or first where it is turned round.
    let behind = |node: &Node| match node.item.settings.state {
        SettingsState::Applied => 0,
        SettingsState::Waiting => 1,
        SettingsState::Unknown => 2,
        SettingsState::InPart => 3,
    };
    let order = |a: &Node, b: &Node| match name {
        "state" => rank(a.state).cmp(&rank(b.state)),
        "contact" => a.item.last_contact_at.cmp(&b.item.last_contact_at),
        "lag" => a.item.lag.cmp(&b.item.lag),
        "photos" => a.item.backlog.blobs.cmp(&b.item.backlog.blobs),
        "clock" => a.item.clock_offset_ms.unsigned_abs().cmp(&b.item.clock_offset_ms.unsigned_abs()),
        "version" => a.item.version.cmp(&b.item.version),
        "settings" => behind(a).cmp(&behind(b)),
        "alarms" => a.alarms.len().cmp(&b.alarms.len()),
        _ => a.item.store_code.cmp(&b.item.store_code),
    };
    nodes.sort_by(|a, b| if down { order(b, a) } else { order(a, b) });
}
