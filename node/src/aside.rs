//! `quarantine`: looks at what could not be put into its record, and decides about it, while the node serves or not.

use std::io::Write;

use chassis::folder::{DataFolder, FolderError};
use desk::quarantine::command;
use desk::{Error, Refusal};
use tokio_util::sync::CancellationToken;

use crate::config::QuarantineConfig;
use crate::site::{self, SiteError};

/// Why it was not done; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// There is no folder.
    #[error("there is no data folder {0}; check --data-dir, or make it with enroll")]
    NoFolder(String),
    /// The folder cannot be used.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
    /// Nobody could be told.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<FolderError> for AsideError {
    fn from(error: FolderError) -> Self {
        Self::Site(error.into())
    }
}

/// Does it, and says on `out` what came of it.
///
/// # Errors
/// [`AsideError`].
pub async fn run(config: QuarantineConfig, out: &mut impl Write) -> Result<(), AsideError> {
    if !config.data_dir.is_dir() {
        return Err(AsideError::NoFolder(config.data_dir.display().to_string()));
    }
    let folder = DataFolder::open(&config.data_dir)?;
    let (desk, _) = site::open(&folder, CancellationToken::new()).await?;
    let said = command::run(&desk, config.command, config.json)
        .await
        .map_err(|error| AsideError::Refused(explain(error)))?;
    writeln!(out, "{said}")?;
    Ok(())
}

/// A refusal in one line, for whoever typed the command.
fn explain(error: Error) -> String {
    match error {
        Error::Refused(Refusal::Invalid(fields)) => {
            let said: Vec<String> = fields.iter().map(|field| format!("{}: {}", field.field, field.message)).collect();
            said.join("; ")
        }
        Error::Refused(Refusal::Conflict(why) | Refusal::Forbidden(why)) => why,
        Error::Refused(Refusal::NotFound) => {
            "there is no such change here; `quarantine list` shows the ones in quarantine".to_owned()
        }
        Error::Refused(Refusal::NotEnrolled) => {
            "not enrolled: get a one-time code from headquarters and run aincident-node enroll".to_owned()
        }
        Error::Full => "the disk is full; make room and try again".to_owned(),
        error => error.to_string(),
    }
}
