//! Encryption of backups: files of the format age-encryption.org/v1, which the tools `age` and `rage` open, too.
//!
//! One file is encrypted with the passphrase itself. A folder of backups has a key of its own, so that stretching the passphrase
//! is paid for once, and not for each content: `key.age`, an identity of age that is encrypted with the passphrase. It is
//! written once and never overwritten, for without it nothing in the folder can be read.

use super::{BackupError, PIECE_BYTES, damaged, folder_of, io_at, part_of, take_name};
use crate::config::credential_file;
use crate::folder::sync_folder;
use crate::secret::Redacted;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::stream::StreamWriter;
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The systemd credential that holds the passphrase.
const CREDENTIAL: &str = "backup-passphrase";
/// The folder's key.
const KEY: &str = "key.age";
/// How an encrypted file begins.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// How far a passphrase is stretched: 2^17 blocks are 128 MiB, and a second on a slow PC.
const WORK: u8 = 17;
/// The furthest that one is stretched to open a file of somebody else's making: 4 GiB, half a minute.
const MOST_WORK: u8 = 22;
/// The longest passphrase, in bytes.
const MOST_BYTES: u64 = 4096;
/// The longest key, in bytes; it has 75.
const MOST_KEY_BYTES: u64 = 4096;

/// What a backup is encrypted with.
#[derive(Clone, Debug)]
pub struct Passphrase(Redacted<String>);

impl Passphrase {
    /// A passphrase as a person wrote it: without the end of its line.
    ///
    /// # Errors
    /// When there is nothing in it, or it goes on in a second line. `place`: where it is from.
    pub fn new(text: &str, place: &str) -> Result<Self, BackupError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() || text.contains('\n') {
            let what = if text.is_empty() { "is empty" } else { "has more than one line" };
            return Err(BackupError::Passphrase(format!("{place} {what}; the passphrase is one line of text")));
        }
        Ok(Self(Redacted::new(text.to_owned())))
    }

    fn read(from: impl Read, place: &str) -> Result<Self, BackupError> {
        let mut text = String::new();
        let failed =
            |error: io::Error| BackupError::Passphrase(format!("cannot read the passphrase, {place}: {error}"));
        from.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(BackupError::Passphrase(format!(
                "{place} is longer than {MOST_BYTES} bytes; name another file"
            )));
        }
        Self::new(&text, place)
    }

    fn secret(&self) -> SecretString {
        SecretString::from(self.0.expose().clone())
    }
}

/// Where the passphrase is taken from when it is needed. Never an argument or a variable: others see those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassphraseFrom {
    /// A file that others may not read.
    pub file: Option<PathBuf>,
    /// Standard input, before any file.
    pub stdin: bool,
}

impl PassphraseFrom {
    /// The passphrase; where neither file nor standard input is named the systemd credential `backup-passphrase`; `None` where
    /// that is not there either.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or others may read its file.
    pub fn read(&self) -> Result<Option<Passphrase>, BackupError> {
        if self.stdin {
            return Passphrase::read(io::stdin().lock(), "standard input").map(Some);
        }
        let (path, is_ours) = match (&self.file, credential_file(CREDENTIAL)) {
            (Some(path), _) => (path.clone(), true),
            // Its mode is systemd's business.
            (None, Some(path)) => (path, false),
            (None, None) => return Ok(None),
        };
        let place = path.display().to_string();
        let failed =
            |error: io::Error| BackupError::Passphrase(format!("cannot read the passphrase, {place}: {error}"));
        let file = File::open(&path).map_err(failed)?;
        if is_ours && file.metadata().map_err(failed)?.permissions().mode() & 0o007 != 0 {
            return Err(BackupError::Passphrase(format!(
                "everybody may read {place}; chmod o= it, and think of another passphrase"
            )));
        }
        Passphrase::read(file, &place).map(Some)
    }
}

/// What backups are written and read with: nothing, a passphrase, or the key of a folder.
#[derive(Clone, Default)]
pub struct Keys {
    passphrase: Option<Passphrase>,
    folder: Option<x25519::Identity>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("folder", &self.folder.is_some()).finish_non_exhaustive()
    }
}

impl Keys {
    /// For one file that is to be written: with `passphrase`, or open to everybody.
    #[must_use]
    pub const fn of_passphrase(passphrase: Option<Passphrase>) -> Self {
        Self { passphrase, folder: None }
    }

    /// What opens the backup `from`. The passphrase is asked for only where it is encrypted. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read, or its key cannot be opened.
    pub fn of_file(from: &Path, passphrase: &PassphraseFrom) -> Result<Self, BackupError> {
        if !is_sealed(from)? {
            return Ok(Self::default());
        }
        let Some(passphrase) = passphrase.read()? else {
            return Err(BackupError::Sealed(from.display().to_string()));
        };
        let decryptor = Decryptor::new_buffered(buffered(from)?).map_err(|error| explain(&error, from, false))?;
        if decryptor.is_scrypt() {
            return Ok(Self::of_passphrase(Some(passphrase)));
        }
        let folder = folder_of(from);
        match key(folder, &passphrase)? {
            Some(key) => Ok(Self { passphrase: Some(passphrase), folder: Some(key) }),
            None => Err(BackupError::NoKey(from.display().to_string())),
        }
    }

    /// For the backups of `folder`: its key is made where there is a passphrase and none yet. Blocks.
    ///
    /// # Errors
    /// When there is a key and no passphrase, or one that does not open it.
    pub(super) fn of_folder(folder: &Path, passphrase: Option<Passphrase>) -> Result<Self, BackupError> {
        let Some(passphrase) = passphrase else {
            return if folder.join(KEY).symlink_metadata().is_ok() {
                Err(BackupError::SealedFolder(folder.display().to_string()))
            } else {
                Ok(Self::default())
            };
        };
        let key = match key(folder, &passphrase)? {
            Some(key) => key,
            None => {
                // With another key those would be lost, and nobody would notice before they are needed.
                if let Some(sealed) = sealed_in(folder)? {
                    return Err(BackupError::LostKey(sealed.display().to_string()));
                }
                make_key(folder, &passphrase)?;
                // It is read back before anything depends on it.
                key(folder, &passphrase)?.ok_or_else(|| BackupError::NoKey(folder.display().to_string()))?
            }
        };
        Ok(Self { folder: Some(key), passphrase: Some(passphrase) })
    }

    /// Whether what is written is encrypted.
    pub(super) const fn seals(&self) -> bool {
        self.passphrase.is_some() || self.folder.is_some()
    }

    /// A new file, private to its owner, that is encrypted as these keys say.
    pub(super) fn create(&self, path: &Path) -> Result<Sealing, BackupError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io_at(path))?;
        let file = BufWriter::with_capacity(PIECE_BYTES, file);
        let encryptor = if let Some(key) = &self.folder {
            let recipient = key.to_public();
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        } else if let Some(passphrase) = &self.passphrase {
            let mut recipient = scrypt::Recipient::new(passphrase.secret());
            recipient.set_work_factor(WORK);
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        } else {
            return Ok(Sealing::Plain(file));
        };
        let failed = |error: io::Error| io_at(path)(error);
        let encryptor = encryptor.map_err(|error| failed(io::Error::other(error.to_string())))?;
        Ok(Sealing::Sealed(Box::new(encryptor.wrap_output(file).map_err(failed)?)))
    }

    /// What is in an encrypted file.
    pub(super) fn unseal(&self, path: &Path) -> Result<Box<dyn Read>, BackupError> {
        let decryptor = Decryptor::new_buffered(buffered(path)?).map_err(|error| explain(&error, path, false))?;
        let by_passphrase = decryptor.is_scrypt();
        let failed = |error: DecryptError| explain(&error, path, by_passphrase);
        let reader = match (&self.passphrase, &self.folder) {
            (Some(passphrase), _) if by_passphrase => {
                let mut identity = scrypt::Identity::new(passphrase.secret());
                identity.set_max_work_factor(MOST_WORK);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(failed)?
            }
            (_, Some(key)) if !by_passphrase => {
                decryptor.decrypt(std::iter::once(key as &dyn age::Identity)).map_err(failed)?
            }
            _ => return Err(BackupError::Sealed(path.display().to_string())),
        };
        Ok(Box::new(reader))
    }

    /// What is in a backup, encrypted or not.
    pub(super) fn open(&self, path: &Path) -> Result<Box<dyn Read>, BackupError> {
        if is_sealed(path)? { self.unseal(path) } else { Ok(Box::new(buffered(path)?)) }
    }
}

/// A file that is being written.
pub(super) enum Sealing {
    Plain(BufWriter<File>),
    Sealed(Box<StreamWriter<BufWriter<File>>>),
}

impl Sealing {
    /// Writes what is left, and flushes the file to the disk.
    pub(super) fn end(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Sealed(stream) => stream.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Sealed(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Sealed(stream) => stream.flush(),
        }
    }
}

/// A file in `folder` that the folder's key alone opens: a backup, or a content of one.
fn sealed_in(folder: &Path) -> Result<Option<PathBuf>, BackupError> {
    let shared = folder.join(super::BESIDE);
    let parts = (0..=u8::MAX).map(|first| shared.join(format!("{first:02x}")));
    for place in std::iter::once(folder.to_owned()).chain(parts) {
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_at(&place)(error)),
        };
        for entry in entries {
            let path = entry.map_err(io_at(&place))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let needs_key = if place == folder {
                name.ends_with(".backup") && is_sealed(&path)? && !is_of_passphrase(&path)?
            } else {
                name.ends_with(super::SEALED)
            };
            if needs_key {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// Whether a passphrase alone opens what is encrypted in the file at `path`.
fn is_of_passphrase(path: &Path) -> Result<bool, BackupError> {
    Ok(Decryptor::new_buffered(buffered(path)?).is_ok_and(|decryptor| decryptor.is_scrypt()))
}

fn buffered(path: &Path) -> Result<BufReader<File>, BackupError> {
    Ok(BufReader::with_capacity(PIECE_BYTES, File::open(path).map_err(io_at(path))?))
}

/// Whether the file begins as encrypted ones do.
fn is_sealed(path: &Path) -> Result<bool, BackupError> {
    let mut file = buffered(path)?;
    Ok(file.fill_buf().map_err(io_at(path))?.starts_with(MAGIC))
}

/// What is wrong with an encrypted file, in words of ours.
fn explain(error: &DecryptError, path: &Path, by_passphrase: bool) -> BackupError {
    let place = path.display().to_string();
    match error {
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys if by_passphrase => {
            BackupError::WrongPassphrase(place)
        }
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys => BackupError::AnotherKey(place),
        DecryptError::ExcessiveWork { required, .. } => {
            damaged(path, format!("opening it would take 2^{required} blocks of work"))
        }
        DecryptError::UnknownFormat => damaged(path, "it is encrypted in a way that is not known here"),
        DecryptError::Io(error) => damaged(path, format!("it cannot be read: {error}")),
        _ => damaged(path, "its beginning is damaged"),
    }
}

/// The key of the folder, where it has one.
fn key(folder: &Path, passphrase: &Passphrase) -> Result<Option<x25519::Identity>, BackupError> {
    let path = folder.join(KEY);
    let keys = Keys::of_passphrase(Some(passphrase.clone()));
    let reader = match keys.unseal(&path) {
        Ok(reader) => reader,
        Err(BackupError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    let read = reader.take(MOST_KEY_BYTES).read_to_string(&mut text);
    read.map_err(|error| damaged(&path, error.to_string()))?;
    // As age keeps them: comments, and a key on a line of its own.
    let key = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let key = key.and_then(|line| line.parse().ok()).ok_or_else(|| damaged(&path, "there is no key in it"))?;
    Ok(Some(key))
}

/// Makes the key of the folder, not over one that is there.
fn make_key(folder: &Path, passphrase: &Passphrase) -> Result<(), BackupError> {
    let path = folder.join(KEY);
    let part = part_of(&path);
    let _ = fs::remove_file(&part);
    let key = x25519::Identity::generate().to_string();
    let mut file = Keys::of_passphrase(Some(passphrase.clone())).create(&part)?;
    let written = writeln!(file, "{}", key.expose_secret()).and_then(|()| file.end());
    let named = written.and_then(|()| take_name(&part, &path)).and_then(|()| sync_folder(folder));
    let _ = fs::remove_file(&part);
    named.map_err(io_at(&path))
}
