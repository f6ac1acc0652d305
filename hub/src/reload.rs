//! Reading the configuration again while the hub serves.

use chassis::backup::series;
use chassis::http::{Limits, Rates};
use chassis::reload::{self, Difference, Hangups};
use chassis::slow;
use chassis::telemetry::{self, TelemetryConfig};
use desk::Desk;

use crate::config::{ServeConfig, UsageError};

/// What reads the configuration: options, environment and file, as at the start.
pub type Again = Box<dyn Fn() -> Result<ServeConfig, UsageError> + Send>;

/// The settings in force, and whom they are told to.
pub struct Settings {
    /// What reads them again.
    pub again: Again,
    /// In force.
    pub now: ServeConfig,
    /// The desk.
    pub desk: Desk,
    /// What bounds how much one of those who ask may ask.
    pub rates: Rates,
}

impl Settings {
    /// Reads them again at each of `hangups`; for as long as it is polled.
    pub async fn keep(mut self, mut hangups: Hangups) {
        loop {
            hangups.next().await;
            reload::tell("the configuration was read again", self.read().await);
        }
    }

    /// Takes what can be taken; what differs.
    async fn read(&mut self) -> Result<Vec<Difference>, String> {
        let new = (self.again)().map_err(|error| error.to_string())?;
        telemetry::check(&new.telemetry).map_err(|error| error.to_string())?;
        // The one that can fail goes first. Nodes hear of it with their next hello.
        self.desk.take_photo_limits(new.photos.clone()).await.map_err(|error| error.to_string())?;
        telemetry::refilter(&new.telemetry).map_err(|error| error.to_string())?;
        let differs = differences(&self.now, &new);
        self.desk.set_scrub(new.scrub);
        slow::set(new.slow);
        self.desk.blobs().guard().set(new.disk);
        (self.now.slow, self.now.disk) = (new.slow, new.disk);
        series::expect(new.backups);
        self.now.backups = new.backups;
        self.rates.set(new.limits.clone());
        self.now.limits = new.limits;
        let log = new.telemetry.log;
        self.now.telemetry = TelemetryConfig { log, ..self.now.telemetry.clone() };
        (self.now.scrub, self.now.photos) = (new.scrub, new.photos);
        Ok(differs)
    }
}

/// What differs.
fn differences(old: &ServeConfig, new: &ServeConfig) -> Vec<Difference> {
    // No `..`: a setting that is missing here must not compile.
    let ServeConfig {
        data_dir,
        listen,
        plain_http,
        telemetry,
        house,
        photos,
        scrub,
        tls,
        slow,
        backups,
        disk,
        mail,
        webhooks,
        limits,
    } = new;
    let (at_once, waits) = (false, true);
    [
        ("data_dir", old.data_dir != *data_dir, waits),
        ("listen", old.listen != *listen, waits),
        ("plain_http", old.plain_http != *plain_http, waits),
        ("log", old.telemetry.log != telemetry.log, at_once),
        ("log_format", old.telemetry.format != telemetry.format, waits),
        ("traces", old.telemetry.traces != telemetry.traces, waits),
        ("company", old.house.company != house.company, waits),
        ("public_url", old.house.public_url != house.public_url, waits),
        ("images_url", old.house.images_url != house.images_url, waits),
        ("photo_max_mib", old.photos.max_bytes != photos.max_bytes, at_once),
        ("photos_per_incident", old.photos.per_incident != photos.per_incident, at_once),
        ("photo_types", old.photos.media_types != photos.media_types, at_once),
        ("scrub.interval_s", old.scrub.interval != scrub.interval, at_once),
        ("scrub.kib_s", old.scrub.bytes_per_s != scrub.bytes_per_s, at_once),
        ("scrub.paused", old.scrub.paused != scrub.paused, at_once),
        ("tls", old.tls != *tls, waits),
        ("slow", old.slow != *slow, at_once),
        // The rest of [backup] is read by each backup.
        ("backup.folder", old.backups != *backups, at_once),
        ("disk", old.disk != *disk, at_once),
        ("mail", old.mail != *mail, waits),
        ("webhooks", old.webhooks != *webhooks, waits),
        ("limits", Limits { node: limits.node, ..old.limits.clone() } != *limits, at_once),
        ("nodes", old.limits.node != limits.node, at_once),
    ]
    .into_iter()
    .filter_map(|(name, differs, waits)| differs.then_some((name, waits)))
    .collect()
}
