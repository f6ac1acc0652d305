//! A browser without scripts: it keeps its cookie, sends forms, and reads what it gets.

use crate::site::{Answer, PASSWORD, Site};
use async_trait::async_trait;
use axum::Router;
use chassis::http::{StackConfig, stack};
use desk::actor::{Actor, Role};
use desk::http as api;
use pages::page::{Link, Pages, Pill, Shell};
use pages::words::Words;
use std::sync::Arc;

const MENU: &[Link] = &[
    Link { href: "/incidents", key: "menu.incidents", least: Role::Employee },
    Link { href: "/reviews", key: "menu.reviews", least: Role::Manager },
];

struct Plain;

#[async_trait]
impl Shell for Plain {
    fn menu(&self) -> &'static [Link] {
        MENU
    }

    async fn pill(&self, _: &Actor, _: &Words) -> Option<Pill> {
        None
    }

    fn home(&self, _: &Actor) -> &'static str {
        "/incidents"
    }
}

/// The site, with its pages.
pub fn with_pages(mut site: Site) -> Site {
    let router = api::router(site.desk.clone()).merge(api::headquarters(site.desk.clone()));
    let pages = Pages::new(site.desk.clone(), Arc::new(Plain));
    let routes = api::finish(router, site.desk.clone()).merge(pages::http::router(pages, Router::new()));
    site.app = stack(routes, StackConfig::new(site.desk.ids().clone()));
    site
}

/// A hub with its pages.
pub async fn hub() -> Site {
    with_pages(Site::hub().await)
}

/// Somebody at a browser.
pub struct Browser<'a> {
    site: &'a Site,
    cookies: Vec<String>,
}

/// A page as it came.
pub struct Seen {
    pub answer: Answer,
    pub text: String,
}

impl Seen {
    /// The page, where its status is `status` and it is one with everything a page has.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.answer.status.as_u16(), status, "{}", self.text);
        assert!(self.answer.header("content-type").starts_with("text/html"), "{}", self.text);
        let policy = self.answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(self.answer.header("cache-control"), "no-store");
        assert_eq!(self.answer.header("x-content-type-options"), "nosniff");
        assert!(!self.text.contains("style=\"") && !self.text.contains("onclick"), "{}", self.text);
        self
    }

    /// Where it leads to.
    pub fn leads(self) -> String {
        assert_eq!(self.answer.status.as_u16(), 303, "{}", self.text);
        self.answer.header("location").to_owned()
    }

    /// Whether the page says so.
    pub fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// The value of a field of the page's own form.
    pub fn field(&self, name: &str) -> String {
        let main = &self.text[self.text.find("<main").unwrap()..];
        let at = main.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name} in {main}"));
        let tag = &main[main[..at].rfind('<').unwrap()..];
        let tag = &tag[..tag.find('>').unwrap()];
        tag.split_once("value=\"")
            .map_or(String::new(), |(_, rest)| rest[..rest.find('"').unwrap()].to_owned())
    }
}

impl<'a> Browser<'a> {
    pub fn new(site: &'a Site) -> Self {
        Self { site, cookies: Vec::new() }
    }

    /// Somebody who has logged in at the page.
    pub async fn of(site: &'a Site, username: &str) -> Self {
        let mut browser = Self::new(site);
        let seen = browser.post("/login", &[("username", username), ("password", PASSWORD)]).await;
        assert_eq!(seen.leads(), "/incidents");
        browser
    }

    pub fn speaks(mut self, lang: &str) -> Self {
        self.cookies.push(format!("aincident_lang={lang}"));
        self
    }

    pub fn plant(&mut self, cookie: &str) {
        self.cookies.push(cookie.to_owned());
    }

    pub fn cookies(&self) -> String {
        self.cookies.join("; ")
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        let ask = self.site.ask("GET", path).header("accept", "text/html").header("cookie", &self.cookies());
        let answer = ask.send().await;
        self.seen(answer)
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.send(path, "application/x-www-form-urlencoded", body.into_bytes()).await
    }

    pub async fn send(&mut self, path: &str, kind: &str, body: Vec<u8>) -> Seen {
        let ask = self.site.ask("POST", path).header("accept", "text/html").header("cookie", &self.cookies());
        let answer = ask.header("sec-fetch-site", "same-origin").text(kind, body).send().await;
        self.seen(answer)
    }

    fn seen(&mut self, answer: Answer) -> Seen {
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            let name = pair.split('=').next().unwrap().to_owned();
            self.cookies.retain(|kept| !kept.starts_with(&format!("{name}=")));
            if !pair.ends_with('=') {
                self.cookies.push(pair);
            }
        }
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        Seen { answer, text }
    }
}
