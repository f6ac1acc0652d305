//! Options of `serve`.

use super::disk::DiskArgs;
use super::limits::LimitsArgs;
use super::scrub::ScrubArgs;
use super::slow::SlowArgs;
use super::tls::TlsArgs;
use super::traces::TracesArgs;
use super::{Layer, PlaceArgs, UsageError};
use chassis::config::listen_address;
use chassis::disk::Bounds;
use chassis::http::{Limits, TlsConfig};
use chassis::mail::MailConfig;
use chassis::slow::Thresholds;
use chassis::telemetry::{LogFormat, TelemetryConfig};
use chassis::webhooks::WebhookConfig;
use clap::Args;
use desk::House;
use desk::photos::{MAX_PHOTO_BYTES, MAX_PHOTOS, PhotoLimits};
use desk::scrub::Scrub;
use std::path::PathBuf;

/// Bytes of a MiB.
const MIB: u64 = 1024 * 1024;

/// Options of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:7700].
    #[arg(long, value_name = "ADDRESS", env = "AINCIDENT_HUB_LISTEN")]
    listen: Option<String>,
    /// Serve other machines without TLS, behind a proxy that has it: browsers log in over HTTPS only.
    #[arg(long, env = "AINCIDENT_HUB_PLAIN_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    plain_http: Option<bool>,
    /// What to log, such as `info` or `warn,aincident_hub=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "AINCIDENT_HUB_LOG")]
    log: Option<String>,
    /// How log lines look: `text` or `json` [default: text].
    #[arg(long, value_name = "FORMAT", env = "AINCIDENT_HUB_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// What stands on letterheads [default: A.I.ncident].
    #[arg(long, value_name = "NAME", env = "AINCIDENT_HUB_COMPANY")]
    company: Option<String>,
    /// Where people reach this site, such as <https://incidents.example.com>: for links in reports [default: as each client
    /// reaches it].
    #[arg(long, value_name = "URL", env = "AINCIDENT_HUB_PUBLIC_URL")]
    public_url: Option<String>,
    /// Where browsers fetch thumbnails from, where a cache of your own stands in front of this site; it has to pass cookies on
    /// [default: this site].
    #[arg(long, value_name = "URL", env = "AINCIDENT_HUB_IMAGES_URL")]
    images_url: Option<String>,
    /// Largest photo or file that any site takes, in MiB, 1 to 50 [default: 50].
    #[arg(long, value_name = "MIB", env = "AINCIDENT_HUB_PHOTO_MAX_MIB")]
    photo_max_mib: Option<u64>,
    /// Most photos and files of one incident, 1 to 100 [default: 100].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_PHOTOS_PER_INCIDENT")]
    photos_per_incident: Option<u64>,
    /// Media types that any site takes, by content, such as `image/*,application/pdf` [default: any].
    #[arg(long, value_name = "TYPES", env = "AINCIDENT_HUB_PHOTO_TYPES", value_delimiter = ',')]
    photo_types: Option<Vec<String>>,
    #[command(flatten)]
    scrub: ScrubArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    slow: SlowArgs,
    #[command(flatten)]
    disk: DiskArgs,
    #[command(flatten)]
    traces: TracesArgs,
    #[command(flatten)]
    limits: LimitsArgs,
}

/// `serve`, ready to go.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: String,
    /// Whether other machines may be served without TLS.
    pub plain_http: bool,
    /// Logging.
    pub telemetry: TelemetryConfig,
    /// What the company says of itself.
    pub house: House,
    /// What every site takes of photos.
    pub photos: PhotoLimits,
    /// How what is kept is looked through.
    pub scrub: Scrub,
    /// How the site proves who it is.
    pub tls: TlsConfig,
    /// What counts as slow.
    pub slow: Thresholds,
    /// Whether a folder for backups is set.
    pub backups: bool,
    /// From when on the disk has too little room.
    pub disk: Bounds,
    /// Where mail goes out.
    pub mail: Option<MailConfig>,
    /// Where webhooks may go.
    pub webhooks: WebhookConfig,
    /// How much one of those who ask may ask.
    pub limits: Limits,
}

impl ServeArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing or out of range.
    pub fn resolve(mut self) -> Result<ServeConfig, UsageError> {
        let given = Layer {
            listen: self.listen.take(),
            plain_http: self.plain_http,
            log: self.log.take(),
            log_format: self.log_format.take(),
            company: self.company.take(),
            public_url: self.public_url.take(),
            images_url: self.images_url.take(),
            photo_max_mib: self.photo_max_mib,
            photos_per_incident: self.photos_per_incident,
            photo_types: self.photo_types.take(),
            ..Layer::default()
        };
        let (data_dir, layer) = std::mem::take(&mut self.place).layered(given)?;
        self.settle(data_dir, layer)
    }

    /// What `layer` says, where these options do not say it.
    pub(super) fn settle(self, data_dir: PathBuf, layer: Layer) -> Result<ServeConfig, UsageError> {
        let defaults = TelemetryConfig::default();
        let photos = photos(layer.photo_max_mib, layer.photos_per_incident, layer.photo_types)?;
        Ok(ServeConfig {
            listen: listen_address(layer.listen.unwrap_or_else(|| "127.0.0.1:7700".to_owned()))
                .map_err(UsageError::Range)?,
            plain_http: layer.plain_http.unwrap_or(false),
            telemetry: TelemetryConfig {
                log: layer.log.unwrap_or(defaults.log),
                format: layer.log_format.unwrap_or(defaults.format),
                traces: self.traces.layer().over(layer.traces).map_err(UsageError::Range)?,
            },
            house: House::new(layer.company, layer.public_url, layer.images_url).map_err(UsageError::Range)?,
            photos,
            scrub: self.scrub.over(layer.scrub)?,
            slow: self.slow.layer().over(layer.slow).map_err(UsageError::Range)?,
            disk: self.disk.layer().over(layer.disk).map_err(UsageError::Range)?,
            tls: self.tls.layer().over(layer.tls, &data_dir).map_err(UsageError::Range)?,
            mail: layer.mail.unwrap_or_default().settle().map_err(UsageError::Range)?,
            webhooks: layer.webhooks.unwrap_or_default().settle().map_err(UsageError::Range)?,
            backups: layer.backup.is_some_and(|backup| backup.folder.is_some()),
            limits: self.limits.over(layer.limits, layer.nodes).map_err(UsageError::Range)?,
            data_dir,
        })
    }
}

/// What every site takes of photos.
fn photos(
    max_mib: Option<u64>,
    per_incident: Option<u64>,
    types: Option<Vec<String>>,
) -> Result<PhotoLimits, UsageError> {
    let within = |name: &str, value: u64, most: u64| {
        if (1..=most).contains(&value) {
            Ok(value)
        } else {
            Err(UsageError::Range(format!("{name} is {value}; give 1 to {most}")))
        }
    };
    let max_mib = within("photo_max_mib", max_mib.unwrap_or(MAX_PHOTO_BYTES / MIB), MAX_PHOTO_BYTES / MIB)?;
    let per_incident = within("photos_per_incident", per_incident.unwrap_or(MAX_PHOTOS), MAX_PHOTOS)?;
    let media_types = types.unwrap_or_default();
    for name in &media_types {
        let parts = name.split_once('/');
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        };
        if !parts.is_some_and(|(class, kind)| word(class) && (kind == "*" || word(kind))) {
            return Err(UsageError::Range(format!(
                "photo_types has {name:?}; give types such as image/jpeg or image/*"
            )));
        }
    }
    Ok(PhotoLimits { max_bytes: max_mib * MIB, per_incident, media_types })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_photos_are_checked_before_anything_starts() {
        let types = |types: &[&str]| Some(types.iter().map(ToString::to_string).collect());
        let limits = photos(Some(8), None, types(&["image/*", "application/pdf"])).unwrap();
        assert_eq!((limits.max_bytes, limits.per_incident), (8 * MIB, 100));
        assert_eq!(photos(None, None, None).unwrap(), PhotoLimits::default());
        assert!(photos(Some(51), None, None).is_err() && photos(Some(0), None, None).is_err());
        assert!(photos(None, Some(101), None).is_err());
        for wrong in ["jpeg", "image/", "*/*", "Image/JPEG", "image/a b"] {
            assert!(photos(None, None, types(&[wrong])).is_err(), "{wrong}");
        }
    }
}
