//! What is set, as the page lists it.

use desk::incidents::body::Fields;
use desk::settings::catalogue::{LOG_LEVELS, SINGLE, Shape};
use desk::settings::{Holding, Kind};
use pages::http::form::Form;
use pages::own::plain;
use pages::words::Words;
use std::borrow::Cow;

/// A setting that a node has one of, as a field of the form.
pub(super) struct Line {
    /// Its name in the form and in messages.
    pub(super) name: String,
    pub(super) value: String,
    /// What the company has, for a store.
    pub(super) company: Option<String>,
    /// Words to choose from; none: it is a number.
    pub(super) words: Vec<&'static str>,
    /// The bounds of a number.
    pub(super) least: u64,
    pub(super) most: u64,
    /// A time of the day, for when originals go.
    pub(super) from: String,
    pub(super) to: String,
}

/// A category.
pub(super) struct CategoryLine {
    pub(super) key: String,
    pub(super) label: String,
    pub(super) of: String,
    pub(super) retired: bool,
    /// Whether what is shown is set here, and not for the company.
    pub(super) is_here: bool,
}

/// A field.
pub(super) struct FieldLine {
    pub(super) key: String,
    pub(super) label: String,
    pub(super) kind: String,
    pub(super) is_choice: bool,
    pub(super) choices: String,
    pub(super) required: bool,
    pub(super) retired: bool,
    pub(super) is_here: bool,
}

/// The settings in their groups, with what is set in one scope; `company`: what the company has, for a store. What was sent
/// and not taken is shown instead.
pub(super) fn lines(own: &Fields, company: Option<&Fields>, sent: &Form) -> Vec<(&'static str, Vec<Line>)> {
    let mut groups: Vec<(&'static str, Vec<Line>)> = Vec::new();
    for (field, shape) in SINGLE {
        let name = field.replace('/', ".");
        let stands = own.get(field).map(plain).unwrap_or_default();
        let mut value = if sent.has(&name) { sent.one(&name).to_owned() } else { stands };
        let (mut from, mut to) = (sent.one("photos.from").to_owned(), sent.one("photos.to").to_owned());
        if shape == Shape::Originals
            && let Some((begins, ends)) = value.clone().split_once('-').filter(|(begins, _)| begins.contains(':'))
        {
            (from, to) = (begins.to_owned(), ends.to_owned());
            value = "window".to_owned();
        }
        let (words, least, most) = match shape {
            Shape::LogLevel => (LOG_LEVELS.to_vec(), 0, 0),
            Shape::Originals => (vec!["always", "on-demand", "window"], 0, 0),
            Shape::Whole(least, most) => (Vec::new(), least, most),
        };
        let company = company.and_then(|company| company.get(field)).map(plain);
        let line = Line { name, value, company, words, least, most, from, to };
        let group = match field.split_once('/').map_or(field, |(group, _)| group) {
            "photos" | "link" => "line",
            "drafts" | "backup" => "retention",
            _ => "log",
        };
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((group, vec![line])),
        }
    }
    groups
}

/// The categories that hold.
pub(super) fn categories(holding: &Holding, own: &Fields, is_store: bool, words: &Words) -> Vec<CategoryLine> {
    let line = |one: desk::settings::Category| CategoryLine {
        is_here: !is_store || own.contains_key(&format!("categories/{}", one.key)),
        of: words.of("category", &one.category).into_owned(),
        key: one.key,
        label: one.label,
        retired: one.retired,
    };
    holding.categories().into_iter().map(line).collect()
}

/// The fields that hold.
pub(super) fn fields(holding: &Holding, own: &Fields, is_store: bool, words: &Words) -> Vec<FieldLine> {
    let line = |one: desk::settings::CustomField| FieldLine {
        is_here: !is_store || own.contains_key(&format!("custom_fields/{}", one.key)),
        kind: words.of("field_type", one.kind.as_str()).into_owned(),
        is_choice: one.kind == Kind::Choice,
        choices: one.choices.join("\n"),
        key: one.key,
        label: one.label,
        required: one.required,
        retired: one.retired,
    };
    holding.custom_fields().into_iter().map(line).collect()
}

/// What people call the field that the API calls `name`: `photos.max_kbit_s`, or the member of an element.
pub(super) fn called(name: &str, words: &Words) -> String {
    let mut parts = name.splitn(3, '.');
    let part = match (parts.next(), parts.next(), parts.next()) {
        (Some("categories" | "custom_fields"), _, Some(member)) => Cow::Owned(format!("element_{member}")),
        (Some("categories" | "custom_fields"), _, None) => return String::new(),
        _ => Cow::Owned(name.replace('.', "_")),
    };
    words.of("setting", &part).into_owned()
}
