//! The facts of an incident: what, when, where, who, what was lost. A field that holds nothing is not mentioned.

use super::Report;
use super::flow::{Column, Flow};
use super::front::{grade, store_line};
use super::moment::Zone;
use super::style::{BODY, CELL, CELL_STRONG};
use super::words::{label, list, plain, severity, text, word, worded};
use crate::money::{amount, figure};
use serde_json::Value;
use std::borrow::Cow;

type Fact = (String, String);

/// Everything up to the workflow.
pub(super) fn write(flow: &mut Flow<'_>, report: &Report) {
    let zone = Zone::named(&report.store.timezone);
    summary(flow, report, &zone);
    if let Some(description) = text(&report.incident, "/description") {
        flow.heading("Description");
        flow.paragraph(description, BODY);
    }
    people(flow, &report.incident, &zone);
    property(flow, &report.incident);
    outside(flow, &report.incident);
    custom(flow, report);
}

fn fact(facts: &mut Vec<Fact>, label: &str, value: Option<impl Into<String>>) {
    if let Some(value) = value.map(Into::into).filter(|value| !value.trim().is_empty()) {
        facts.push((label.to_owned(), value));
    }
}

fn summary(flow: &mut Flow<'_>, report: &Report, zone: &Zone) {
    let incident = &report.incident;
    let get = |pointer: &str| text(incident, pointer);
    let mut facts = Vec::new();
    fact(&mut facts, "Reference", get("/reference"));
    fact(&mut facts, "Store", Some(store_line(&report.store)));
    fact(&mut facts, "Status", get("/status").map(word));
    fact(&mut facts, "Severity", Some(severity(grade(report))));
    let category = get("/category").map(word);
    let kind = [category.as_deref(), get("/subcategory")].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    fact(&mut facts, "Category", Some(kind));
    occurred(&mut facts, incident, zone);
    fact(&mut facts, "Zone", get("/zone").map(word));
    fact(&mut facts, "Location", get("/location"));
    let by = match (get("/reported_by_name"), get("/reported_by")) {
        (Some(name), Some(account)) if name != account => Some(format!("{name} ({account})")),
        (name, account) => name.or(account).map(ToOwned::to_owned),
    };
    fact(&mut facts, "Reported by", by);
    fact(&mut facts, "Recorded", get("/recorded_at").map(|at| zone.long(at)));
    fact(&mut facts, "Received at headquarters", get("/received_at").map(|at| zone.long(at)));
    fact(&mut facts, "Assigned to", get("/assigned_to"));
    fact(&mut facts, "Due", get("/due_at").map(|at| zone.long(at)));
    fact(&mut facts, "Duplicate of", get("/duplicate_of"));
    let tags = list(incident, "/tags").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    fact(&mut facts, "Tags", Some(tags));
    flow.heading("Summary");
    flow.facts(&facts, 0.0);
}

fn occurred(facts: &mut Vec<Fact>, incident: &Value, zone: &Zone) {
    let at = text(incident, "/occurred_at").map(|at| zone.long(at));
    let to = text(incident, "/occurred_to").map(|to| zone.long(to));
    match text(incident, "/occurred_precision") {
        Some("unknown") => fact(facts, "Occurred", at.map(|at| format!("Time not known; recorded as {at}"))),
        Some("approximate") => fact(facts, "Occurred", at.map(|at| format!("About {at}"))),
        Some("range") if to.is_some() => fact(facts, "Occurred from", at),
        _ => fact(facts, "Occurred", at),
    }
    fact(facts, "Occurred until", to);
}

fn people(flow: &mut Flow<'_>, incident: &Value, zone: &Zone) {
    let people = list(incident, "/people");
    if people.is_empty() {
        return;
    }
    flow.heading("People");
    for (at, person) in people.iter().enumerate() {
        let name = text(person, "/name").unwrap_or("Name not known");
        let roles = worded(list(person, "/roles"));
        let title = if roles.is_empty() {
            format!("{}. {name}", at + 1)
        } else {
            format!("{}. {name} – {roles}", at + 1)
        };
        let mut facts = Vec::new();
        for member in ["contact", "description", "vehicle", "statement"] {
            fact(&mut facts, &label(member), text(person, &format!("/{member}")));
        }
        injury(&mut facts, person, zone);
        flow.subheading(&title);
        flow.facts(&facts, 14.0);
        flow.skip(3.0);
    }
}

fn injury(facts: &mut Vec<Fact>, person: &Value, zone: &Zone) {
    let Some(injury) = person.get("injury").filter(|injury| injury.is_object()) else {
        return;
    };
    for member in ["body_part", "nature", "object", "activity"] {
        let shown = if member == "body_part" {
            "Injured body part".to_owned()
        } else {
            label(member)
        };
        fact(facts, &shown, text(injury, &format!("/{member}")));
    }
    fact(facts, "Treatment", text(injury, "/treatment").map(word));
    for member in ["days_away", "days_restricted"] {
        fact(facts, &label(member), injury.get(member).and_then(Value::as_u64).map(|days| days.to_string()));
    }
    fact(facts, "Died", text(injury, "/died_at").map(|at| zone.long(at)));
}

fn property(flow: &mut Flow<'_>, incident: &Value) {
    let items = list(incident, "/items");
    let currency = text(incident, "/loss/currency");
    let money = |pointer: &str| incident.pointer(pointer).and_then(Value::as_u64).map(|minor| amount(minor, currency));
    let (loss, recovered) = (money("/loss/amount_minor"), money("/loss/recovered_minor"));
    if items.is_empty() && loss.is_none() && recovered.is_none() {
        return;
    }
    flow.heading("Property and loss");
    if !items.is_empty() {
        item_table(flow, items, currency);
        totals(flow, items, currency);
        flow.skip(4.0);
    }
    for (label, figure) in [("Loss as reported", loss), ("Recovered as reported", recovered)] {
        if let Some(figure) = figure {
            flow.total(label, &figure, true);
        }
    }
}

fn item_table(flow: &mut Flow<'_>, items: &[Value], currency: Option<&str>) {
    let column = |title: Cow<'static, str>, share: f32, right: bool| Column { title, share, right };
    let value = currency.map_or_else(|| "Minor units".into(), |currency| format!("Value, {currency}").into());
    let mut table = flow.table(&[
        column("No.".into(), 0.45, true),
        column("Item".into(), 4.2, false),
        column("SKU".into(), 1.5, false),
        column("Outcome".into(), 1.1, false),
        column("Quantity".into(), 0.95, true),
        column(value, 1.5, true),
    ]);
    for (at, item) in items.iter().enumerate() {
        let number = (at + 1).to_string();
        let outcome = text(item, "/outcome").map(word).unwrap_or_default();
        let quantity =
            item.get("quantity").and_then(Value::as_u64).map(|count| figure(count, None)).unwrap_or_default();
        let value = item
            .get("value_minor")
            .and_then(Value::as_u64)
            .map(|minor| figure(minor, currency))
            .unwrap_or_default();
        let cells = [
            (number.as_str(), CELL),
            (text(item, "/description").unwrap_or("Not described"), CELL_STRONG),
            (text(item, "/sku").unwrap_or(""), CELL),
            (outcome.as_str(), CELL),
            (quantity.as_str(), CELL),
            (value.as_str(), CELL),
        ];
        flow.row(&mut table, &cells, Some(1));
    }
}

/// Sums of the items' values, by what became of them.
fn totals(flow: &mut Flow<'_>, items: &[Value], currency: Option<&str>) {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for item in items {
        let Some(value) = item.get("value_minor").and_then(Value::as_u64) else {
            continue;
        };
        let outcome =
            text(item, "/outcome").map_or_else(|| "without outcome".to_owned(), |outcome| word(outcome).to_lowercase());
        match sums.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, sum)) => *sum = sum.saturating_add(value),
            None => sums.push((outcome, value)),
        }
    }
    flow.skip(4.0);
    for (outcome, sum) in &sums {
        flow.total(&format!("Items {outcome}"), &amount(*sum, currency), false);
    }
    if sums.len() > 1 {
        let all = sums.iter().fold(0, |all: u64, (_, sum)| all.saturating_add(*sum));
        flow.total("All items listed", &amount(all, currency), true);
    }
}

fn outside(flow: &mut Flow<'_>, incident: &Value) {
    let mut facts = Vec::new();
    for field in ["police/agency", "police/officer", "police/report_number"] {
        fact(&mut facts, &label(field), text(incident, &format!("/{field}")));
    }
    let hurt = list(incident, "/people").iter().any(|person| person.get("injury").is_some_and(Value::is_object));
    match incident.get("ambulance").and_then(Value::as_bool) {
        Some(true) => fact(&mut facts, "Ambulance", Some("Yes")),
        Some(false) if hurt => fact(&mut facts, "Ambulance", Some("No")),
        _ => {}
    }
    for field in ["cctv/camera", "cctv/clip"] {
        fact(&mut facts, &label(field), text(incident, &format!("/{field}")));
    }
    if !facts.is_empty() {
        flow.heading("Police, ambulance and CCTV");
        flow.facts(&facts, 0.0);
    }
}

fn custom(flow: &mut Flow<'_>, report: &Report) {
    let Some(custom) = report.incident.get("custom").and_then(Value::as_object) else {
        return;
    };
    let mut facts = Vec::new();
    for (key, value) in custom {
        fact(&mut facts, &report.label(&format!("custom/{key}")), Some(plain(value)));
    }
    if !facts.is_empty() {
        flow.heading("Further details");
        flow.facts(&facts, 0.0);
    }
}
