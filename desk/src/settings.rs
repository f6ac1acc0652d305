//! What headquarters sets for its nodes: for the company, and for single stores, whose values go before the company's, field by
//! field.
//!
//! Settings are records that travel down like a store's name. Headquarters judges what a person sets before it is recorded
//! ([`catalogue`]); a node judges it again before it applies it, says which version it applied ([`Holding::version`]) and what it
//! could not apply, and why. What the machine's own configuration says goes first there, and the node says so.

pub mod catalogue;
pub mod own;

pub use crate::reviews::public;
pub use own::{Category, CustomField, Kind};

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::IfMatch;
use crate::incidents::body::{Body, Fields};
use crate::ledger::{Draft, Recording, SettingsRow, Staged};
use crate::rules::{self, Act};
use catalogue::{COLLECTIONS, MAX_OWN, SINGLE};
use chassis::clock::format_rfc3339;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use sync_protocol::merge::{DELETED, RecordState};
use sync_protocol::message::SettingsReport;
use sync_protocol::record::{self, FieldError, SETTINGS, settings_of, settings_version};
use sync_protocol::scope::Scope;
use utoipa::ToSchema;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Set for the company.
    Company,
    /// Set for the store.
    Store,
    /// The configuration of the machine, which goes first there.
    Here,
    /// Nobody has set it, or what was set cannot be applied.
    Default,
}

impl Source {
    /// Its name, as the API and pages say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Store => "store",
            Self::Here => "here",
            Self::Default => "default",
        }
    }
}

/// What is set for a store, or for the company alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holding {
    company: Fields,
    store: Fields,
    changed_ms: Option<i64>,
}

impl Holding {
    /// Of the rows of a ledger, what holds at `store`; for none, the company's own.
    #[must_use]
    pub fn of(rows: &[SettingsRow], store: Option<&str>) -> Self {
        let company = rows.iter().find(|row| row.scope == Scope::Company);
        let own = store.and_then(|code| rows.iter().find(|row| row.scope.store_code() == Some(code)));
        Self::joined(company, own)
    }

    /// What the company's row and a store's amount to.
    #[must_use]
    pub fn joined(company: Option<&SettingsRow>, own: Option<&SettingsRow>) -> Self {
        let fields = |row: Option<&SettingsRow>| row.map(|row| row.fields.clone()).unwrap_or_default();
        Self {
            company: fields(company),
            store: fields(own),
            changed_ms: company.into_iter().chain(own).map(|row| row.changed_ms).max(),
        }
    }

    /// The name of all this: the same wherever the same is set.
    #[must_use]
    pub fn version(&self) -> String {
        settings_version(&self.company, &self.store)
    }

    /// When the last of it was set, milliseconds since 1970.
    #[must_use]
    pub const fn changed_ms(&self) -> Option<i64> {
        self.changed_ms
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.company.is_empty() && self.store.is_empty()
    }

    /// The values that hold, each with where it comes from.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<&str, (&Value, Source)> {
        let company = self.company.iter().map(|(field, value)| (field.as_str(), (value, Source::Company)));
        let store = self.store.iter().map(|(field, value)| (field.as_str(), (value, Source::Store)));
        company.chain(store).collect()
    }

    /// The value that holds for a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.store.get(field).or_else(|| self.company.get(field))
    }

    /// What cannot be applied by this program, and why.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<String, String> {
        let why = |(field, (value, _)): (&str, (&Value, Source))| {
            let mut wrong = catalogue::check(field, value).into_iter();
            let (at, why) = wrong.next()?;
            let member = at.strip_prefix(field).map(|member| member.trim_start_matches('/')).unwrap_or_default();
            let said = match member {
                "" if why == "there is no such field" => "this program does not know it: upgrade it".to_owned(),
                "" => why,
                member => format!("{member} {why}"),
            };
            Some((field.to_owned(), said))
        };
        self.fields().into_iter().filter_map(why).collect()
    }

    /// The company's categories, by the built-in ones and their names; those that are retired, too.
    #[must_use]
    pub fn categories(&self) -> Vec<Category> {
        let mut found: Vec<Category> = self.elements("categories", catalogue::to_category).collect();
        found.sort_by(|a, b| (&a.category, &a.label, &a.key).cmp(&(&b.category, &b.label, &b.key)));
        found
    }

    /// The company's fields, by name; those that are retired, too.
    #[must_use]
    pub fn custom_fields(&self) -> Vec<CustomField> {
        let mut found: Vec<CustomField> = self.elements("custom_fields", catalogue::to_custom_field).collect();
        found.sort_by(|a, b| (&a.label, &a.key).cmp(&(&b.label, &b.key)));
        found
    }

    fn elements<'a, T: 'a>(&'a self, of: &'a str, read: fn(&str, &Value) -> Option<T>) -> impl Iterator<Item = T> + 'a {
        self.fields().into_iter().filter_map(move |(field, (value, _))| {
            let key = field.strip_prefix(of)?.strip_prefix('/')?;
            read(key, value)
        })
    }
}

/// What is set, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Settings {
    /// The store; null: the company.
    #[schema(example = "042")]
    pub store_code: Option<String>,
    /// The name of what is set: the same at every site that holds the same settings.
    pub version: String,
    /// When the last of it was set; RFC 3339, UTC.
    pub changed_at: Option<String>,
    /// What holds: the company's, and before it the store's. At a node, too: not what its own configuration says instead.
    #[schema(value_type = Object, example = json!({"log_level": "info", "photos": {"max_kbit_s": 512}}))]
    pub settings: Value,
    /// Where each of them comes from, such as `"photos.max_kbit_s": "store"`. At a node `here` is said of what its own
    /// configuration says otherwise, and `default` of what it could not apply.
    pub sources: BTreeMap<String, Source>,
    /// At a node: what it could not apply, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
}

impl Settings {
    /// Everything that is set by the name that clients know, its value, and where that comes from.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value, Source)> {
        self.sources.iter().filter_map(|(name, source)| {
            let value = match name.split_once('.') {
                None => self.settings.get(name),
                Some((group, member)) => self.settings.get(group)?.get(member),
            };
            Some((name.as_str(), value?, *source))
        })
    }
}

/// Puts a value under the name that clients know, such as `photos.max_kbit_s`, into an object as they send and get it. Where the
/// group was named as a whole before, the later word counts.
pub fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((group, member)) = name.split_once('.') else {
        object.insert(name.to_owned(), value);
        return;
    };
    let group = object.entry(group).or_insert(Value::Null);
    match group {
        Value::Object(members) => {
            members.insert(member.to_owned(), value);
        }
        other => *other = Value::Object(Map::from_iter([(member.to_owned(), value)])),
    }
}

fn told(holding: &Holding, store_code: Option<String>, report: &SettingsReport) -> Settings {
    let mut settings = Map::new();
    let mut sources = BTreeMap::new();
    for (field, (value, source)) in holding.fields() {
        let source = if report.overridden.iter().any(|overridden| overridden == field) {
            Source::Here
        } else if report.refused.contains_key(field) {
            Source::Default
        } else {
            source
        };
        sources.insert(public(field), source);
        put(&mut settings, &public(field), value.clone());
    }
    Settings {
        store_code,
        version: holding.version(),
        changed_at: holding.changed_ms.map(format_rfc3339),
        settings: Value::Object(settings),
        sources,
        refused: report.refused.iter().map(|(field, why)| (public(field), why.clone())).collect(),
    }
}

/// What holds at `store`; for none, the company's own.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn holding(desk: &Desk, store: Option<&str>) -> Result<Holding, Error> {
    // Whatever store has no settings of its own has the company's.
    let rows = desk.ledger().settings(Some(store.unwrap_or_default().to_owned())).await?;
    Ok(Holding::of(&rows, store))
}

/// Whether `request` about an incident has to do with the fields of the company's own: it writes values of them, or `closes` it.
pub(crate) fn concern(request: &Body, closes: bool) -> bool {
    closes || request.contains_key("custom")
}

/// The fields of the company's own at a store.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn custom_fields(desk: &Desk, store: &str) -> Result<Vec<CustomField>, Error> {
    Ok(holding(desk, Some(store)).await?.custom_fields())
}

/// What is set. `store`: for which store; at a node and for a store's people it is their own.
///
/// # Errors
/// [`Refusal::NotFound`] where there is no such store, or none that `actor` may see; when the ledger cannot be read.
pub async fn show(desk: &Desk, actor: &Actor, store: Option<String>) -> Result<Settings, Error> {
    let own = desk.own_store().await?;
    let at_node = own.is_some();
    let store = store.or(own).or_else(|| rules::sight(actor));
    if let Some(code) = &store {
        rules::within(actor, code)?;
        if !at_node && desk.ledger().store(code).await?.is_none() {
            return Err(Refusal::NotFound.into());
        }
    }
    let holding = holding(desk, store.as_deref()).await?;
    let report = if at_node {
        desk.settings_report().borrow().clone()
    } else {
        SettingsReport::default()
    };
    Ok(told(&holding, store, &report))
}

/// What is set in one scope alone, as a form shows it: for the company, or what `store` has of its own.
///
/// # Errors
/// As [`show`].
pub async fn own_of(desk: &Desk, actor: &Actor, store: Option<&str>) -> Result<Fields, Error> {
    rules::check(actor, Act::SeeCompany)?;
    let holding = holding(desk, store).await?;
    Ok(if store.is_some() { holding.store } else { holding.company })
}

/// Sets what the merge patch `patch` says, for the company or for `store`. `null` takes a value away: what else is set, or a
/// node's own default, holds then.
///
/// # Errors
/// [`Refusal::Forbidden`] for anybody but an administrator at headquarters; [`Refusal::NotFound`] where there is no such store;
/// [`Refusal::Stale`]; [`Refusal::Invalid`] that names every field that cannot be taken.
pub async fn edit(
    desk: &Desk,
    actor: &Actor,
    store: Option<String>,
    if_match: IfMatch,
    patch: Body,
) -> Result<Settings, Error> {
    rules::check(actor, Act::Administer)?;
    if desk.own_store().await?.is_some() {
        return Err(Refusal::Forbidden("settings are made at headquarters, on the hub".to_owned()).into());
    }
    if let Some(code) = &store
        && desk.ledger().store(code).await?.is_none()
    {
        return Err(Refusal::NotFound.into());
    }
    let scope = store.clone().map_or(Scope::Company, Scope::Store);
    let id = settings_of(&scope);
    let mut records = vec![id];
    if store.is_some() {
        // A store's version names the company's values, too.
        records.push(settings_of(&Scope::Company));
    }
    let plan = move |staged: &Staged| {
        let states = staged.records.iter().map(|there| there.as_ref().map(|there| &there.state));
        let fields: Vec<Fields> = states.map(|state| state.map(standing).unwrap_or_default()).collect();
        let version = match fields.as_slice() {
            [own, company] => settings_version(company, own),
            [company] => settings_version(company, &Fields::new()),
            _ => String::new(),
        };
        if_match.check(Some(&etag(&version)))?;
        let there = staged.records.first().and_then(Option::as_ref);
        let before = there.map(|there| there.state.clone()).unwrap_or_default();
        let set = changes(&before, patch).map_err(Refusal::Invalid)?;
        if set.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Draft { kind: SETTINGS, id, scope, new: there.is_none(), set, number_year: None }])
    };
    let recording = Recording::of(records, &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    show(desk, actor, store).await
}

/// The values that stand in a record of settings.
#[must_use]
pub(crate) fn standing(state: &RecordState) -> Fields {
    let stands = state.cells.iter().filter(|(field, cell)| *field != DELETED && !cell.value.is_null());
    stands.map(|(field, cell)| (field.clone(), cell.value.clone())).collect()
}

/// The strong tag of a version, in its quotes.
#[must_use]
pub fn etag(version: &str) -> String {
    format!("\"{version}\"")
}

/// The field writes that a merge patch amounts to, where a record is `before`.
fn changes(before: &RecordState, patch: Body) -> Result<Fields, Vec<FieldError>> {
    let (mut set, mut errors) = (Fields::new(), Vec::new());
    let wrong = |field: &str, message: String| FieldError { field: public(field), message };
    for (name, value) in patch {
        let is_group =
            COLLECTIONS.contains(&name.as_str()) || SINGLE.iter().any(|(field, _)| group(field) == Some(&name));
        if name.contains('/') {
            errors.push(wrong(&name, "there is no such field".to_owned()));
        } else if !is_group {
            set.insert(name, value);
        } else {
            match value {
                Value::Null => {
                    let prefix = format!("{name}/");
                    let theirs = before.cells.keys().filter(|field| field.starts_with(&prefix));
                    set.extend(theirs.map(|field| (field.clone(), Value::Null)));
                }
                Value::Object(members) => {
                    for (member, value) in members {
                        let field = format!("{name}/{member}");
                        let value = if COLLECTIONS.contains(&name.as_str()) {
                            merged(before.get(&field), value)
                        } else {
                            value
                        };
                        set.insert(field, value);
                    }
                }
                _ => errors.push(wrong(&name, "must be an object".to_owned())),
            }
        }
    }
    errors.extend(record::unknown_members(SETTINGS, &set).into_iter().map(|error| wrong(&error.field, error.message)));
    for (field, value) in set.iter().filter(|(field, value)| !value.is_null() && record::knows(SETTINGS, field)) {
        errors.extend(catalogue::check(field, value).into_iter().map(|(field, why)| wrong(&field, why)));
        errors.extend(altered(field, before.get(field), value).map(|(field, why)| wrong(&field, why)));
    }
    set.retain(|field, value| match before.get(field) {
        Some(standing) => standing != value,
        None => !value.is_null(),
    });
    errors.extend(whole(before, &set));
    if errors.is_empty() { Ok(set) } else { Err(errors) }
}

fn group(field: &str) -> Option<&str> {
    field.split_once('/').map(|(group, _)| group)
}

/// RFC 7396 over one element: what is not named stays, `null` takes a member away.
fn merged(before: Option<&Value>, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut element = before.and_then(Value::as_object).cloned().unwrap_or_default();
    element.extend(patch);
    element.retain(|_, value| !value.is_null());
    Value::Object(element)
}

/// What must not become something else once incidents may carry it.
fn altered(field: &str, before: Option<&Value>, after: &Value) -> Option<(String, String)> {
    let differs = |member: &str| before.is_some_and(|before| before.get(member) != after.get(member));
    if field.starts_with("categories/") && differs("label") {
        let why = "reports carry this name, so it stays: retire this category and add another one";
        return Some((format!("{field}/label"), why.to_owned()));
    }
    if field.starts_with("custom_fields/") && differs("type") {
        let why = "reports hold values of this type, so it stays: retire this field and add another one";
        return Some((format!("{field}/type"), why.to_owned()));
    }
    None
}

/// What is wrong with a record as a whole, that `set` makes of one that is `before`.
fn whole(before: &RecordState, set: &Fields) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let after = crate::incidents::body::after(before, set);
    let of = |collection: &str| {
        let prefix = format!("{collection}/");
        let cells = after.cells.iter().filter(|(_, cell)| !cell.value.is_null());
        cells
            .filter(|(field, _)| field.starts_with(&prefix))
            .map(|(field, cell)| (field, &cell.value))
            .collect()
    };
    for collection in COLLECTIONS {
        let elements: Vec<(&String, &Value)> = of(collection);
        if elements.len() > MAX_OWN {
            let message = format!("must be at most {MAX_OWN} and are {}", elements.len());
            errors.push(FieldError { field: collection.to_owned(), message });
        }
        for (field, value) in elements.iter().filter(|(field, _)| set.contains_key(*field)) {
            let is_same = |other: &Value| {
                other.get("label").is_some()
                    && other.get("label") == value.get("label")
                    && other.get("category") == value.get("category")
            };
            if elements.iter().any(|(other, value)| other != field && is_same(value)) {
                let message = "another one has this name: choose another name".to_owned();
                errors.push(FieldError { field: public(&format!("{field}/label")), message });
            }
        }
    }
    errors
}

/// Whether `actor` may change settings, for pages.
#[must_use]
pub fn may_edit(actor: &Actor) -> bool {
    rules::check(actor, Act::Administer).is_ok()
}

#[cfg(test)]
mod tests;
