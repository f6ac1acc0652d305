//! What a company adds to incidents (its categories and its fields, as headquarters set them), as pages offer it.

use crate::choice::Choice;
use desk::ledger::SettingsRow;
use desk::settings::{Category, CustomField, Holding, Kind};
use desk::{Desk, Error};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands between a built-in category and the name of the company's beneath it, in a form's value.
const UNDER: char = '/';

/// What a company adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Its categories.
    pub categories: Vec<Category>,
    /// Its fields.
    pub fields: Vec<CustomField>,
}

impl Own {
    /// Nothing.
    pub const NONE: Self = Self { categories: Vec::new(), fields: Vec::new() };

    /// What holds at `store`.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn at(desk: &Desk, store: &str) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self::of(&desk::settings::holding(desk, Some(store)).await?)))
    }

    /// What holds for the company, or at any store: to look for incidents by.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn anywhere(desk: &Desk) -> Result<Arc<Self>, Error> {
        let rows = desk.ledger().settings(None).await?;
        let mut all = Self::of(&Holding::of(&rows, None));
        for row in rows.iter().filter(|row| row.scope.store_code().is_some()) {
            let theirs = Self::of(&Holding::joined(None, Some(row)));
            for one in theirs.categories {
                let is_it = |other: &Category| other.label == one.label && other.category == one.category;
                if !all.categories.iter().any(is_it) {
                    all.categories.push(one);
                }
            }
            for one in theirs.fields {
                if !all.fields.iter().any(|other| other.key == one.key) {
                    all.fields.push(one);
                }
            }
        }
        Ok(Arc::new(all))
    }

    fn of(holding: &Holding) -> Self {
        Self { categories: holding.categories(), fields: holding.custom_fields() }
    }

    /// The fields that a form asks for: those in use, and retired ones that `custom` has a value of.
    pub fn asked<'a>(&'a self, custom: &'a BTreeMap<String, Value>) -> impl Iterator<Item = &'a CustomField> {
        self.fields.iter().filter(|field| !field.retired || custom.contains_key(&field.key))
    }

    /// What the company calls the value under `key`; none where it says nothing of it.
    #[must_use]
    pub fn labelled(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.key == key).map(|field| field.label.as_str())
    }

    /// What people call the value under `key`.
    #[must_use]
    pub fn label<'a>(&'a self, key: &'a str) -> &'a str {
        self.labelled(key).unwrap_or(key)
    }

    /// The categories as a form offers them; the one of `category` and `subcategory` is on, also where it is retired.
    #[must_use]
    pub fn offered(&self, category: &str, subcategory: &str) -> Vec<Choice> {
        let choice = |one: &Category| Choice {
            value: format!("{}{UNDER}{}", one.category, one.label),
            text: one.label.clone(),
            on: one.category == category && one.label == subcategory,
        };
        self.categories
            .iter()
            .map(|one| (one, choice(one)))
            .filter(|(one, it)| it.on || !one.retired)
            .map(|(_, it)| it)
            .collect()
    }

    /// Whether these two are a category of the company's.
    #[must_use]
    pub fn is_one(&self, category: &str, subcategory: &str) -> bool {
        self.categories.iter().any(|one| one.category == category && one.label == subcategory)
    }
}

/// What a company adds, store by store: for what shows incidents of several.
#[derive(Clone, Debug)]
pub struct Owns(Vec<SettingsRow>);

impl Owns {
    /// All of it.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn read(desk: &Desk) -> Result<Self, Error> {
        Ok(Self(desk.ledger().settings(None).await?))
    }

    /// What holds at `store`.
    #[must_use]
    pub fn at(&self, store: &str) -> Own {
        Own::of(&Holding::of(&self.0, Some(store)))
    }
}

/// The built-in category, and the name beneath it, that a form's value means.
#[must_use]
pub fn parted(value: &str) -> (&str, Option<&str>) {
    value.split_once(UNDER).map_or((value, None), |(category, own)| (category, Some(own)))
}

/// What a browser's input for a field is.
#[must_use]
pub const fn input(kind: Kind) -> &'static str {
    match kind {
        Kind::Date => "date",
        Kind::Text | Kind::Number | Kind::Choice => "text",
    }
}

/// A value as a form shows it.
#[must_use]
pub fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}
