//! Pages over HTTP. [`router`] is the table of contents.

pub mod answer;
pub mod asset;
pub mod bulk;
pub mod drafts;
pub mod edit;
pub mod form;
pub mod guest;
pub mod incident;
pub mod incidents;
pub mod language;
pub mod login;
pub mod notifications;
pub mod pin;
pub mod quarantine;
pub mod reviews;
pub mod switch;
pub mod views;

pub use answer::{Oops, go, html};
pub use guest::{Guest, Person};

use crate::page::Pages;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use chassis::http::long_lived;

/// The pages that are the same at every site, and `own`, those of this one.
pub fn router(pages: Pages, own: Router) -> Router {
    Router::new()
        .route("/login", get(login::page).post(login::login))
        .route("/logout", post(login::logout))
        .route("/switch", get(switch::page).post(switch::switch))
        .route("/pin", get(pin::page).post(pin::set))
        .route("/pin/remove", post(pin::remove))
        .route("/pin/forget", post(pin::forget))
        .route("/language", post(language::choose))
        .route("/incidents", get(incidents::list))
        .route("/views", post(views::add))
        .route("/views/{id}/delete", post(views::remove))
        .route("/drafts", get(drafts::page))
        .route("/drafts/{id}/delete", post(drafts::remove))
        .route("/incidents/bulk", post(bulk::bulk)) // the same done to many
        .route(
            "/incidents/new",
            get(edit::blank).post(edit::record).layer(DefaultBodyLimit::disable()).layer(from_fn(long_lived)),
        )
        .route("/incidents/{id}", get(incident::page))
        .route("/incidents/{id}/edit", get(edit::page).post(edit::save))
        .route("/incidents/{id}/comments", post(incident::comment))
        .route("/incidents/{id}/step", post(incident::step))
        .route(
            "/incidents/{id}/photos",
            post(incident::photos).layer(DefaultBodyLimit::disable()).layer(from_fn(long_lived)),
        )
        .route("/incidents/{id}/delete", get(incident::ask_delete).post(incident::delete))
        .route("/incidents/{id}/restore", post(incident::restore))
        .route("/notifications", get(notifications::page).post(notifications::add))
        .route("/notifications/{id}", get(notifications::one).post(notifications::edit))
        .route("/notifications/{id}/test", post(notifications::test))
        .route("/notifications/{id}/secret", post(notifications::secret))
        .route("/notifications/{id}/delete", post(notifications::remove))
        .route("/notifications/messages", post(notifications::settle_all))
        .route("/notifications/messages/{no}", post(notifications::settle))
        .route("/quarantine", get(quarantine::page))
        .route("/quarantine/{id}", post(quarantine::settle))
        .route("/reviews", get(reviews::page))
        .route("/reviews/{incident}/{field}", post(reviews::settle))
        .with_state(pages.clone())
        .merge(own)
        .fallback(answer::nothing_here)
        .layer(from_fn_with_state(pages, answer::explain))
        .route("/static/{digest}/{name}", get(asset::get))
}
