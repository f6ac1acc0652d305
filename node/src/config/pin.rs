//! Options of coming back to a shared device by a PIN.

use super::UsageError;
use clap::Args;
use desk::accounts::pins::Pins;

/// How long a PIN is enough where none is said, in days.
const DAYS: i64 = 30;

/// Coming back to a shared device by a PIN.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct PinArgs {
    /// How many days after the password a PIN is enough on the same device, 1 to 365; 0: only passwords count [default: 30].
    #[arg(long, value_name = "DAYS", env = "AINCIDENT_NODE_PIN_DAYS")]
    pin_days: Option<i64>,
}

impl PinArgs {
    pub(super) fn over(self, file: Option<i64>) -> Result<Option<Pins>, UsageError> {
        match self.pin_days.or(file).unwrap_or(DAYS) {
            0 => Ok(None),
            days @ 1..=365 => Ok(Some(Pins { lasts_ms: days * 86_400_000 })),
            days => Err(UsageError::Range(format!("pin_days is {days}; give 0 to 365"))),
        }
    }
}
