//! `/api/v1`, the same at every site. [`router`] is the table of contents.
//!
//! A handler extracts, calls a feature and answers; statuses are in its documentation, which is also the OpenAPI
//! document ([`openapi`]).

pub mod acts;
pub mod bulk;
pub mod comments;
pub mod content;
pub mod docs;
pub mod door;
pub mod drafts;
pub mod erasures;
pub mod events;
pub mod exports;
pub mod history;
pub mod incidents;
pub mod jobs;
pub mod kept;
pub mod login;
pub mod multipart;
pub mod notifications;
pub mod object;
pub mod openapi;
pub mod photos;
pub mod pins;
pub mod quarantine;
pub mod reports;
pub mod reviews;
pub mod schema;
pub mod settings;
pub mod stats;
pub mod stores;
pub mod uploads;
pub mod users;
pub mod views;

pub use door::{Door, Visitor};

use crate::desk::Desk;
use crate::error::{Error, Refusal};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::post;
use chassis::http::{FieldError, Problem, long_lived, streamed};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

/// What every site answers.
pub fn router(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(login::me))
        .routes(routes!(pins::set, pins::remove))
        .routes(routes!(incidents::list, incidents::create))
        .routes(routes!(drafts::list))
        .routes(routes!(drafts::get, drafts::keep, drafts::end))
        .routes(routes!(views::list, views::add))
        .routes(routes!(views::remove))
        .routes(routes!(exports::export).layer(from_fn(streamed)))
        .routes(routes!(bulk::bulk))
        .routes(routes!(incidents::get, incidents::patch, incidents::delete))
        .routes(routes!(incidents::restore))
        .routes(routes!(history::history))
        .routes(routes!(reports::report))
        .routes(routes!(comments::add))
        .routes(routes!(photos::add).layer(DefaultBodyLimit::disable()).layer(from_fn(long_lived)))
        .routes(routes!(photos::get))
        .routes(routes!(photos::display).layer(from_fn(long_lived)))
        .routes(routes!(photos::thumbnail).layer(from_fn(long_lived)))
        .routes(routes!(photos::original).layer(from_fn(long_lived)))
        .routes(
            routes!(uploads::options, uploads::begin)
                .layer(DefaultBodyLimit::disable())
                .layer(from_fn(long_lived)),
        )
        .routes(
            routes!(uploads::look, uploads::send, uploads::end)
                .layer(DefaultBodyLimit::disable())
                .layer(from_fn(long_lived)),
        )
        .route("/api/v1/uploads/{id}", post(uploads::overridden).layer(from_fn(long_lived)))
        .routes(routes!(stats::stats))
        .routes(routes!(reviews::list))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::discard))
        .routes(routes!(reviews::settle))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::get))
        .routes(routes!(quarantine::retry))
        .routes(routes!(quarantine::discard))
        .routes(routes!(quarantine::edit))
        .routes(routes!(settings::show))
        .routes(routes!(settings::show_store))
        .routes(routes!(stores::list))
        .routes(routes!(users::list))
        .routes(routes!(events::events).layer(from_fn(streamed)))
        .routes(routes!(notifications::list, notifications::add))
        .routes(routes!(notifications::edit, notifications::remove))
        .routes(routes!(notifications::retry_all))
        .routes(routes!(notifications::test))
        .routes(routes!(notifications::secret))
        .with_state(desk)
}

/// What only headquarters answers: merge it with [`router`].
pub fn headquarters(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(settings::edit))
        .routes(routes!(settings::edit_store))
        .routes(routes!(stores::add))
        .routes(routes!(stores::edit))
        .routes(routes!(users::add))
        .routes(routes!(users::edit))
        .routes(routes!(erasures::order, erasures::list))
        .routes(routes!(erasures::hold))
        .routes(routes!(erasures::release))
        .routes(routes!(acts::list))
        .routes(routes!(acts::export).layer(from_fn(streamed)))
        .with_state(desk)
}

/// The routes of a site as a router, with `/openapi.json` and `/docs` about all of them.
pub fn finish(router: OpenApiRouter, _desk: Desk) -> Router {
    let (router, api) = router.split_for_parts();
    router
        .layer(axum::middleware::map_response(not_to_keep))
        .merge(docs::routes(&openapi::complete(api)))
}

/// Answers are about people: nothing between here and the client keeps them unless the handler says so.
async fn not_to_keep(mut response: Response) -> Response {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Full => Self::insufficient_storage(),
            Error::NoRoom => Self::no_room(),
            Error::Unavailable(cause) => {
                tracing::warn!(%cause, "not available");
                Self::unavailable("busy", "this cannot be done at the moment; try again", 1)
            }
            Error::TooLong => Self::unavailable("too-long", "the answer took too long; ask for less", 5),
            Error::Fault(cause) => Self::internal(cause),
            Error::Damaged(cause) => {
                tracing::error!(cause, "what was asked for is damaged");
                Self::unavailable("damaged", "the disk has damaged what this asks for; it is looked for elsewhere", 10)
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found("there is nothing at this address, or nothing that you may see"),
            Refusal::Gone => Self::gone("this was deleted; a manager can bring it back"),
            Refusal::Forbidden(detail) => Self::forbidden(detail),
            Refusal::Conflict(detail) => Self::conflict(detail),
            Refusal::Stale => Self::precondition_failed("somebody changed this meanwhile: read it again, then decide"),
            Refusal::Invalid(errors) => Self::unprocessable(
                errors.into_iter().map(|error| FieldError::new(error.field, error.message)).collect(),
            ),
            Refusal::TooOften { retry_after_s } => Self::too_many(retry_after_s),
            Refusal::NotEnrolled => Self::unavailable(
                "not-enrolled",
                "this node does not belong to a store yet: get a code at headquarters and run \
                 aincident-node enroll --data-dir DIR --hub URL --code CODE",
                60,
            ),
        }
    }
}
