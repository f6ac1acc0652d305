//! What a program tells of itself to whoever is to help: a few texts in one archive, without anybody's data.
//!
//! Every text goes through [`Redactor`]; configuration through [`settings`]. What is shown is chosen, not what is hidden.

mod redact;

pub use redact::{Redactor, settings};

use crate::backup::BackupError;
use crate::folder::sync_folder;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// The most of one text, in bytes; of a longer one the end is kept.
pub const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// An archive that is being written: a `tar.gz` with one folder in it.
pub struct Bundle {
    tar: Builder<GzEncoder<File>>,
    redactor: Redactor,
    folder: String,
    now_ms: i64,
    part: PathBuf,
    to: PathBuf,
}

impl Bundle {
    /// Begins the archive `to`, in which everything lies in `folder`.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn begin(to: &Path, folder: &str, redactor: Redactor, now_ms: i64) -> Result<Self, BackupError> {
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.display().to_string()));
        }
        let part = crate::backup::part_of(to);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(at(&part))?;
        Ok(Self {
            tar: Builder::new(GzEncoder::new(file, Compression::default())),
            redactor,
            folder: folder.to_owned(),
            now_ms,
            part,
            to: to.to_owned(),
        })
    }

    /// Adds a text, without what nobody else is to read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), BackupError> {
        let cut = text.len().saturating_sub(MAX_TEXT_BYTES);
        let from = (cut..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let text = self.redactor.clean(&text[from..]);
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now_ms / 1000).unwrap_or(0));
        header.set_size(text.len() as u64);
        let name = format!("{}/{name}", self.folder);
        self.tar.append_data(&mut header, name, text.as_bytes()).map_err(at(&self.part))
    }

    /// Gives the archive its name; how large it is, in bytes.
    ///
    /// # Errors
    /// When it cannot be written, or such a file came meanwhile.
    pub fn end(mut self) -> Result<u64, BackupError> {
        self.tar.finish().map_err(at(&self.part))?;
        let gzip = self.tar.get_mut();
        gzip.try_finish().map_err(at(&self.part))?;
        let file = GzEncoder::get_mut(gzip);
        file.flush().and_then(|()| file.sync_all()).map_err(at(&self.part))?;
        let size_bytes = file.metadata().map_err(at(&self.part))?.len();
        crate::backup::take_name(&self.part, &self.to).map_err(at(&self.to))?;
        let folder = self.to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(folder).map_err(at(folder))?;
        Ok(size_bytes)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part);
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |error| BackupError::Io(path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;
    use std::io::Read as _;

    #[test]
    fn what_is_added_is_in_the_archive_without_names_and_a_long_text_keeps_its_end() {
        let folder = scratch("bundle");
        let to = folder.join("b.tar.gz");
        let mut bundle = Bundle::begin(&to, "site", Redactor::new(["kim".to_owned()]), 5000).unwrap();
        bundle.add("a.txt", "kim was here").unwrap();
        bundle.add("b.txt", &format!("{}end", "é".repeat(MAX_TEXT_BYTES))).unwrap();
        assert!(!to.exists());
        let size = bundle.end().unwrap();
        assert_eq!(fs::metadata(&to).unwrap().len(), size);
        assert!(matches!(Bundle::begin(&to, "site", Redactor::new([]), 0), Err(BackupError::Exists(_))));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(&to).unwrap()));
        let read: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        assert_eq!(read[0], ("site/a.txt".to_owned(), "(name) was here".to_owned()));
        assert!(read[1].1.len() <= MAX_TEXT_BYTES && read[1].1.ends_with("éend"));
        assert_eq!(fs::read_dir(&*folder).unwrap().count(), 1, "a part was left");
    }
}
