//! The table of contents of what the hub answers.

mod blobs;
mod checksums;
pub mod forks;
pub mod nodes;
pub mod pages;
mod proof;
pub mod sync;

use crate::intake::Intake;
use crate::setup::Setup;
use axum::Router;
use chassis::http::{Health, StackConfig, health_routes, stack};
use chassis::telemetry::MetricsHandle;
use desk::Desk;
use std::sync::Arc;

/// Everything the hub answers, ready to be served; its first account is made at its prompt.
pub fn router(desk: &Desk, intake: Intake, metrics: Option<MetricsHandle>) -> Router {
    with_setup(desk, intake, metrics, Setup::closed(desk.clone()), Arc::new(|| None))
}

/// Like [`router`], where `setup` lets the first account be made at a page. `authority`: what nodes are told to believe the hub by.
pub fn with_setup(
    desk: &Desk,
    intake: Intake,
    metrics: Option<MetricsHandle>,
    setup: Setup,
    authority: pages::Authority,
) -> Router {
    let api = desk::http::router(desk.clone()) // incidents, comments, login …: as on every site
        .merge(desk::http::headquarters(desk.clone())) // POST and PATCH of stores and users
        .merge(nodes::routes(desk.clone())) // the fleet
        .merge(forks::routes(desk.clone())); // branches kept aside
    let routes = desk::http::finish(api, desk.clone()) // /openapi.json, /docs
        .merge(sync::routes(intake)) // /sync/v1, for nodes
        .merge(pages::routes(desk.clone(), setup, authority)) // what people look at
        .merge(health_routes(health(desk, metrics))); // /healthz, /readyz, /metrics
    stack(routes, StackConfig { apart: sync::APART, ..StackConfig::new(desk.ids().clone()) })
}

fn health(desk: &Desk, metrics: Option<MetricsHandle>) -> Health {
    let ledger = Arc::clone(desk.ledger());
    let writable = move || {
        let ledger = Arc::clone(&ledger);
        async move {
            if ledger.is_writable().await {
                Ok(())
            } else {
                Err("the disk takes no writes".to_owned())
            }
        }
    };
    let guard = desk.blobs().guard().clone();
    let health = Health::new().check("ledger", writable).note("disk", move || guard.note());
    match metrics {
        Some(metrics) => health.metrics(metrics),
        None => health,
    }
}
