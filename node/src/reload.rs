//! Taking other settings while the node serves: the configuration, read again at a SIGHUP, and what headquarters sets, whenever
//! that changes. Both come in the same way: headquarters' settings lie beneath the configuration.

use chassis::backup::series;
use chassis::http::Rates;
use chassis::reload::{self, Difference, Hangups};
use chassis::slow;
use chassis::telemetry::{self, TelemetryConfig};
use desk::Desk;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

use crate::config::{Headquarters, ServeConfig, UsageError};
use crate::replicator::Replicator;
use crate::settings;

/// How often it is looked for other settings of headquarters' at most, while the ledger takes one recording after the other.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// What reads the configuration: options, environment and file, as at the start, over what headquarters sets.
pub type Again = Box<dyn Fn(&Headquarters) -> Result<ServeConfig, UsageError> + Send>;

/// The settings in force, and whom they are told to.
pub struct Settings {
    /// What reads them again.
    pub again: Again,
    /// In force.
    pub now: ServeConfig,
    /// The version of headquarters' settings in force.
    pub version: String,
    /// The desk.
    pub desk: Desk,
    /// What syncs.
    pub replicator: Replicator,
    /// What bounds how much one of those who ask may ask.
    pub rates: Rates,
}

/// The configuration over what headquarters has set by now, before anything is begun by it. What cannot be used then changes
/// nothing: it is `config` alone.
pub async fn over_headquarters(again: &Again, config: ServeConfig, desk: &Desk) -> (ServeConfig, String) {
    let Some(holding) = settings::holding(desk).await else {
        return (config, String::new());
    };
    let whole = again(&Headquarters::of(&holding)).map_err(|error| error.to_string());
    let whole = whole.and_then(|whole| match telemetry::refilter(&whole.telemetry) {
        Ok(()) => Ok(whole),
        Err(error) => Err(error.to_string()),
    });
    let broken = whole.as_ref().err().cloned();
    let config = whole.unwrap_or(config);
    settings::apply(desk, &holding, &config.overridden, broken.as_deref());
    (config, holding.version())
}

impl Settings {
    /// Reads them again at each of `hangups`, and whenever headquarters' become other ones; for as long as it is polled.
    pub async fn keep(mut self, mut hangups: Hangups) {
        let mut committed = self.desk.ledger().committed();
        let mut rested = Instant::now();
        loop {
            let heard = async {
                sleep_until(rested).await;
                committed.changed().await
            };
            tokio::select! {
                () = hangups.next() => self.take(true).await,
                heard = heard => match heard {
                    Ok(()) => {
                        self.take(false).await;
                        rested = Instant::now() + LOOKS_EVERY;
                    }
                    // The ledger is closed.
                    Err(_) => return,
                },
            }
        }
    }

    /// Takes what there is to take; `anew`: the configuration, too, and not only what headquarters has changed.
    async fn take(&mut self, anew: bool) {
        let holding = settings::holding(&self.desk).await;
        let version = holding.as_ref().map_or_else(|| self.version.clone(), desk::settings::Holding::version);
        let is_other = version != self.version;
        if !(anew || is_other) {
            return;
        }
        let theirs = holding.as_ref().map(Headquarters::of).unwrap_or_default();
        let taken = self.read(&theirs);
        // A configuration that is wrong changes nothing: what was applied before goes on to hold.
        if let Some(holding) = holding.as_ref().filter(|_| taken.is_ok() || is_other) {
            let broken = taken.as_ref().err().map(String::as_str);
            settings::apply(&self.desk, holding, &self.now.overridden, broken);
        }
        self.version = version;
        let occasion = if anew {
            "the configuration was read again"
        } else {
            "settings of headquarters' were applied"
        };
        reload::tell(occasion, taken);
    }

    /// Takes what can be taken; what differs.
    fn read(&mut self, theirs: &Headquarters) -> Result<Vec<Difference>, String> {
        let new = (self.again)(theirs).map_err(|error| error.to_string())?;
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
        self.replicator.keep_to(new.tempo);
        let log = new.telemetry.log;
        self.now.telemetry = TelemetryConfig { log, ..self.now.telemetry.clone() };
        (self.now.scrub, self.now.tempo) = (new.scrub, new.tempo);
        self.now.overridden = new.overridden;
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
        backups,
        disk,
        mdns,
        mail,
        webhooks,
        pins,
        limits,
        // What goes before headquarters' settings is among the others.
        overridden: _,
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
        ("inbox", old.inbox != *inbox, waits),
        ("cache_mib", old.cache_bytes != *cache_bytes, waits),
        ("link.max_backoff_ms", old.tempo.pace != tempo.pace, at_once),
        ("photos.originals", old.tempo.contents.originals != tempo.contents.originals, at_once),
        ("photos.max_kbit_s", old.tempo.contents.max_bytes_per_s != tempo.contents.max_bytes_per_s, at_once),
        (
            "photos.originals_max_kbit_s",
            old.tempo.contents.originals_max_bytes_per_s != tempo.contents.originals_max_bytes_per_s,
            at_once,
        ),
        ("verify_interval_s", old.tempo.proof != tempo.proof, at_once),
        ("scrub.interval_s", old.scrub.interval != scrub.interval, at_once),
        ("scrub.kib_s", old.scrub.bytes_per_s != scrub.bytes_per_s, at_once),
        ("scrub.paused", old.scrub.paused != scrub.paused, at_once),
        ("tls", old.tls != *tls, waits),
        ("mdns", old.mdns != *mdns, waits),
        ("slow", old.slow != *slow, at_once),
        // The rest of [backup] is read by each backup.
        ("backup.folder", old.backups != *backups, at_once),
        ("disk", old.disk != *disk, at_once),
        ("mail", old.mail != *mail, waits),
        ("webhooks", old.webhooks != *webhooks, waits),
        ("pin_days", old.pins != *pins, waits),
        ("limits", old.limits != *limits, at_once),
    ]
    .into_iter()
    .filter_map(|(name, differs, waits)| differs.then_some((name, waits)))
    .collect()
}
