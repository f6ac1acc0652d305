//! Whom the site tells of what.

use super::door::Door;
use super::object::Object;
use crate::desk::Desk;
use crate::ledger::{DeadMessage, RuleRow};
use crate::notifications::rule::Rule;
use crate::notifications::{self, Kept, zone};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{Json, Path, Problem, QueryPairs};
use chassis::webhooks::Secret;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// Rules, and what could not be sent.
#[derive(Serialize, ToSchema)]
pub struct NotificationList {
    /// Every rule, oldest first, at most 50.
    items: Vec<Notification>,
    /// Messages that were set aside, newest first, at most 100: retry or discard their jobs.
    dead: Vec<DeadNotification>,
    /// The `dead_before` of the next page of them; null: this is the last.
    next_dead_before: Option<i64>,
    /// How many they are in all.
    dead_count: u64,
    /// How many were kept for 90 days and are forgotten.
    dead_forgotten: u64,
    /// Whether the site can send mail.
    mail: bool,
}

/// A rule, and how it fares.
#[derive(Serialize, ToSchema)]
pub struct Notification {
    /// It.
    id: Uuid,
    #[serde(flatten)]
    rule: Rule,
    /// By whose clocks its daily message goes out: `timezone`, or what goes for it.
    #[schema(example = "America/Chicago")]
    digest_timezone: String,
    /// Who made it.
    created_by: String,
    /// When.
    #[schema(format = "date-time")]
    created_at: String,
    /// It tells of what is after this.
    #[schema(format = "date-time")]
    since: String,
    /// When it was last tried to send something.
    #[schema(format = "date-time")]
    last_at: Option<String>,
    /// Why that did not work; null: it did.
    last_error: Option<String>,
    /// Messages that are not sent yet.
    waiting: u64,
    /// Things that wait for a digest; counted up to 10000.
    gathered: u64,
    /// What a webhook is signed with: told this once, when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

/// A message that was set aside.
#[derive(Serialize, ToSchema)]
pub struct DeadNotification {
    /// Its job: `/api/v1/jobs/{no}/retry` sends it again.
    no: i64,
    /// Its id, the `webhook-id`.
    id: String,
    /// Its rule.
    rule_id: Uuid,
    /// What it tells of: `incident`, `overdue`, `osha`, `form301`, `silent`, `digest` or `test`.
    about: String,
    /// The incident that it is about.
    incident_id: Option<Uuid>,
    /// Why it was set aside.
    error: String,
    /// How often it was tried.
    attempts: u32,
    /// When it was made.
    #[schema(format = "date-time")]
    made_at: String,
}

/// Messages that are sent again.
#[derive(Serialize, ToSchema)]
pub struct Retried {
    /// How many.
    count: u64,
}

/// A message on its way.
#[derive(Serialize, ToSchema)]
pub struct TestSent {
    /// Its id, the `webhook-id`.
    message_id: String,
}

impl Notification {
    async fn of(desk: &Desk, row: RuleRow, secret: Option<&Secret>) -> Result<Self, Problem> {
        Ok(Self {
            id: row.id,
            digest_timezone: zone::name(desk, &row.rule).await?,
            rule: row.rule,
            created_by: row.created_by,
            created_at: format_rfc3339(row.created_ms),
            since: format_rfc3339(row.since_ms),
            last_at: row.last_ms.map(format_rfc3339),
            last_error: row.last_error,
            waiting: row.waiting,
            gathered: row.gathered,
            secret: secret.map(Secret::spell),
        })
    }

    async fn kept(desk: &Desk, kept: Kept) -> Result<Self, Problem> {
        Self::of(desk, kept.row, kept.secret.as_ref()).await
    }
}

impl From<DeadMessage> for DeadNotification {
    fn from(dead: DeadMessage) -> Self {
        Self {
            no: dead.no,
            id: dead.id,
            rule_id: dead.rule_id,
            about: dead.what.about().to_owned(),
            incident_id: dead.what.incident(),
            error: dead.error,
            attempts: dead.attempts,
            made_at: format_rfc3339(dead.made_ms),
        }
    }
}

/// List notification rules
///
/// Whom this site tells of what, and what could not be sent. For administrators at headquarters, for managers at a store.
#[utoipa::path(
    get, path = "/api/v1/notifications", tag = "site", operation_id = "list_notifications",
    params(("dead_before" = Option<i64>, Query, description = "Only messages set aside whose job is before this one: `next_dead_before` of the page before")),
    responses((status = 200, description = "Rules, oldest first", body = NotificationList))
)]
pub async fn list(
    State(desk): State<Desk>,
    Door(actor): Door,
    pairs: QueryPairs,
) -> Result<Json<NotificationList>, Problem> {
    pairs.only(&["dead_before"])?;
    let before = pairs.one("dead_before")?.map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| Problem::invalid("dead_before", "must be a number of this list"))?;
    let listing = notifications::list(&desk, &actor, before).await?;
    let mut items = Vec::with_capacity(listing.rules.len());
    for row in listing.rules {
        items.push(Notification::of(&desk, row, None).await?);
    }
    Ok(Json(NotificationList {
        items,
        dead: listing.dead.into_iter().map(DeadNotification::from).collect(),
        next_dead_before: listing.dead_before,
        dead_count: listing.dead_count.count,
        dead_forgotten: listing.dead_count.forgotten,
        mail: listing.mail,
    }))
}

/// Send all again
///
/// Every message that was set aside, from the first page to the last; at once.
#[utoipa::path(
    post, path = "/api/v1/notifications/dead/retry", tag = "site", operation_id = "retry_notifications",
    responses((status = 200, description = "They wait for their turn", body = Retried))
)]
pub async fn retry_all(State(desk): State<Desk>, Door(actor): Door) -> Result<Json<Retried>, Problem> {
    Ok(Json(Retried { count: notifications::retry_all(&desk, &actor).await? }))
}

/// Make a notification rule
///
/// It tells of what happens from now on. A webhook's answer holds its secret, this once; deliveries follow Standard Webhooks.
#[utoipa::path(
    post, path = "/api/v1/notifications", tag = "site", operation_id = "add_notification", request_body = Rule,
    responses((status = 201, description = "The rule", body = Notification))
)]
pub async fn add(State(desk): State<Desk>, Door(actor): Door, Object(rule): Object<Rule>) -> Result<Response, Problem> {
    let kept = notifications::create(&desk, &actor, rule).await?;
    Ok((StatusCode::CREATED, Json(Notification::kept(&desk, kept).await?)).into_response())
}

/// Change a notification rule
///
/// What is left out stays, `null` becomes the default. One that was disabled tells of what happens from now on.
#[utoipa::path(
    patch, path = "/api/v1/notifications/{id}", tag = "site", operation_id = "edit_notification",
    params(("id" = Uuid, Path, description = "The rule")),
    request_body = Rule,
    responses((status = 200, description = "The rule", body = Notification))
)]
pub async fn edit(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
    Object(patch): Object<Map<String, Value>>,
) -> Result<Json<Notification>, Problem> {
    let kept = notifications::change(&desk, &actor, id, patch).await?;
    Ok(Json(Notification::kept(&desk, kept).await?))
}

/// Delete a notification rule
///
/// And what it had to tell.
#[utoipa::path(
    delete, path = "/api/v1/notifications/{id}", tag = "site", operation_id = "delete_notification",
    params(("id" = Uuid, Path, description = "The rule")),
    responses((status = 204, description = "Gone"))
)]
pub async fn remove(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<StatusCode, Problem> {
    notifications::remove(&desk, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test
///
/// A message that says nothing, by the way that all messages of the rule take; what became of it is in the rule's `last_at` and
/// `last_error`.
#[utoipa::path(
    post, path = "/api/v1/notifications/{id}/test", tag = "site", operation_id = "test_notification",
    params(("id" = Uuid, Path, description = "The rule")),
    responses(
        (status = 202, description = "On its way", body = TestSent),
        (status = 429, description = "20 within an hour: wait")
    )
)]
pub async fn test(State(desk): State<Desk>, Door(actor): Door, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    let message_id = notifications::test(&desk, &actor, id).await?;
    Ok((StatusCode::ACCEPTED, Json(TestSent { message_id })).into_response())
}

/// Make a new secret
///
/// For a webhook; the one before is good no more. The answer holds it, this once.
#[utoipa::path(
    post, path = "/api/v1/notifications/{id}/secret", tag = "site", operation_id = "renew_notification_secret",
    params(("id" = Uuid, Path, description = "The rule")),
    responses((status = 200, description = "The rule", body = Notification))
)]
pub async fn secret(
    State(desk): State<Desk>,
    Door(actor): Door,
    Path(id): Path<Uuid>,
) -> Result<Json<Notification>, Problem> {
    let kept = notifications::renew_secret(&desk, &actor, id).await?;
    Ok(Json(Notification::kept(&desk, kept).await?))
}
