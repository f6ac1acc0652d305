//! The data folder: one directory, private to its owner, served by one process at a time.
//!
//! The lock is a file lock and goes with its process, however that ends; the process id written into
//! the file is only for the message. Administration commands do not take it: they share the database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The database's name in the folder.
const DATABASE: &str = "ledger.sqlite";

/// Why a data folder cannot be used; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be created, read or written.
    #[error("cannot {action} the data folder {}: {cause}; check the path and who owns it", path.display())]
    Io {
        /// What was tried: `create`, `read` …
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// There is something else at that path.
    #[error("{} is not a folder; choose another data folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// Another process serves it.
    #[error("another process (pid {pid}) already serves this folder; stop it first")]
    Served {
        /// Its process id as it wrote it, or `unknown`.
        pid: String,
    },
}

/// A directory that exists, is one, and can be written to.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// Held by the process that serves a folder; dropping it gives the folder free.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Notes that the folder is served at `address`, for [`DataFolder::served_at`].
    ///
    /// # Errors
    ///
    /// When the lock file cannot be written.
    pub fn note(&mut self, address: SocketAddr, tls: bool) -> io::Result<()> {
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let here = SocketAddr::new(ip, address.port());
        writeln!(self.file, "{}://{here}", if tls { "https" } else { "http" })
    }
}

impl DataFolder {
    /// Opens the folder at `path`, creating it (mode 0700, with its parents) where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be created, is not a directory or cannot be written to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let failed = |action| move |cause| FolderError::Io { action, path: path.to_owned(), cause };
        match std::fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(FolderError::NotAFolder { path: path.to_owned() }),
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => create(path).map_err(failed("create"))?,
            Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
                return Err(FolderError::NotAFolder { path: path.to_owned() });
            }
            Err(cause) => return Err(failed("read")(cause)),
        }
        std::fs::read_dir(path).map_err(failed("read"))?;
        let folder = Self { path: path.to_owned() };
        // Opening the lock file for writing is the one honest question whether the folder is writable.
        folder.lock_file().map_err(failed("write to"))?;
        Ok(folder)
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `name` inside the folder.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Where the database lives: `ledger.sqlite`.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whether there is a database in the folder at `path`; makes nothing.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub fn has_database(path: &Path) -> io::Result<bool> {
        path.join(DATABASE).try_exists()
    }

    /// Where files live: `blobs`.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// Takes the folder for this process until the lock is dropped.
    ///
    /// # Errors
    ///
    /// When another process (or another lock of this one) holds it, or the lock file cannot be written.
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        let failed = |cause| FolderError::Io { action: "lock", path: self.path.clone(), cause };
        let mut file = self.lock_file().map_err(failed)?;
        let mut tries = 10_000;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Someone may only be asking `is_served`, which shares the lock for an instant.
                Err(TryLockError::WouldBlock) if tries > 0 && file.try_lock_shared().is_ok() => {
                    tries -= 1;
                    file.unlock().map_err(failed)?;
                    std::thread::yield_now();
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let pid = file
                        .read_to_string(&mut text)
                        .ok()
                        .and_then(|_| text.lines().next()?.trim().parse::<u32>().ok());
                    let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
                    return Err(FolderError::Served { pid });
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(FolderLock { file })
    }

    /// Whether some process serves this folder right now. Only for messages and decisions that may be
    /// wrong a moment later.
    #[must_use]
    pub fn is_served(&self) -> bool {
        let Ok(file) = self.lock_file() else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Where the process that serves this folder answers on this machine, such as `http://127.0.0.1:7710`.
    #[must_use]
    pub fn served_at(&self) -> Option<String> {
        if !self.is_served() {
            return None;
        }
        let text = std::fs::read_to_string(self.path.join("lock")).ok()?;
        text.lines().nth(1).map(|line| line.trim().to_owned()).filter(|line| line.starts_with("http"))
    }

    fn lock_file(&self) -> io::Result<File> {
        lock_file(&self.path.join("lock"))
    }
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // A folder that a power cut makes vanish would take the database in it along.
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// The file at `path` that is locked, for its owner alone; it is made where there is none, and what is in it stays.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes the names in the folder `path` durable.
///
/// # Errors
///
/// When the folder cannot be opened or flushed.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces the file at `path` by one that holds `bytes`, durably; its name gets the end `.new` while it is written.
///
/// # Errors
///
/// When the folder takes no files; the file is as it was, or, where only its folder could not be flushed, replaced.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A fresh folder below the system's temporary one, removed when it goes out of scope.
    pub(crate) struct Scratch(PathBuf);

    impl std::ops::Deref for Scratch {
        type Target = Path;
        fn deref(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) fn scratch(name: &str) -> Scratch {
        let unique = crate::secret::to_base64url(&crate::ids::Ids::system().random_bytes::<9>());
        let path = std::env::temp_dir().join(format!("chassis-{name}-{unique}"));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    #[test]
    fn a_folder_is_made_private_with_its_parents() {
        let scratch = scratch("folder");
        let folder = DataFolder::open(scratch.join("a/b")).unwrap();
        let mode = std::fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_said_so_in_one_line() {
        let scratch = scratch("folder");
        std::fs::write(scratch.join("file"), "").unwrap();
        for path in ["file", "file/below"] {
            let error = DataFolder::open(scratch.join(path)).unwrap_err().to_string();
            assert!(error.contains("is not a folder") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_second_server_is_told_who_the_first_one_is() {
        let scratch = scratch("folder");
        let folder = DataFolder::open(&*scratch).unwrap();
        assert!(!folder.is_served());
        let mut lock = folder.lock().unwrap();
        assert!(folder.is_served());
        let error = DataFolder::open(&*scratch).unwrap().lock().unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(error, format!("another process (pid {pid}) already serves this folder; stop it first"));
        assert_eq!(folder.served_at(), None);
        lock.note("0.0.0.0:7710".parse().unwrap(), true).unwrap();
        assert_eq!(folder.served_at().as_deref(), Some("https://127.0.0.1:7710"));
        assert_eq!(folder.lock().unwrap_err().to_string(), error);
        drop(lock);
        assert!(!folder.is_served() && folder.served_at().is_none());
        folder.lock().unwrap();
    }
}
