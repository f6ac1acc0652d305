//! Before `enroll` the API has one answer: how to get further.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chassis::http::Problem;
use desk::ledger::Identity;
use desk::{Desk, Refusal};

/// Answers 503 `not-enrolled` to everything under `/api/` until the node is enrolled.
pub async fn check(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    match desk.identity().await {
        Ok(Identity::Unenrolled) => Problem::from(Refusal::NotEnrolled).into_response(),
        Ok(_) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}
