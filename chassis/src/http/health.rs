//! Live, ready, measured: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use super::json::Json;
use super::tls::Tls;
use crate::telemetry::MetricsHandle;

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;
type Note = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What readiness means for a program.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    notes: Vec<(&'static str, Note)>,
    metrics: Option<MetricsHandle>,
}

impl Health {
    /// Ready without conditions, nothing measured.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ready only while `check` says `Ok`; its error is shown to whoever asks, so it must hold no secrets or paths.
    #[must_use]
    pub fn check<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Says what `note` has to say, ready or not; it is shown to whoever asks, so it must hold no secrets or paths.
    #[must_use]
    pub fn note(mut self, name: &'static str, note: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.notes.push((name, Arc::new(note)));
        self
    }

    /// Serves what is measured at `/metrics`.
    #[must_use]
    pub fn metrics(mut self, handle: MetricsHandle) -> Self {
        self.metrics = Some(handle);
        self
    }

    /// `trouble`: what keeps nobody from being served, and wants somebody's eye.
    async fn ready(&self, trouble: Option<String>) -> Response {
        let mut failing = serde_json::Map::new();
        for (name, check) in &self.checks {
            if let Err(reason) = check().await {
                failing.insert((*name).to_owned(), reason.into());
            }
        }
        let mut notes: serde_json::Map<_, _> =
            self.notes.iter().filter_map(|(name, note)| Some(((*name).to_owned(), note()?.into()))).collect();
        notes.extend(trouble.map(|trouble| ("certificate".to_owned(), trouble.into())));
        let mut told = serde_json::Map::new();
        told.insert("status".to_owned(), if failing.is_empty() { "ready" } else { "not ready" }.into());
        if !notes.is_empty() {
            told.insert("notes".to_owned(), notes.into());
        }
        if failing.is_empty() {
            return ([(CACHE_CONTROL, "no-store")], Json(told)).into_response();
        }
        told.insert("failing".to_owned(), failing.into());
        let body = Json(told);
        (StatusCode::SERVICE_UNAVAILABLE, [(CACHE_CONTROL, "no-store")], body).into_response()
    }
}

/// 200 from whoever answers at all.
pub(super) fn alive<S: Clone + Send + Sync + 'static>() -> MethodRouter<S> {
    get(|| async { ([(CACHE_CONTROL, "no-store")], Json(json!({"status": "alive"}))) })
}

/// The three routes, for any state. They are never shed and need no login.
pub fn health_routes<S: Clone + Send + Sync + 'static>(health: Health) -> Router<S> {
    let metrics = health.metrics.clone();
    Router::new()
        .route("/healthz", alive())
        .route(
            "/readyz",
            get(move |tls: Option<Extension<Arc<Tls>>>| {
                let health = health.clone();
                async move { health.ready(tls.and_then(|tls| tls.trouble())).await }
            }),
        )
        .route(
            "/metrics",
            get(move || async move {
                let text = metrics.map(|handle| handle.render()).unwrap_or_default();
                ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            }),
        )
}

pub(super) fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}
