//! The desk itself: what every feature needs, cheap to clone.

use crate::accounts::Hashing;
use crate::accounts::pins::Pins;
use crate::cache::SharedCache;
use crate::drafts;
use crate::erasures;
use crate::error::{Error, Refusal};
use crate::events::MAX_STREAMS;
use crate::jobs;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Booted, Identity, SharedLedger, When};
use crate::notifications::{self, Notifier};
use crate::photos::heic::Opener;
use crate::photos::{self, PhotoLimits, travels::Travels};
use crate::quarantine;
use crate::recall::Recall;
use crate::reckoning::Reckoning;
use crate::reports::{self, flights::Flights};
use crate::scrub::{self, Scrub};
use chassis::blobs::{Blobs, Sha256};
use chassis::clock::SharedClock;
use chassis::ids::Ids;
use chassis::jobs::{Queue, Runner};
use chassis::systemd::Vital;
use chassis::uploads::{UploadStore, Uploads};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use sync_protocol::message::SettingsReport;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Where a site keeps things.
#[derive(Clone)]
pub struct Storage {
    /// Everything it knows.
    pub ledger: SharedLedger,
    /// File content.
    pub blobs: Blobs,
    /// Work to be done later.
    pub jobs: Arc<dyn Queue>,
    /// Uploads under way.
    pub uploads: Arc<dyn UploadStore>,
    /// What can be made again.
    pub cache: SharedCache,
}

impl Storage {
    /// A ledger in SQLite, with its jobs, and a folder of files.
    #[must_use]
    pub fn sqlite(ledger: SqliteLedger, blobs: Blobs, cache: SharedCache) -> Self {
        let (jobs, uploads) = (Arc::new(ledger.jobs()), Arc::new(ledger.uploads()));
        Self { ledger: Arc::new(ledger), blobs, jobs, uploads, cache }
    }
}

/// Most contents that are asked for and not here; the oldest question is forgotten.
const MAX_WANTED: usize = 256;

/// A site's incident desk.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Storage,
    /// Contents that somebody asked for and that are not here: newest last, at most [`MAX_WANTED`].
    wanted: watch::Sender<Vec<Sha256>>,
    clock: SharedClock,
    reckoning: Reckoning,
    ids: Ids,
    stop: CancellationToken,
    hashing: Hashing,
    streams: Arc<Semaphore>,
    /// Who the site is, once it is somebody: that does not change while the process runs.
    identity: RwLock<Option<Identity>>,
    uploads: OnceLock<Uploads>,
    house: OnceLock<House>,
    /// Folders in which copies of contents may lie.
    copies: OnceLock<Vec<PathBuf>>,
    scrub: watch::Sender<Scrub>,
    pins: OnceLock<Pins>,
    settings_report: watch::Sender<SettingsReport>,
    draft_days: AtomicU64,
    printing: Arc<Semaphore>,
    binding: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
    recall: Recall,
    flights: Flights,
    travels: Travels,
    photo_limits: RwLock<Option<Arc<PhotoLimits>>>,
    reached_at: RwLock<Option<String>>,
    heic: OnceLock<Opener>,
    notifier: OnceLock<Notifier>,
}

/// What the company says of itself and of where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct House {
    /// What stands on letterheads.
    pub company: String,
    /// Where people reach this site, such as `https://incidents.example.com`; none: as each of them happens to.
    pub public_url: Option<String>,
    /// Where thumbnails are fetched from, where that is not this site itself: a cache in front of it.
    pub images_url: Option<String>,
}

impl House {
    /// What comes before the addresses of thumbnails; empty: nothing.
    #[must_use]
    pub fn images(&self) -> &str {
        self.images_url.as_deref().unwrap_or_default()
    }

    /// What a configuration says; without a word each has its default.
    ///
    /// # Errors
    /// In words, where an address is none.
    pub fn new(
        company: Option<String>,
        public_url: Option<String>,
        images_url: Option<String>,
    ) -> Result<Self, String> {
        let address = |name: &str, url: Option<String>| match url.map(|url| url.trim_end_matches('/').to_owned()) {
            Some(url) if !(url.starts_with("https://") || url.starts_with("http://")) => {
                Err(format!("{name} is {url:?}; give an address such as https://incidents.example.com"))
            }
            url => Ok(url),
        };
        Ok(Self {
            company: company.unwrap_or(Self::default().company),
            public_url: address("public_url", public_url)?,
            images_url: address("images_url", images_url)?,
        })
    }
}

impl Default for House {
    fn default() -> Self {
        Self { company: "A.I.ncident".to_owned(), public_url: None, images_url: None }
    }
}

/// A desk that does not keep itself alive: for what it owns.
#[derive(Clone)]
pub struct WeakDesk {
    inner: Weak<Inner>,
}

impl WeakDesk {
    /// The desk, where it still stands.
    #[must_use]
    pub fn upgrade(&self) -> Option<Desk> {
        self.inner.upgrade().map(|inner| Desk { inner })
    }
}

impl Desk {
    /// A desk over `storage`.
    #[must_use]
    pub fn new(storage: Storage, clock: SharedClock, ids: Ids) -> Self {
        Self::until(storage, clock, ids, CancellationToken::new())
    }

    /// A desk whose endless answers (server-sent events) end when `stop` is cancelled.
    #[must_use]
    pub fn until(storage: Storage, clock: SharedClock, ids: Ids, stop: CancellationToken) -> Self {
        let streams = Arc::new(Semaphore::new(MAX_STREAMS));
        let inner = Inner {
            storage,
            wanted: watch::Sender::new(Vec::new()),
            clock,
            reckoning: Reckoning::default(),
            ids,
            stop,
            hashing: Hashing::default(),
            streams,
            identity: RwLock::new(None),
            uploads: OnceLock::new(),
            house: OnceLock::new(),
            copies: OnceLock::new(),
            scrub: watch::Sender::new(Scrub::default()),
            pins: OnceLock::new(),
            settings_report: watch::Sender::new(SettingsReport::default()),
            draft_days: AtomicU64::new(drafts::KEEP_DAYS),
            printing: Arc::new(Semaphore::new(photos::job::at_once())),
            binding: Arc::new(Semaphore::new(1)),
            arriving: Arc::new(Semaphore::new(photos::MOST_ARRIVING)),
            recall: Recall::default(),
            flights: Flights::default(),
            travels: Travels::default(),
            photo_limits: RwLock::new(None),
            reached_at: RwLock::new(None),
            heic: OnceLock::new(),
            notifier: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The site's ledger.
    #[must_use]
    pub fn ledger(&self) -> &SharedLedger {
        &self.inner.storage.ledger
    }

    /// Whether whoever writes into the ledger still turns, for a watchdog.
    #[must_use]
    pub fn vital(&self) -> Vital {
        let ledger = Arc::clone(self.ledger());
        Vital::new("writer", move || {
            let ledger = Arc::clone(&ledger);
            async move {
                ledger.answers().await;
                Ok(())
            }
        })
    }

    /// The site's files.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.inner.storage.blobs
    }

    /// What can be made again.
    #[must_use]
    pub fn cache(&self) -> &SharedCache {
        &self.inner.storage.cache
    }

    /// The site's jobs.
    #[must_use]
    pub fn jobs(&self) -> &Arc<dyn Queue> {
        &self.inner.storage.jobs
    }

    /// Uploads under way to the site's incidents.
    #[must_use]
    pub fn uploads(&self) -> &Uploads {
        self.inner.uploads.get_or_init(|| {
            let desk = WeakDesk { inner: Arc::downgrade(&self.inner) };
            let (store, to) = (Arc::clone(self.upload_store()), Arc::new(photos::uploads::Incidents { desk }));
            let (clock, ids) = (Arc::clone(self.clock()), self.ids().clone());
            Uploads::new(
                store,
                self.blobs().clone(),
                to,
                clock,
                ids,
                photos::uploads::OWNERS,
                photos::uploads::LIFETIME,
            )
        })
    }

    /// Where uploads under way are kept, whatever they are for.
    #[must_use]
    pub fn upload_store(&self) -> &Arc<dyn UploadStore> {
        &self.inner.storage.uploads
    }

    /// What does the site's jobs, as long as it serves.
    #[must_use]
    pub fn runner(&self) -> Runner {
        Runner::new(Arc::clone(self.jobs()), Arc::clone(self.clock()), self.ids().clone())
            .kind(photos::job::KIND, photos::job::at_once(), photos::job::handler(self.clone()))
            .kind(reports::job::KIND, 1, reports::job::handler(self.clone()))
            .laned_kind(
                notifications::job::KIND,
                (notifications::job::AT_ONCE, notifications::job::TO_ONE),
                notifications::job::PATIENCE,
                notifications::job::handler(self.clone()),
            )
    }

    /// Tells what the company says of itself; once, before anything is served.
    pub fn set_house(&self, house: House) {
        let _ = self.inner.house.set(house);
    }

    /// What the company says of itself.
    #[must_use]
    pub fn house(&self) -> &House {
        self.inner.house.get_or_init(House::default)
    }

    /// Tells in which other folders copies of contents may lie, so that what is erased is removed there too; once, before anything
    /// is served.
    pub fn set_copies(&self, folders: Vec<PathBuf>) {
        let _ = self.inner.copies.set(folders);
    }

    pub(crate) fn copies(&self) -> &[PathBuf] {
        self.inner.copies.get().map_or(&[], Vec::as_slice)
    }

    /// Where people reach this site, as far as it is known: as configured, else as somebody last did.
    pub(crate) fn reached_at(&self) -> Option<String> {
        let seen = || self.inner.reached_at.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.house().public_url.clone().or_else(seen)
    }

    /// Notes where somebody reached this site.
    pub(crate) fn was_reached_at(&self, url: &str) {
        if url.is_empty() {
            return;
        }
        let known = self.inner.reached_at.read().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(url);
        if !known {
            *self.inner.reached_at.write().unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
        }
    }

    /// Has HEIC pictures shown; once, before anything is served. Without it they are kept, and cannot be shown.
    pub fn open_heic_with(&self, opener: Opener) {
        let _ = self.inner.heic.set(opener);
    }

    /// What opens HEIC pictures.
    pub(crate) fn heic(&self) -> Option<Opener> {
        self.inner.heic.get().copied()
    }

    /// Tells how messages leave the site; once, before anything is served. Without it none does.
    pub fn set_notifier(&self, notifier: Notifier) {
        let _ = self.inner.notifier.set(notifier);
    }

    /// How messages leave the site.
    pub(crate) fn notifier(&self) -> Option<&Notifier> {
        self.inner.notifier.get()
    }

    /// Tells how what is kept is looked through from now on.
    pub fn set_scrub(&self, scrub: Scrub) {
        self.inner.scrub.send_if_modified(|now| std::mem::replace(now, scrub) != scrub);
    }

    /// How what is kept is looked through.
    #[must_use]
    pub fn scrub(&self) -> Scrub {
        *self.inner.scrub.borrow()
    }

    /// The same, for whoever waits for it to become otherwise.
    pub(crate) fn scrub_settings(&self) -> watch::Receiver<Scrub> {
        self.inner.scrub.subscribe()
    }

    /// Has people come back to a shared device by a PIN; once, before anything is served. Without it only passwords count.
    pub fn set_pins(&self, pins: Pins) {
        let _ = self.inner.pins.set(pins);
    }

    /// Whether people come back to a shared device by a PIN.
    #[must_use]
    pub fn pins(&self) -> Option<Pins> {
        self.inner.pins.get().copied()
    }

    /// Notes what this node made of headquarters' settings, for headquarters and for people.
    pub fn report_settings(&self, report: SettingsReport) {
        self.inner.settings_report.send_if_modified(|now| {
            let is_new = *now != report;
            *now = report;
            is_new
        });
    }

    /// What this node made of headquarters' settings; without a version before it has looked.
    #[must_use]
    pub fn settings_report(&self) -> watch::Receiver<SettingsReport> {
        self.inner.settings_report.subscribe()
    }

    /// Tells for how many days drafts are kept from now on.
    pub fn set_draft_days(&self, days: u64) {
        self.inner.draft_days.store(days, Ordering::Relaxed);
    }

    /// For how many days drafts are kept.
    pub(crate) fn draft_days(&self) -> u64 {
        self.inner.draft_days.load(Ordering::Relaxed)
    }

    /// Whose turn it is to render a report.
    pub(crate) fn printing(&self) -> &Arc<Semaphore> {
        &self.inner.printing
    }

    /// Whose turn it is to bind many reports into one document.
    pub(crate) fn binding(&self) -> &Arc<Semaphore> {
        &self.inner.binding
    }

    /// What is known without a look into the ledger.
    #[must_use]
    pub fn recall(&self) -> &Recall {
        &self.inner.recall
    }

    /// Reports that are being rendered.
    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    /// What is taken of photos: as headquarters said last, here too while it cannot be reached.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn photo_limits(&self) -> Result<Arc<PhotoLimits>, Error> {
        if let Some(known) = self.inner.photo_limits.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(known);
        }
        let limits = Arc::new(self.ledger().photo_limits().await?.unwrap_or_default().sane());
        *self.inner.photo_limits.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&limits));
        Ok(limits)
    }

    /// Keeps what is taken of photos from now on.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn take_photo_limits(&self, limits: PhotoLimits) -> Result<(), Error> {
        let limits = limits.sane();
        if *self.photo_limits().await? == limits {
            return Ok(());
        }
        self.ledger().set_photo_limits(limits.clone()).await?;
        *self.inner.photo_limits.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(limits));
        Ok(())
    }

    /// How far contents have got that are on their way between the sites.
    pub(crate) fn travels(&self) -> &Travels {
        &self.inner.travels
    }

    /// Room for a file on its way in, as long as it is held.
    pub(crate) fn arriving(&self) -> &Arc<Semaphore> {
        &self.inner.arriving
    }

    /// Does what a site does by itself, as long as it serves: jobs, and uploads to be finished or forgotten.
    pub async fn work(self) {
        let jobs = self.runner().run(self.stop().clone());
        tokio::select! {
            () = jobs => {}
            () = photos::uploads::keep(&self) => {}
            () = photos::tidy::keep(&self) => {}
            () = jobs::measure(&self) => {}
            () = quarantine::keep(&self) => {}
            () = drafts::forget(&self) => {}
            () = scrub::keep(&self) => {}
            () = erasures::work::keep(&self) => {}
            () = notifications::follow::keep(&self) => {}
        }
    }

    /// Notes that somebody asked for a content that is not here, for whoever can fetch it.
    pub fn want(&self, sha256: Sha256) {
        self.inner.wanted.send_if_modified(|wanted| {
            let is_new = !wanted.contains(&sha256);
            if is_new {
                if wanted.len() == MAX_WANTED {
                    wanted.remove(0);
                }
                wanted.push(sha256);
            }
            is_new
        });
    }

    /// Takes a content off the list: it is here, or cannot be had.
    pub fn stop_wanting(&self, sha256: Sha256) {
        self.inner.wanted.send_modify(|wanted| wanted.retain(|one| *one != sha256));
    }

    /// Contents that somebody asked for and that are not here.
    #[must_use]
    pub fn wanted(&self) -> watch::Receiver<Vec<Sha256>> {
        self.inner.wanted.subscribe()
    }

    /// The site's clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    /// Where ids and randomness come from.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.inner.ids
    }

    /// Milliseconds since 1970, by the site's clock.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// Milliseconds that nobody can set, for what passes between two moments: [`Clock::boot_ms`](chassis::clock::Clock::boot_ms).
    #[must_use]
    pub fn boot_ms(&self) -> i64 {
        self.inner.clock.boot_ms()
    }

    /// What time it is at headquarters, as far as a node can tell.
    #[must_use]
    pub fn reckoning(&self) -> &Reckoning {
        &self.inner.reckoning
    }

    /// When this machine was started, by headquarters' clock; none before that ever said anything.
    #[must_use]
    pub fn booted(&self) -> Option<Booted> {
        let hub_ms = self.reckoning().hub_ms(0)?;
        Some(Booted { id: self.inner.clock.boot_id(), hub_ms })
    }

    /// When something that is recorded now is recorded.
    #[must_use]
    pub fn when(&self) -> When {
        self.when_at(self.now_ms())
    }

    /// [`Desk::when`], where the site's clock was read a moment ago and said `at_ms`.
    #[must_use]
    pub fn when_at(&self, at_ms: i64) -> When {
        When { at_ms, order_ms: self.reckoning().order_ms(at_ms, self.boot_ms()) }
    }

    /// Cancelled when the site shuts down.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.inner.hashing
    }

    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.inner.streams
    }

    /// Who the site is. A node that is not enrolled is asked again each time, so that enrolment takes effect at once.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn identity(&self) -> Result<Identity, Error> {
        if let Some(known) = self.inner.identity.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(known);
        }
        let identity = self.inner.storage.ledger.identity().await?;
        if identity != Identity::Unenrolled {
            *self.inner.identity.write().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        }
        Ok(identity)
    }

    /// Forgets who the site is, so that the next question reads it anew: after an enrolment replaced another one.
    pub fn forget_identity(&self) {
        *self.inner.identity.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The store whose node this is; `None` at the hub.
    ///
    /// # Errors
    /// [`Refusal::NotEnrolled`].
    pub async fn own_store(&self) -> Result<Option<String>, Error> {
        match self.identity().await? {
            Identity::Hub { .. } => Ok(None),
            Identity::Node(enrolment) => Ok(Some(enrolment.store_code)),
            Identity::Unenrolled => Err(Refusal::NotEnrolled.into()),
        }
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
