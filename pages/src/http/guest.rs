//! Who asks for a page: anybody, or somebody who is logged in.

use super::answer::Oops;
use crate::page::{Page, Pages};
use crate::words::Lang;
use axum::extract::{FromRef, FromRequestParts};
use desk::Desk;
use desk::actor::Actor;
use desk::http::Visitor;
use desk::http::door;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;
use http::{HeaderMap, Uri};

/// The cookie that keeps which language somebody chose.
pub const LANGUAGE_COOKIE: &str = "aincident_lang";

/// Anybody.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What is around the page.
    pub page: Page,
}

/// Somebody who is logged in; everybody else is led to the login page.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub actor: Actor,
    /// What the session goes by in the ledger.
    pub token_hash: [u8; 32],
    /// What is around the page.
    pub page: Page,
}

/// The language of a request: as chosen, else as the browser says, else English.
#[must_use]
pub fn lang(headers: &HeaderMap) -> Lang {
    let chosen = door::cookie(headers, LANGUAGE_COOKIE).and_then(Lang::of_tag);
    let said = || headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(Lang::accepted);
    chosen.or_else(said).unwrap_or(Lang::En)
}

/// The address as the page itself knows it.
pub(super) fn path(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

impl<S> FromRequestParts<S> for Guest
where
    Pages: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Oops> {
        let pages = Pages::from_ref(state);
        Ok(Self { page: pages.page(lang(&parts.headers), &path(&parts.uri), None).await? })
    }
}

impl<S> FromRequestParts<S> for Person
where
    Pages: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Oops> {
        let pages = Pages::from_ref(state);
        let at = AtDesk(pages.desk.clone());
        let Visitor { actor, token_hash } = Visitor::from_request_parts(parts, &at).await?;
        let page = pages.page(lang(&parts.headers), &path(&parts.uri), Some(&actor)).await?;
        Ok(Self { actor, token_hash, page })
    }
}

/// What [`Visitor`] wants to know of the state.
struct AtDesk(Desk);

impl FromRef<AtDesk> for Desk {
    fn from_ref(at: &AtDesk) -> Self {
        at.0.clone()
    }
}
