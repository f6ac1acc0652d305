//! Pages over HTTP. [`router`] is the table of contents.

pub mod answer;
pub mod asset;
pub mod form;
pub mod guest;
pub mod incidents;
pub mod language;
pub mod login;

pub use answer::{Oops, go, html};
pub use guest::{Guest, Person};

use crate::page::Pages;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

/// The pages that are the same at every site, and `own`, those of this one.
pub fn router(pages: Pages, own: Router) -> Router {
    Router::new()
        .route("/login", get(login::page).post(login::login))
        .route("/logout", post(login::logout))
        .route("/language", post(language::choose))
        .route("/incidents", get(incidents::list))
        .with_state(pages.clone())
        .merge(own)
        .fallback(answer::nothing_here)
        .layer(from_fn_with_state(pages, answer::explain))
        .route("/static/{digest}/{name}", get(asset::get))
}
