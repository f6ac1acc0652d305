//! Options of `erase`, `hold`, `release` and `node replace`.

use super::{AdminConfig, Layer, OutputArgs, PlaceArgs, Task, UsageError, needed};
use clap::Args;
use desk::erasures::NewErasure;
use uuid::Uuid;

/// Options of `erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The incident's id.
    #[arg(long, value_name = "ID", env = "AINCIDENT_HUB_INCIDENT")]
    incident: Option<Uuid>,
    /// Somebody in it: everything but their roles.
    #[arg(long, value_name = "ID", env = "AINCIDENT_HUB_PERSON")]
    person: Option<Uuid>,
    /// A whole field of it, such as `title` or `custom.register`; again for another one.
    #[arg(long = "field", value_name = "FIELD", env = "AINCIDENT_HUB_FIELDS", value_delimiter = ',')]
    fields: Vec<String>,
    /// A comment on it; again for another one.
    #[arg(long = "comment", value_name = "ID", env = "AINCIDENT_HUB_COMMENTS", value_delimiter = ',')]
    comments: Vec<Uuid>,
    /// A photo of it; again for another one.
    #[arg(long = "photo", value_name = "ID", env = "AINCIDENT_HUB_PHOTOS", value_delimiter = ',')]
    photos: Vec<Uuid>,
    /// All photos of it.
    #[arg(long, env = "AINCIDENT_HUB_ALL_PHOTOS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    all_photos: Option<bool>,
    /// Why; the store sees it too, so no personal data here.
    #[arg(long, value_name = "TEXT", env = "AINCIDENT_HUB_REASON")]
    reason: Option<String>,
}

/// Options of `hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The incident's id.
    #[arg(long, value_name = "ID", env = "AINCIDENT_HUB_INCIDENT")]
    incident: Option<Uuid>,
    /// Why; the store sees it too.
    #[arg(long, value_name = "TEXT", env = "AINCIDENT_HUB_REASON")]
    reason: Option<String>,
}

/// Options of `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The incident's id.
    #[arg(long, value_name = "ID", env = "AINCIDENT_HUB_INCIDENT")]
    incident: Option<Uuid>,
}

/// Options of `node replace`.
#[derive(Debug, Args)]
pub struct NodeReplaceArgs {
    /// The node's id, as `node list` shows it.
    #[arg(value_name = "NODE")]
    node: Uuid,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl EraseArgs {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.output.json, ..Layer::default() })?;
        let task = Task::Erase(NewErasure {
            incident_id: needed(self.incident, "--incident", "AINCIDENT_HUB_INCIDENT")?,
            person_id: self.person,
            fields: self.fields,
            comments: self.comments,
            photos: self.photos,
            all_photos: self.all_photos.unwrap_or(false),
            reason: needed(self.reason, "--reason", "AINCIDENT_HUB_REASON")?,
        });
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl HoldArgs {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.output.json, ..Layer::default() })?;
        let task = Task::Hold {
            incident: needed(self.incident, "--incident", "AINCIDENT_HUB_INCIDENT")?,
            reason: needed(self.reason, "--reason", "AINCIDENT_HUB_REASON")?,
        };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl ReleaseArgs {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.output.json, ..Layer::default() })?;
        let task = Task::Release { incident: needed(self.incident, "--incident", "AINCIDENT_HUB_INCIDENT")? };
        Ok(AdminConfig { data_dir, json: layer.json.unwrap_or(false), task })
    }
}

impl NodeReplaceArgs {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let (data_dir, layer) = self.place.layered(Layer { json: self.output.json, ..Layer::default() })?;
        Ok(AdminConfig {
            data_dir,
            json: layer.json.unwrap_or(false),
            task: Task::ReplaceNode { node: self.node },
        })
    }
}
