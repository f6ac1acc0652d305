//! The table of contents of what the node answers.

pub mod enrolled;
pub mod inbox;
pub mod pages;
pub mod sync;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use chassis::http::{Health, StackConfig, health_routes, stack};
use chassis::telemetry::MetricsHandle;
use desk::Desk;
use tokio::sync::watch;

use crate::replicator::board::Board;
use crate::replicator::view::View;

/// What the node's own handlers need.
#[derive(Clone)]
pub struct Site {
    /// The incident desk.
    pub desk: Desk,
    /// What the replicator knows of itself.
    pub board: Arc<Board>,
    /// What waits to be sent, as the replicator last looked.
    pub view: watch::Receiver<View>,
    /// How the site is reached.
    pub reach: Reach,
}

/// How the site is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Over TLS.
    pub secured: bool,
    /// With a certificate for which an authority of the site's own vouches.
    pub own_authority: bool,
}

impl FromRef<Site> for Desk {
    fn from_ref(site: &Site) -> Self {
        site.desk.clone()
    }
}

/// Everything the node answers, ready to be served.
pub fn router(
    desk: &Desk,
    board: Arc<Board>,
    view: watch::Receiver<View>,
    reach: Reach,
    metrics: Option<MetricsHandle>,
) -> Router {
    let site = Site { desk: desk.clone(), board, view, reach };
    let api = desk::http::router(desk.clone()) // incidents, comments, login …: as on every site
        .merge(inbox::routes(site.clone())) // what the drop folder brought
        .merge(sync::routes(site.clone())); // /api/v1/sync
    let routes = desk::http::finish(api, desk.clone()) // /openapi.json, /docs
        .layer(from_fn_with_state(desk.clone(), enrolled::check))
        .merge(pages::routes(site)) // what people look at
        .merge(health_routes(health(desk, metrics))); // /healthz, /readyz, /metrics
    stack(routes, StackConfig::new(desk.ids().clone()))
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
