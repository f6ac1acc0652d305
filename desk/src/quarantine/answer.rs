//! A change in quarantine as it is shown.

use super::Listed;
use crate::ledger::{Quarantined, Standing, Word};
use chassis::clock::format_rfc3339;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most of a body that one answer shows, in bytes.
const MAX_SHOWN_BYTES: usize = 64 * 1024;
/// Most of a body that a list shows of each, in bytes.
const MAX_LISTED_BYTES: usize = 4 * 1024;

/// Changes in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantineList {
    /// Newest arrival first.
    items: Vec<QuarantineItem>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// A change that is, or was, in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantineItem {
    /// The change, `ORIGIN:SEQ`: the same at every site.
    #[schema(example = "019aa2b3-c000-7000-8000-00000000000a:7")]
    id: String,
    /// Its stream.
    origin: Uuid,
    /// Its number there.
    seq: u64,
    /// The record's kind, where the body can be read.
    kind: Option<String>,
    /// The record, where the body can be read.
    record_id: Option<Uuid>,
    /// The store.
    store_code: String,
    /// Who made it, as it says itself.
    by: Option<String>,
    /// Stable name of the reason.
    code: String,
    /// The reason.
    reason: String,
    /// When headquarters first had it.
    #[schema(format = "date-time")]
    received_at: Option<String>,
    /// How many later changes wait behind it.
    waiting: u64,
    /// `open`: to be decided; `waiting`: behind another one; `settled`: a person decided against it, it is kept and out of its
    /// record; `applied`: it is in its record.
    state: &'static str,
    /// It, as it came, or its beginning.
    body: String,
    /// How long it is.
    body_bytes: u64,
    /// Whether `body` is only its beginning.
    body_is_cut: bool,
    /// What people said about it, oldest first.
    history: Vec<QuarantineWord>,
}

/// A person's word about a change in quarantine.
#[derive(Serialize, ToSchema)]
struct QuarantineWord {
    /// `retry`, `discard` or `edit`.
    action: String,
    /// Username.
    by: String,
    /// When, by the clock of the site where it was said.
    #[schema(format = "date-time")]
    at: String,
    /// A store's code, or `hub`.
    site: String,
    /// Why.
    reason: Option<String>,
    /// The change that stands in for it, `ORIGIN:SEQ`.
    instead: Option<String>,
}

impl From<Word> for QuarantineWord {
    fn from(word: Word) -> Self {
        let Word { action, by, at, site, reason, instead } = word;
        Self { action, by, at, site, reason, instead: instead.map(|id| id.to_string()) }
    }
}

/// What of a change is shown, at most `most_bytes` of its body.
fn shown(item: Quarantined, most_bytes: usize) -> QuarantineItem {
    let body_bytes = item.body.len();
    let mut body = item.body;
    let mut end = most_bytes.min(body_bytes);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    QuarantineItem {
        id: item.id.to_string(),
        origin: item.id.origin,
        seq: item.id.seq,
        kind: item.kind,
        record_id: item.record_id,
        store_code: item.store_code,
        by: item.by,
        code: item.code,
        reason: item.reason,
        received_at: item.received_ms.map(format_rfc3339),
        waiting: item.waiting,
        state: match item.standing {
            Standing::Open => "open",
            Standing::Waiting => "waiting",
            Standing::Settled => "settled",
            Standing::Applied => "applied",
        },
        body_is_cut: body.len() < body_bytes,
        body,
        body_bytes: body_bytes as u64,
        history: item.words.into_iter().map(QuarantineWord::from).collect(),
    }
}

/// One change with as much of its body as an answer shows.
#[must_use]
pub fn whole(item: Quarantined) -> QuarantineItem {
    shown(item, MAX_SHOWN_BYTES)
}

/// A list as the API answers it.
#[must_use]
pub fn listed(listed: Listed) -> QuarantineList {
    let items = listed.items.into_iter().map(|item| shown(item, MAX_LISTED_BYTES)).collect();
    QuarantineList { items, next_cursor: listed.next_cursor }
}
