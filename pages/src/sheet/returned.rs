//! A form that came back, compared with the incident as it is now.

use super::field::{put, read};
use super::{Entry, GROUPS, Kind, SCALARS, Sheet, Spec, currency, digest, elements, form_name, id_of, kind_of};
use crate::http::form::Form;
use crate::own::{Own, parted};
use crate::words::Words;
use desk::money::decimals;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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
pub fn returned(now: &Value, form: &Form, zone: &TimeZone, words: &Words, own: &Arc<Own>) -> Returned {
    let (stands, form) = (Sheet::of(now, zone, own), Sent::of(form));
    let was: HashMap<&str, &str> = form.one("was").split(' ').filter_map(|pair| pair.rsplit_once(':')).collect();
    let sheet = sent(&stands, &form, words);
    let mut back = Back {
        stands_in: currency(now).to_owned(),
        currency: String::new(),
        stands: &stands,
        was,
        form: &form,
        zone,
        words,
        sheet,
        patch: Map::new(),
    };
    back.currency = back.chosen_currency();
    for spec in SCALARS {
        back.scalar(spec.name, spec.path, spec.kind);
    }
    for field in stands.asked.clone() {
        back.scalar(&form_name(&field), &["custom", &field.key], kind_of(&field));
    }
    for (group, specs, _) in GROUPS {
        back.list(now, group, specs);
    }
    Returned { sheet: back.sheet, patch: back.patch }
}

/// A form whose fields are found by their names.
struct Sent<'a> {
    by_name: HashMap<&'a str, Vec<&'a str>>,
    form: &'a Form,
}

impl<'a> Sent<'a> {
    fn of(form: &'a Form) -> Self {
        let mut by_name: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, value) in &form.0 {
            by_name.entry(name).or_default().push(value);
        }
        Self { by_name, form }
    }

    /// Every value of a field.
    fn all(&self, name: &str) -> &[&'a str] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    fn one(&self, name: &str) -> &'a str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// Whether the form has the field at all: a box that is not ticked sends nothing, and is known by its companion.
    fn has(&self, name: &str, kind: Kind) -> bool {
        let there = |name: &str| self.by_name.contains_key(name);
        there(name) || (kind == Kind::Flag && there(&format!("{name}.there")))
    }

    fn value(&self, name: &str, kind: Kind) -> String {
        match kind {
            Kind::Words(_) => self.all(name).join(" "),
            Kind::Long => self.one(name).trim_end().to_owned(),
            _ => self.one(name).trim().to_owned(),
        }
    }

    /// The keys of a list's elements, in the form's order, at most `most`; and whether there are more.
    fn keys(&self, group: &str, most: usize) -> (Vec<&'a str>, bool) {
        let (mut keys, mut seen) = (Vec::new(), HashSet::new());
        for (name, _) in &self.form.0 {
            let key = name
                .strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.split('.').next());
            if let Some(key) = key.filter(|key| is_key(key) && seen.insert(*key)) {
                if keys.len() == most {
                    return (keys, true);
                }
                keys.push(key);
            }
        }
        (keys, false)
    }
}

/// The form with the values that were sent.
fn sent(stands: &Sheet, form: &Sent<'_>, words: &Words) -> Sheet {
    let mut sheet = Sheet {
        was: stands.was.clone(),
        values: stands.values.clone(),
        own: Arc::clone(&stands.own),
        asked: stands.asked.clone(),
        ..Sheet::default()
    };
    for spec in SCALARS {
        if form.has(spec.name, spec.kind) {
            sheet.set(spec.name, &form.value(spec.name, spec.kind));
        }
    }
    for field in &stands.asked {
        let (name, kind) = (form_name(field), kind_of(field));
        if form.has(&name, kind) {
            sheet.set(&name, &form.value(&name, kind));
        }
    }
    one_category(&mut sheet, stands);
    for (group, specs, most) in GROUPS {
        // All may be taken away in the form that brings as many new ones, and an empty place.
        let most = 2 * most + 1;
        let (keys, more) = form.keys(group, most);
        if more {
            sheet.general.push(words.with("sheet.too_many", &[&most.to_string()]));
        }
        for key in keys {
            let entry = Entry::new(group, key);
            for spec in specs {
                let name = entry.named(spec.name);
                sheet.values.insert(name.clone(), form.value(&name, spec.kind));
            }
            let remove = entry.named("remove");
            sheet.set(&remove, form.one(&remove));
            sheet.entries(group).push(entry);
        }
    }
    sheet
}

/// A category of the company's is chosen as one thing and kept as two: the built-in one, and its own name as the subcategory.
/// Who writes another subcategory beside it means that.
fn one_category(sheet: &mut Sheet, stands: &Sheet) {
    let chosen = sheet.v("category").to_owned();
    let typed = sheet.v("subcategory") != stands.v("subcategory");
    let was_own = stands.own.is_one(stands.v("category"), stands.v("subcategory"));
    match parted(&chosen) {
        (category, Some(own)) => {
            sheet.set("category", category);
            if !typed || sheet.v("subcategory").is_empty() {
                sheet.set("subcategory", own);
            }
        }
        (_, None) if was_own && !typed => sheet.set("subcategory", ""),
        _ => {}
    }
}

/// An id, or a new element's number.
fn is_key(key: &str) -> bool {
    (1..=40).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A form on its way back.
struct Back<'a> {
    stands: &'a Sheet,
    /// The currency in which amounts stand, and the one in which they are meant from now on.
    stands_in: String,
    currency: String,
    was: HashMap<&'a str, &'a str>,
    form: &'a Sent<'a>,
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

    /// As the author chose it, else as it stands.
    fn chosen_currency(&self) -> String {
        let sent = self.sheet.normal("loss.currency", Kind::Currency).to_uppercase();
        let is_theirs = self.form.has("loss.currency", Kind::Currency) && digest(&sent) != self.was("loss.currency");
        if is_theirs { sent } else { self.stands_in.clone() }
    }

    /// Whether a field that shows an amount would mean another one from now on: a currency was chosen that has other decimals.
    fn means_another(&self, kind: Kind, shown: &str) -> bool {
        kind == Kind::Money && !shown.is_empty() && decimals(&self.currency) != decimals(&self.stands_in)
    }

    fn scalar(&mut self, name: &str, path: &[&str], kind: Kind) {
        // Choosing a category of the company's says what the subcategory is, too.
        let is_said = self.form.has(name, kind) || (name == "subcategory" && self.form.has("category", kind));
        if !is_said {
            return;
        }
        let was = self.was(name);
        let (sent, stands) = (self.sheet.normal(name, kind), self.stands.normal(name, kind));
        let means_another = self.means_another(kind, &sent);
        if digest(&sent) == was && !means_another {
            // Not touched: whatever somebody else made of it is shown and stays.
            let stands = self.stands.v(name).to_owned();
            self.sheet.set(name, &stands);
            return;
        }
        if sent == stands && !means_another {
            return;
        }
        if digest(&stands) != was {
            self.sheet.meanwhile.insert(name.to_owned(), stands);
        }
        match read(self.sheet.v(name), kind, self.zone, &self.currency) {
            Ok(value) => put(&mut self.patch, path, value),
            Err(key) => {
                self.sheet.complaints.insert(name.to_owned(), self.words.t(key).to_owned());
            }
        }
    }

    fn list(&mut self, now: &Value, group: &'static str, specs: &'static [Spec]) {
        let sent = std::mem::take(self.sheet.entries(group));
        if sent.is_empty() && elements(now, group).is_empty() {
            self.sheet.entries(group).push(Entry::new(group, "new1"));
            return;
        }
        let by_key: HashMap<&str, &Entry> = sent.iter().map(|entry| (entry.key.as_str(), entry)).collect();
        let known: HashSet<&str> = elements(now, group).iter().map(id_of).collect();
        let (mut list, mut shown, mut changed) = (Vec::new(), Vec::new(), false);
        for element in elements(now, group) {
            let Some(entry) = by_key.get(id_of(element)).copied() else {
                list.push(element.clone());
                continue;
            };
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
        let mut keys: Vec<String> = list.iter().map(|element| id_of(element).to_owned()).collect();
        for entry in sent.iter().filter(|entry| !known.contains(entry.key.as_str())) {
            let empty = specs.iter().all(|spec| {
                self.sheet.v(&entry.named(spec.name)).is_empty()
                    || spec.kind.is_default(self.sheet.v(&entry.named(spec.name)))
            });
            // One that somebody else removed meanwhile comes back only where this form's author worked on it.
            let wanted = if entry.fresh { !empty } else { self.is_touched(entry, specs) };
            if wanted && !self.is_removed(entry) {
                changed = true;
                shown.push(entry.clone());
                let blank = if entry.fresh { json!({}) } else { json!({ "id": entry.key }) };
                list.push(self.element(blank, entry, specs));
                keys.push(entry.key.clone());
            }
        }
        self.sheet.listed.insert(group, keys);
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
            || specs.iter().any(|spec| self.means_another(spec.kind, self.sheet.v(&entry.named(spec.name))))
    }

    fn show_as_it_stands(&mut self, entry: &Entry, specs: &[Spec]) {
        for spec in specs {
            let name = entry.named(spec.name);
            let stands = self.stands.v(&name).to_owned();
            self.sheet.set(&name, &stands);
        }
    }

    /// The element with what the form says of it; what the form does not know or does not change stays.
    fn element(&mut self, from: Value, entry: &Entry, specs: &[Spec]) -> Value {
        let mut made = match from {
            Value::Object(made) => made,
            _ => Map::new(),
        };
        for spec in specs {
            let name = entry.named(spec.name);
            let sent = self.sheet.normal(&name, spec.kind);
            let stands = self.stands.values.get(&name).map(|text| spec.kind.normal(text));
            if stands.as_ref() == Some(&sent) && !self.means_another(spec.kind, &sent) {
                continue;
            }
            match read(self.sheet.v(&name), spec.kind, self.zone, &self.currency) {
                Ok(value) => put(&mut made, spec.path, value),
                Err(key) => {
                    self.sheet.complaints.insert(name, self.words.t(key).to_owned());
                }
            }
        }
        Value::Object(made)
    }
}
