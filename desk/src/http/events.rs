//! What changes, as it changes.

use super::door::Visitor;
use crate::desk::Desk;
use crate::events::{self, Told};
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use chassis::clock::format_rfc3339;
use chassis::http::{Problem, QueryPairs};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::convert::Infallible;
use utoipa::ToSchema;
use uuid::Uuid;

/// The data of an event. Its name is the record's kind, its id a number to resume from.
#[derive(Serialize, ToSchema)]
pub struct Changed {
    /// The record's kind: `incident`, `comment`, `step`, `photo`, `settlement`, `store`, `account`, or one of a later version.
    kind: String,
    /// The record.
    id: Uuid,
    /// The incident it belongs to, where it does.
    incident_id: Option<Uuid>,
}

/// The data of the event `epoch`, which headquarters' people hear of at the hub: it has begun another history, because it was
/// put back to an older state; what it had forgotten comes back from its nodes.
#[derive(Serialize, ToSchema)]
pub struct Begun {
    /// Which one it is; the first is 1.
    number: u32,
    /// Its name.
    epoch: Uuid,
    /// Since when.
    since: String,
    /// Why.
    reason: String,
}

/// Follow changes
///
/// Server-sent events: what changed, as it changes, for whoever may see it. `Last-Event-ID` resumes behind an event; so does
/// `after`, for a stream that is opened the first time. Ends with the session. At the hub, headquarters' people also hear `epoch`: that it has begun another history.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "follow_events",
    params(("Last-Event-ID" = Option<i64>, Header, description = "The last event the client has", minimum = 0),
        ("after" = Option<i64>, Query, description = "The same, for a stream that is opened the first time", minimum = 0)),
    responses((status = 200, description = "A stream without end", body = String, content_type = "text/event-stream"))
)]
pub async fn events(
    State(desk): State<Desk>,
    visitor: Visitor,
    query: QueryPairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.only(&["after"])?;
    let (name, after) = match headers.get("last-event-id") {
        Some(id) => ("Last-Event-ID", Some(id.to_str().unwrap_or_default())),
        None => ("after", query.one("after")?),
    };
    let after = after
        .map(|id| number(id).ok_or_else(|| Problem::invalid(name, "must be the number of an event")))
        .transpose()?;
    let told = events::follow(&desk, visitor.actor, visitor.token_hash, after).await?;
    let stream = told.map(|told| Ok::<_, Infallible>(event(told)));
    // Proxies that collect answers before they pass them on are told not to.
    Ok(([(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))], Sse::new(stream))
        .into_response())
}

fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|number| *number >= 0)
}

fn event(told: Told) -> Event {
    match told {
        Told::Alive => Event::default().comment("alive"),
        Told::Epoch(epoch) => {
            let since = format_rfc3339(epoch.since_ms);
            let data = Begun { number: epoch.number, epoch: epoch.epoch, since, reason: epoch.reason };
            // Without a number: it is no change, and nothing resumes from it.
            Event::default().event("epoch").data(serde_json::to_string(&data).unwrap_or_default())
        }
        Told::Changed(event) => {
            let data = Changed { kind: event.kind.clone(), id: event.id, incident_id: event.incident_id };
            // A kind that is no plain word (of a later version) would break the stream's lines.
            let name: String = event.kind.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let data = serde_json::to_string(&data).unwrap_or_default();
            Event::default().event(name).id(event.no.to_string()).data(data)
        }
    }
}
