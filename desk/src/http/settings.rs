//! Settings that headquarters makes for its nodes.

use super::door::Door;
use super::incidents::{MergePatch, if_match};
use crate::desk::Desk;
use crate::settings::{self, Settings};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::http::{Json, Path, Problem};
use http::HeaderMap;
use http::header::ETAG;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What settings become: a merge patch. What is left out stays, `null` takes a value away.
#[derive(Serialize, ToSchema)]
pub struct SettingsPatch {
    /// What a node logs: `error`, `warn`, `info`, `debug` or `trace`.
    #[schema(example = "info", pattern = "^(error|warn|info|debug|trace)$")]
    log_level: Option<String>,
    /// Photos on the line to headquarters.
    photos: Option<PhotoSettings>,
    /// The line to headquarters.
    link: Option<LinkSettings>,
    /// What somebody is typing.
    drafts: Option<DraftSettings>,
    /// Backups that a node's timer makes.
    backup: Option<BackupSettings>,
    /// Categories of the company's own, each under a key of a-z, 0-9 and `_`; at most 100. A category keeps its name.
    categories: Option<BTreeMap<String, CategorySettings>>,
    /// Fields of the company's own, each under the key that it has in an incident's `custom`; at most 100. A field keeps its type.
    custom_fields: Option<BTreeMap<String, FieldSettings>>,
}

/// Photos on the line.
#[derive(Serialize, ToSchema)]
pub struct PhotoSettings {
    /// When originals go: `always`, `on-demand`, or a time of the day by the node's clock.
    #[schema(
        example = "22:00-06:00",
        pattern = "^(always|on-demand|([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])$"
    )]
    originals: Option<String>,
    /// Most of the line that photos take, in kilobits a second; 0: all of it.
    #[schema(minimum = 0, maximum = 10_000_000)]
    max_kbit_s: Option<u64>,
    /// Most of that which originals take on their way to headquarters, in kilobits a second; 0: all of it.
    #[schema(minimum = 0, maximum = 10_000_000)]
    originals_max_kbit_s: Option<u64>,
}

/// The line.
#[derive(Serialize, ToSchema)]
pub struct LinkSettings {
    /// Longest pause between two tries to reach headquarters, in milliseconds.
    #[schema(minimum = 100, maximum = 300_000)]
    max_backoff_ms: Option<u64>,
}

/// What somebody is typing.
#[derive(Serialize, ToSchema)]
pub struct DraftSettings {
    /// How many days a draft is kept after its last change.
    #[schema(minimum = 1, maximum = 90)]
    keep_days: Option<u64>,
}

/// Backups.
#[derive(Serialize, ToSchema)]
pub struct BackupSettings {
    /// How many days keep their last one.
    #[schema(minimum = 1, maximum = 366)]
    keep_daily: Option<u64>,
    /// How many weeks keep their last one.
    #[schema(minimum = 0, maximum = 520)]
    keep_weekly: Option<u64>,
}

/// A category of the company's own.
#[derive(Serialize, ToSchema)]
pub struct CategorySettings {
    /// What people read, and what an incident's `subcategory` says.
    #[schema(min_length = 1, max_length = 100, example = "Gift card")]
    label: Option<String>,
    /// The built-in category that it is of.
    #[schema(example = "fraud")]
    category: Option<String>,
    /// It is offered no more; incidents that have it keep it.
    retired: Option<bool>,
}

/// A field of the company's own.
#[derive(Serialize, ToSchema)]
pub struct FieldSettings {
    /// What people read.
    #[schema(min_length = 1, max_length = 100, example = "Till")]
    label: Option<String>,
    /// `text`, `number`, `date` (such as `2026-01-31`) or `choice`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(text|number|date|choice)$")]
    kind: Option<String>,
    /// What is chosen from; with `choice`.
    choices: Option<Vec<String>>,
    /// An incident cannot be closed without it.
    required: Option<bool>,
    /// It is asked for no more; incidents that have it keep it.
    retired: Option<bool>,
}

/// Read settings
///
/// At headquarters those of the company; at a node, and for a store's people, what holds at their store. At a node with what it
/// could not apply, and with what its own configuration says otherwise.
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "settings", operation_id = "get_settings",
    responses((status = 200, description = "What is set", body = Settings, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn show(State(desk): State<Desk>, Door(actor): Door) -> Result<Response, Problem> {
    Ok(answer(settings::show(&desk, &actor, None).await?))
}

/// Change the company's settings
///
/// For administrators, at headquarters. Every node hears of it and says in `GET /api/v1/nodes` what it made of it.
#[utoipa::path(
    patch, path = "/api/v1/settings", tag = "settings", operation_id = "patch_settings",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that the change is meant for")),
    request_body(content((SettingsPatch = "application/merge-patch+json"), (SettingsPatch = "application/json"))),
    responses((status = 200, description = "What is set now", body = Settings, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn edit(
    State(desk): State<Desk>,
    Door(actor): Door,
    headers: HeaderMap,
    MergePatch(patch): MergePatch,
) -> Result<Response, Problem> {
    Ok(answer(settings::edit(&desk, &actor, None, if_match(&headers), patch).await?))
}

/// Read a store's settings
///
/// What holds there: the store's own values, and the company's where it has none.
#[utoipa::path(
    get, path = "/api/v1/settings/stores/{code}", tag = "settings", operation_id = "get_store_settings",
    params(("code" = String, Path, description = "The store's code")),
    responses((status = 200, description = "What is set", body = Settings, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn show_store(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(code): Path<String>,
) -> Result<Response, Problem> {
    Ok(answer(settings::show(&desk, &actor, Some(code)).await?))
}

/// Change a store's settings
///
/// For administrators, at headquarters. What is `null` is the company's again.
#[utoipa::path(
    patch, path = "/api/v1/settings/stores/{code}", tag = "settings", operation_id = "patch_store_settings",
    params(
        ("code" = String, Path, description = "The store's code"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the change is meant for")
    ),
    request_body(content((SettingsPatch = "application/merge-patch+json"), (SettingsPatch = "application/json"))),
    responses((status = 200, description = "What is set now", body = Settings, headers(("ETag" = String, description = "Strong"))))
)]
pub async fn edit_store(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(code): Path<String>,
    headers: HeaderMap,
    MergePatch(patch): MergePatch,
) -> Result<Response, Problem> {
    Ok(answer(settings::edit(&desk, &actor, Some(code), if_match(&headers), patch).await?))
}

fn answer(settings: Settings) -> Response {
    ([(ETAG, settings::etag(&settings.version))], Json(settings)).into_response()
}
