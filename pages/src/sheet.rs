//! An incident as a form, and back.
//!
//! A form remembers what each of its fields showed when it was opened. What comes back is compared field by field: only what its
//! author changed is written, so an edit that somebody made meanwhile elsewhere stays. Where both changed one field, the form
//! comes again with both texts, and its author decides.
//!
//! Pure: no ledger, no clock.

mod field;
mod returned;

pub use field::{ITEM, Kind, PERSON, SCALARS, Spec};
pub use returned::{Returned, returned};

use crate::choice::{Choice, choices};
use crate::own::{Own, input};
use crate::words::Words;
use desk::Desk;
use desk::actor::Actor;
use desk::rules::{self, Act};
use desk::settings::{self, CustomField};
use field::{show, take};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use sync_protocol::record::{MAX_ITEMS, MAX_PEOPLE};

/// Lists whose elements are parts of the form, and how many an incident has at most.
const GROUPS: [(&str, &[Spec], usize); 2] = [("people", PERSON, MAX_PEOPLE), ("items", ITEM, MAX_ITEMS)];

/// The form of a new incident: `n` in `new_form.html`.
#[derive(Clone, Debug, Default)]
pub struct NewSheet {
    /// What is filled in.
    pub s: Sheet,
    /// Made for the form, so that one that is sent twice records one incident.
    pub id: String,
    /// The stores to choose from, with their names; none: it is clear.
    pub stores: Vec<(String, String)>,
    /// The one that was chosen.
    pub store: String,
    /// Whether whoever fills it in may give it to somebody.
    pub can_assign: bool,
    /// What is wrong with the form as a whole.
    pub wrong: Option<String>,
    /// The draft that is gone on with; empty: none yet.
    pub draft: String,
}

impl NewSheet {
    /// An empty one, whose id whoever shows it makes.
    #[must_use]
    pub fn for_nobody(own: &Arc<Own>) -> Self {
        Self { s: Sheet::of(&Value::Null, &TimeZone::UTC, own), ..Self::default() }
    }

    /// An empty one.
    #[must_use]
    pub fn blank(desk: &Desk, actor: &Actor, own: &Arc<Own>) -> Self {
        Self {
            id: desk.ids().new_v7(desk.now_ms()).hyphenated().to_string(),
            can_assign: rules::check(actor, Act::Assign).is_ok(),
            ..Self::for_nobody(own)
        }
    }
}

/// An element of a list in the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id, or `new1`.
    pub key: String,
    /// Whether it is not there yet.
    pub fresh: bool,
    group: &'static str,
}

impl Entry {
    fn new(group: &'static str, key: &str) -> Self {
        Self { key: key.to_owned(), fresh: key.starts_with("new"), group }
    }

    /// The form's name of one of its fields.
    #[must_use]
    pub fn named(&self, field: &str) -> String {
        format!("{}.{}.{field}", self.group, self.key)
    }

    /// The form's name of the element.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{}.{}", self.group, self.key)
    }
}

/// The form, filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What its fields show.
    values: BTreeMap<String, String>,
    /// People, and an empty place.
    pub people: Vec<Entry>,
    /// Items, and an empty place.
    pub items: Vec<Entry>,
    /// What is wrong with which field.
    complaints: BTreeMap<String, String>,
    /// What somebody else made of a field meanwhile.
    meanwhile: BTreeMap<String, String>,
    /// What is wrong and belongs to no field of the form.
    pub general: Vec<String>,
    /// What each field showed when the form was opened, as digests.
    pub was: String,
    /// What the company adds.
    own: Arc<Own>,
    /// The company's fields that the form asks for, by their keys.
    pub asked: Vec<CustomField>,
    /// The elements of the lists that were sent on, in their order: their keys, by list.
    listed: BTreeMap<&'static str, Vec<String>>,
}

impl Sheet {
    /// The form that shows the incident `now`, an object as the API answers it, or null for a new one.
    #[must_use]
    pub fn of(now: &Value, zone: &TimeZone, own: &Arc<Own>) -> Self {
        let custom = now.get("custom").and_then(Value::as_object).into_iter().flatten();
        let custom = custom
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let asked = own.asked(&custom).cloned().collect();
        let mut sheet = Self { own: Arc::clone(own), asked, ..Self::default() };
        let currency = currency(now);
        for spec in SCALARS {
            sheet.values.insert(spec.name.to_owned(), show(take(now, spec.path), spec.kind, zone, currency));
        }
        for field in &sheet.asked {
            let shown = show(custom.get(&field.key), kind_of(field), zone, currency);
            sheet.values.insert(form_name(field), shown);
        }
        for (group, specs, _) in GROUPS {
            let mut entries = Vec::new();
            for element in elements(now, group) {
                let Some(id) = element.get("id").and_then(Value::as_str) else {
                    continue;
                };
                let entry = Entry::new(group, id);
                for spec in specs {
                    sheet
                        .values
                        .insert(entry.named(spec.name), show(take(element, spec.path), spec.kind, zone, currency));
                }
                entries.push(entry);
            }
            entries.push(Entry::new(group, "new1"));
            *sheet.entries(group) = entries;
        }
        sheet.was = sheet
            .digests()
            .iter()
            .map(|(name, digest)| format!("{name}:{digest}"))
            .collect::<Vec<_>>()
            .join(" ");
        sheet
    }

    fn entries(&mut self, group: &str) -> &mut Vec<Entry> {
        if group == "people" { &mut self.people } else { &mut self.items }
    }

    /// What a field shows.
    #[must_use]
    pub fn v(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Sets what a field shows.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// What is wrong with a field.
    #[must_use]
    pub fn complaint(&self, name: &str) -> Option<&str> {
        self.complaints.get(name).map(String::as_str)
    }

    /// What somebody else made of a field meanwhile.
    #[must_use]
    pub fn meanwhile(&self, name: &str) -> Option<&str> {
        self.meanwhile.get(name).map(String::as_str)
    }

    /// Everything that is wrong, by field.
    #[must_use]
    pub fn all_complaints(&self) -> Vec<(String, String)> {
        let of_fields = self.complaints.iter().map(|(field, message)| (field.clone(), message.clone()));
        of_fields.chain(self.general.iter().map(|message| (String::new(), message.clone()))).collect()
    }

    /// The same, not judged yet: its author is still writing.
    #[must_use]
    pub fn unjudged(mut self) -> Self {
        self.complaints.clear();
        self.meanwhile.clear();
        self.general.clear();
        self
    }

    /// Whether the form has to be looked at again.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        !(self.complaints.is_empty() && self.meanwhile.is_empty() && self.general.is_empty())
    }

    /// Whether any of the fields that begin with `prefix` says something.
    #[must_use]
    pub fn has_any(&self, prefix: &str) -> bool {
        let theirs = |name: &String| name.starts_with(prefix);
        self.values.iter().any(|(name, value)| theirs(name) && !value.is_empty()) || self.complaints.keys().any(theirs)
    }

    /// The categories: built-in ones, and the company's, of which one is on where it is what the incident says.
    #[must_use]
    pub fn categories(&self, words: &Words) -> (Vec<Choice>, Vec<Choice>) {
        let (category, subcategory) = (self.v("category"), self.v("subcategory"));
        let own = self.own.offered(category, subcategory);
        let mut built_in = self.pick(words, "category", "category");
        if own.iter().any(|choice| choice.on) {
            built_in.iter_mut().for_each(|choice| choice.on = false);
        }
        (built_in, own)
    }

    /// The choices of a field of the company's; what it says now is among them.
    #[must_use]
    pub fn choices_of(&self, field: &CustomField) -> Vec<Choice> {
        let now = self.v(&form_name(field));
        let choice = |text: &str| Choice { value: text.to_owned(), text: text.to_owned(), on: text == now };
        let mut choices: Vec<Choice> = field.choices.iter().map(|text| choice(text)).collect();
        if !now.is_empty() && !choices.iter().any(|choice| choice.on) {
            choices.push(choice(now));
        }
        choices
    }

    /// What a browser's input for a field of the company's is.
    #[must_use]
    pub fn input_of(&self, field: &CustomField) -> &'static str {
        input(field.kind)
    }

    /// The form's name of a field of the company's.
    #[must_use]
    pub fn name_of(&self, field: &CustomField) -> String {
        form_name(field)
    }

    /// The words of a vocabulary, with those that a field shows.
    #[must_use]
    pub fn pick(&self, words: &Words, group: &str, name: &str) -> Vec<Choice> {
        let chosen: Vec<&str> = self.v(name).split(' ').collect();
        choices(words, group, field::vocabulary(group), &chosen)
    }

    /// Says what is wrong with a field, under the name by which the API knows it.
    pub fn complain(&mut self, field: &str, message: &str, words: &Words) {
        let message = words.known_rule(message).unwrap_or_else(|| words.with("sheet.not_acceptable", &[message]));
        match self.known_as(field) {
            Some(name) => {
                self.complaints.insert(name, message);
            }
            None => self.general.push(format!("{field}: {message}")),
        }
    }

    /// The form's name of the field that the API calls `field`, such as `people[1].injury.nature`.
    fn known_as(&self, field: &str) -> Option<String> {
        let named =
            |specs: &[Spec], path: &str| specs.iter().find(|spec| spec.path.join(".") == path).map(|spec| spec.name);
        if let Some(name) = named(SCALARS, field) {
            return Some(name.to_owned());
        }
        if let Some(own) = self.asked.iter().find(|own| form_name(own) == field) {
            return Some(form_name(own));
        }
        let (group, rest) = field.split_once('[')?;
        let (at, path) = rest.split_once(']')?;
        let (_, specs, _) = GROUPS.iter().find(|(name, ..)| *name == group)?;
        let entries = if group == "people" { &self.people } else { &self.items };
        // The API counts in the list that was sent on; what is to be taken away is in the form alone, what somebody added
        // meanwhile in the list alone.
        let key = self.listed.get(group)?.get(at.parse::<usize>().ok()?)?;
        let entry = entries.iter().find(|entry| entry.key == *key)?;
        let name = named(specs, path.trim_start_matches('.')).or_else(|| specs.first().map(|spec| spec.name))?;
        Some(entry.named(name))
    }

    /// A digest of each field, and of each element as a whole.
    fn digests(&self) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, String> = SCALARS
            .iter()
            .map(|spec| (spec.name.to_owned(), digest(&self.normal(spec.name, spec.kind))))
            .collect();
        for own in &self.asked {
            let name = form_name(own);
            let digest = digest(&self.normal(&name, kind_of(own)));
            found.insert(name, digest);
        }
        for (entries, specs) in [(&self.people, PERSON), (&self.items, ITEM)] {
            for entry in entries.iter().filter(|entry| !entry.fresh) {
                found.insert(entry.whole(), digest(&self.told(entry, specs)));
            }
        }
        found
    }

    /// What a field shows, as it is compared.
    fn normal(&self, name: &str, kind: Kind) -> String {
        kind.normal(self.v(name))
    }

    /// Everything an element says, as one text.
    fn told(&self, entry: &Entry, specs: &[Spec]) -> String {
        specs
            .iter()
            .map(|spec| self.normal(&entry.named(spec.name), spec.kind))
            .collect::<Vec<_>>()
            .join("\u{1f}")
    }

    /// What an element says, to be read.
    fn summary(&self, entry: &Entry, specs: &[Spec]) -> String {
        let said: Vec<&str> =
            specs.iter().map(|spec| self.v(&entry.named(spec.name))).filter(|text| !text.is_empty()).collect();
        said.join(" · ")
    }
}

fn form_name(field: &CustomField) -> String {
    format!("custom.{}", field.key)
}

const fn kind_of(field: &CustomField) -> Kind {
    match field.kind {
        settings::Kind::Number => Kind::Number,
        settings::Kind::Text | settings::Kind::Date | settings::Kind::Choice => Kind::Own,
    }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..12].to_owned()
}

fn currency(now: &Value) -> &str {
    now.pointer("/loss/currency").and_then(Value::as_str).unwrap_or_default()
}

fn elements<'a>(now: &'a Value, group: &str) -> &'a [Value] {
    now.get(group).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn id_of(element: &Value) -> &str {
    element.get("id").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
