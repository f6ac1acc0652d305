//! How much, how many and how long: admission (how often one may ask is in [`rates`](super::rates)), the time a request may take, and
//! the way out for those that wait on purpose.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use super::rates::meter;

/// The body limit unless a route sets another one, in bytes.
pub const JSON_LIMIT_BYTES: usize = 256 * 1024;

/// What admission needs to know.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) places: Arc<Semaphore>,
    pub(super) time_limit: Duration,
    /// Where paths begin that have places of their own.
    pub(super) apart: &'static [&'static str],
    pub(super) places_apart: Arc<Semaphore>,
}

/// Travels with a request; lets the route give up its place and its time limit.
#[derive(Clone)]
struct Place {
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Place {
    fn give_up(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn is_held(&self) -> bool {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Middleware for routes that wait on purpose (long polls, event streams) or move much data over slow links
/// (uploads): no time limit, and no place taken from others meanwhile. Use it as
/// `.route_layer(axum::middleware::from_fn(long_lived))`. Such a route must watch the shutdown token
/// and bound its own number and duration.
pub async fn long_lived(request: Request, next: Next) -> Response {
    if let Some(place) = request.extensions().get::<Place>() {
        place.give_up();
    }
    let mut response = next.run(request).await;
    response.extensions_mut().insert(LongLived);
    response
}

/// Middleware for routes whose answer goes on after its head (event streams, files that are made as they are sent): they keep place and time
/// limit, which end with the head, but how soon that is there says nothing of how quick the site is.
pub async fn streamed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(LongLived);
    response
}

/// Travels with the answer of such a route: how long it took says nothing.
#[derive(Clone)]
pub(super) struct LongLived;

/// Counts the request for whoever sends it or refuses, and says in the answer how they stand.
pub(super) async fn admit(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    match meter(&mut request) {
        Ok(metered) => metered.told(place(&admission, request, next).await),
        Err(metered) => metered.refusal(),
    }
}

/// Takes a place or refuses, runs the request within its time, and turns a panic into a problem.
async fn place(admission: &Admission, mut request: Request, next: Next) -> Response {
    if super::health::is_health(request.uri().path()) {
        // A busy service is not a dead one: whoever restarts it must get an answer.
        return next.run(request).await;
    }
    let is_apart = admission.apart.iter().any(|path| request.uri().path().starts_with(path));
    let places = if is_apart { &admission.places_apart } else { &admission.places };
    let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
        metrics::counter!("http_shed_total").increment(1);
        return Problem::unavailable("overloaded", "too many requests at once; try again", 1).into_response();
    };
    let place = Place { permit: Arc::new(Mutex::new(Some(permit))) };
    request.extensions_mut().insert(place.clone());
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut run = std::pin::pin!(run);
    let ran = match tokio::time::timeout(admission.time_limit, run.as_mut()).await {
        Ok(ran) => ran,
        Err(_) if !place.is_held() => run.await,
        Err(_) => {
            tracing::warn!("a request took too long and was given up");
            return Problem::unavailable("timeout", "the request took too long; try again", 5).into_response();
        }
    };
    ran.unwrap_or_else(|panic| Problem::internal(format_args!("a handler panicked: {}", said(&panic))).into_response())
}

fn said(panic: &Box<dyn std::any::Any + Send>) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
