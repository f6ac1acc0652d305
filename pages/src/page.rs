//! What every page has around it, and what the pages of a site are made with.

use crate::chart::{self, Column, Pair};
use crate::incident::Injury;
use crate::own::Own;
use crate::timeline::Telling;
use crate::words::{Lang, Words, grouped};
use async_trait::async_trait;
use desk::actor::{Actor, Role};
use desk::ledger::{Identity, Store};
use desk::{Desk, Error, stores};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a site adds to every page.
#[async_trait]
pub trait Shell: Send + Sync {
    /// The links of the main menu, for whoever has at least that role.
    fn menu(&self) -> &'static [Link];
    /// The links of a person's own menu.
    fn personal(&self) -> Vec<Link> {
        vec![DRAFTS]
    }
    /// How it stands with what people ought to know of on every page.
    async fn pill(&self, actor: &Actor, words: &Words) -> Option<Pill>;
    /// Where a person begins.
    fn home(&self, actor: &Actor) -> &'static str;
    /// Where everybody is led before there is any account to log in with.
    async fn begin(&self) -> Option<&'static str> {
        None
    }
}

/// A link of the main menu.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Where to.
    pub href: &'static str,
    /// The message that names it.
    pub key: &'static str,
    /// Who has it.
    pub least: Role,
}

/// The link to what somebody is typing.
pub const DRAFTS: Link = Link { href: "/drafts", key: "drafts.title", least: Role::Employee };

/// A few words on every page, such as how much waits for headquarters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pill {
    /// `good`, `busy` or `bad`: its colour and its mark.
    pub tone: &'static str,
    /// The words.
    pub text: String,
    /// Where there is more.
    pub href: &'static str,
}

/// What the pages of a site are made with; cheap to clone.
#[derive(Clone)]
pub struct Pages {
    /// The desk whose pages they are.
    pub desk: Desk,
    /// What the site adds.
    pub shell: Arc<dyn Shell>,
    stores: Arc<Mutex<Option<Known>>>,
}

/// The stores, and the state of the ledger in which they were these.
type Known = (i64, Arc<Stores>);

/// Every store of a site, by code.
#[derive(Debug, Default)]
pub struct Stores {
    by_code: HashMap<String, Place>,
}

/// A store, as pages name it and tell its time.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its time zone.
    pub zone: TimeZone,
}

impl Stores {
    fn of(stores: Vec<Store>) -> Self {
        let place = |store: Store| (store.code, Place { name: store.name, zone: crate::moment::zone(&store.timezone) });
        Self { by_code: stores.into_iter().map(place).collect() }
    }

    /// The store's time zone; UTC where it is not known.
    #[must_use]
    pub fn zone(&self, code: &str) -> TimeZone {
        self.by_code.get(code).map_or(TimeZone::UTC, |place| place.zone.clone())
    }

    /// The store's name, where it is known.
    #[must_use]
    pub fn name<'a>(&'a self, code: &'a str) -> &'a str {
        self.by_code.get(code).map_or(code, |place| &place.name)
    }
}

impl Pages {
    /// The pages of `desk`.
    #[must_use]
    pub fn new(desk: Desk, shell: Arc<dyn Shell>) -> Self {
        Self { desk, shell, stores: Arc::default() }
    }

    /// Every store that this site knows, for names and time zones; read again when anything has changed.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn stores(&self) -> Result<Arc<Stores>, Error> {
        let stamp = self.desk.ledger().generation().await?;
        let kept = self.stores.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, stores)) = kept.filter(|(of, _)| *of == stamp) {
            return Ok(stores);
        }
        let stores = Arc::new(Stores::of(stores::list(&self.desk, &Actor::system("pages")).await?));
        *self.stores.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, Arc::clone(&stores)));
        Ok(stores)
    }

    /// Which place the site is, in words.
    pub(crate) async fn place(&self, words: &Words) -> Result<String, Error> {
        Ok(match self.desk.identity().await? {
            Identity::Node(enrolment) => format!("{} {}", enrolment.store_code, enrolment.store_name),
            Identity::Hub { .. } => words.t("site.headquarters").to_owned(),
            Identity::Unenrolled => words.t("site.nobody").to_owned(),
        })
    }

    /// What is around a page.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn page(&self, lang: Lang, path: &str, actor: Option<&Actor>) -> Result<Page, Error> {
        let words = lang.words();
        let (menu, pill, home) = match actor {
            None => (Vec::new(), None, "/"),
            Some(actor) => {
                let menu = self.shell.menu().iter().filter(|link| actor.role >= link.least).copied().collect();
                (menu, self.shell.pill(actor, words).await, self.shell.home(actor))
            }
        };
        // Before anything of the page is read: what changes meanwhile is told to it again rather than never.
        let heard = match actor {
            None => 0,
            Some(_) => self.desk.ledger().last_event().await?,
        };
        Ok(Page {
            words,
            heard,
            path: path.to_owned(),
            site: self.place(words).await?,
            company: self.desk.house().company.clone(),
            who: actor.cloned(),
            menu,
            personal: actor.map_or_else(Vec::new, |_| self.shell.personal()),
            home,
            pill,
            no_room: actor.is_some() && self.desk.blobs().guard().is_low(),
        })
    }
}

/// A pair of a query, to stand in an address.
#[must_use]
pub fn query(name: &str, value: &str) -> String {
    serde_urlencoded::to_string([(name, value)]).unwrap_or_default()
}

/// What is around a page: templates know it as `p`.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it speaks.
    pub words: &'static Words,
    /// The last event that it knows of; its script follows from there.
    pub heard: i64,
    /// Its own address, with the query.
    pub path: String,
    /// Where it is: a store, or headquarters.
    pub site: String,
    /// Whose it is.
    pub company: String,
    /// Who is logged in.
    pub who: Option<Actor>,
    /// The main menu.
    pub menu: Vec<Link>,
    /// The menu of whoever is logged in.
    pub personal: Vec<Link>,
    /// Where the person begins.
    pub home: &'static str,
    /// A few words.
    pub pill: Option<Pill>,
    /// Whether photos and files are not taken: the disk has no room for them.
    pub no_room: bool,
}

impl Page {
    /// The message under `key`.
    #[must_use]
    pub fn t(&self, key: &'static str) -> &'static str {
        self.words.t(key)
    }

    /// What a word of a vocabulary is called.
    #[must_use]
    pub fn of<'a>(&self, group: &str, name: &'a str) -> Cow<'a, str> {
        self.words.of(group, name)
    }

    /// What a rule says, in the page's language.
    #[must_use]
    pub fn rule(&self, message: &str) -> String {
        self.words.rule(message)
    }

    /// A message about a number of things.
    #[must_use]
    pub fn n(&self, key: &str, number: &u64) -> String {
        self.words.n(key, *number)
    }

    /// A message with something put in.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> String {
        self.words.with(key, &[value])
    }

    /// The five bars of a severity's mark: left edge, top, height, and whether it is off.
    #[must_use]
    pub fn bars(&self, severity: &u8) -> [(u8, u8, u8, bool); 5] {
        [1, 2, 3, 4, 5].map(|bar| ((bar - 1) * 4, 11 - bar * 2, bar * 2 + 1, bar > *severity))
    }

    /// The username of whoever is logged in.
    #[must_use]
    pub fn me(&self) -> &str {
        self.who.as_ref().map_or("", |who| &who.username)
    }

    /// A pair of a query, to stand in an address.
    #[must_use]
    pub fn query(&self, name: &str, value: &str) -> String {
        query(name, value)
    }

    /// The same page, which knows itself by an address that can be gone to: a form may have been sent to one that cannot.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// A company's own value, to be read.
    #[must_use]
    pub fn scalar(&self, value: &Value) -> String {
        let telling = Telling { zone: &TimeZone::UTC, currency: "", own: &Own::NONE, words: self.words };
        crate::timeline::shown("", value, telling).unwrap_or_default()
    }

    /// An injury in a line.
    #[must_use]
    pub fn injury(&self, injury: &Injury) -> String {
        let mut parts: Vec<String> = [&injury.nature, &injury.body_part, &injury.object, &injury.activity]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        parts.extend(injury.treatment.as_deref().map(|word| self.of("treatment", word).into_owned()));
        parts.extend(injury.days_away.map(|days| self.words.n("incident.days_away", days)));
        parts.extend(injury.days_restricted.map(|days| self.words.n("incident.days_restricted", days)));
        parts.extend(injury.died_at.as_ref().map(|_| self.t("incident.died").to_owned()));
        parts.join(" · ")
    }

    /// Where styles and scripts are.
    #[must_use]
    pub fn assets(&self) -> &'static str {
        crate::assets::base()
    }

    /// How many the highest column of a chart stands for, grouped.
    #[must_use]
    pub fn most(&self, columns: &[Column]) -> String {
        grouped(chart::most(columns), self.words.lang())
    }

    /// What the highest column of a chart of pairs stands for.
    #[must_use]
    pub fn most_of<'a>(&self, pairs: &'a [Pair]) -> &'a str {
        chart::most_of(pairs)
    }

    /// The hours of a day, as a table's head has them.
    #[must_use]
    pub fn hours(&self) -> Vec<String> {
        (0..24).map(|hour| format!("{hour:02}")).collect()
    }

    /// The languages to choose from.
    #[must_use]
    pub fn languages(&self) -> [Lang; 2] {
        Lang::ALL
    }

    /// Whether a link of the menu leads to where one is.
    #[must_use]
    pub fn is_at(&self, href: &str) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        path == href || (href != "/" && path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Whether the person has at least the role of that name.
    #[must_use]
    pub fn is_at_least(&self, role: &str) -> bool {
        match (&self.who, role.parse::<Role>()) {
            (Some(who), Ok(role)) => who.role >= role,
            _ => false,
        }
    }
}
