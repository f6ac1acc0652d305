//! Options of `settings`.

use super::{AdminConfig, Layer, OutputArgs, PlaceArgs, Task, UsageError};
use clap::{Args, Subcommand};
use desk::settings::put;
use serde_json::{Map, Value};

/// What headquarters sets for its nodes.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show what is set, and where each of it comes from.
    Show(ShowArgs),
    /// Set values, for every store or with --store for one.
    Set(SetArgs),
    /// Take values away: what else is set, or a node's own default, holds then.
    Unset(UnsetArgs),
}

/// Options that all of them have.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The code of the store that it is about [default: the company].
    #[arg(long, value_name = "CODE")]
    store: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of `settings set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// What becomes what, such as `log_level=debug`, `photos.max_kbit_s=512` or
    /// `categories.gift_card={"label":"Gift card","category":"fraud"}`.
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = assignment)]
    values: Vec<(String, Value)>,
    #[command(flatten)]
    plain: ShowArgs,
}

/// Options of `settings unset`.
#[derive(Debug, Args)]
pub struct UnsetArgs {
    /// Names, such as `photos.max_kbit_s`.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    plain: ShowArgs,
}

/// What is JSON is taken as that; anything else is a text.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, such as log_level=debug")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

impl SettingsCommand {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (plain, values) = match self {
            Self::Show(plain) => (plain, Vec::new()),
            Self::Set(SetArgs { values, plain }) => (plain, values),
            Self::Unset(UnsetArgs { names, plain }) => {
                (plain, names.into_iter().map(|name| (name, Value::Null)).collect())
            }
        };
        let (data_dir, layer) = plain.place.layered(Layer { json: plain.output.json, ..Layer::default() })?;
        let task = Task::Settings { store: plain.store, patch: patch(values) };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

/// A merge patch of names with dots.
fn patch(values: Vec<(String, Value)>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (name, value) in values {
        put(&mut patch, &name, value);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_with_dots_become_a_merge_patch() {
        let given = ["log_level=debug", "photos.max_kbit_s=512", "photos.originals=22:00-06:00"];
        let values = given.map(|text| assignment(text).unwrap()).to_vec();
        let wanted = json!({"log_level": "debug", "photos": {"max_kbit_s": 512, "originals": "22:00-06:00"}});
        assert_eq!(Value::Object(patch(values)), wanted);
        assert_eq!(
            Value::Object(patch(vec![("photos.originals".into(), Value::Null)])),
            json!({"photos": {"originals": null}})
        );
        assert!(assignment("log_level").is_err());
    }
}
