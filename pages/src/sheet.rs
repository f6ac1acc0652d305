//! An incident as a form, and back.
//!
//! A form remembers what each of its fields showed when it was opened. What comes back is compared field by field: only what its
//! author changed is written, so an edit that somebody made meanwhile elsewhere stays. Where both changed one field, the form
//! comes again with both texts, and its author decides.
//!
//! Pure: no ledger, no clock.

mod field;

pub use field::{ITEM, Kind, PERSON, SCALARS, Spec};

use crate::choice::{Choice, choices};
use crate::http::form::Form;
use crate::words::{Lang, Words};
use field::{put, read, show, take};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Lists whose elements are parts of the form.
const GROUPS: [(&str, &[Spec]); 2] = [("people", PERSON), ("items", ITEM)];

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
}

impl Sheet {
    /// The form that shows the incident `now`, an object as the API answers it, or null for a new one.
    #[must_use]
    pub fn of(now: &Value, zone: &TimeZone) -> Self {
        let mut sheet = Self::default();
        let currency = currency(now);
        for spec in SCALARS {
            sheet.values.insert(spec.name.to_owned(), show(take(now, spec.path), spec.kind, zone, currency));
        }
        for (group, specs) in GROUPS {
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

    /// The words of a vocabulary, with those that a field shows.
    #[must_use]
    pub fn pick(&self, words: &Words, group: &str, name: &str) -> Vec<Choice> {
        let chosen: Vec<&str> = self.v(name).split(' ').collect();
        choices(words, group, field::vocabulary(group), &chosen)
    }

    /// Says what is wrong with a field, under the name by which the API knows it.
    pub fn complain(&mut self, field: &str, message: &str, words: &Words) {
        let message = match words.lang() {
            Lang::En => message.to_owned(),
            _ => words.with("sheet.not_acceptable", &[message]),
        };
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
        let (group, rest) = field.split_once('[')?;
        let (at, path) = rest.split_once(']')?;
        let (_, specs) = GROUPS.iter().find(|(name, _)| *name == group)?;
        let entries = if group == "people" { &self.people } else { &self.items };
        // Those that are to be taken away are in the form, and not in what was sent on.
        let entry = entries.iter().filter(|entry| self.v(&entry.named("remove")).is_empty()).nth(at.parse().ok()?)?;
        let name = named(specs, path.trim_start_matches('.')).or_else(|| specs.first().map(|spec| spec.name))?;
        Some(entry.named(name))
    }

    /// A digest of each field, and of each element as a whole.
    fn digests(&self) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, String> =
            SCALARS.iter().map(|spec| (spec.name.to_owned(), digest(self.v(spec.name)))).collect();
        for (entries, specs) in [(&self.people, PERSON), (&self.items, ITEM)] {
            for entry in entries.iter().filter(|entry| !entry.fresh) {
                found.insert(entry.whole(), digest(&self.told(entry, specs)));
            }
        }
        found
    }

    /// Everything an element says, as one text.
    fn told(&self, entry: &Entry, specs: &[Spec]) -> String {
        specs.iter().map(|spec| self.v(&entry.named(spec.name))).collect::<Vec<_>>().join("\u{1f}")
    }

    /// What an element says, to be read.
    fn summary(&self, entry: &Entry, specs: &[Spec]) -> String {
        let said: Vec<&str> =
            specs.iter().map(|spec| self.v(&entry.named(spec.name))).filter(|text| !text.is_empty()).collect();
        said.join(" · ")
    }
}

/// A form that came back.
#[derive(Clone, Debug)]
pub struct Returned {
    /// As it was sent, with what is wrong about it; to be shown again where that is anything.
    pub sheet: Sheet,
    /// What its author changed, as a merge patch of the incident.
    pub patch: Map<String, Value>,
}

/// Compares a form that was sent with the incident as it is `now` (null for a new one).
#[must_use]
pub fn returned(now: &Value, form: &Form, zone: &TimeZone, words: &Words) -> Returned {
    let stands = Sheet::of(now, zone);
    let was: BTreeMap<&str, &str> = form.one("was").split(' ').filter_map(|pair| pair.rsplit_once(':')).collect();
    let mut back = Back {
        stands: &stands,
        was,
        form,
        zone,
        words,
        sheet: sent(&stands, form),
        patch: Map::new(),
    };
    back.scalars();
    for (group, specs) in GROUPS {
        back.list(now, group, specs);
    }
    Returned { sheet: back.sheet, patch: back.patch }
}

/// The form with the values that were sent.
fn sent(stands: &Sheet, form: &Form) -> Sheet {
    let mut sheet = Sheet { was: stands.was.clone(), values: stands.values.clone(), ..Sheet::default() };
    for spec in SCALARS {
        if is_in(form, spec.name, spec.kind) {
            sheet.set(spec.name, &value_of(form, spec.name, spec.kind));
        }
    }
    for (group, specs) in GROUPS {
        let mut keys: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, _) in &form.0 {
            let key = name
                .strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.split('.').next());
            if let Some(key) = key.filter(|key| is_key(key) && seen.insert(*key)) {
                keys.push(key);
            }
        }
        for key in keys {
            let entry = Entry::new(group, key);
            for spec in specs {
                let name = entry.named(spec.name);
                sheet.values.insert(name.clone(), value_of(form, &name, spec.kind));
            }
            let remove = entry.named("remove");
            sheet.set(&remove, form.one(&remove));
            sheet.entries(group).push(entry);
        }
    }
    sheet
}

/// An id, or a new element's number.
fn is_key(key: &str) -> bool {
    (1..=40).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether the form has the field at all: a box that is not ticked sends nothing, and is known by its companion.
fn is_in(form: &Form, name: &str, kind: Kind) -> bool {
    form.has(name) || (kind == Kind::Flag && form.has(&format!("{name}.there")))
}

fn value_of(form: &Form, name: &str, kind: Kind) -> String {
    match kind {
        Kind::Words(_) => form.all(name).collect::<Vec<_>>().join(" "),
        Kind::Long => form.one(name).trim_end().to_owned(),
        _ => form.one(name).trim().to_owned(),
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

/// A form on its way back.
struct Back<'a> {
    stands: &'a Sheet,
    was: BTreeMap<&'a str, &'a str>,
    form: &'a Form,
    zone: &'a TimeZone,
    words: &'a Words,
    sheet: Sheet,
    patch: Map<String, Value>,
}

impl Back<'_> {
    /// What a text was when the form was opened; a form that does not say was empty.
    fn was(&self, name: &str) -> String {
        self.was.get(name).map_or_else(|| digest(""), |digest| (*digest).to_owned())
    }

    fn currency(&self) -> String {
        self.sheet.v("loss.currency").to_uppercase()
    }

    fn scalars(&mut self) {
        let currency = self.currency();
        for spec in SCALARS {
            if !is_in(self.form, spec.name, spec.kind) {
                continue;
            }
            let (sent, stands) = (self.sheet.v(spec.name).to_owned(), self.stands.v(spec.name).to_owned());
            let was = self.was(spec.name);
            if digest(&sent) == was {
                // Not touched: whatever somebody else made of it is shown and stays.
                self.sheet.set(spec.name, &stands);
                continue;
            }
            if sent == stands {
                continue;
            }
            if digest(&stands) != was {
                self.sheet.meanwhile.insert(spec.name.to_owned(), stands);
            }
            match read(&sent, spec.kind, self.zone, &currency) {
                Ok(value) => put(&mut self.patch, spec.path, value),
                Err(key) => {
                    self.sheet.complaints.insert(spec.name.to_owned(), self.words.t(key).to_owned());
                }
            }
        }
    }

    fn list(&mut self, now: &Value, group: &'static str, specs: &'static [Spec]) {
        let sent = std::mem::take(self.sheet.entries(group));
        if sent.is_empty() && elements(now, group).is_empty() {
            self.sheet.entries(group).push(Entry::new(group, "new1"));
            return;
        }
        let (mut list, mut shown, mut changed) = (Vec::new(), Vec::new(), false);
        for element in elements(now, group) {
            let id = element.get("id").and_then(Value::as_str).unwrap_or_default();
            match sent.iter().find(|entry| entry.key == id) {
                None => list.push(element.clone()),
                Some(entry) => {
                    shown.push(entry.clone());
                    let (remove, touched) = (self.is_removed(entry), self.is_touched(entry, specs));
                    if (remove || touched) && digest(&self.stands.told(entry, specs)) != self.was(&entry.whole()) {
                        let stands = self.stands.summary(entry, specs);
                        self.sheet.meanwhile.insert(entry.whole(), stands);
                    }
                    if remove {
                        changed = true;
                    } else if touched {
                        changed = true;
                        list.push(self.element(element.clone(), entry, specs));
                    } else {
                        self.show_as_it_stands(entry, specs);
                        list.push(element.clone());
                    }
                }
            }
        }
        for entry in sent.iter().filter(|entry| {
            !elements(now, group).iter().any(|e| e.get("id").and_then(Value::as_str) == Some(&entry.key))
        }) {
            let empty = specs.iter().all(|spec| {
                self.sheet.v(&entry.named(spec.name)).is_empty()
                    || spec.kind.is_default(self.sheet.v(&entry.named(spec.name)))
            });
            // One that somebody else removed meanwhile comes back only where this form's author worked on it.
            let wanted = if entry.fresh { !empty } else { self.is_touched(entry, specs) };
            if wanted && !self.is_removed(entry) {
                changed = true;
                shown.push(entry.clone());
                let blank = if entry.fresh {
                    Value::Object(Map::new())
                } else {
                    serde_json::json!({ "id": entry.key })
                };
                list.push(self.element(blank, entry, specs));
            }
        }
        if changed {
            self.patch.insert(group.to_owned(), Value::Array(list));
        }
        let next = (1..).map(|n| format!("new{n}")).find(|key| !shown.iter().any(|entry| entry.key == *key));
        shown.push(Entry::new(group, &next.unwrap_or_default()));
        *self.sheet.entries(group) = shown;
    }

    fn is_removed(&self, entry: &Entry) -> bool {
        !self.form.one(&entry.named("remove")).is_empty()
    }

    fn is_touched(&self, entry: &Entry, specs: &[Spec]) -> bool {
        digest(&self.sheet.told(entry, specs)) != self.was(&entry.whole())
    }

    fn show_as_it_stands(&mut self, entry: &Entry, specs: &[Spec]) {
        for spec in specs {
            let name = entry.named(spec.name);
            let stands = self.stands.v(&name).to_owned();
            self.sheet.set(&name, &stands);
        }
    }

    /// The element with what the form says of it; what the form does not know stays.
    fn element(&mut self, from: Value, entry: &Entry, specs: &[Spec]) -> Value {
        let currency = self.currency();
        let mut made = match from {
            Value::Object(made) => made,
            _ => Map::new(),
        };
        for spec in specs {
            let name = entry.named(spec.name);
            match read(self.sheet.v(&name), spec.kind, self.zone, &currency) {
                Ok(value) => put(&mut made, spec.path, value),
                Err(key) => {
                    self.sheet.complaints.insert(name, self.words.t(key).to_owned());
                }
            }
        }
        Value::Object(made)
    }
}

#[cfg(test)]
mod tests;
