//! Whose files a command makes.
//!
//! A data folder belongs to the account that serves it. A person who administers it is often root, and a file that root
//! leaves in it is one that the service cannot write: a ledger that went on as root's, say. So root works as the folder's owner.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Begins the program anew, in the same process and with the same arguments, as the owner of `folder`, when it runs as root and
/// the folder is another account's. Returns where there is nothing to do.
///
/// To be called before anything is opened or read: the beginning is gone through twice.
///
/// # Errors
///
/// When it cannot be begun as that account.
pub fn work_as_owner_of(folder: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::metadata(folder) else {
        // It will be made, and belongs then to whoever makes it.
        return Ok(());
    };
    // A process's own entry belongs to the account that it works as.
    if std::fs::metadata("/proc/self")?.uid() != 0 || found.uid() == 0 {
        return Ok(());
    }
    let mut words = std::env::args_os();
    let mut anew = Command::new(std::env::current_exe()?);
    if let Some(called) = words.next() {
        anew.arg0(called);
    }
    // Its group first, and no other groups of root's: the standard library sees to both.
    Err(anew.args(words).uid(found.uid()).gid(found.gid()).exec())
}
