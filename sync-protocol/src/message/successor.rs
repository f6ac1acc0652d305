//! Who took whose place.

use serde::{Deserialize, Serialize};

/// The node that took another one's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// What it is called.
    pub name: String,
    /// Since when, milliseconds since 1970 by the hub's clock.
    pub since_ms: i64,
}
