//! A folder for one test, removed with it.

use std::path::{Path, PathBuf};

/// A fresh folder below the system's temporary one. Kept when the test fails or `AINCIDENT_KEEP` is set, and named.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder; `name` is part of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let unique = chassis::ids::Ids::system().random_u64() >> 24;
        let path = std::env::temp_dir().join(format!("aincident-{name}-{unique:010x}"));
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `name` inside it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("AINCIDENT_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
