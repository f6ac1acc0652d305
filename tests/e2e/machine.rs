//! What some tests need of the machine: a file system of their own, to fill up or to cut the power of.

use aincident_tests::process::{Ran, command, run};
use aincident_tests::wait::wait_until;
use aincident_tests::{Scratch, tell};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whether a test that needs root can run.
///
/// Nothing is left out in silence: without root it fails, unless `AINCIDENT_WITHOUT_POWERCUT=1` says that this is wanted,
/// and then it prints what was left out.
///
/// # Panics
/// Without root and without that variable.
pub async fn has_root(what: &str) -> bool {
    let root = run(tool("id", &["-u"]), "").await.stdout.trim() == "0";
    let waived = std::env::var("AINCIDENT_WITHOUT_POWERCUT").is_ok_and(|value| value == "1");
    if !root && waived {
        tell(&format!("left out: {what} (needs root; AINCIDENT_WITHOUT_POWERCUT=1)"));
        return false;
    }
    assert!(
        root,
        "{what} needs root and a loop device; run as root, or set AINCIDENT_WITHOUT_POWERCUT=1 to leave it out"
    );
    true
}

fn tool(program: &str, words: &[&str]) -> std::process::Command {
    let mut command = command(program);
    command.args(words);
    command
}

async fn must(program: &str, words: &[&str]) -> String {
    run(tool(program, words), "").await.ok(program)
}

/// A file system in a file (ext4 on a loop device) or in memory (tmpfs), mounted below the scratch. Unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    image: Option<PathBuf>,
    mount: PathBuf,
    mounted: bool,
}

impl Disk {
    /// An empty ext4 of `megabytes`, mounted.
    pub async fn ext4(scratch: &Scratch, megabytes: u64) -> Self {
        let (image, mount) = (scratch.join("disk.img"), scratch.join("disk"));
        std::fs::create_dir_all(&mount).unwrap();
        std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        must("mkfs.ext4", &["-q", "-m0", "-J", "size=8", text(&image)]).await;
        let mut disk = Self { image: Some(image), mount, mounted: false };
        disk.mount().await;
        disk
    }

    /// An empty tmpfs of `megabytes`, mounted.
    pub async fn memory(scratch: &Scratch, megabytes: u64) -> Self {
        let mount = scratch.join("disk");
        std::fs::create_dir_all(&mount).unwrap();
        must("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs", text(&mount)]).await;
        Self { image: None, mount, mounted: true }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Mounts the file system again; a journal that needs it is replayed.
    pub async fn mount(&mut self) {
        let image = self.image.clone().unwrap();
        must("mount", &["-o", "loop", text(&image), text(&self.mount)]).await;
        self.mounted = true;
    }

    /// Stops the file system dead, as a power cut does: what was not flushed is gone, nothing can be written any more.
    ///
    /// The system call is `ioctl(EXT4_IOC_SHUTDOWN, NOLOGFLUSH)`. This workspace has no unsafe code; perl-base is on every
    /// Debian.
    pub async fn cut_power(&self) {
        const SHUTDOWN: &str = r#"open(my $dir, "<", $ARGV[0]) or die "open: $!"; my $how = pack("L", 2);
            defined(ioctl($dir, 0x8004587D, $how)) or die "ioctl: $!";"#;
        must("perl", &["-e", SHUTDOWN, text(&self.mount)]).await;
    }

    /// Holds up everything that writes to it, until what is answered is dropped.
    pub async fn freeze(&self) -> Frozen {
        must("fsfreeze", &["-f", text(&self.mount)]).await;
        Frozen(self.mount.clone())
    }

    /// Unmounts it, as soon as nothing holds it any more.
    pub async fn unmount(&mut self) {
        let mount = text(&self.mount).to_owned();
        wait_until("nothing to hold the disk any more", Duration::from_secs(10), async || {
            run(tool("umount", &[&mount]), "").await.code == Some(0)
        })
        .await;
        self.mounted = false;
    }

    /// Checks the unmounted file system without changing it.
    pub async fn check(&self) -> Ran {
        let image = self.image.clone().unwrap();
        run(tool("e2fsck", &["-fn", text(&image)]), "").await
    }
}

/// A file system that stands still.
#[derive(Debug)]
pub struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::process::Command::new("fsfreeze").arg("-u").arg(&self.0).status();
    }
}

/// Lets the process `pid` open files, sockets included, only while it has fewer than `most`.
pub async fn limit_files(pid: u32, most: u32) {
    must("prlimit", &["--pid", &pid.to_string(), &format!("--nofile={most}:")]).await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.mount).status();
        }
    }
}
