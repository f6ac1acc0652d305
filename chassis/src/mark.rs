//! A mark beside a database: a small file that says how far the database was, so that one which was put back to an
//! earlier state, or exchanged, is found out when it is opened.
//!
//! The file is replaced whole: written under another name, flushed, renamed, and the folder flushed. After a power cut
//! there is the old text or the new one. What it says is its owner's business; a mark proves nothing but what its owner
//! took care to write after the database had it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::folder::replace;

/// The most that is read of a mark, in bytes.
pub const MOST_BYTES: u64 = 64 * 1024;

/// One mark.
#[derive(Clone, Debug)]
pub struct Mark {
    folder: PathBuf,
    name: String,
}

impl Mark {
    /// The mark `name` in `folder`; there need not be one yet.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// What it says; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is larger than [`MOST_BYTES`] or is no text.
    pub fn read(&self) -> io::Result<Option<String>> {
        let file = match File::open(self.folder.join(&self.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
        }
        Ok(Some(text))
    }

    /// Replaces it, durably.
    ///
    /// # Errors
    /// When the folder takes no files; the mark is as it was.
    pub fn write(&self, text: &str) -> io::Result<()> {
        replace(&self.folder.join(&self.name), text.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn a_mark_is_replaced_whole_and_a_half_written_one_is_never_read() {
        let scratch = scratch("mark");
        let mark = Mark::new(&scratch, "witness");
        assert_eq!(mark.read().unwrap(), None);
        mark.write("one").unwrap();
        std::fs::write(scratch.join("witness.new"), "half of t").unwrap();
        assert_eq!(mark.read().unwrap().as_deref(), Some("one"));
        mark.write("two").unwrap();
        assert_eq!(mark.read().unwrap().as_deref(), Some("two"));
        std::fs::write(scratch.join("witness"), vec![b' '; MOST_BYTES as usize + 1]).unwrap();
        assert!(mark.read().is_err());
        std::fs::write(scratch.join("witness"), [0xff, 0xfe]).unwrap();
        assert!(mark.read().is_err());
    }
}
