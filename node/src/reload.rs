//! Reading the configuration again while the node serves.

use chassis::reload::{self, Difference, Hangups};
use chassis::slow;
use chassis::telemetry::{self, TelemetryConfig};
use desk::Desk;

use crate::config::{ServeConfig, UsageError};
use crate::replicator::Replicator;

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
    /// What syncs.
    pub replicator: Replicator,
}

impl Settings {
    /// Reads them again at each of `hangups`; for as long as it is polled.
    pub async fn keep(mut self, mut hangups: Hangups) {
        loop {
            hangups.next().await;
            reload::tell(self.read());
        }
    }

    /// Takes what can be taken; what differs.
    fn read(&mut self) -> Result<Vec<Difference>, String> {
        let new = (self.again)().map_err(|error| error.to_string())?;
        telemetry::refilter(&new.telemetry).map_err(|error| error.to_string())?;
        let differs = differences(&self.now, &new);
        self.desk.set_scrub(new.scrub);
        slow::set(new.slow);
        self.now.slow = new.slow;
        self.replicator.keep_to(new.tempo);
        let log = new.telemetry.log;
        self.now.telemetry = TelemetryConfig { log, format: self.now.telemetry.format };
        (self.now.scrub, self.now.tempo) = (new.scrub, new.tempo);
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
        tempo,
        inbox,
        cache_bytes,
        scrub,
        tls,
        slow,
        mdns,
        mail,
        webhooks,
        pins,
    } = new;
    let (at_once, waits) = (false, true);
    [
        ("data_dir", old.data_dir != *data_dir, waits),
        ("listen", old.listen != *listen, waits),
        ("plain_http", old.plain_http != *plain_http, waits),
        ("log", old.telemetry.log != telemetry.log, at_once),
        ("log_format", old.telemetry.format != telemetry.format, waits),
        ("company", old.house.company != house.company, waits),
        ("public_url", old.house.public_url != house.public_url, waits),
        ("images_url", old.house.images_url != house.images_url, waits),
        ("inbox", old.inbox != *inbox, waits),
        ("cache_mib", old.cache_bytes != *cache_bytes, waits),
        ("link.max_backoff_ms", old.tempo.pace != tempo.pace, at_once),
        ("photos.originals", old.tempo.contents.originals != tempo.contents.originals, at_once),
        ("photos.max_kbit_s", old.tempo.contents.max_bytes_per_s != tempo.contents.max_bytes_per_s, at_once),
        ("verify_interval_s", old.tempo.proof != tempo.proof, at_once),
        ("scrub.interval_s", old.scrub.interval != scrub.interval, at_once),
        ("scrub.kib_s", old.scrub.bytes_per_s != scrub.bytes_per_s, at_once),
        ("scrub.paused", old.scrub.paused != scrub.paused, at_once),
        ("tls", old.tls != *tls, waits),
        ("mdns", old.mdns != *mdns, waits),
        ("slow", old.slow != *slow, at_once),
        ("mail", old.mail != *mail, waits),
        ("webhooks", old.webhooks != *webhooks, waits),
        ("pin_days", old.pins != *pins, waits),
    ]
    .into_iter()
    .filter_map(|(name, differs, waits)| differs.then_some((name, waits)))
    .collect()
}
