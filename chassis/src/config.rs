//! Configuration: command line over environment over a TOML file.
//!
//! A program has one struct whose fields are all `Option`, deriving `clap::Args` (which does the first two
//! layers, `env = "…"`) and `serde::Deserialize` with `deny_unknown_fields` (the third). [`overlay!`](crate::overlay)
//! joins them field by field; a field forgotten there does not compile.

mod files;
mod mistakes;
mod named;
mod usage;

use std::fmt;
use std::path::{Path, PathBuf};

pub use files::{MAX_BYTES, MAX_FILES, folder_of, load_file, paths};
pub use mistakes::{Mistake, check, keys_missing_in, mistakes, parse, uncommented};
pub use usage::{UsageError, needed};

use crate::secret::Redacted;

/// Why a configuration file could not be used; one line, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value of the wrong kind.
    #[error("configuration file {}{place}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong, in one line, naming the key.
        message: String,
    },
}

impl ConfigError {
    /// Whether it is not what a file says that is wrong, nor its name: it is there, cannot be read now, and may be another time.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::Read { cause, .. } if cause.kind() != std::io::ErrorKind::NotFound)
    }
}

/// A line in a file, counted from 1, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ", line {line}"))
    }
}

/// The most of a secret that is handed over as a file, in bytes.
const MOST_CREDENTIAL_BYTES: u64 = 64 * 1024;

/// The secret called `name` that systemd handed over (`LoadCredential=`, `SetCredentialEncrypted=`): the file of that name in
/// `$CREDENTIALS_DIRECTORY`, without white space at its end. `None` where there is none.
///
/// # Errors
///
/// When it is there and cannot be read, or is no text of at most 64 KiB.
pub fn credential(name: &str) -> Result<Option<Redacted<String>>, ConfigError> {
    use std::io::Read as _;
    let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Ok(None);
    };
    let path = PathBuf::from(folder).join(name);
    let mut text = String::new();
    let read =
        std::fs::File::open(&path).and_then(|file| file.take(MOST_CREDENTIAL_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MOST_CREDENTIAL_BYTES => {
            let cause = std::io::Error::other(format!("it is larger than {MOST_CREDENTIAL_BYTES} bytes"));
            Err(ConfigError::Read { path, cause })
        }
        Ok(_) => Ok(Some(Redacted::new(text.trim_end().to_owned()))),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(ConfigError::Read { path, cause }),
    }
}

/// The password in the file at `path`, without white space at its end.
///
/// # Errors
/// One line, where it cannot be read or there is none in it.
pub(crate) fn password_in(path: &Path) -> Result<Redacted<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(format!("{} is empty; it has to hold the password", path.display())),
        Ok(text) => Ok(Redacted::new(text.trim_end().to_owned())),
        Err(error) => Err(format!("cannot read {}: {error}; check the path and who owns it", path.display())),
    }
}

/// `value` where it is from `least` to `most`.
///
/// # Errors
/// One line, where it is not. `name`: its key.
pub(crate) fn within(name: &str, value: u32, least: u32, most: u32) -> Result<u32, String> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{name} is {value}; give {least} to {most}"))
    }
}

/// The file that systemd handed the secret `name` over in, where it did.
#[must_use]
pub fn credential_file(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    path.is_file().then_some(path)
}

fn line_of(text: &str, offset: usize) -> Option<usize> {
    let before = text.as_bytes().get(..offset)?;
    Some(before.iter().filter(|byte| **byte == b'\n').count() + 1)
}

/// An address to listen on as it is given; whether there is such a host is found out when it is listened on.
///
/// # Errors
/// One line, where it is not `ADDRESS:PORT`.
pub fn listen_address(text: String) -> Result<String, String> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if fits {
        Ok(text)
    } else {
        Err(format!("listen is {text:?}; give ADDRESS:PORT, such as 127.0.0.1:7700"))
    }
}

/// A layer of settings that can lie over another one; implement it with [`overlay!`](crate::overlay).
pub trait Layered: Sized {
    /// Takes each field from `self` where it is set, else from `below`.
    #[must_use]
    fn over(self, below: Self) -> Self;
}

/// Implements [`Layered`] for a struct whose fields are all `Option`: `overlay!(Args { listen, data_dir });`.
#[macro_export]
macro_rules! overlay {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::config::Layered for $name {
            fn over(self, below: Self) -> Self {
                // No `..`: a field that is missing from the list must not compile.
                let $name { $($field),+ } = self;
                $name { $($field: $field.or(below.$field)),+ }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Args {
        listen: Option<String>,
        readers: Option<u16>,
    }

    overlay!(Args { listen, readers });

    fn load(text: &str) -> Result<Args, String> {
        let folder = crate::folder::tests::scratch("config");
        let file = folder.join("c.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = load_file(Some(&file));
        loaded.map_err(|error| error.to_string().replace(&file.display().to_string(), "FILE"))
    }

    #[test]
    fn the_command_line_lies_over_the_file() {
        let file = load("listen = 'file'\nreaders = 3\n").unwrap();
        let cli = Args { listen: Some("cli".into()), readers: None };
        assert_eq!(cli.over(file), Args { listen: Some("cli".into()), readers: Some(3) });
        assert_eq!(load_file::<Args>(None).unwrap(), Args::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = load("readers = 3\n\nlisen = 'x'\n").unwrap_err();
        assert!(error.starts_with("configuration file FILE, line 3: ") && error.contains("lisen"), "{error}");
        assert!(!error.contains('\n'));
        let error = load("readers = 'many'\n").unwrap_err();
        assert!(error.contains("line 1"), "{error}");
        let error = load("readers = \n").unwrap_err();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = load_file::<Args>(Some(Path::new("/nowhere/c.toml"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/c.toml"), "{error}");
    }
}
