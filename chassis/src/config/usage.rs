//! Why a program cannot do as told.

use super::ConfigError;

/// Why a program cannot do as told; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// Something needed was not given.
    #[error("{option} is missing; give it on the command line, as {variable} or in the --config file")]
    Missing {
        /// The option.
        option: &'static str,
        /// Its variable.
        variable: &'static str,
    },
    /// Something given is not in range.
    #[error("{0}")]
    Range(String),
}

impl UsageError {
    /// Whether it may do as told another time: a file cannot be read now.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::File(error) if error.is_unread())
    }
}

/// What was given of an option that there has to be.
///
/// # Errors
/// [`UsageError::Missing`].
pub fn needed<T>(value: Option<T>, option: &'static str, variable: &'static str) -> Result<T, UsageError> {
    value.ok_or(UsageError::Missing { option, variable })
}
