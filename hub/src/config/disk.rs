//! Options of the room on the disk.

use chassis::disk::DiskLayer;
use clap::Args;

/// From when on the disk has too little room.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct DiskArgs {
    /// Below this much free room photos and files are not taken, in MiB; 0: they always are. Never more than a tenth of the disk
    /// [default: 512].
    #[arg(long, value_name = "MIB", env = "AINCIDENT_HUB_DISK_FLOOR_MIB")]
    disk_floor_mib: Option<u64>,
    /// Room on the disk that is kept for reports, in MiB, 0 to 1024. Never more than a twentieth of the disk [default: 16].
    #[arg(long, value_name = "MIB", env = "AINCIDENT_HUB_DISK_RESERVE_MIB")]
    disk_reserve_mib: Option<u64>,
}

impl DiskArgs {
    /// These as the layer that stands above the file's.
    pub(super) const fn layer(self) -> DiskLayer {
        DiskLayer { floor_mib: self.disk_floor_mib, reserve_mib: self.disk_reserve_mib }
    }
}
