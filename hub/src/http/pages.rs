//! What people look at at headquarters: the pages of every site, and the hub's own.

use async_trait::async_trait;
use axum::Router;
use axum::extract::FromRef;
use axum::response::Response;
use axum::routing::get;
use desk::Desk;
use desk::actor::{Actor, Role};
use pages::http::{Oops, Person, go};
use pages::page::{Link, Pages, Pill, Shell};
use pages::words::Words;
use std::sync::Arc;

/// What the hub's own pages need.
#[derive(Clone)]
pub struct HubPages {
    /// The pages of every site.
    pub pages: Pages,
}

impl FromRef<HubPages> for Pages {
    fn from_ref(state: &HubPages) -> Self {
        state.pages.clone()
    }
}

/// The routes.
pub fn routes(desk: Desk) -> Router {
    let pages = Pages::new(desk, Arc::new(HubShell));
    let own = Router::new()
        .route("/", get(home)) // where a person begins
        .with_state(HubPages { pages: pages.clone() });
    pages::http::router(pages, own)
}

/// 303 to where the person begins.
async fn home(_person: Person) -> Result<Response, Oops> {
    Ok(go("/incidents"))
}

/// What the hub adds to every page.
struct HubShell;

const MENU: &[Link] = &[
    Link { href: "/incidents", key: "menu.incidents", least: Role::Employee },
    Link { href: "/reviews", key: "menu.reviews", least: Role::Manager },
];

#[async_trait]
impl Shell for HubShell {
    fn menu(&self) -> &'static [Link] {
        MENU
    }

    async fn pill(&self, _actor: &Actor, _words: &Words) -> Option<Pill> {
        None
    }

    fn home(&self, _actor: &Actor) -> &'static str {
        "/"
    }
}
