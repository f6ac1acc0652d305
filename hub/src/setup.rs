//! The first account of a hub that has none.
//!
//! Whoever opens the pages of an empty hub first may be anybody. So the program makes a code at its start, which only those
//! can read who can read its folder: `setup-code` in it, for its owner's eyes. The code makes one account, an
//! administrator's, and is gone as soon as there is any account, however it was made.

use crate::intake::codes;
use chassis::folder::DataFolder;
use desk::accounts::{self, NewAccount};
use desk::actor::{Account, Actor, Role};
use desk::{Desk, Error, Refusal};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

/// The file's name.
pub const FILE: &str = "setup-code";

/// What lets the first account be made; cheap to clone.
#[derive(Clone)]
pub struct Setup {
    desk: Desk,
    inner: Arc<Inner>,
}

struct Inner {
    file: Option<PathBuf>,
    /// The code's digest, until it is used.
    code: Mutex<Option<[u8; 32]>>,
    /// That there is an account: from then on there always is.
    over: AtomicBool,
}

impl Setup {
    /// A hub whose first account is made at its prompt.
    #[must_use]
    pub fn closed(desk: Desk) -> Self {
        let inner = Inner { file: None, code: Mutex::new(None), over: AtomicBool::new(false) };
        Self { desk, inner: Arc::new(inner) }
    }

    /// Makes a code where there is no account yet.
    ///
    /// # Errors
    /// When the ledger cannot be read or the file not be written.
    pub async fn prepare(desk: Desk, folder: &DataFolder) -> Result<Self, Error> {
        let file = folder.join(FILE);
        if !desk.ledger().accounts(None).await?.is_empty() {
            let _ = std::fs::remove_file(&file);
            return Ok(Self::closed(desk));
        }
        let code = codes::make(desk.ids());
        write(&file, &code).map_err(|error| Error::Fault(format!("{}: {error}", file.display())))?;
        tracing::warn!(file = %file.display(), "there is no account yet: open this hub in a browser and type the code in this file");
        let inner = Inner {
            file: Some(file),
            code: Mutex::new(Some(codes::hash(&code))),
            over: AtomicBool::new(false),
        };
        Ok(Self { desk, inner: Arc::new(inner) })
    }

    /// Whether there is no account yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn is_due(&self) -> Result<bool, Error> {
        if self.inner.over.load(Ordering::Acquire) {
            return Ok(false);
        }
        let due = self.desk.ledger().accounts(None).await?.is_empty();
        if !due {
            self.inner.over.store(true, Ordering::Release);
            if let Some(file) = &self.inner.file {
                let _ = std::fs::remove_file(file);
            }
        }
        Ok(due)
    }

    /// Makes the first account, an administrator's, for whoever has the code.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where the code is another one or the account cannot be; [`Refusal::NotFound`] where there is an
    /// account already; what the ledger says.
    pub async fn first(&self, typed: &str, username: String, password: String) -> Result<Account, Error> {
        // One at a time: the second one finds that there is an account.
        let mut code = self.inner.code.lock().await;
        if !self.is_due().await? {
            return Err(Refusal::NotFound.into());
        }
        if code.is_none_or(|code| code != codes::hash(typed)) {
            return Err(Refusal::field("code", "is not the one in the file").into());
        }
        let new = NewAccount { username, display_name: None, role: Role::Admin, store_code: None, password };
        let account = accounts::add(&self.desk, &Actor::system("setup"), new).await?;
        *code = None;
        self.is_due().await?;
        Ok(account)
    }
}

fn write(file: &std::path::Path, code: &str) -> std::io::Result<()> {
    let _ = std::fs::remove_file(file);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{code}")?;
    file.sync_all()
}
