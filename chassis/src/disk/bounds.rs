//! From when on a disk has too little room.

use serde::Deserialize;

const MIB: u64 = 1 << 20;
/// Unless the configuration says otherwise, in MiB.
const FLOOR_MIB: u64 = 512;
/// The same of the reserve.
const RESERVE_MIB: u64 = 16;
/// The largest floor that can be configured, in MiB.
const MOST_FLOOR_MIB: u64 = 1 << 20;
/// The largest reserve, in MiB.
const MOST_RESERVE_MIB: u64 = 1024;

/// `[disk]` of a configuration file, or what options say of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskLayer {
    /// Below this photos and files are not taken, in MiB; 0: they always are.
    pub floor_mib: Option<u64>,
    /// Room in reserve for what must not be refused, in MiB; 0: none.
    pub reserve_mib: Option<u64>,
}

impl DiskLayer {
    /// What this layer says, and where it says nothing the one `below`.
    ///
    /// # Errors
    /// A number out of range; one line.
    pub fn over(self, below: Option<Self>) -> Result<Bounds, String> {
        let below = below.unwrap_or_default();
        let one = |name: &str, given: Option<u64>, default: u64, most: u64| match given.unwrap_or(default) {
            mib if mib <= most => Ok(mib * MIB),
            mib => Err(format!("disk.{name} is {mib}; give 0 (none) to {most} MiB")),
        };
        Ok(Bounds {
            floor_bytes: one("floor_mib", self.floor_mib.or(below.floor_mib), FLOOR_MIB, MOST_FLOOR_MIB)?,
            reserve_bytes: one("reserve_mib", self.reserve_mib.or(below.reserve_mib), RESERVE_MIB, MOST_RESERVE_MIB)?,
        })
    }
}

/// From when on a disk has too little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Below this photos and files are not taken, in bytes; 0: they always are.
    pub floor_bytes: u64,
    /// Room in reserve for what must not be refused, in bytes; 0: none.
    pub reserve_bytes: u64,
}

impl Default for Bounds {
    /// 512 MiB and 16 MiB.
    fn default() -> Self {
        Self { floor_bytes: FLOOR_MIB * MIB, reserve_bytes: RESERVE_MIB * MIB }
    }
}

impl Bounds {
    /// As they are on a file system of `total_bytes`: the floor is never more than a tenth of it, the reserve never more than a
    /// twentieth.
    pub(super) fn on(self, total_bytes: u64) -> Self {
        Self {
            floor_bytes: self.floor_bytes.min(total_bytes / 10),
            reserve_bytes: self.reserve_bytes.min(total_bytes / 20),
        }
    }
}
