use super::*;
use crate::blobs::Blobs;
use tar::{Builder, EntryType};

mod sealed;
mod shared;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let random = crate::ids::Ids::system().random_u64();
        let path = std::env::temp_dir().join(format!("backup-{name}-{random:016x}"));
        fs::create_dir_all(path.join("blobs")).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder with the contents 1 to 3 and a copy of a ledger.
async fn site(name: &str) -> Folder {
    let folder = Folder::new(name);
    let blobs = Blobs::open(&folder.at("blobs")).unwrap();
    for n in 1..=3_u8 {
        let _ = blobs.put(uuid::Uuid::from_u128(u128::from(n)), content(n).0).await.unwrap();
    }
    fs::write(folder.at("copy"), vec![7; 50_000]).unwrap();
    folder
}

/// The content `n` and its digest.
fn content(n: u8) -> (Vec<u8>, Sha256) {
    let bytes = vec![n; 10_000 * usize::from(n)];
    let digest = Sha256::of(&bytes);
    (bytes, digest)
}

/// Where the content `n` is in a folder.
fn blob(folder: &Folder, n: u8) -> PathBuf {
    let digest = content(n).1.to_string();
    folder.at("blobs").join(&digest[..2]).join(digest)
}

/// Has `run` what the site of `folder` is.
fn with_subject<T>(folder: &Folder, made_ms: i64, run: impl FnOnce(&Subject<'_>) -> T) -> T {
    let (ledger, blobs) = (folder.at("copy"), folder.at("blobs"));
    run(&Subject { program: "a program", version: "1.0", made_ms, ledger: &ledger, blobs: &blobs })
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text, "a test").unwrap()
}

/// The passphrase in a file that only its owner may read.
fn passphrase_file(folder: &Folder, text: &str) -> PassphraseFrom {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.at("passphrase");
    fs::write(&file, format!("{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    PassphraseFrom { file: Some(file), stdin: false }
}

/// As a restore does it: checked whole, then unpacked.
fn restore(from: &Path, keys: &Keys, into: &Folder) -> Result<Manifest, BackupError> {
    let manifest = verify(from, keys)?;
    let _ = Blobs::open(&into.at("blobs")).unwrap();
    unpack(from, keys, &manifest, &into.at("blobs"), &into.at("ledger.new"))?;
    Ok(manifest)
}

async fn filled(name: &str) -> (Folder, Manifest) {
    let folder = site(name).await;
    let mut told = 0;
    let written = with_subject(&folder, 5, |subject| {
        write(subject, &folder.at("b.tar"), &Keys::default(), &mut |n| told = n).unwrap()
    });
    assert_eq!((written.manifest.members.len(), told, written.damaged.len()), (4, 4, 0));
    (folder, written.manifest)
}

#[tokio::test]
async fn what_is_backed_up_comes_back_byte_for_byte() {
    let (folder, manifest) = filled("back").await;
    let into = Folder::new("into");
    assert_eq!(restore(&folder.at("b.tar"), &Keys::default(), &into).unwrap(), manifest);
    assert_eq!(fs::read(into.at("ledger.new")).unwrap(), vec![7; 50_000]);
    for n in 1..=3 {
        assert_eq!(fs::read(blob(&into, n)).unwrap(), content(n).0);
    }
    let again = with_subject(&folder, 5, |subject| write(subject, &folder.at("b.tar"), &Keys::default(), &mut |_| {}));
    assert!(matches!(again, Err(BackupError::Exists(_))));
}

#[tokio::test]
async fn a_restore_keeps_what_is_whole_and_takes_nothing_damaged_for_it() {
    let folder = site("worse").await;
    // The site's own is damaged when it is backed up: the backup holds it as it is, and says so.
    fs::write(blob(&folder, 2), "damaged").unwrap();
    let written =
        with_subject(&folder, 5, |subject| write(subject, &folder.at("b.tar"), &Keys::default(), &mut |_| {}).unwrap());
    assert_eq!(written.damaged, [content(2).1]);
    let into = Folder::new("worse-into");
    let blobs = Blobs::open(&into.at("blobs")).unwrap();
    let _ = blobs.put(uuid::Uuid::from_u128(9), content(2).0).await.unwrap();
    // One that is damaged where it is restored is mended.
    fs::write(blob(&into, 3), "damaged, too").unwrap();
    let before = blob(&into, 2).metadata().unwrap().modified().unwrap();
    restore(&folder.at("b.tar"), &Keys::default(), &into).unwrap();
    assert_eq!(fs::read(blob(&into, 2)).unwrap(), content(2).0);
    assert_eq!(blob(&into, 2).metadata().unwrap().modified().unwrap(), before);
    assert_eq!(fs::read(blob(&into, 3)).unwrap(), content(3).0);
    assert!(!into.at("blobs/incoming/restoring").exists());
    // Where there is none, a damaged one is better than nothing.
    let empty = Folder::new("worse-empty");
    restore(&folder.at("b.tar"), &Keys::default(), &empty).unwrap();
    assert_eq!(fs::read(blob(&empty, 2)).unwrap(), b"damaged");
}

#[tokio::test]
async fn a_backup_with_any_byte_changed_or_missing_is_refused() {
    let (folder, _) = filled("damaged").await;
    let whole = fs::read(folder.at("b.tar")).unwrap();
    let bad = folder.at("bad.tar");
    let into = Folder::new("nothing");
    let _ = Blobs::open(&into.at("blobs")).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        let found = restore(&bad, &Keys::default(), &into);
        assert!(found.is_err() && !into.at("ledger.new").exists());
        assert!(contents(&into.at("blobs")).unwrap().is_empty(), "something was unpacked");
    };
    for cut in [0, 1, 511, 512, 60_000, whole.len() - 20_000] {
        refused(&whole[..cut]);
    }
    // Within members and their headers; padding and the times in headers mean nothing.
    for at in [0, 124, 600, 50_000, 51_800, 70_000] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        refused(&bytes);
    }
}

#[test]
fn names_that_lead_elsewhere_and_links_are_refused() {
    let folder = Folder::new("hostile");
    for (name, kind) in [
        ("../escape", EntryType::Regular),
        ("/etc/passwd", EntryType::Regular),
        ("blobs/../../x", EntryType::Regular),
        ("ledger.sqlite", EntryType::Symlink),
        ("ledger.sqlite", EntryType::Directory),
    ] {
        let mut tar = Builder::new(Vec::new());
        let mut header = pack::head(1);
        header.set_entry_type(kind);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        fs::write(folder.at("h.tar"), tar.into_inner().unwrap()).unwrap();
        assert!(verify(&folder.at("h.tar"), &Keys::default()).is_err(), "{name}");
    }
}
