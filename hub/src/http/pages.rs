//! What people look at at headquarters: the pages of every site, and the hub's own, the console.

mod acts;
mod erasures;
mod fleet;
mod node;
mod overview;
mod settings;
mod setup;
mod stores;
mod users;

use crate::setup::Setup;
use async_trait::async_trait;
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use chassis::outbound::Pin;
use desk::Desk;
use desk::actor::{Actor, Role};
use pages::page::{Link, Pages, Pill, Shell};
use pages::words::Words;
use std::sync::Arc;

/// The fingerprint of the hub's own authority, as it is when somebody asks; none where another one vouches for the hub.
pub type Authority = Arc<dyn Fn() -> Option<Pin> + Send + Sync>;

/// What the hub's own pages need.
#[derive(Clone)]
pub struct HubPages {
    /// The pages of every site.
    pub pages: Pages,
    /// How the first account is made.
    pub setup: Setup,
    /// What nodes are to believe the hub by.
    pub authority: Authority,
}

impl FromRef<HubPages> for Pages {
    fn from_ref(state: &HubPages) -> Self {
        state.pages.clone()
    }
}

/// The routes.
pub fn routes(desk: Desk, setup: Setup, authority: Authority) -> Router {
    let pages = Pages::new(desk, Arc::new(HubShell { setup: setup.clone() }));
    let own = Router::new()
        .route("/", get(overview::page)) // where a person begins
        .route("/setup", get(setup::page).post(setup::first)) // the first account
        .route("/erasures", get(erasures::page)) // who has erased what
        .route("/erasures/new", get(erasures::new).post(erasures::order)) // whose data is to go
        .route("/fleet", get(fleet::page)) // every node
        .route("/fleet/{id}", get(node::page)) // one of them
        .route("/fleet/{id}/replace", post(node::replace))
        .route("/fleet/{id}/revoke", post(node::revoke))
        .route("/acts", get(acts::page)) // what administrators did
        .route("/settings", get(settings::page).post(settings::values)) // what nodes are told
        .route("/settings/categories", post(settings::category))
        .route("/settings/fields", post(settings::field))
        .route("/stores", get(stores::page).post(stores::add))
        .route("/stores/{code}", post(stores::edit))
        .route("/stores/{code}/enrol", post(stores::enrol)) // a code for a node
        .route("/users", get(users::page).post(users::add))
        .route("/users/{id}", get(users::one).post(users::edit))
        .with_state(HubPages { pages: pages.clone(), setup, authority });
    pages::http::router(pages, own)
}

/// What the hub adds to every page.
struct HubShell {
    setup: Setup,
}

const MENU: &[Link] = &[
    Link { href: "/", key: "menu.overview", least: Role::Hq },
    Link { href: "/incidents", key: "menu.incidents", least: Role::Employee },
    Link { href: "/reviews", key: "menu.reviews", least: Role::Manager },
    Link { href: "/fleet", key: "menu.fleet", least: Role::Hq },
    Link { href: "/stores", key: "menu.stores", least: Role::Hq },
    Link { href: "/users", key: "menu.users", least: Role::Hq },
    Link { href: "/erasures", key: "menu.erasures", least: Role::Hq },
    Link { href: "/settings", key: "menu.settings", least: Role::Hq },
    Link { href: "/notifications", key: "menu.notifications", least: Role::Admin },
    Link { href: "/acts", key: "menu.acts", least: Role::Hq },
];

#[async_trait]
impl Shell for HubShell {
    fn menu(&self) -> &'static [Link] {
        MENU
    }

    async fn pill(&self, _actor: &Actor, _words: &Words) -> Option<Pill> {
        None
    }

    fn home(&self, actor: &Actor) -> &'static str {
        if actor.role >= Role::Hq { "/" } else { "/incidents" }
    }

    async fn begin(&self) -> Option<&'static str> {
        matches!(self.setup.is_due().await, Ok(true)).then_some("/setup")
    }
}
