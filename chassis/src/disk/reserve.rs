//! Room that is taken before it is needed: a file that is really on the disk, and gives itself up piece by piece.

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file in the data folder.
const NAME: &str = "reserve";
/// Into how many pieces it is given away.
const PIECES: u64 = 8;
/// The smallest of them, in bytes: less is gone with one transaction.
const SMALLEST_PIECE: u64 = 256 * 1024;
/// What the system counts blocks in, whatever the file system has, in bytes.
const COUNTED_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    wanted_bytes: u64,
    /// As last looked.
    held_bytes: u64,
    /// Whether the file system can keep room for a file.
    is_possible: bool,
    /// Whether it was said that it cannot be made.
    is_told: bool,
}

impl Reserve {
    /// The reserve that is in `folder`, or none yet; changes nothing.
    pub fn found(folder: &Path, wanted_bytes: u64) -> Self {
        let path = folder.join(NAME);
        let held_bytes = held(&path);
        Self { path, wanted_bytes, held_bytes, is_possible: true, is_told: false }
    }

    /// What is in it, in bytes.
    pub const fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// What is missing from it, in bytes; nothing where it cannot be had.
    pub const fn missing_bytes(&self) -> u64 {
        if self.is_possible {
            self.wanted_bytes.saturating_sub(self.held_bytes)
        } else {
            0
        }
    }

    /// Looks at the file, and gives up what there is above `bytes`, which is how long it is to be.
    pub fn want(&mut self, bytes: u64) {
        self.wanted_bytes = bytes;
        // Somebody may have removed it to make room.
        self.held_bytes = held(&self.path);
        if self.held_bytes > bytes {
            self.cut_to(bytes);
        }
    }

    /// Takes the room that is missing.
    pub fn fill(&mut self) {
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let filled = options.and_then(|file| {
            // Not sparse: only blocks that the file has are kept from others.
            fallocate(&file, FallocateFlags::empty(), 0, self.wanted_bytes)?;
            file.sync_all()
        });
        self.held_bytes = held(&self.path);
        match filled {
            Err(cause) if cannot(&cause) => {
                self.is_possible = false;
                tracing::info!(%cause, "this file system keeps no room for a file: there is no reserve");
            }
            Err(cause) => {
                if !std::mem::replace(&mut self.is_told, true) {
                    tracing::warn!(%cause, file = %self.path.display(), "the reserve cannot be made; it is tried again");
                }
            }
            // Some file systems say that they have, and keep nothing.
            Ok(()) if self.held_bytes < self.wanted_bytes => {
                self.is_possible = false;
                tracing::info!("this file system keeps no room for a file: there is no reserve");
            }
            Ok(()) => self.is_told = false,
        }
    }

    /// Gives a piece of it free; how many bytes that were.
    pub fn give(&mut self) -> u64 {
        let before = held(&self.path);
        let piece = (self.wanted_bytes / PIECES).max(SMALLEST_PIECE).min(before);
        self.held_bytes = before;
        if piece > 0 {
            self.cut_to(before - piece);
        }
        before.saturating_sub(self.held_bytes)
    }

    fn cut_to(&mut self, bytes: u64) {
        let cut = OpenOptions::new().write(true).open(&self.path).and_then(|file: File| {
            file.set_len(bytes)?;
            // Some file systems give blocks to others only once it is written down that they are free.
            file.sync_all()
        });
        if let Err(cause) = cut {
            tracing::warn!(%cause, "the reserve cannot be given from");
        }
        self.held_bytes = held(&self.path);
    }
}

/// How many bytes of the file are really on the disk.
fn held(path: &Path) -> u64 {
    std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map_or(0, |file| file.len().min(file.blocks() * COUNTED_BYTES))
}

fn cannot(cause: &io::Error) -> bool {
    let code = cause.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL))
}
