//! Query parameters.

use super::pieces::{filled, status, words};
use serde::Deserialize;
use sync_protocol::record::vocabulary::CATEGORIES;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, SchemaFormat};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which incidents; every filter narrows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterParams {
    /// Ids.
    #[param(max_items = 200)]
    pub id: Option<Vec<Uuid>>,
    /// Store codes.
    #[param(max_items = 50)]
    pub store: Option<Vec<String>>,
    /// Statuses.
    #[param(schema_with = statuses, required = false)]
    pub status: Option<Vec<String>>,
    /// Categories.
    #[param(schema_with = categories, required = false)]
    pub category: Option<Vec<String>>,
    /// Subcategories, such as the company's own categories. Fields of its own are `custom.KEY`, such as `custom.till=4`; at most ten of
    /// them.
    #[param(max_items = 50)]
    pub subcategory: Option<Vec<String>>,
    /// Tags.
    #[param(max_items = 50)]
    pub tag: Option<Vec<String>>,
    /// Least severity.
    #[param(minimum = 1, maximum = 5)]
    pub severity_min: Option<u8>,
    /// Greatest severity.
    #[param(minimum = 1, maximum = 5)]
    pub severity_max: Option<u8>,
    /// Usernames.
    #[param(max_items = 50)]
    pub reported_by: Option<Vec<String>>,
    /// Parts of people's names, without regard to case and accents.
    #[param(schema_with = names, required = false)]
    pub person: Option<Vec<String>>,
    /// Earliest `occurred_at`, inclusive. RFC 3339.
    #[param(schema_with = moment, required = false)]
    pub from: Option<String>,
    /// Latest `occurred_at`, exclusive. RFC 3339.
    #[param(schema_with = moment, required = false)]
    pub to: Option<String>,
    /// Words: all of them, the last one also as a prefix, without regard to case and accents, in reference, title,
    /// description, location, tags, people and comments.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Deleted ones too; for managers.
    pub deleted: Option<bool>,
}

fn statuses() -> Schema {
    Schema::Array(ArrayBuilder::new().items(status()).max_items(Some(50)).build())
}

fn categories() -> Schema {
    Schema::Array(ArrayBuilder::new().items(words(CATEGORIES, false)).max_items(Some(50)).build())
}

fn names() -> Schema {
    Schema::Array(ArrayBuilder::new().items(filled::<200>()).max_items(Some(50)).build())
}

fn moment() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^(19|20|21)\d\d-"))
        .build()
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// At most how many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    #[param(max_length = 200)]
    pub cursor: Option<String>,
}

/// What a file is written in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// RFC 4180, UTF-8, with a header row.
    Csv,
    /// An array of whole incidents.
    Json,
    /// A spreadsheet.
    Xlsx,
    /// One document of their reports.
    Pdf,
    /// Their reports in an archive.
    Zip,
}
