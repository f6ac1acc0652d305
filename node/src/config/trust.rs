//! Options of `trust`.

use super::{Layer, PlaceArgs, UsageError, pins};
use chassis::outbound::Pin;
use clap::Args;
use std::path::PathBuf;

/// Options of `trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// SHA-256 of the hub's certificate, or of the authority's that it shows along with it, in the place of those that are pinned;
    /// several with commas: before a change both, the old one and the new one.
    #[arg(long, value_name = "SHA256", env = "AINCIDENT_NODE_FINGERPRINT", value_delimiter = ',')]
    fingerprint: Option<Vec<Pin>>,
    /// Pin nothing any more: the hub is believed by whatever an authority vouches for.
    #[arg(long, conflicts_with = "fingerprint")]
    unpin: bool,
}

/// `trust`, ready to go.
#[derive(Debug)]
pub struct TrustConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Certificates by which alone the hub is believed; none: by authorities.
    pub pins: Vec<Pin>,
}

impl TrustArgs {
    /// All layers together.
    ///
    /// # Errors
    /// A file that cannot be used; an option that is missing.
    pub fn resolve(self) -> Result<TrustConfig, UsageError> {
        let given = Layer { fingerprint: self.fingerprint, ..Layer::default() };
        let (data_dir, layer) = self.place.layered(given)?;
        if self.unpin {
            return Ok(TrustConfig { data_dir, pins: Vec::new() });
        }
        let pins = pins(layer.fingerprint)?;
        if pins.is_empty() {
            return Err(UsageError::Missing { option: "--fingerprint", variable: "AINCIDENT_NODE_FINGERPRINT" });
        }
        Ok(TrustConfig { data_dir, pins })
    }
}
