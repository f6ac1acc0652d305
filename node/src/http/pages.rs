//! What people look at at a store: the pages of every site, and the node's own.

mod capture;
mod inbox;
mod on_phone;
mod phone;
mod sync;
mod trends;

use super::Site;
use async_trait::async_trait;
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use desk::actor::{Actor, Role};
use pages::page::{DRAFTS, Link, Pages, Pill, Shell};
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
        .route("/trends", get(trends::page)) // the store in charts
        .route("/inbox", get(inbox::page)) // what came through the drop folder
        .route("/inbox/{id}", post(inbox::file))
        .route("/inbox/{id}/discard", post(inbox::discard))
        .route("/on-phone", get(on_phone::page)) // this site as a code for phones
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
    Link { href: "/trends", key: "menu.trends", least: Role::Manager },
    Link { href: "/inbox", key: "menu.inbox", least: Role::Manager },
    Link { href: "/reviews", key: "menu.reviews", least: Role::Manager },
    Link { href: "/notifications", key: "menu.notifications", least: Role::Manager },
];

#[async_trait]
impl Shell for StoreShell {
    fn menu(&self) -> &'static [Link] {
        MENU
    }

    fn personal(&self) -> Vec<Link> {
        let link = |href, key| Link { href, key, least: Role::Employee };
        let mut links = vec![DRAFTS, link("/on-phone", "on_phone.title")];
        if self.site.desk.pins().is_some() {
            links.extend([link("/switch", "switch.title"), link("/pin", "pin.title")]);
        }
        links
    }

    async fn pill(&self, _actor: &Actor, words: &Words) -> Option<Pill> {
        match waiting(&self.site).await {
            Ok(waiting) => Some(pill(waiting, words)),
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

/// What the pill says.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// Changes and contents that headquarters does not have.
    number: u64,
    hub_reachable: bool,
    /// Whether somebody has to look: something is in quarantine, or another PC took this one's place.
    look: bool,
}

/// It is on every page, so it reads two rows; the contents are counted by the replicator, once a second at most.
async fn waiting(site: &Site) -> Result<Waiting, desk::Error> {
    let ledger = site.desk.ledger();
    let (backlog, retirement) = (ledger.backlog().await?, ledger.retirement().await?);
    Ok(Waiting {
        number: backlog.pending_changes + site.view.borrow().contents.0,
        hub_reachable: site.board.now().hub_reachable,
        look: backlog.quarantined > 0 || retirement.is_some(),
    })
}

/// How it stands with headquarters, in a few words.
fn pill(waiting: Waiting, words: &Words) -> Pill {
    let (tone, text) = match waiting {
        Waiting { look: true, .. } => ("bad", words.t("pill.look").to_owned()),
        Waiting { number: 0, hub_reachable: true, .. } => ("good", words.t("pill.all").to_owned()),
        Waiting { number: 0, .. } => ("busy", words.t("pill.away").to_owned()),
        Waiting { number, hub_reachable: true, .. } => ("busy", words.n("pill.sending", number)),
        Waiting { number, .. } => ("busy", words.n("pill.offline", number)),
    };
    Pill { tone, text, href: "/sync" }
}

#[cfg(test)]
mod tests {
    use super::{Waiting, pill};
    use pages::words::Lang;

    #[test]
    fn the_pill_tells_the_gravest_first() {
        let words = Lang::En.words();
        let told = |number, hub_reachable, look| pill(Waiting { number, hub_reachable, look }, words);
        assert_eq!(told(0, true, false).tone, "good");
        for (number, hub_reachable) in [(0, false), (3, true), (3, false)] {
            assert_eq!(told(number, hub_reachable, false).tone, "busy", "{number} {hub_reachable}");
        }
        assert_ne!(told(3, true, false).text, told(3, false, false).text);
        assert_eq!(told(0, true, true).tone, "bad");
    }
}
