//! `check-config`: the configuration as `serve` would read it, and everything that is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use chassis::backup::series::ScheduleLayer;
use chassis::config;
use chassis::telemetry;
use clap::Args;

use super::{Headquarters, INSTALLED, Layer, ServeArgs};

/// Options of `check-config`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file; those of the folder beside it (node.d/*.toml) are read, too.
    #[arg(long, value_name = "FILE", env = "AINCIDENT_NODE_CONFIG", default_value = INSTALLED)]
    config: PathBuf,
    /// For machines: one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// Tells on `out` what is wrong, a line for each mistake.
    ///
    /// # Errors
    /// When anything is wrong, or the file cannot be read; one line.
    pub fn run(self, out: &mut impl Write) -> Result<(), String> {
        config::check(&self.config, judge, self.json, out)
    }
}

/// What is wrong with a file, in one line.
fn judge(text: &str) -> Result<(), String> {
    let mut layer: Layer = config::parse(text)?;
    if let Some(tls) = &mut layer.tls {
        tls.expect_key();
    }
    let data_dir = layer.data_dir.clone().unwrap_or_default();
    ScheduleLayer::default().over(layer.backup.clone())?;
    let serve = ServeArgs::default()
        .settle(data_dir, layer, &Headquarters::default())
        .map_err(|error| error.to_string())?;
    telemetry::check(&serve.telemetry).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::config::Mistake;
    use std::path::Path;

    #[test]
    fn mistakes_of_every_kind_are_told_with_their_lines() {
        let text = "listen = 7710\ncache_mib = 5\nhubb = 'x'\nlog = 'loud=loud=loud'\n[photos]\noriginals = 'sometimes'\n\
                    [link]\nmax_backoff_ms = 500\n[scrub]\nkib_s = 1\n";
        let found: Vec<_> = config::mistakes(text, judge).iter().map(Mistake::to_string).collect();
        let lines: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 6", "line 10"], "{found:?}");
        assert!(found[1].contains("cache_mib is 5; give 16 to 65536"), "{found:?}");
    }

    #[test]
    fn the_file_of_the_package_has_every_key_and_is_right_with_all_of_them_set() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/node.toml");
        let text = std::fs::read_to_string(file).unwrap();
        // What belongs to one call of one command, not to a machine.
        let of_a_call = ["code", "from", "full", "json", "reason", "replace", "settled", "to"];
        assert_eq!(config::keys_missing_in::<Layer>(&text, &of_a_call), [""; 0]);
        for text in [text.clone(), config::uncommented(&text)] {
            assert_eq!(config::mistakes(&text, judge), []);
        }
    }
}
