use super::*;
use crate::blobs::Blobs;

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

async fn filled(name: &str) -> (Folder, Manifest) {
    let folder = Folder::new(name);
    let blobs = Blobs::open(&folder.at("blobs")).unwrap();
    for n in 1..=3_u8 {
        let _ = blobs.put(uuid::Uuid::from_u128(u128::from(n)), vec![n; 10_000 * usize::from(n)]).await.unwrap();
    }
    fs::write(folder.at("copy"), vec![7; 50_000]).unwrap();
    let mut told = 0;
    let about = ("a program", "1.0");
    let manifest =
        write(about, 5, &folder.at("copy"), &folder.at("blobs"), &folder.at("b.tar"), &mut |n| told = n).unwrap();
    assert_eq!((manifest.members.len(), told), (4, 4));
    (folder, manifest)
}

#[tokio::test]
async fn what_is_backed_up_comes_back_byte_for_byte() {
    let (folder, manifest) = filled("back").await;
    assert_eq!(verify(&folder.at("b.tar")).unwrap(), manifest);
    let into = Folder::new("into");
    let _ = Blobs::open(&into.at("blobs")).unwrap();
    let back = unpack("a program", &folder.at("b.tar"), &into.at("blobs"), &into.at("ledger.new")).unwrap();
    assert_eq!(back, manifest);
    assert_eq!(fs::read(into.at("ledger.new")).unwrap(), vec![7; 50_000]);
    for path in contents(&folder.at("blobs")).unwrap() {
        let there = into.0.join(path.strip_prefix(&folder.0).unwrap());
        assert_eq!(fs::read(&path).unwrap(), fs::read(there).unwrap());
    }
    let again =
        write(("a program", "1.0"), 5, &folder.at("copy"), &folder.at("blobs"), &folder.at("b.tar"), &mut |_| {});
    assert!(matches!(again, Err(BackupError::Exists(_))));
    let other = unpack("another", &folder.at("b.tar"), &into.at("blobs"), &into.at("x"));
    assert!(matches!(other, Err(BackupError::Another(..))) && !into.at("x").exists());
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
        let found = unpack("a program", &bad, &into.at("blobs"), &into.at("ledger.new"));
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
        let mut header = head(1);
        header.set_entry_type(kind);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        fs::write(folder.at("h.tar"), tar.into_inner().unwrap()).unwrap();
        assert!(verify(&folder.at("h.tar")).is_err(), "{name}");
    }
}
