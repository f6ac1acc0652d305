//! What people look at at a store: the pages of every site, and the node's own.

mod capture;
mod inbox;
mod phone;
mod sync;

use super::Site;
use crate::status::{self, Status};
use async_trait::async_trait;
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use desk::actor::{Actor, Role};
use pages::page::{Link, Pages, Pill, Shell};
use pages::words::Words;
use std::sync::Arc;

/// What the node's own pages need.
#[derive(Clone)]
pub struct NodePages {
    /// The node.
    pub site: Site,
    /// The pages of every site.
    pub pages: Pages,
}

impl FromRef<NodePages> for Pages {
    fn from_ref(state: &NodePages) -> Self {
        state.pages.clone()
    }
}

/// The routes.
pub fn routes(site: Site) -> Router {
    let pages = Pages::new(site.desk.clone(), Arc::new(StoreShell { site: site.clone() }));
    let own = Router::new()
        .route("/", get(capture::page)) // where a person begins
        .route("/sync", get(sync::page)) // what waits for headquarters, and why
        .route("/inbox", get(inbox::page)) // what came through the drop folder
        .route("/inbox/{id}", post(inbox::file))
        .route("/inbox/{id}/discard", post(inbox::discard))
        .route("/offline", get(phone::offline)) // what stands in without a network
        .route("/manifest.webmanifest", get(phone::manifest))
        .route("/sw.js", get(phone::worker))
        .with_state(NodePages { site, pages: pages.clone() });
    pages::http::router(pages, own)
}

/// What the node adds to every page.
struct StoreShell {
    site: Site,
}

const MENU: &[Link] = &[
    Link { href: "/", key: "menu.capture", least: Role::Employee },
    Link { href: "/incidents", key: "menu.incidents", least: Role::Employee },
    Link { href: "/inbox", key: "menu.inbox", least: Role::Manager },
    Link { href: "/reviews", key: "menu.reviews", least: Role::Manager },
];

#[async_trait]
impl Shell for StoreShell {
    fn menu(&self) -> &'static [Link] {
        MENU
    }

    async fn pill(&self, _actor: &Actor, words: &Words) -> Option<Pill> {
        match status::read(self.site.desk.ledger(), self.site.board.now().to_kept()).await {
            Ok(status) => Some(pill(&status, words)),
            Err(error) => {
                tracing::warn!(%error, "how it stands with headquarters cannot be told");
                None
            }
        }
    }

    fn home(&self, _actor: &Actor) -> &'static str {
        "/"
    }
}

/// How it stands with headquarters, in a few words.
fn pill(status: &Status, words: &Words) -> Pill {
    let waiting = status.pending_changes + status.pending_blobs;
    let (tone, text) = if status.quarantined > 0 || status.replaced.is_some() {
        ("bad", words.t("pill.look").to_owned())
    } else if waiting > 0 && !status.hub_reachable {
        ("busy", words.n("pill.offline", waiting))
    } else if waiting > 0 {
        ("busy", words.n("pill.sending", waiting))
    } else if !status.hub_reachable {
        ("busy", words.t("pill.away").to_owned())
    } else {
        ("good", words.t("pill.all").to_owned())
    };
    Pill { tone, text, href: "/sync" }
}
