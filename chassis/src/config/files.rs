//! The files of a configuration: the one that is named, and what lies in the folder beside it.
//!
//! `/etc/aincident/node.toml` has `/etc/aincident/node.d`: each file there whose name ends in `.toml` lies over the one before it
//! in the order of their names, and all of them over the file itself, key by key and in tables too. A package owns the file; a
//! machine's own settings in a file of their own are in the way of no upgrade.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ConfigError, Place, line_of};

/// The most files of one folder.
pub const MAX_FILES: usize = 64;
/// The most that all files of a configuration hold together, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// One file of a configuration, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigText {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) text: String,
}

/// The folder of the file at `path`: its name without `.toml`, with `.d`.
#[must_use]
pub fn folder_of(path: &Path) -> PathBuf {
    let mut name = match path.extension() {
        Some(end) if end == "toml" => path.with_extension("").into_os_string(),
        _ => path.as_os_str().to_owned(),
    };
    name.push(".d");
    PathBuf::from(name)
}

/// The file at `path` and those of its folder, in the order in which each lies over the one before it.
///
/// # Errors
///
/// When the folder is there and cannot be read, or holds more than [`MAX_FILES`].
pub fn paths(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = folder_of(path);
    let unread = |cause| ConfigError::Read { path: folder.clone(), cause };
    let mut found = Vec::new();
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(unread)?;
                // What an editor or a package tool left there, and what is hidden, does not count.
                let name = entry.file_name();
                let counts = Path::new(&name).extension() == Some(OsStr::new("toml"));
                if counts && !name.as_encoded_bytes().starts_with(b".") {
                    found.push(entry.path());
                }
                if found.len() > MAX_FILES {
                    let message = format!("more than {MAX_FILES} files are in it; put some of them together");
                    return Err(ConfigError::Content { path: folder.clone(), place: Place(None), message });
                }
            }
        }
        // A file such as /dev/null has no folder beside it, either.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(cause) => return Err(unread(cause)),
    }
    found.sort();
    found.insert(0, path.to_owned());
    Ok(found)
}

/// Reads the file at `path` and those of its folder.
pub(super) fn read_all(path: &Path) -> Result<Vec<ConfigText>, ConfigError> {
    let mut left = MAX_BYTES;
    let mut texts = Vec::new();
    for path in paths(path)? {
        let mut text = String::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(left + 1).read_to_string(&mut text));
        if let Err(cause) = read {
            return Err(ConfigError::Read { path, cause });
        }
        let Some(rest) = left.checked_sub(text.len() as u64) else {
            let message = format!("all files together hold more than {MAX_BYTES} bytes");
            return Err(ConfigError::Content { path, place: Place(None), message });
        };
        left = rest;
        texts.push(ConfigText { path, text });
    }
    Ok(texts)
}

/// `upper` over `lower`, key by key; tables in both are joined.
pub(super) fn lay_over(upper: Table, lower: &mut Table) {
    for (key, value) in upper {
        match (value, lower.get_mut(&key)) {
            (Value::Table(upper), Some(Value::Table(lower))) => lay_over(upper, lower),
            (value, _) => {
                lower.insert(key, value);
            }
        }
    }
}

/// Reads the TOML file at `path`, and over it those of its [folder](folder_of); `T::default()` when there is none to read.
///
/// # Errors
///
/// When a file cannot be read, is not TOML, or does not fit `T`; when there are too many of them, or too much in them.
pub fn load_file<T: DeserializeOwned + Default>(path: Option<&Path>) -> Result<T, ConfigError> {
    let Some(path) = path else {
        return Ok(T::default());
    };
    let texts = read_all(path)?;
    let mut merged = Table::new();
    for file in &texts {
        // By itself first: what is wrong is wrong in a file, on a line of it.
        let alone: T = fits(file)?;
        if texts.len() == 1 {
            return Ok(alone);
        }
        lay_over(fits(file)?, &mut merged);
    }
    merged.try_into().map_err(|error: toml::de::Error| ConfigError::Content {
        path: folder_of(path),
        place: Place(None),
        message: error.message().replace('\n', " "),
    })
}

fn fits<T: DeserializeOwned>(file: &ConfigText) -> Result<T, ConfigError> {
    toml::from_str(&file.text).map_err(|error| ConfigError::Content {
        path: file.path.clone(),
        place: Place(error.span().and_then(|span| line_of(&file.text, span.start))),
        message: error.message().replace('\n', " "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Layer {
        port: Option<u16>,
        names: Option<Vec<String>>,
        link: Option<BTreeMap<String, u64>>,
    }

    /// A file `a.toml` and its folder, in a folder of their own.
    fn made(name: &str, file: &str, beside: &[(&str, &str)]) -> (crate::folder::tests::Scratch, PathBuf) {
        let scratch = crate::folder::tests::scratch(name);
        let path = scratch.join("a.toml");
        std::fs::create_dir_all(folder_of(&path)).unwrap();
        std::fs::write(&path, file).unwrap();
        for (name, text) in beside {
            std::fs::write(folder_of(&path).join(name), text).unwrap();
        }
        (scratch, path)
    }

    #[test]
    fn the_folder_of_a_file_lies_beside_it() {
        for (file, folder) in [("/e/node.toml", "/e/node.d"), ("/e/node", "/e/node.d"), ("/e/a.conf", "/e/a.conf.d")] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder));
        }
    }

    #[test]
    fn a_later_file_lies_over_an_earlier_one_key_by_key_and_all_of_them_over_the_file_itself() {
        let file = "port = 1\nnames = ['a', 'b']\n[link]\npause = 1\nlimit = 2\n";
        let beside = [
            ("20-b.toml", "[link]\nlimit = 30\n"),
            ("10-a.toml", "port = 10\nnames = ['c']\n[link]\nlimit = 20\n"),
            (".hidden.toml", "port = 99\n"),
            ("README", "port = 99\n"),
            ("30.toml.dpkg-new", "port = 99\n"),
        ];
        let (_scratch, path) = made("config-layers", file, &beside);
        let loaded: Layer = load_file(Some(&path)).unwrap();
        let wanted = Layer {
            port: Some(10),
            names: Some(vec!["c".to_owned()]),
            link: Some(BTreeMap::from([("limit".to_owned(), 30), ("pause".to_owned(), 1)])),
        };
        assert_eq!(loaded, wanted);
    }

    #[test]
    fn a_mistake_beside_the_file_is_told_with_its_own_file_and_line() {
        let (_scratch, path) = made("config-beside", "port = 1\n", &[("10.toml", "\n\nprot = 2\n")]);
        let told = load_file::<Layer>(Some(&path)).unwrap_err().to_string();
        assert!(told.contains("a.d/10.toml, line 3: ") && told.contains("prot"), "{told}");
    }

    #[test]
    fn what_cannot_be_read_is_no_mistake_in_it_and_what_is_too_much_is_refused() {
        let (_scratch, path) = made("config-unread", "port = 1\n", &[]);
        std::fs::create_dir(folder_of(&path).join("10.toml")).unwrap();
        let told = load_file::<Layer>(Some(&path)).unwrap_err();
        assert!(told.is_unread() && told.to_string().contains("10.toml"), "{told}");
        std::fs::remove_dir(folder_of(&path).join("10.toml")).unwrap();

        let much = "#".repeat(usize::try_from(MAX_BYTES).unwrap());
        std::fs::write(folder_of(&path).join("10.toml"), much).unwrap();
        let told = load_file::<Layer>(Some(&path)).unwrap_err();
        assert!(!told.is_unread() && told.to_string().contains("more than 1048576 bytes"), "{told}");

        for number in 0..=MAX_FILES {
            std::fs::write(folder_of(&path).join(format!("{number}.toml")), "").unwrap();
        }
        let told = load_file::<Layer>(Some(&path)).unwrap_err().to_string();
        assert!(told.contains("more than 64 files"), "{told}");
    }
}
