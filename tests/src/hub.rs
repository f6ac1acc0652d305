//! Headquarters.

use crate::http::Client;
use crate::scratch::Scratch;
use crate::site::Site;
use std::ops::{Deref, DerefMut};

/// The password of every account that a test makes.
pub const PASSWORD: &str = "correct horse battery staple";

/// A hub: `aincident-hub` over a folder of the scratch.
#[derive(Debug)]
pub struct Hub {
    site: Site,
}

impl Hub {
    /// A hub that does not run yet.
    #[must_use]
    pub fn new(scratch: &Scratch) -> Self {
        Self::over("hub", scratch)
    }

    /// The same under another name, in a folder of that name.
    #[must_use]
    pub fn over(name: &str, scratch: &Scratch) -> Self {
        Self { site: Site::new(name, "aincident-hub", scratch.join(name), scratch.join("logs")) }
    }

    /// A running hub with the admin `ada`, the hq account `harriet`, and for each of `stores` (codes) a manager
    /// `manager-CODE` and an employee `employee-CODE`, all with [`PASSWORD`].
    pub async fn with_stores(scratch: &Scratch, stores: &[&str]) -> Self {
        let mut hub = Self::new(scratch);
        hub.user_add("ada", "admin", None, PASSWORD).await;
        hub.user_add("harriet", "hq", None, PASSWORD).await;
        for code in stores {
            hub.store_add(code, &format!("Store {code}"), "America/Chicago").await;
            for role in ["manager", "employee"] {
                hub.user_add(&format!("{role}-{code}"), role, Some(code), PASSWORD).await;
            }
        }
        hub.start().await;
        hub
    }

    /// `store add`.
    pub async fn store_add(&self, code: &str, name: &str, timezone: &str) {
        let words = ["store", "add", "--code", code, "--name", name, "--timezone", timezone];
        self.run(&words).await.ok("store add");
    }

    /// `user add`, the password on stdin.
    pub async fn user_add(&self, username: &str, role: &str, store: Option<&str>, password: &str) {
        let mut words = vec!["user", "add", "--username", username, "--role", role, "--password-stdin"];
        if let Some(code) = store {
            words.extend(["--store", code]);
        }
        self.run_with(&words, password).await.ok("user add");
    }

    /// `node code`: a one-time enrolment code.
    pub async fn node_code(&self, store: &str) -> String {
        self.run(&["node", "code", "--store", store]).await.ok("node code")
    }

    /// `audit verify`.
    ///
    /// # Panics
    /// When it finds anything wrong.
    pub async fn audit(&self) -> String {
        self.run(&["audit", "verify"]).await.ok("audit verify")
    }

    /// The hq account `harriet` of [`Hub::with_stores`], logged in.
    pub async fn harriet(&self) -> Client {
        self.login("harriet", PASSWORD).await
    }
}

impl Deref for Hub {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Hub {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}
