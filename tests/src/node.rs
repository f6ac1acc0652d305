//! A store's node, and its link to headquarters.

use crate::http::Client;
use crate::hub::{Hub, PASSWORD};
use crate::link::Link;
use crate::process;
use crate::scratch::Scratch;
use crate::site::Site;
use crate::wait::wait_until;
use serde_json::Value;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

/// A node: `aincident-node` over a folder of the scratch, dialling its hub through a [`Link`].
#[derive(Debug)]
pub struct Node {
    site: Site,
    store: String,
    link: Link,
}

impl Node {
    /// A node that is not enrolled and does not run, with a link to `hub`.
    ///
    /// # Panics
    /// When the hub does not run.
    pub async fn new(scratch: &Scratch, hub: &Hub, store: &str, name: &str) -> Self {
        Self::over(scratch.join(name), scratch, hub, store, name).await
    }

    /// The same with its data in `folder`.
    ///
    /// # Panics
    /// When the hub does not run.
    pub async fn over(folder: PathBuf, scratch: &Scratch, hub: &Hub, store: &str, name: &str) -> Self {
        let link = Link::to(hub.daemon().port()).await;
        let site = Site::new(name, "aincident-node", folder, scratch.join("logs"));
        Self { site, store: store.to_owned(), link }
    }

    /// A node enrolled for `store`, running.
    pub async fn enrolled(scratch: &Scratch, hub: &Hub, store: &str) -> Self {
        let mut node = Self::new(scratch, hub, store, &format!("node-{store}")).await;
        node.enroll(&hub.node_code(store).await).await.ok("enroll");
        node.start().await;
        node
    }

    /// `enroll` with a code.
    pub async fn enroll(&self, code: &str) -> process::Ran {
        self.run(&["enroll", "--hub", self.link.url(), "--code", code]).await
    }

    /// The code of its store.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What lies between it and its hub.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The link follows `hub` to the port it listens on now.
    pub fn follow(&self, hub: &Hub) {
        self.link.lead_to(hub.daemon().port());
    }

    /// `manager-CODE` of [`Hub::with_stores`], logged in.
    pub async fn manager(&self) -> Client {
        self.login(&format!("manager-{}", self.store), PASSWORD).await
    }

    /// `employee-CODE` of [`Hub::with_stores`], logged in.
    pub async fn employee(&self) -> Client {
        self.login(&format!("employee-{}", self.store), PASSWORD).await
    }

    /// `status --json`.
    ///
    /// # Panics
    /// When it fails or prints no JSON.
    pub async fn status(&self) -> Value {
        let text = self.run(&["status", "--json"]).await.ok("status");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("status is no JSON ({e}): {text}"))
    }

    /// Waits until `client`, an account of this node, hears that nothing waits for the hub.
    pub async fn drained(&self, client: &Client, deadline: Duration) {
        let what = format!("{} to have nothing pending", self.name());
        wait_until(&what, deadline, async || {
            let sync = client.get("/api/v1/sync").await.expect(200);
            sync["pending_changes"] == 0
        })
        .await;
    }
}

impl Deref for Node {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}
