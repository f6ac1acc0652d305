//! `quarantine`: the same command at both programs.

use super::answer::{listed, whole};
use super::{discard, get, list, retry};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Quarantined, Standing};
use chassis::clock::format_rfc3339;
use sync_protocol::change::ChangeId;

/// Most changes that a list on a terminal shows.
const MOST: u32 = 200;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The list.
    List {
        /// Those that people decided against, instead of open ones.
        settled: bool,
    },
    /// One of them, with its body.
    Show {
        /// The change.
        id: ChangeId,
    },
    /// To have one tried again.
    Retry {
        /// The change.
        id: ChangeId,
        /// Why.
        reason: Option<String>,
    },
    /// To decide against one.
    Discard {
        /// The change.
        id: ChangeId,
        /// Why.
        reason: String,
    },
}

/// Does it; answers what to print. `json`: one JSON value, as the API has it.
///
/// # Errors
/// As the features.
pub async fn run(desk: &Desk, command: Command, json: bool) -> Result<String, Error> {
    let actor = Actor::system("cli");
    let item = match command {
        Command::List { settled } => {
            let found = list(desk, &actor, settled, None, MOST).await?;
            return if json {
                text(&listed(found))
            } else {
                Ok(table(&found.items, found.next_cursor.is_some()))
            };
        }
        Command::Show { id } => get(desk, &actor, id).await?,
        Command::Retry { id, reason } => {
            let item = retry(desk, &actor, id, reason).await?;
            if !json {
                return Ok(match item.standing {
                    Standing::Applied => format!("{id} is in its record"),
                    _ => format!("{id} was tried again and is in quarantine still: {}: {}", item.code, item.reason),
                });
            }
            item
        }
        Command::Discard { id, reason } => {
            let item = discard(desk, &actor, id, reason).await?;
            if !json {
                return Ok(format!("{id} is settled: it stays kept, out of its record"));
            }
            item
        }
    };
    if json { text(&whole(item)) } else { Ok(lines(&item)) }
}

fn text(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Fault(error.to_string()))
}

fn table(items: &[Quarantined], more: bool) -> String {
    if items.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let mut table = format!("{:47}  {:16}  {:10}  {:>7}  {:12}  REASON", "CHANGE", "STORE", "KIND", "WAITING", "CODE");
    for item in items {
        let kind = item.kind.as_deref().map_or("?".to_owned(), printable);
        table.push_str(&format!(
            "\n{:47}  {:16}  {:10}  {:>7}  {:12}  {}",
            item.id.to_string(),
            item.store_code,
            kind,
            item.waiting,
            item.code,
            printable(&item.reason)
        ));
    }
    if more {
        table.push_str(&format!("\nand more than these {MOST}"));
    }
    table
}

fn lines(item: &Quarantined) -> String {
    let standing = match item.standing {
        Standing::Open => "in quarantine",
        Standing::Waiting => "waits behind another change",
        Standing::Settled => "settled: kept, out of its record",
        Standing::Applied => "in its record",
    };
    let record = item.record_id.map_or_else(|| "cannot be read".to_owned(), |id| id.to_string());
    let mut lines = vec![
        format!("{:<14}{}", "change", item.id),
        format!("{:<14}{standing}", "state"),
        format!("{:<14}{}", "store", item.store_code),
        format!("{:<14}{} {record}", "record", item.kind.as_deref().map_or("?".to_owned(), printable)),
        format!("{:<14}{}", "by", item.by.as_deref().map_or("?".to_owned(), printable)),
        format!("{:<14}{}", "received", item.received_ms.map_or_else(|| "not yet".to_owned(), format_rfc3339)),
        format!("{:<14}{}: {}", "reason", item.code, printable(&item.reason)),
        format!("{:<14}{}", "waiting", item.waiting),
    ];
    for word in &item.words {
        let why = word.reason.as_deref().map_or_else(String::new, |why| format!(": {}", printable(why)));
        lines.push(format!("{:<14}{} by {} ({}){why}", word.at, word.action, word.by, word.site));
    }
    lines.push(printable(&item.body));
    lines.join("\n")
}

/// Text from anywhere as a terminal may show it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
