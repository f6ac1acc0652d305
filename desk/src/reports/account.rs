//! How an incident came to be what it is: its workflow, what was said about it, what was changed.

use super::Report;
use super::flow::{Column, Flow};
use super::moment::Zone;
use super::style::{BODY, CELL, CELL_STRONG};
use super::words::{changed, list, text, word};
use crate::ledger::HistoryItem;
use serde_json::Value;

const fn column(title: &'static str, share: f32) -> Column {
    Column { title: std::borrow::Cow::Borrowed(title), share, right: false }
}

/// Workflow, comments and addenda.
pub(super) fn talk(flow: &mut Flow<'_>, report: &Report) {
    let zone = Zone::named(&report.store.timezone);
    workflow(flow, report, &zone);
    let comments = list(&report.incident, "/comments");
    if comments.is_empty() {
        return;
    }
    flow.heading("Comments and addenda");
    for comment in comments {
        let kind = word(text(comment, "/kind").unwrap_or("comment"));
        let author = text(comment, "/author").unwrap_or("somebody");
        let at = text(comment, "/created_at").map(|at| zone.short(at)).unwrap_or_default();
        flow.subheading(&format!("{kind} by {author}, {at}"));
        flow.paragraph(text(comment, "/body").unwrap_or(""), BODY);
        flow.skip(4.0);
    }
}

fn workflow(flow: &mut Flow<'_>, report: &Report, zone: &Zone) {
    let steps: Vec<&HistoryItem> = report
        .history
        .iter()
        .filter(|item| matches!(item.kind.as_str(), "created" | "step" | "deleted" | "restored"))
        .collect();
    if steps.is_empty() {
        return;
    }
    flow.heading("Workflow");
    let columns = [
        column("When", 2.0),
        column("Who", 1.5),
        column("From", 1.2),
        column("To", 1.2),
        column("Reason", 2.6),
    ];
    let mut table = flow.table(&columns);
    for step in steps {
        let status = |value: &Value| value.as_str().map(word).unwrap_or_default();
        let (from, to) = match step.kind.as_str() {
            "created" => (String::new(), "Recorded".to_owned()),
            "deleted" => (String::new(), "Deleted".to_owned()),
            "restored" => ("Deleted".to_owned(), "Restored".to_owned()),
            _ => (status(&step.from), status(&step.to)),
        };
        let (when, who) = (zone.short(&step.at), who(step));
        let reason = step.reason.as_deref().unwrap_or("");
        let cells = [
            (when.as_str(), CELL),
            (who.as_str(), CELL),
            (from.as_str(), CELL),
            (to.as_str(), CELL_STRONG),
            (reason, CELL),
        ];
        flow.row(&mut table, &cells, None);
    }
}

/// Who did it, and at which site.
fn who(item: &HistoryItem) -> String {
    if item.site == "hub" {
        format!("{} (headquarters)", item.actor)
    } else {
        format!("{} (store {})", item.actor, item.site)
    }
}

/// Every correction, with what stood there before.
pub(super) fn changes(flow: &mut Flow<'_>, report: &Report) {
    let zone = Zone::named(&report.store.timezone);
    let changes: Vec<&HistoryItem> = report.history.iter().filter(|item| item.kind == "edited").collect();
    if changes.is_empty() {
        return;
    }
    let currency = text(&report.incident, "/loss/currency");
    flow.heading("Changes since it was recorded");
    let columns = [
        column("When", 1.55),
        column("Who", 1.25),
        column("Field", 1.25),
        column("From", 2.2),
        column("To", 2.2),
    ];
    let mut table = flow.table(&columns);
    for change in changes {
        let field = change.field.as_deref().unwrap_or("");
        let from = changed(field, &change.from, currency, &zone);
        let mut to = changed(field, &change.to, currency, &zone);
        if change.lost {
            to.push_str("\n(did not stand: another edit made at the same time did)");
        }
        let (when, who, field) = (zone.short(&change.at), who(change), report.label(field));
        let cells = [
            (when.as_str(), CELL),
            (who.as_str(), CELL),
            (field.as_str(), CELL_STRONG),
            (from.as_str(), CELL),
            (to.as_str(), CELL),
        ];
        flow.row(&mut table, &cells, None);
    }
}
