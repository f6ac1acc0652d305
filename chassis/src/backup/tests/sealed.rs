//! Encrypted backups: each fault is one line of what to do, and nothing is changed.

use super::*;

async fn sealed(name: &str) -> (Folder, PassphraseFrom) {
    let folder = site(name).await;
    let from = passphrase_file(&folder, "four words of it");
    let keys = Keys::of_passphrase(from.read().unwrap());
    let written = with_subject(&folder, 5, |subject| write(subject, &folder.at("b.age"), &keys, &mut |_| {}).unwrap());
    assert_eq!(written.manifest.members.len(), 4);
    (folder, from)
}

/// That it is refused in one line, and that nothing of it is there.
fn refused(from: &Path, passphrase: &PassphraseFrom) -> String {
    let into = Folder::new("sealed-into");
    let _ = Blobs::open(&into.at("blobs")).unwrap();
    let found = Keys::of_file(from, passphrase).and_then(|keys| restore(from, &keys, &into));
    let line = found.unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    assert!(!into.at("ledger.new").exists() && contents(&into.at("blobs")).unwrap().is_empty());
    line
}

#[tokio::test]
async fn an_encrypted_file_shows_nothing_and_comes_back_with_its_passphrase() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, passphrase) = sealed("sealed").await;
    let bytes = fs::read(folder.at("b.age")).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(!bytes.windows(13).any(|part| part == b"ledger.sqlite") && !bytes.windows(64).any(|part| part == [7; 64]));
    assert_eq!(folder.at("b.age").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let keys = Keys::of_file(&folder.at("b.age"), &passphrase).unwrap();
    let into = Folder::new("sealed-back");
    restore(&folder.at("b.age"), &keys, &into).unwrap();
    assert_eq!(fs::read(into.at("ledger.new")).unwrap(), vec![7; 50_000]);
    assert_eq!(fs::read(blob(&into, 3)).unwrap(), content(3).0);
}

#[tokio::test]
async fn a_wrong_passphrase_or_none_is_told_apart_from_damage() {
    let (folder, _) = sealed("sealed-wrong").await;
    let none = refused(&folder.at("b.age"), &PassphraseFrom::default());
    assert!(none.contains("--passphrase-file"), "{none}");
    let wrong = refused(&folder.at("b.age"), &passphrase_file(&folder, "three words of it"));
    assert!(wrong.contains("the passphrase does not open") && wrong.contains("nothing was changed"), "{wrong}");
}

#[tokio::test]
async fn an_encrypted_file_with_a_bit_flipped_or_its_end_missing_is_refused() {
    let (folder, passphrase) = sealed("sealed-damaged").await;
    let whole = fs::read(folder.at("b.age")).unwrap();
    let bad = folder.at("bad.age");
    let payload = whole.windows(4).position(|part| part == b"--- ").unwrap();
    // Within the header's number, its seal, the nonce, the first piece, one in the middle, and the last byte of all.
    for at in [21, payload + 10, payload + 60, payload + 100, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&bad, bytes).unwrap();
        refused(&bad, &passphrase);
    }
    // Also where what is missing is nothing but the end of the tar, which nobody would miss.
    for cut in [0, 10, payload, payload + 60, whole.len() / 2, whole.len() - 1] {
        fs::write(&bad, &whole[..cut]).unwrap();
        refused(&bad, &passphrase);
    }
}

#[test]
fn a_passphrase_is_one_line_of_a_file_that_others_may_not_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("passphrase");
    for (text, what) in [("", "is empty"), ("\n", "is empty"), ("one\ntwo\n", "more than one line")] {
        fs::write(folder.at("p"), text).unwrap();
        fs::set_permissions(folder.at("p"), fs::Permissions::from_mode(0o640)).unwrap();
        let from = PassphraseFrom { file: Some(folder.at("p")), stdin: false };
        let line = from.read().unwrap_err().to_string();
        assert!(line.contains(what) && !line.contains('\n'), "{line}");
    }
    let from = passphrase_file(&folder, " with spaces ");
    assert!(from.read().unwrap().is_some());
    fs::set_permissions(folder.at("passphrase"), fs::Permissions::from_mode(0o644)).unwrap();
    let line = from.read().unwrap_err().to_string();
    assert!(line.contains("everybody may read") && !line.contains("with spaces"), "{line}");
    let gone = PassphraseFrom { file: Some(folder.at("gone")), stdin: false };
    assert!(gone.read().unwrap_err().to_string().starts_with("cannot read the passphrase"));
    assert!(!format!("{:?}", passphrase("secret words")).contains("secret words"));
}
